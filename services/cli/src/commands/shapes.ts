import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, textOf, WrongUsage, type Command } from '../command.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';
import { sizeText } from '../output/quantities.ts';
import { table } from '../output/table.ts';

/** What of a shape is used here. */
interface Shape {
  readonly handle: string;
  readonly state: string;
  readonly table?: string;
  readonly where?: string;
  readonly indexKind: string;
  readonly readers: number;
  readonly heldBytes: number;
  readonly lastReadAt?: string;
}

export const shapesList: Command = {
  flags: {
    ...SOURCE_FLAG,
    sort: { type: 'string', value: 'BY', about: 'readers, bytes or lastRead; bytes unless given.' },
    state: { type: 'string', value: 'STATE', about: 'alive, live, creating, snapshotting, promoting, dead or any.' },
    limit: { type: 'string', value: 'N', about: 'How many at most, up to 200; 50 unless given.' },
    offset: { type: 'string', value: 'N', about: 'How many to leave out.' },
    ...ADMIN_FLAGS,
  },
  async run(values, world) {
    const query = new URLSearchParams();
    for (const name of ['sort', 'state', 'limit', 'offset']) {
      const text = textOf(values, name);
      if (text !== undefined) query.set(name, text);
    }
    const admin = new AdminClient(values, world);
    const answer = await admin.ask('GET', sourcePath(await admin.sourceId(values), `/shapes?${query.toString()}`));
    if (values['json'] === true) {
      world.out(JSON.stringify(answer, undefined, 2));
      return EXIT.ok;
    }
    const shapes = answer['shapes'] as readonly Shape[];
    const rows = shapes.map(
      ({ handle, state, table: name = '-', where = '', indexKind, readers, heldBytes, lastReadAt }) => [
        ...[handle, state, String(readers), sizeText(heldBytes), lastReadAt ?? 'never', indexKind, name, where],
      ],
    );
    const head = ['handle', 'state', 'readers', 'bytes', 'last read', 'found by', 'table', 'where'];
    if (rows.length > 0) world.out(table([head, ...rows]));
    const more = answer['truncated'] === true ? ', and more that were not looked at' : '';
    world.out(`${shapes.length} of ${String(answer['total'])} shapes${more}`);
    return EXIT.ok;
  },
};

export const shapesInspect: Command = {
  flags: { ...SOURCE_FLAG, ...ADMIN_FLAGS },
  argument: 'HANDLE',
  async run(values, world) {
    const handle = requiredArgument(values, 'HANDLE');
    const admin = new AdminClient(values, world);
    const path = sourcePath(await admin.sourceId(values), `/shapes/${encodeURIComponent(handle)}`);
    const answer = await admin.ask('GET', path);
    if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
    else world.out(table(Object.entries(flat(answer)).map(([name, value]) => [name, value])));
    return EXIT.ok;
  },
};

export const shapesDelete: Command = {
  flags: {
    ...SOURCE_FLAG,
    yes: { type: 'boolean', about: 'Yes, its readers may start over; required.' },
    ...ADMIN_FLAGS,
  },
  argument: 'HANDLE',
  async run(values, world) {
    const handle = requiredArgument(values, 'HANDLE');
    if (values['yes'] !== true) throw new WrongUsage('The readers of the shape will start over: repeat it with --yes.');
    const admin = new AdminClient(values, world);
    const path = sourcePath(await admin.sourceId(values), `/shapes/${encodeURIComponent(handle)}`);
    const answer = await admin.ask('DELETE', path);
    world.out(values['json'] === true ? JSON.stringify(answer, undefined, 2) : 'The shape was deleted.');
    return EXIT.ok;
  },
};

/** Fields of fields by their path. */
function flat(value: object, before = ''): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, one] of Object.entries(value) as [string, unknown][]) {
    if (Array.isArray(one)) all[before + name] = one.join(', ');
    else if (typeof one === 'object' && one !== null) Object.assign(all, flat(one, `${before}${name}.`));
    else all[before + name] = String(one);
  }
  return all;
}
