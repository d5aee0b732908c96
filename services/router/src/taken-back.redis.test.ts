import { once } from 'node:events';
import { connect } from 'node:net';
import { SNAPSHOT_END } from '@shapecast/log';
import { RotationJournal, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness, type PlacedShape } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';
import { endShapes } from './upkeep/end-shapes.ts';

const parts = { clock: systemClock, log: silentLogger };
const DELETED = { code: 'SCHEMA_CHANGED', message: 'The shape was deleted through the API.' };

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A router, and a store that can be taken back to where it was saved. */
async function start() {
  const redis = await startRedis({ appendonly: false });
  const harness = new Harness({ shards: 1, store: openRedisShapeStore({ url: redis.url }, parts) });
  closing.push(
    () => harness.close(),
    () => redis.stop(),
  );
  await harness.open();
  const router = await harness.startRouter('one', { worker: { lingerMs: 5 } });
  return { redis, harness, router };
}

/** Ends shapes as an API pod or another router does. */
async function end(harness: Harness, { shard, handle }: PlacedShape): Promise<void> {
  const journal = journalOf(harness.messaging, harness.source);
  const deps = { store: harness.store, journal, hints: harness.messaging.hints, log: silentLogger };
  expect(await endShapes(deps, shard, [handle], DELETED)).toBe(1);
}

function journalOf({ registries }: Messaging, source: string): RotationJournal {
  return new RotationJournal({ ...parts, registries }, source);
}

const headOf = ({ store }: Harness, { shard, handle }: PlacedShape) =>
  store.readHead(shard, handle).catch(() => undefined);
const isIn = (harness: Harness, shape: PlacedShape, state: string) =>
  waitFor(async () => (await headOf(harness, shape))?.state === state, { describe: () => `not ${state}` });

/** A shape that is not live yet when a shard is taken back may be ended with what was lost; readers then ask for the next one. */
async function createLive(harness: Harness): Promise<PlacedShape> {
  let shape = await harness.createShape();
  await waitFor(async () => {
    const state = (await headOf(harness, shape))?.state;
    if (state === 'dead') shape = await harness.createShape();
    return state === 'live';
  });
  return shape;
}

async function insert(harness: Harness, id: number): Promise<void> {
  harness.commit((tx) => tx.insert(harness.items, { id: String(id), owner: 'a', note: null }));
  await harness.flush();
}

async function save({ port }: TestServer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write('SAVE\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  expect(answer.toString()).toBe('+OK\r\n');
}

async function goBack(redis: TestServer): Promise<void> {
  await redis.kill();
  await redis.start();
}

test('F139 a rotation that the store has lost is made again, while nothing else happens', async () => {
  const { redis, harness } = await start();
  const [shape, other] = [await harness.createShape(), await harness.createShape({ columns: ['id', 'note'] })];
  await isIn(harness, shape, 'live');
  await isIn(harness, other, 'live');
  await save(redis);
  await end(harness, shape);
  expect((await headOf(harness, shape))?.state).toBe('dead');
  await goBack(redis);
  await isIn(harness, shape, 'dead');
  expect((await headOf(harness, shape))?.error).toEqual(DELETED);
  expect((await headOf(harness, other))?.state).toBe('live');
  const next = await harness.createShape();
  expect(next.handle).not.toBe(shape.handle);
});

test('F139 a new owner ends what came to life before it appends anything', async () => {
  const { redis, harness, router } = await start();
  const [shape, other] = [await harness.createShape(), await harness.createShape({ columns: ['id', 'note'] })];
  await isIn(harness, shape, 'live');
  await isIn(harness, other, 'live');
  await save(redis);
  await end(harness, shape);
  await router.stop();
  await goBack(redis);
  await waitFor(async () => (await headOf(harness, shape))?.state === 'live');
  await insert(harness, 1);
  await harness.startRouter('two', { worker: { lingerMs: 5 } });
  await waitFor(async () => (await readShape(harness.store, other)).rows.size === 1);
  expect(await headOf(harness, shape)).toMatchObject({ state: 'dead', tail: SNAPSHOT_END });
});

test('F139 what a router ends by itself is in the journal, what the stream implies is not', async () => {
  const { redis, harness, router } = await start();
  const shape = await harness.createShape();
  await isIn(harness, shape, 'live');
  await save(redis);
  await router.stop();
  const strict = await harness.startRouter('two', {
    quotas: { logBytes: 1 },
    upkeep: { maxLogRatio: 1, shapeRoundMs: 30 },
  });
  await insert(harness, 1);
  await isIn(harness, shape, 'dead');
  expect((await headOf(harness, shape))?.error?.code).toBe('LOG_TOO_LARGE');
  await strict.stop();
  await goBack(redis);
  // It has no such limit, and ends the shape all the same.
  await harness.startRouter('three');
  await isIn(harness, shape, 'dead');
  expect((await headOf(harness, shape))?.error?.code).toBe('LOG_TOO_LARGE');

  const next = await createLive(harness);
  harness.commit((tx) => tx.truncate(harness.items));
  await harness.flush();
  await isIn(harness, next, 'dead');
  const journal = journalOf(harness.messaging, harness.source);
  const stop = new AbortController();
  void journal.run(stop.signal);
  closing.push(async () => stop.abort());
  await journal.current();
  expect([shape, next].map(({ handle }) => journal.failureOf(handle)?.code)).toEqual(['LOG_TOO_LARGE', undefined]);
});
