import { ADMIN_FLAGS, AdminClient, sourcePath, type Answer } from '../admin/admin-client.ts';
import {
  EXIT,
  requiredText,
  textOf,
  WrongUsage,
  type Command,
  type ExitCode,
  type Values,
  type World,
} from '../command.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

const LOOK_MS = 500;

/** What of a rotation of many shapes is used here. */
interface Rotation {
  readonly state: 'running' | 'done' | 'failed';
  readonly shapes: number;
  readonly rotated: number;
  readonly startedAt: string;
  readonly problem?: string;
}

const REASON = { type: 'string', value: 'TEXT', about: 'Why, for the log and the journal; required.' } as const;

/** One shape by its handle, those of a table, or, with the id of the source once more, all of them. */
export const shapesRotate: Command = {
  flags: {
    ...SOURCE_FLAG,
    reason: REASON,
    table: { type: 'string', value: 'SCHEMA.TABLE', about: 'All shapes of this table.' },
    all: { type: 'string', value: 'ID', about: 'All shapes of the source of this id.' },
    ...ADMIN_FLAGS,
  },
  argument: 'HANDLE',
  async run(values, world) {
    const [handle, table, all] = ['HANDLE', 'table', 'all'].map((name) => textOf(values, name));
    if ([handle, table, all].filter((one) => one !== undefined).length !== 1) {
      throw new WrongUsage('One of HANDLE, --table and --all is required.');
    }
    const reason = requiredText(values, 'reason');
    const admin = new AdminClient(values, world);
    const source = all ?? (await admin.sourceId(values));
    if (handle !== undefined) {
      const path = sourcePath(source, `/shapes/${encodeURIComponent(handle)}/rotate`);
      const answer = await admin.ask('POST', path, { reason });
      world.out(values['json'] === true ? JSON.stringify(answer, undefined, 2) : 'The shape was rotated.');
      return EXIT.ok;
    }
    const path = sourcePath(source, '/rotate');
    const query = all === undefined ? '' : `?confirm=${encodeURIComponent(all)}`;
    const order = { reason, ...(table === undefined ? {} : { table }) };
    const begun = (await admin.ask('POST', path + query, order))['rotation'] as Rotation;
    return follow(admin, path, begun, values, world);
  },
};

/** Until it is over, or until nobody knows of it any more: the process that rotated has ended. */
async function follow(
  admin: AdminClient,
  path: string,
  begun: Rotation,
  values: Values,
  { clock, signal, out, err }: World,
): Promise<ExitCode> {
  for (let now: Rotation | undefined = begun; ; now = rotationIn(await admin.ask('GET', path), begun)) {
    if (now === undefined) {
      err('The process that rotated the shapes has ended; repeat the command for what is left.');
      return EXIT.failed;
    }
    if (now.state !== 'running') {
      if (values['json'] === true) out(JSON.stringify(now, undefined, 2));
      else if (now.state === 'done') out(`${now.rotated} of ${now.shapes} shapes were rotated.`);
      if (now.state === 'failed') err(`It was broken off after ${now.rotated} shapes: ${now.problem ?? 'see the log'}`);
      return now.state === 'done' ? EXIT.ok : EXIT.failed;
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

function rotationIn(answer: Answer, { startedAt }: Rotation): Rotation | undefined {
  return (answer['rotations'] as readonly Rotation[]).find((one) => one.startedAt === startedAt);
}
