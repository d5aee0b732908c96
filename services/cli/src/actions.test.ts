import { randomUUID } from 'node:crypto';
import { createAdmin, type Admin } from '@shapecast/admin';
import {
  BUCKETS,
  newIncarnationSubject,
  openMemoryMessaging,
  releaseLeadershipSubject,
  subsetSubject,
  UsageReporter,
  type SourceRecord,
} from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type CreateRequest } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call } from './testing/call.ts';

const TOKEN = 'hunter2-is-the-admin-token';
const SHARD = { source: 'acme', incarnation: 1, shard: 0 };
const parts = { clock: systemClock, log: silentLogger };

const message = (id: number, v: string) => ({
  ...{ key: `"public"."notes"/"${id}"`, value: { id: String(id), v } },
  headers: { operation: 'insert' },
});

describe('commands that act on a running source', () => {
  const messaging = openMemoryMessaging(systemClock);
  const store = openMemoryShapeStore(systemClock);
  let admin: Admin;
  let env: Record<string, string>;

  beforeAll(async () => {
    const sources = { mode: 'environment', id: 'acme' } as const;
    admin = createAdmin(
      { messaging: () => messaging, sources, store, ...parts },
      { host: '127.0.0.1', port: 0, tokens: [TOKEN] },
    );
    await admin.start(new AbortController().signal);
    env = { SHAPECAST_ADMIN_URL: `http://127.0.0.1:${admin.port}`, SHAPECAST_ADMIN_TOKEN: TOKEN };
    const registry = await messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
    await registry.put('acme', { incarnation: 1, shards: 1, systemId: '1', timeline: 1, slotName: 's' });
  });
  afterAll(async () => {
    await admin.stop();
    await messaging.close();
    await store.close();
  });

  /** A live shape with two rows. */
  async function shape(table: string): Promise<string> {
    const request: CreateRequest = {
      digest: randomUUID(),
      definition: {
        ...{ v: 1, oid: 16_400, schema: 'public', table, keyColumns: ['id'], hasPrimaryKey: true },
        ...{ columns: ['id', 'v'], allColumns: true, where: '', replica: 'default', log: 'full' },
      },
      fingerprint: { oid: 16_400, schema: 'public', table, keyColumns: ['id'], columnCount: 2, columns: [] },
      chunkBytes: 10_000,
    };
    const { handle } = await store.getOrCreate(SHARD, request);
    const token = randomUUID();
    await store.snapshotBegin(SHARD, handle, token);
    await store.snapshotKnown(SHARD, handle, token, { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as never });
    const bytes = Buffer.from([message(1, 'a'), message(2, 'b')].map((one) => JSON.stringify(one)).join(','));
    await store.snapshotPart(SHARD, handle, token, { chunk: 0, bytes, close: true });
    await store.snapshotDone(SHARD, handle, token);
    await store.promote(SHARD, handle, 100);
    return handle;
  }

  function database(...rows: readonly object[]): () => void {
    return messaging.rpc.serveStream(subsetSubject('acme'), async function* () {
      yield Buffer.from(JSON.stringify({ xmin: '9', xmax: '9', xip_list: [], database_lsn: '1', snapshot_mark: 1 }));
      for (const row of rows) yield Buffer.from(JSON.stringify(row));
    });
  }

  test('a shape is rotated for a reason, those of a table, and all, with the id of the source', async () => {
    const [one, two, other] = [await shape('notes'), await shape('notes'), await shape('others')];
    const state = async (handle: string) => (await store.readHead(SHARD, handle))?.state;
    expect((await call(['shapes', 'rotate', one], env)).code).toBe(2);
    expect((await call(['shapes', 'rotate', '--reason', 'r'], env)).code).toBe(2);
    expect((await call(['shapes', 'rotate', one, '--table', 'public.notes', '--reason', 'r'], env)).code).toBe(2);
    expect(await call(['shapes', 'rotate', one, '--reason', 'wrong rows'], env)).toEqual({
      ...{ code: 0, out: 'The shape was rotated.', err: '' },
    });
    expect([await state(one), await state(two)]).toEqual(['dead', 'live']);
    const table = ['shapes', 'rotate', '--table', 'public.notes', '--reason', 'r'];
    expect(await call(table, env)).toMatchObject({ code: 0, out: '1 of 1 shapes were rotated.' });
    expect([await state(two), await state(other)]).toEqual(['dead', 'live']);
    expect((await call(['shapes', 'rotate', '--table', 'notes', '--reason', 'r'], env)).err).toContain('schema.table');
    const all = await call(['shapes', 'rotate', '--all', 'acme', '--reason', 'r', '--json'], env);
    expect(JSON.parse(all.out)).toMatchObject({ state: 'done', shapes: 1, rotated: 1 });
    expect(await state(other)).toBe('dead');
    expect((await call(['shapes', 'rotate', one, '--reason', 'r'], env)).code).toBe(1);
  });

  test('a check of a shape says by its exit code whether it is as the database says', async () => {
    const handle = await shape('notes');
    let stop = database(message(1, 'a'), message(2, 'b'));
    expect(await call(['shapes', 'check', handle], env)).toEqual({
      ...{ code: 0, out: 'The shape is what the database says: 2 rows at 0/1.', err: '' },
    });
    stop();
    stop = database(message(1, 'x'), message(3, 'c'));
    const { code, out } = await call(['shapes', 'check', handle], env);
    expect(code).toBe(1);
    expect(out).toContain('2 rows in the database, 2 in the log: 1 missing, 1 too many, 1 different.');
    expect(out).toMatch(/"public"."notes"\/"1" +changed +v\n/);
    expect(out).toMatch(/"public"."notes"\/"3" +missing/);
    const json = await call(['shapes', 'check', handle, '--json'], env);
    expect([json.code, (JSON.parse(json.out) as { consistent: boolean }).consistent]).toEqual([1, false]);
    stop();
    expect((await call(['shapes', 'check', '1-2'], env)).code).toBe(1);
  });

  test('shards are listed and moved', async () => {
    const list = await call(['shards', 'list'], env);
    expect(list.out).toMatch(/^shard +router +shapes +applied +behind +up to +moved to\n0 +nobody +\d+ +0 /);
    expect((await call(['shards', 'move', '0'], env)).code).toBe(2);
    expect((await call(['shards', 'move', 'x', '--back'], env)).code).toBe(2);
    expect((await call(['shards', 'move', '0', '--to', 'nobody'], env)).err).toContain('is no router of the source');
    expect((await call(['shards', 'move', '0', '--back'], env)).out).toContain('Shard 0 moves back');
    expect((await call(['shards', 'move', '7', '--back'], env)).code).toBe(1);
  });

  test('the leader is asked to make room, and to begin a new incarnation with the id once more', async () => {
    expect((await call(['sources', 'release', 'acme'], env)).err).toContain('No replicator leads the source');
    const leader = { holder: 'replicator-1', incarnation: 1, epoch: 3 };
    const stops = [releaseLeadershipSubject('acme'), newIncarnationSubject('acme')].map((subject) =>
      messaging.rpc.serve(subject, async () => leader),
    );
    expect((await call(['sources', 'release', 'acme'], env)).out).toContain('replicator-1 gave up epoch 3.');
    const order = ['sources', 'new-incarnation', 'acme', '--reason', 'a restore'];
    expect((await call(order, env)).code).toBe(2);
    expect((await call([...order, '--confirm', 'other'], env)).code).toBe(2);
    expect((await call([...order, '--confirm', 'acme'], env)).out).toContain('Incarnation 1 has ended');
    for (const stop of stops) stop();
  });

  test('lag shows the stages, as far as somebody tells of them', async () => {
    const reporter = new UsageReporter({ hints: messaging.hints, ...parts }, { process: 'api-1', role: 'api' });
    const gauges = { publishLagMs: 40, applyLagMs: 60, serveLagMs: 5, deliveryLagMs: 66 };
    reporter.add('acme', () => ({ gauges }));
    await reporter.start();
    const world = { ...env, SHAPECAST_NATS_URL: 'nats://127.0.0.1:1', SHAPECAST_SOURCE_ID: 'acme' };
    const text = 'published 40 ms, applied 20 ms, served 5 ms, in all 66 ms';
    await waitFor(async () => (await call(['sources', 'show', 'acme'], env)).out.includes(text));
    expect((await call(['lag'], world)).out).toContain(`stages    ${text}`);
    const without = { ...world, SHAPECAST_ADMIN_URL: '' };
    expect((await call(['lag'], without)).out).toContain('stages    not looked at: SHAPECAST_ADMIN_URL is not set');
    await reporter.stop();
  });
});
