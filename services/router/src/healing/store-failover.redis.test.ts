import { redisCommand, startRedis, startTcpProxy, waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { openStore, StoreWorld } from '../testing/store-world.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A primary, a replica whose link to it can be cut, and routers whose link to Redis can be turned from one to the other. */
async function start(settings: Readonly<Record<string, string>> = {}) {
  const primary = await startRedis({ settings });
  closing.push(() => primary.stop());
  const replication = await startTcpProxy({ targetPort: primary.port });
  closing.push(() => replication.stop());
  const replica = await startRedis({ replicaOf: replication.port });
  closing.push(() => replica.stop());
  const link = await startTcpProxy({ targetPort: primary.port });
  closing.push(() => link.stop());
  const world = new StoreWorld(`redis://127.0.0.1:${link.port}`);
  closing.push(() => world.close());
  await world.harness.open();
  await world.startRouter('one');
  const shape = await world.liveShape();
  await world.insert(10, shape);
  const promote = () => redisCommand(replica.port, 'REPLICAOF', 'NO', 'ONE');
  return { primary, replica, replication, link, world, shape, promote };
}

describe('a fail-over', () => {
  test('F137 to a replica that lacks the end: the same bytes are at the same offsets', async () => {
    const { primary, replica, replication, link, world, shape, promote } = await start();
    await waitFor(async () => (await lengthOf(replica.port)) === 10);
    replication.cut();
    await world.insert(10, shape);
    const before = await world.read(shape);
    const lost = await world.liveShape({ columns: ['id', 'note'] });
    await primary.kill();
    await promote();
    link.retarget(replica.port);
    await world.expectSame(shape, before);
    expect(before.log).toHaveLength(20);
    expect(await world.head(lost)).toBeUndefined();
    expect(world.events).toContain('store_regressed');
    expect(world.events).not.toContain('shape_rotated');
    await world.insert(5, shape);
    expect((await world.read(shape)).rows.size).toBe(25);
  });

  test('F138 an old primary that is cut off from its replicas stops; what it took is written again, the same', async () => {
    const settings = { 'min-replicas-to-write': '1', 'min-replicas-max-lag': '1', 'repl-ping-replica-period': '1' };
    const { primary, replica, replication, link, world, shape, promote } = await start(settings);
    const pod = openStore(primary.url);
    closing.push(() => pod.close());
    await waitFor(async () => (await lengthOf(replica.port)) === 10);
    replication.halfOpen();
    // It takes some more, and then no more.
    const wrote = world.insert(40);
    await waitFor(async () => !(await acceptsWrites(primary.port)));
    await wrote;
    await new Promise((resolve) => setImmediate(resolve));
    const seen = await world.read(shape, pod);
    expect(seen.log.length).toBeGreaterThanOrEqual(10);
    await promote();
    link.retarget(replica.port);
    await waitFor(async () => (await world.read(shape).catch(() => undefined))?.log.length === 50);
    const after = await world.read(shape);
    expect(after.log.slice(0, seen.log.length)).toEqual(seen.log);
    // Readers of the old one are behind, and see nothing that is not so.
    expect((await world.read(shape, pod)).log).toEqual(seen.log);
    expect(world.events).not.toContain('shape_rotated');
  });

  test('F151 a server that is a replica for a while, or loads, makes the shard wait and nothing else', async () => {
    const { primary, replica, world, shape } = await start();
    const before = await world.read(shape);
    await redisCommand(primary.port, 'CONFIG', 'SET', 'replica-serve-stale-data', 'no');
    await redisCommand(primary.port, 'REPLICAOF', '127.0.0.1', '1');
    const wrote = world.insert(5);
    await expect(world.head(shape)).rejects.toThrow(/Redis/i);
    await wrote;
    await redisCommand(primary.port, 'REPLICAOF', 'NO', 'ONE');
    await waitFor(async () => (await world.read(shape).catch(() => undefined))?.log.length === 15);
    expect((await world.read(shape)).log.slice(0, 10)).toEqual(before.log);
    expect(world.events).not.toContain('shape_rotated');
    await replica.stop();
  });

  test('F148 a server that is busy with a script of somebody else makes the shard wait', async () => {
    const { primary, world, shape } = await start({ 'busy-reply-threshold': '50' });
    const busy = redisCommand(primary.port, 'EVAL', 'while true do end', '0').catch(() => undefined);
    await expect(waitFor(async () => redisCommand(primary.port, 'GET', 'x').then(() => false))).rejects.toThrow(/BUSY/);
    const wrote = world.insert(5);
    await wrote;
    await redisCommand(primary.port, 'SCRIPT', 'KILL');
    await busy;
    await waitFor(async () => (await world.read(shape).catch(() => undefined))?.log.length === 15);
    expect(world.events).not.toContain('store_regressed');
  });

  test('F153 readers go on while routers do not reach Redis, and routers while readers do not', async () => {
    const { primary, link, world, shape } = await start();
    const pod = openStore(primary.url);
    closing.push(() => pod.close());
    const before = await world.read(shape, pod);
    link.cut();
    await world.insert(5);
    expect((await world.read(shape, pod)).log).toEqual(before.log);
    link.heal();
    await waitFor(async () => (await world.read(shape, pod)).log.length === 15);
    expect((await world.read(shape, pod)).log.slice(0, 10)).toEqual(before.log);
    expect(world.events.filter((event) => /regressed|rotated/.test(event))).toEqual([]);
  });
});

async function lengthOf(port: number): Promise<number> {
  const [key] = (await redisCommand(port, 'KEYS', '*:l:*')) as string[];
  return key === undefined ? 0 : Number(await redisCommand(port, 'XLEN', key));
}

async function acceptsWrites(port: number): Promise<boolean> {
  return redisCommand(port, 'SET', 'probe', '1').then(
    () => true,
    () => false,
  );
}
