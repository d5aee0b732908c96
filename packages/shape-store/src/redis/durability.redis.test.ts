import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { redisCommand, startRedis, waitFor, type RedisOptions, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { at, disposable, entry, liveShape, newShard, Owner } from '../contract/fixtures.ts';
import { untilDurable } from '../testing/until-durable.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: RedisOptions = {}): Promise<TestServer> {
  const server = await startRedis(options);
  closing.push(() => server.stop());
  return server;
}

function openWith(server: TestServer, options: { readonly replicas?: number; readonly syncedMs?: number } = {}) {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (_, text) => void warnings.push(text), child: () => log };
  const store = openRedisShapeStore({ url: server.url, ...options }, { clock: systemClock, log });
  return { store: disposable(store), warnings };
}

/** A shard with one entry. */
async function shardIn(store: ReturnType<typeof openWith>['store']) {
  const shard = newShard();
  const handle = await liveShape(store, shard, 't');
  const owner = await Owner.acquire(store, shard);
  await owner.write(entry(handle, at(10)));
  return { shard, handle, owner };
}

describe('what is durable', () => {
  test('R 12.4.3 is there after a crash that nothing is written out for', async () => {
    const server = await start();
    const { store } = openWith(server);
    await using _ = store;
    const { shard, handle, owner } = await shardIn(store);
    await untilDurable(store, shard, owner.state.cursor);
    const sure = owner.state.cursor;
    await owner.write(entry(handle, at(11)));
    await server.kill();
    await server.start();
    const meta = await waitFor(() => store.readMeta(shard).catch(() => undefined));
    expect(meta.cursor.seq).toBeGreaterThanOrEqual(sure.seq);
  });

  test('a cursor that is not old enough does not count, where the server cannot tell', async () => {
    const server = await start();
    const { store } = openWith(server, { syncedMs: 60_000 });
    await using _ = store;
    const { shard } = await shardIn(store);
    for (let i = 0; i < 3; i += 1) expect(await store.durableCursor(shard)).toBeUndefined();
  });

  test('a server that was started again has to be old enough once more', async () => {
    const server = await start();
    const { store } = openWith(server, { syncedMs: 400 });
    await using _ = store;
    const { shard, owner } = await shardIn(store);
    await untilDurable(store, shard, owner.state.cursor);
    await server.kill();
    await server.start();
    let first: unknown = 'none';
    await waitFor(async () => {
      first = await store.durableCursor(shard).catch(() => 'none');
      return first !== 'none';
    });
    expect(first).toBeUndefined();
  });

  test('what a replica lacks does not count', async () => {
    const primary = await start();
    const replica = await start({ replicaOf: primary.port });
    const { store, warnings } = openWith(primary, { syncedMs: 100 });
    await using _ = store;
    const { shard, handle, owner } = await shardIn(store);
    await untilDurable(store, shard, owner.state.cursor);
    const sure = owner.state.cursor;
    await replica.pause();
    await owner.write(entry(handle, at(11)));
    // It was waited for, in vain.
    expect(await store.durableCursor(shard)).toBeUndefined();
    await replica.resume();
    await untilDurable(store, shard, owner.state.cursor);
    expect(owner.state.cursor.seq).toBeGreaterThan(sure.seq);
    expect(warnings).toEqual([]);
  });

  test('a replica that is gone is missed, unless none is asked for', async () => {
    const primary = await start();
    const replica = await start({ replicaOf: primary.port });
    const seen = openWith(primary, { syncedMs: 100 });
    const none = openWith(primary, { syncedMs: 100, replicas: 0 });
    await using _ = seen.store;
    await using __ = none.store;
    const { shard, owner } = await shardIn(seen.store);
    await untilDurable(seen.store, shard, owner.state.cursor);
    await replica.stop();
    await waitFor(async () => ((await redisCommand(primary.port, 'ROLE')) as unknown[][])[2]!.length === 0);
    expect(await seen.store.durableCursor(shard)).toBeUndefined();
    await untilDurable(none.store, shard, owner.state.cursor);
  });

  test('a server without file and replica says so once', async () => {
    const server = await start({ appendonly: false });
    const { store, warnings } = openWith(server, { syncedMs: 60_000 });
    await using _ = store;
    const { shard, owner } = await shardIn(store);
    for (let i = 0; i < 3; i += 1) expect(await store.durableCursor(shard)).toEqual(owner.state.cursor);
    expect(warnings).toEqual(['redis has neither an append-only file nor a replica: a restart loses all shapes']);
  });
});

const newer = await newerServer();

// Servers before 7.2 do not have the command. SHAPECAST_TEST_VALKEY names the program of one that does, where none is on PATH.
describe.skipIf(newer === undefined)('a server that tells what is on its disk', () => {
  const program = { ...(newer === undefined ? {} : { program: newer }) };

  test('R 12.4.3 is believed at once', async () => {
    const server = await start(program);
    const { store } = openWith(server, { syncedMs: 60_000 });
    await using _ = store;
    const { shard, owner } = await shardIn(store);
    expect(await store.durableCursor(shard)).toEqual(owner.state.cursor);
    expect(await commandCount(server, 'waitaof')).toBe(1);
  });

  test('replicas have to have it on theirs', async () => {
    const primary = await start(program);
    const replica = await start({ ...program, replicaOf: primary.port });
    const { store } = openWith(primary, { syncedMs: 60_000 });
    await using _ = store;
    const { shard, handle, owner } = await shardIn(store);
    await untilDurable(store, shard, owner.state.cursor);
    await replica.pause();
    await owner.write(entry(handle, at(11)));
    expect(await store.durableCursor(shard)).toBeUndefined();
    await replica.resume();
    await untilDurable(store, shard, owner.state.cursor);
  });

  test('many shards are asked for with one wait', async () => {
    const server = await start(program);
    const { store } = openWith(server);
    await using _ = store;
    const owners = await Promise.all(Array.from({ length: 40 }, () => Owner.acquire(store, newShard())));
    for (const [i, owner] of owners.entries()) await owner.apply(owner.step([], BigInt(i + 1)));
    const sure = await Promise.all(owners.map(({ shard }) => store.durableCursor(shard)));
    expect(sure).toEqual(owners.map(({ state }) => state.cursor));
    expect(await commandCount(server, 'waitaof')).toBeLessThanOrEqual(2);
  });

  test('one that may not be asked is as good as an old one', async () => {
    const server = await start(program);
    await redisCommand(
      server.port,
      'ACL',
      'SETUSER',
      'plain',
      'on',
      'nopass',
      '~*',
      '&*',
      '+@all',
      '-waitaof',
      '-config',
    );
    const log = silentLogger;
    const url = server.url.replace('//', '//plain:x@');
    await using store = disposable(openRedisShapeStore({ url, syncedMs: 300 }, { clock: systemClock, log }));
    const { shard, owner } = await shardIn(store);
    expect(await store.durableCursor(shard)).toBeUndefined();
    await untilDurable(store, shard, owner.state.cursor);
    expect(await commandCount(server, 'wait')).toBeGreaterThan(0);
  });
});

async function newerServer(): Promise<string | undefined> {
  for (const program of [process.env['SHAPECAST_TEST_VALKEY'], 'valkey-server', 'redis-server']) {
    if (!program) continue;
    const said = await promisify(execFile)(program, ['--version']).catch(() => undefined);
    const [major = 0, minor = 0] =
      /v=(\d+)\.(\d+)/
        .exec(said?.stdout ?? '')
        ?.slice(1)
        .map(Number) ?? [];
    if (major > 7 || (major === 7 && minor >= 2)) return program;
  }
  return undefined;
}

async function commandCount({ port }: TestServer, command: string): Promise<number> {
  const info = String(await redisCommand(port, 'INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}
