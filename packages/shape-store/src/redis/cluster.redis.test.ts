import { isShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { redisCommand, startRedisCluster, type RedisCluster } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, disposable, entry, follow, liveShape, newShard, Owner } from '../contract/fixtures.ts';
import { describeShapeStore } from '../shape-store.contract.ts';
import type { ShardId } from '../shape-store.ts';
import { ShardKeys } from './keys.ts';
import { slotOfTag } from './nodes/key-slot.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const deps = { clock: systemClock, log: silentLogger };

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster({ masters: 3 });
});
afterAll(() => cluster?.stop());

describeShapeStore('redis cluster', async (limits = {}) =>
  openRedisShapeStore({ url: cluster.url, cluster: true, limits, syncedMs: 300 }, deps),
);

describe('the shape store in a redis cluster', () => {
  const open = (url = cluster.url) =>
    disposable(openRedisShapeStore({ url, cluster: true, connectionWaitMs: 200 }, deps));

  test('slots are those of the servers', async () => {
    const { port } = cluster.servers[0]!;
    const tags = ['a', 'single_stack.1.7', 'müller.12.3', '123456789'];
    const theirs = await Promise.all(
      tags.map((tag) => redisCommand(port, 'CLUSTER', 'KEYSLOT', `shapecast:{${tag}}:m`)),
    );
    expect(tags.map(slotOfTag)).toEqual(theirs);
  });

  test('12.2 shards are spread over the nodes, each of them on one', async () => {
    await using store = open(cluster.servers[1]!.url);
    const shards = shardsOfOneSource(12);
    await Promise.all(shards.map((shard) => liveShape(store, shard, 't', 1)));
    for (const shard of shards) {
      const owner = await Owner.acquire(store, shard);
      await owner.write();
      expect(await holders(shard)).toHaveLength(1);
    }
    const all = new Set((await Promise.all(shards.map(holders))).flat());
    expect(all.size).toBe(3);
  });

  test('F150 a shard that moves to another node key by key loses and doubles nothing, whatever is asked meanwhile', async () => {
    await using store = open();
    await using reader = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't', 40);
    const owner = await Owner.acquire(store, shard);
    await owner.write(...[1, 2, 3, 4].map((lsn) => entry(handle, at(lsn), '0123456789')));
    const move = await beginMove(shard);

    // Some of its keys are here and some there: what needs both waits, and what is refused has changed nothing.
    const refusals = new Set<unknown>();
    let written = 4;
    while (await move.one()) {
      await owner.refresh().catch((error: unknown) => refusals.add(reasonOf(error)));
      const step = owner.step([entry(handle, at(written + 1), '0123456789')]);
      const outcome = await owner.try(step).catch((error: unknown) => refusals.add(reasonOf(error)));
      if (outcome === 'ok') written += 1;
      const head = await reader.readHead(shard, handle).catch((error: unknown) => void refusals.add(reasonOf(error)));
      if (head) expect(head.tail.tx).toBe(BigInt(written));
      const meta = await reader.readMeta(shard).catch((error: unknown) => void refusals.add(reasonOf(error)));
      if (meta) expect(meta.cursor.position.lsn).toBe(BigInt(written));
    }
    expect([...refusals].every((reason) => ['ask', 'tryagain', 'moved'].includes(String(reason)))).toBe(true);
    expect(refusals.size).toBeGreaterThan(0);
    await move.end();

    expect(await holders(shard)).toEqual([move.to]);
    await owner.refresh();
    await owner.write(entry(handle, at(written + 1), '0123456789'));
    const offsets = Array.from({ length: written + 1 }, (_, i) => `${i + 1}_0`);
    expect((await follow(reader, shard, handle)).flat()).toEqual(offsets);
  });

  test('F150 what has moved is followed without an error', async () => {
    await using store = open();
    const shard = newShard();
    const handle = await liveShape(store, shard, 't');
    const owner = await Owner.acquire(store, shard);
    await owner.write(entry(handle, at(1)));
    const move = await beginMove(shard);
    while (await move.one());
    await move.end();
    expect((await follow(store, shard, handle)).flat()).toEqual(['1_0']);
    await owner.write(entry(handle, at(2)));
    expect((await follow(store, shard, handle)).flat()).toEqual(['1_0', '2_0']);
  });

  test('every node is searched for data without a shape, and told of by its memory', async () => {
    await using store = open();
    const shards = shardsOfOneSource(12);
    for (const shard of shards) await liveShape(store, shard, 't', 1);
    const { source } = shards[0]!;
    let [deleted, cursor]: [number, string | undefined] = [0, undefined];
    do {
      const step = await store.sweepOrphans(source, { incarnation: 2, graceMs: 0 }, cursor);
      deleted += step.deleted;
      cursor = step.cursor;
    } while (cursor !== undefined);
    expect(deleted).toBeGreaterThan(12);
    expect((await Promise.all(shards.map(holders))).flat()).toEqual([]);

    expect(await store.memory()).toEqual([]);
    const { port } = cluster.servers[2]!;
    await redisCommand(port, 'CONFIG', 'SET', 'maxmemory', '50mb');
    const memory = await store.memory();
    await redisCommand(port, 'CONFIG', 'SET', 'maxmemory', '0');
    expect(memory).toMatchObject([{ node: `127.0.0.1:${port}`, maxBytes: 50 * 1024 ** 2, evicts: false }]);
    for (const shard of shards) await store.acquire(shard, 'x');
    for (const shard of shards) expect(memory[0]!.holds(shard)).toBe((await holders(shard))[0] === port);
  });
});

/** Ports of the servers that have keys of the shard. */
async function holders(shard: ShardId): Promise<number[]> {
  const ports = cluster.servers.map(({ port }) => port);
  const keys = await Promise.all(
    ports.map((port) => redisCommand(port, 'KEYS', `shapecast:{${new ShardKeys(shard).tag}}:*`) as Promise<string[]>),
  );
  return ports.filter((_, i) => keys[i]!.length > 0);
}

function shardsOfOneSource(count: number): ShardId[] {
  const { source } = newShard();
  return Array.from({ length: count }, (_, shard) => ({ source, incarnation: 1, shard }));
}

function reasonOf(error: unknown): unknown {
  return isShapecastError(error, 'STORE_UNAVAILABLE') ? error.details['reason'] : error;
}

/** Begins to move the slot of a shard from the node that has it to the next one. */
async function beginMove(shard: ShardId) {
  const slot = String(slotOfTag(new ShardKeys(shard).tag));
  const ports = cluster.servers.map(({ port }) => port);
  const [from] = (await holders(shard)) as [number];
  const to = ports[(ports.indexOf(from) + 1) % ports.length] as number;
  const idOf = async (port: number) => String(await redisCommand(port, 'CLUSTER', 'MYID'));
  await redisCommand(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(from));
  await redisCommand(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(to));
  return {
    to,
    /** Moves one more key; false when there was none. */
    one: async (): Promise<boolean> => {
      const [key] = (await redisCommand(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '1')) as string[];
      if (key === undefined) return false;
      await redisCommand(from, 'MIGRATE', '127.0.0.1', String(to), key, '0', '5000');
      return true;
    },
    /** The node that has it knows first. */
    end: async (): Promise<void> => {
      for (const port of [to, ...ports]) await redisCommand(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(to));
    },
  };
}
