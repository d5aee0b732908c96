import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, textOf, WrongUsage, type Command } from '../command.ts';
import { numberText } from '../output/quantities.ts';
import { table } from '../output/table.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

/** What of a shard is used here. */
interface Shard {
  readonly shard: number;
  readonly router?: string;
  readonly pinned?: string;
  readonly shapes?: number;
  readonly seq?: number;
  readonly behind?: number;
  readonly watermark?: string;
}

interface Router {
  readonly id: string;
  readonly owned: number;
  readonly reluctant?: string;
}

export const shardsList: Command = {
  flags: { ...SOURCE_FLAG, ...ADMIN_FLAGS },
  async run(values, world) {
    const admin = new AdminClient(values, world);
    const answer = await admin.ask('GET', sourcePath(await admin.sourceId(values), '/shards'));
    if (values['json'] === true) {
      world.out(JSON.stringify(answer, undefined, 2));
      return EXIT.ok;
    }
    const shards = (answer['shards'] as readonly Shard[]).map(
      ({ shard, router = 'nobody', pinned = '', shapes, seq, behind, watermark = '-' }) => [
        ...[String(shard), router, numberText(shapes), numberText(seq), numberText(behind), watermark, pinned],
      ],
    );
    if (shards.length === 0) world.out('The source was never set up: it has no shards.');
    else world.out(table([['shard', 'router', 'shapes', 'applied', 'behind', 'up to', 'moved to'], ...shards]));
    const routers = (answer['routers'] as readonly Router[]).map(({ id, owned, reluctant = '' }) => [
      ...[id, String(owned), reluctant],
    ]);
    if (routers.length > 0) world.out(`\n${table([['router', 'shards', 'wants none'], ...routers])}`);
    return EXIT.ok;
  },
};

export const shardsMove: Command = {
  flags: {
    ...SOURCE_FLAG,
    to: { type: 'string', value: 'ROUTER', about: 'Router that is to have it: shards list has their names.' },
    back: { type: 'boolean', about: 'To whoever would have it if it had never been moved.' },
    ...ADMIN_FLAGS,
  },
  argument: 'SHARD',
  async run(values, world) {
    const shard = requiredArgument(values, 'SHARD');
    if (!/^\d{1,6}$/.test(shard)) throw new WrongUsage('SHARD is a number: shards list has them.');
    const to = textOf(values, 'to') ?? null;
    if ((to === null) !== (values['back'] === true)) throw new WrongUsage('One of --to and --back is required.');
    const admin = new AdminClient(values, world);
    const path = sourcePath(await admin.sourceId(values), `/shards/${shard}/move`);
    const answer = await admin.ask('POST', path, { to });
    const text = `Shard ${shard} moves ${to === null ? 'back' : `to ${to}`}: shards list says when it is there.`;
    world.out(values['json'] === true ? JSON.stringify(answer, undefined, 2) : text);
    return EXIT.ok;
  },
};
