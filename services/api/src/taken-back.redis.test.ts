import { once } from 'node:events';
import { connect } from 'node:net';
import { HandleRecords, RotationJournal } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, type TestServer } from '@shapecast/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiFixture, until } from './testing/api-fixture.ts';

/** What clients get when the store goes back to before something that they know of. No router repairs anything here. */
const parts = { clock: systemClock, log: silentLogger };
let redis: TestServer;
let fixture: ApiFixture;

beforeEach(async () => {
  redis = await startRedis({ appendonly: false });
  fixture = new ApiFixture(
    { allowDelete: true, longPollTimeoutMs: 2_000, notifyPollMs: 100 },
    { store: openRedisShapeStore(redis, parts) },
  );
  await fixture.start();
  await until(() => fixture.api.report().ready === true);
});
afterEach(async () => {
  await fixture.stop();
  await redis.stop();
});

async function save(): Promise<void> {
  const socket = connect(redis.port, '127.0.0.1');
  socket.write('SAVE\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  expect(answer.toString()).toBe('+OK\r\n');
}

async function goBack(): Promise<void> {
  // It does not live through outages.
  fixture.router.stop();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await redis.kill();
  await redis.start();
  await until(() =>
    fixture.store.readMeta({ source: 'none', incarnation: 1, shard: 0 }).then(
      () => true,
      () => false,
    ),
  );
  await fixture.router.start();
}

const REFETCH = '[{"headers":{"control":"must-refetch"}}]';

test('F139 a client is never sent back to a handle that it was told is dead', async () => {
  const handle = await fixture.handle();
  await save();
  expect((await fixture.shape(`handle=${handle}`, { method: 'DELETE' })).status).toBe(202);
  await goBack();
  expect(
    (await fixture.store.loadShapes({ source: fixture.source, incarnation: 1, shard: 0 })).shapes.length +
      (await fixture.store.loadShapes({ source: fixture.source, incarnation: 1, shard: 1 })).shapes.length,
  ).toBe(1);

  const reply = await fixture.shape(`offset=0_inf&handle=${handle}`);
  expect([reply.status, reply.text]).toEqual([409, REFETCH]);
  const next = reply.headers['electric-handle'] as string;
  expect(next).not.toBe(handle);
  expect(await fixture.handle()).toBe(next);
  const live = await fixture.shape(`offset=0_inf&live=true&handle=${handle}`);
  expect([live.status, live.headers['electric-handle']]).toEqual([409, next]);
  expect((await fixture.shape(`offset=0_inf&handle=${next}`)).status).toBe(200);
  // By now the one that came to life is dead in the store as well.
  const heads = await Promise.all([0, 1].map((n) => fixture.store.readHead(fixture.router.shard(n), handle)));
  expect(heads.map((head) => head?.state).filter((state) => state !== undefined)).toEqual(['dead']);
});

test('who waits for a shape that is in the journal is told that it is dead, though the store has it alive', async () => {
  const handle = await fixture.handle();
  const held = fixture.shape(`offset=0_inf&live=true&handle=${handle}`);
  await until(() => fixture.api.report()['held'] === 1);
  const journal = new RotationJournal({ registries: fixture.messaging.registries, ...parts }, fixture.source);
  await journal.record([[handle, { code: 'SHAPE_EXPIRED', message: 'Nobody read it.' }]]);
  expect((await held).status).toBe(409);
});

test('I9 a store that lost everything, and whose clock is behind, issues no handle that may have been issued', async () => {
  const first = await fixture.handle();
  const inAnHour = Number(first.split('-')[1]) + 3_600_000_000;
  const records = new HandleRecords({ registries: fixture.messaging.registries, ...parts }, fixture.source);
  const shard = (await fixture.store.issuedHandles({ source: fixture.source, incarnation: 1, shard: 0 })) > 0 ? 0 : 1;
  // As if its clock had been an hour ahead when it issued the last one.
  await records.note(shard, inAnHour);
  await goBack();
  const next = await fixture.handle();
  expect(next.split('-')[0]).toBe(first.split('-')[0]);
  expect(Number(next.split('-')[1])).toBeGreaterThan(inAnHour + 59_000_000);
});

test('a handle above what is noted is noted at once', async () => {
  const handle = await fixture.handle();
  const records = new HandleRecords({ registries: fixture.messaging.registries, ...parts }, fixture.source);
  const stop = new AbortController();
  void records.run(stop.signal);
  const issued = Number(handle.split('-')[1]);
  await until(async () => {
    const noted = await Promise.all([records.of(0, 1_000), records.of(1, 1_000)]);
    return noted.some((record) => record?.newest === issued);
  });
  stop.abort();
});

test('who waits behind an entry that the store lost is not told that the shape ended (R 12.5.1, 14.6)', async () => {
  const handle = await fixture.handle();
  // Answered once the shape is live, so that it is in what is saved.
  expect((await fixture.shape(`offset=0_inf&handle=${handle}`)).status).toBe(200);
  await save();
  const headers = '{"operation":"delete","lsn":"7000","op_position":0,"last":true}';
  const transaction = { lsn: 7_000n, entries: { [handle]: [`{"key":"k","value":{},"headers":${headers}}`] } };
  await fixture.router.commit([transaction]);
  const behind = `offset=7000_0&handle=${handle}`;
  const held = fixture.shape(`${behind}&live=true`);
  await until(() => fixture.api.report()['held'] === 1);
  await goBack();
  await until(() => fixture.api.report()['held'] === 0);
  await fixture.router.commit([transaction]);
  expect((await held).status).not.toBe(409);
  const again = await fixture.shape(behind);
  expect([again.status, again.headers['electric-handle']]).toEqual([200, handle]);
});
