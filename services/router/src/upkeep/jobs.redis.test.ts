import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore, type ShapeStore } from '@shapecast/shape-store';
import { sharedRedisUrl, waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import { Harness, type PlacedShape, type ShapeRequest } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';
import type { UpkeepOptions } from './jobs.ts';

const CHUNK_BYTES = 3_000;
/** As fast as they may be; sizes as the test says. */
const SOON: Partial<UpkeepOptions> = { sealMs: 30, shapeRoundMs: 30, compactionMs: 30 };

const open: Harness[] = [];
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

async function start(upkeep: Partial<UpkeepOptions>, quotas: Partial<SourceQuotas> = {}): Promise<Harness> {
  const store = openRedisShapeStore({ url: sharedRedisUrl() }, { clock: systemClock, log: silentLogger });
  const harness = new Harness({ shards: 2, store });
  open.push(harness);
  await harness.open();
  await harness.startRouter('a', { upkeep: { ...SOON, ...upkeep }, quotas });
  return harness;
}

async function shapeOf(harness: Harness, request: ShapeRequest): Promise<PlacedShape> {
  const shape = await harness.createShape({ chunkBytes: CHUNK_BYTES, ...request });
  await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'live', {
    describe: () => 'the shape does not get live',
  });
  return shape;
}

async function useOf(store: ShapeStore, { shard, handle }: PlacedShape) {
  return (await store.scanShapes(shard)).shapes.find((shape) => shape.handle === handle);
}

/** `rounds` transactions that each change every row. */
async function write(harness: Harness, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    harness.commit((transaction) => {
      for (let id = 0; id < 5; id += 1) {
        transaction.update(harness.items, { id: String(id) }, { note: `round ${round} of row ${id} `.repeat(5) });
      }
    });
  }
  await harness.flush();
  await harness.progress();
}

async function withRows(upkeep: Partial<UpkeepOptions>, quotas: Partial<SourceQuotas> = {}): Promise<Harness> {
  const harness = await start(upkeep, quotas);
  harness.commit((transaction) => {
    for (let id = 0; id < 5; id += 1) {
      transaction.insert(harness.items, { id: String(id), owner: 'o', note: 'as it was at first '.repeat(60) });
    }
  });
  await harness.flush();
  await harness.progress();
  return harness;
}

test('a router compresses the snapshots and logs of its shards, and what is read stays the same', async () => {
  const harness = await withRows({});
  const shape = await shapeOf(harness, {});
  await write(harness, 20);
  await waitFor(
    async () => {
      const use = await useOf(harness.store, shape);
      return (
        use && !use.snapshotToSeal && use.logBytes > 10_000 && use.heldBytes < (use.logBytes + use.snapshotBytes) / 3
      );
    },
    { describe: () => 'the shape is not compressed' },
  );
  const { rows, log } = await readShape(harness.store, shape);
  expect(log).toHaveLength(100);
  expect([...rows.values()].map((row) => row['note'])).toEqual(
    [0, 1, 2, 3, 4].map((id) => `round 19 of row ${id} `.repeat(5)),
  );
});

test('a router merges old entries of shapes that ask for it, and of no others', async () => {
  const harness = await withRows({});
  const shape = await shapeOf(harness, { compaction: true });
  const other = await shapeOf(harness, { replica: 'full' });
  await write(harness, 20);
  await waitFor(
    async () => {
      const { log: entries } = await readShape(harness.store, shape);
      return entries.at(-1)?.text.includes('round 19 of row 4') === true && entries.length < 40;
    },
    { describe: () => 'nothing is merged' },
  );
  const { rows, log } = await readShape(harness.store, shape);
  expect([...rows.values()].map((row) => row['note'])).toEqual(
    [0, 1, 2, 3, 4].map((id) => `round 19 of row ${id} `.repeat(5)),
  );
  expect(Object.keys(log[0]?.message.headers ?? {})).toEqual(['operation', 'relation']);
  expect(log.at(-1)?.message.headers).toHaveProperty('lsn');
  expect((await readShape(harness.store, other)).log).toHaveLength(100);
});

test('a shape whose log outgrows its limit ends, and one with a large snapshot may have more', async () => {
  const harness = await withRows({ maxLogRatio: 4 }, { logBytes: 3_000 });
  const small = await shapeOf(harness, { log: 'changes_only' });
  const large = await shapeOf(harness, {});
  await write(harness, 5);
  const head = await waitFor(
    async () => {
      const now = await harness.store.readHead(small.shard, small.handle);
      return now?.state === 'dead' && now;
    },
    { describe: () => 'the shape does not end' },
  );
  expect(head.error?.code).toBe('LOG_TOO_LARGE');
  const use = await useOf(harness.store, large);
  expect(use?.state).toBe('live');
  expect(use?.logBytes).toBeGreaterThan(3_000);
  // The definition is free, and its next shape starts small.
  const next = await shapeOf(harness, { log: 'changes_only' });
  expect(next.handle).not.toBe(small.handle);
});
