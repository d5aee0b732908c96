import { isShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { redisCommand, startRedis, startRedisCluster, startRedisSentinel, waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { at, disposable, entry, follow, liveShape, newShard, Owner } from '../contract/fixtures.ts';
import type { ShapeStore, ShardId } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { slotOfTag } from './nodes/key-slot.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const deps = { clock: systemClock, log: silentLogger };
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Writes one entry more, however often it is refused; every refusal has to be one that says to try again. */
async function writeOn(owner: Owner, handle: string, lsn: number): Promise<unknown[]> {
  const refusals: unknown[] = [];
  await waitFor(async () => {
    try {
      await owner.refresh();
      const meta = await owner.store.readMeta(owner.shard);
      if (meta?.cursor.position.lsn === BigInt(lsn)) return true;
      owner.state = meta!;
      await owner.write(entry(handle, at(lsn)));
      return true;
    } catch (error) {
      expect(isShapecastError(error, 'STORE_UNAVAILABLE'), String(error)).toBe(true);
      refusals.push(error);
      return false;
    }
  });
  return refusals;
}

async function withShape(store: ShapeStore, shard: ShardId) {
  const handle = await liveShape(store, shard, 't');
  const owner = await Owner.acquire(store, shard);
  await owner.write(entry(handle, at(1)));
  return { handle, owner };
}

describe('behind sentinels', () => {
  test('the new primary is found, and the old one not missed', async () => {
    const primary = await startRedis();
    closing.push(() => primary.stop());
    const replica = await startRedis({ replicaOf: primary.port });
    closing.push(() => replica.stop());
    const sentinel = await startRedisSentinel({ primaryPort: primary.port, downAfterMs: 500 });
    closing.push(() => sentinel.stop());
    await using store = disposable(openRedisShapeStore({ url: sentinel.url }, deps));
    const shard = newShard();
    const { handle, owner } = await withShape(store, shard);
    await waitFor(async () => ((await redisCommand(replica.port, 'KEYS', '*:l:*')) as unknown[]).length === 1);
    const connection = store.connectionOf(shard);
    // By order: agreeing that a server is gone takes sentinels on a busy machine any time they like.
    await redisCommand(sentinel.servers[0]!.port, 'SENTINEL', 'FAILOVER', sentinel.name);
    await waitFor(async () => (await sentinel.primary()) === replica.port);
    await writeOn(owner, handle, 2);
    await primary.kill();
    expect(store.connectionOf(shard)).not.toBe(connection);
    await writeOn(owner, handle, 3);
    expect((await follow(store, shard, handle)).flat()).toEqual(['1_0', '2_0', '3_0']);
  });
});

describe('in a cluster', () => {
  test('F151 a replica that takes over is followed, by order and after a crash; the other shards do not notice', async () => {
    const cluster = await startRedisCluster({ masters: 3, replicas: 1 });
    closing.push(() => cluster.stop());
    await using store = disposable(openRedisShapeStore({ url: cluster.url, cluster: true }, deps));
    const nodeOf = ({ source }: ShardId) =>
      Math.floor((slotOfTag(new ShardKeys({ source, incarnation: 1, shard: 0 }).tag) * 3) / 16_384);
    const mine = newShard();
    let others = newShard();
    while (nodeOf(others) === nodeOf(mine)) others = newShard();
    const { handle, owner } = await withShape(store, mine);
    const other = await withShape(store, others);
    const [master, replica] = [cluster.servers[nodeOf(mine)]!, cluster.servers[nodeOf(mine) + 3]!];
    await waitFor(
      async () =>
        Number(await redisCommand(replica.port, 'DBSIZE')) === Number(await redisCommand(master.port, 'DBSIZE')),
    );

    // An order is forgotten after five seconds, and on a busy machine that may come before the votes do.
    const leads = async () => ((await redisCommand(replica.port, 'ROLE')) as unknown[])[0] === 'master';
    await waitFor(async () => {
      await redisCommand(replica.port, 'CLUSTER', 'FAILOVER').catch(() => undefined);
      return waitFor(leads, { timeoutMs: 6_000 }).catch(() => false);
    });
    await writeOn(owner, handle, 2);
    await waitFor(async () => ((await redisCommand(master.port, 'ROLE')) as unknown[])[3] === 'connected');
    await waitFor(
      async () =>
        Number(await redisCommand(replica.port, 'DBSIZE')) === Number(await redisCommand(master.port, 'DBSIZE')),
    );

    await replica.kill();
    expect((await writeOn(owner, handle, 3)).length).toBeGreaterThan(0);
    await writeOn(other.owner, other.handle, 2);
    expect((await follow(store, mine, handle)).flat()).toEqual(['1_0', '2_0', '3_0']);
    expect((await follow(store, others, other.handle)).flat()).toEqual(['1_0', '2_0']);
  });
});
