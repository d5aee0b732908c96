import type { SnapshotRequest, SnapshotSink, SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';
import type { SnapshotQueueReport } from './snapshot-queue.ts';

const open: Harness[] = [];

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

/** A table of 1,200 rows, which come in batches of 500. */
async function start(limits: { readonly resumptions?: number } = {}): Promise<Harness> {
  const store = openMemoryShapeStore(systemClock, { leaseMs: 60_000, ...limits });
  const harness = new Harness({ shards: 1, store });
  open.push(harness);
  await harness.open();
  harness.commit((tx) => {
    for (let i = 1_000; i < 2_200; i += 1) tx.insert(harness.items, { id: String(i), owner: 'a', note: 'n' });
  });
  return harness;
}

const RESUMABLE = { snapshotResumableBytes: 1, snapshotDrainMs: 50 };

/** Calls back once a batch of rows is stored, with its number over all reads, and counts rows. */
function followed(harness: Harness, stored: (batch: number, signal: AbortSignal) => Promise<void>) {
  const seen = { batches: 0, rows: 0, requests: [] as SnapshotRequest[] };
  const database = new Proxy<SourceDatabase>(harness.database, {
    get(target, name) {
      if (name === 'snapshot') {
        return (request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal) => {
          seen.requests.push(request);
          const onRows: SnapshotSink['onRows'] = async (rows) => {
            seen.rows += rows.length;
            await sink.onRows(rows);
            seen.batches += 1;
            await stored(seen.batches, signal);
          };
          return harness.database.snapshot(request, { ...sink, onRows }, signal);
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
  return { seen, database };
}

const lost = () => new ShapecastError('SNAPSHOT_FAILED', 'Unable to create ...', { type: 'connection_closed' });

const headOf = (harness: Harness, { shard, handle }: PlacedShape) => harness.store.readHead(shard, handle);

const ended = (harness: Harness, shape: PlacedShape, state: 'live' | 'dead') =>
  waitFor(async () => {
    const head = await headOf(harness, shape);
    if (head?.state !== state && head?.state === (state === 'live' ? 'dead' : 'live')) {
      throw new Error(`the shape is ${head.state}: ${head.error?.message}`);
    }
    return head?.state === state ? head : undefined;
  });

async function expectWhole(harness: Harness, shape: PlacedShape): Promise<void> {
  const { rows } = await readShape(harness.store, shape);
  const found = [...rows.values()].map(({ id, note }) => `${id} ${note}`).sort();
  expect(found).toEqual(
    harness.memory
      .rows(harness.items.oid)
      .map(([id, , note]) => `${id} ${note}`)
      .sort(),
  );
}

/** Changes on both sides of the row where reads break off, and across. */
function writeMore(harness: Harness, time: number): void {
  const { items } = harness;
  const row = (id: number, note: string) => ({ id: String(id), owner: 'a', note });
  harness.commit((tx) => {
    tx.update(items, { id: String(1_010 + time) }, { note: `below ${time}` });
    tx.update(items, { id: String(2_010 + time) }, { note: `above ${time}` });
    tx.delete(items, { id: String(1_020 + time) });
    tx.delete(items, { id: String(2_020 + time) });
    tx.insert(items, row(1_000_000 + time, 'new below'));
    tx.insert(items, row(3_000 + time, 'new above'));
  });
  harness.commit((tx) => {
    tx.update(items, { id: String(1_030 + time) }, { id: String(4_000 + time) });
    tx.update(items, { id: String(2_030 + time) }, { id: String(1_000_100 + time) });
  });
}

test('a snapshot whose connection breaks goes on behind its last row, under the same handle', async () => {
  const harness = await start();
  const { seen, database } = followed(harness, async (batch) => {
    if (batch > 2) return;
    writeMore(harness, batch);
    await harness.flush();
    throw lost();
  });
  const lines: [object, string][] = [];
  const log = { ...silentLogger, info: (fields: object, message: string) => void lines.push([fields, message]) };
  Object.assign(log, { child: () => log });
  await harness.startRouter('one', RESUMABLE, { database, log });
  const shape = await harness.createShape();
  await waitFor(() => seen.batches >= 3);
  // It has to know what the stream brings up to what its last read shows.
  await harness.flush();
  await harness.progress();
  await ended(harness, shape, 'live');
  await expectWhole(harness, shape);
  // None again, but those that were written meanwhile and come later in the order.
  expect(seen.rows).toBeLessThan(1_210);
  expect(seen.requests.map(({ keyset }) => keyset?.after?.key)).toEqual([undefined, ['1499'], ['1999']]);
  const resumed = lines.filter(([, message]) => message === 'snapshot resumed where it was interrupted');
  expect(resumed).toMatchObject([
    [{ rows: 500, segment: 2 }, expect.any(String)],
    [{ rows: 1_000, segment: 3 }, expect.any(String)],
  ]);
  // And what comes after it has nothing to do with all that.
  writeMore(harness, 5);
  await harness.flush();
  await waitFor(async () => (await readShape(harness.store, shape)).rows.has('"public"."items"/"3005"'));
  await expectWhole(harness, shape);
});

test('a shape is not live before its shard has seen all that its last segment shows', async () => {
  const harness = await start();
  const { seen, database } = followed(harness, async (batch) => {
    if (batch > 1) return;
    writeMore(harness, batch);
    throw lost();
  });
  const router = await harness.startRouter('one', RESUMABLE, { database });
  const shape = await harness.createShape();
  await waitFor(() => (router.report()['snapshots'] as SnapshotQueueReport).snapshots[0]?.resumedAt === 500);
  await waitFor(() => seen.batches === 3);
  // Longer than it would take.
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(await headOf(harness, shape)).toMatchObject({ state: 'snapshotting', snapshotComplete: false });
  await harness.flush();
  await harness.progress();
  await ended(harness, shape, 'live');
  await expectWhole(harness, shape);
});

test('what a router does not finish before it stops, the next owner does', async () => {
  const harness = await start();
  const gate = Promise.withResolvers<never>();
  const first = followed(harness, async (_batch, signal) => {
    signal.addEventListener('abort', () => gate.reject(signal.reason as Error), { once: true });
    await gate.promise;
  });
  const one = await harness.startRouter('one', RESUMABLE, { database: first.database });
  const shape = await harness.createShape();
  await waitFor(() => first.seen.batches === 1);
  await one.stop();
  writeMore(harness, 1);
  await harness.flush();
  await harness.progress();
  const second = followed(harness, async () => {});
  // Whether it would ask for that itself is of no concern.
  await harness.startRouter('two', {}, { database: second.database });
  await ended(harness, shape, 'live');
  await expectWhole(harness, shape);
  expect(second.seen.rows).toBeLessThan(710);
});

test('no more often than the store allows, and then the shape ends', async () => {
  const harness = await start({ resumptions: 2 });
  const { seen, database } = followed(harness, async () => Promise.reject(lost()));
  await harness.startRouter('one', RESUMABLE, { database });
  const shape = await harness.createShape();
  expect((await ended(harness, shape, 'dead')).error?.code).toBe('SNAPSHOT_FAILED');
  expect(seen.requests).toHaveLength(3);
});

test.each<[string, (harness: Harness) => Partial<Parameters<SnapshotSink['onSnapshot']>[0]>]>([
  ['of another server, which does not show what the first one showed', () => ({ xip: [2n] })],
  ['of another publication', () => ({ published: 'another' })],
  ['from before the first one', () => ({ xmin: 1n, xmax: 1n })],
])('does not go on with a snapshot %s: the shape ends', async (_, change) => {
  const harness = await start();
  const { seen, database } = followed(harness, async () => Promise.reject(lost()));
  const original = database.snapshot.bind(database);
  const changed = new Proxy(database, {
    get(target, name) {
      if (name !== 'snapshot') return Reflect.get(target, name) as unknown;
      return (request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal) => {
        const again = seen.requests.length > 0;
        const onSnapshot: SnapshotSink['onSnapshot'] = (info, table) =>
          sink.onSnapshot(again ? { ...info, ...change(harness) } : info, table);
        return original(request, { ...sink, onSnapshot }, signal);
      };
    },
  });
  await harness.startRouter('one', RESUMABLE, { database: changed });
  const shape = await harness.createShape();
  expect(await ended(harness, shape, 'dead')).toMatchObject({ error: { code: 'SNAPSHOT_FAILED' } });
  expect(seen.rows).toBe(500);
});

test('a truncation between two segments ends the shape', async () => {
  const harness = await start();
  const { database } = followed(harness, async (batch) => {
    if (batch > 1) return;
    harness.commit((tx) => tx.truncate(harness.items));
    throw lost();
  });
  await harness.startRouter('one', RESUMABLE, { database });
  const shape = await harness.createShape();
  await waitFor(async () => (await headOf(harness, shape))?.snapshotStarted);
  await harness.flush();
  await harness.progress();
  expect((await ended(harness, shape, 'dead')).error?.message).toBe('The table was truncated.');
});

test('a table below the size is read as ever: what breaks off after rows were readable ends the shape', async () => {
  const harness = await start();
  const { seen, database } = followed(harness, async () => Promise.reject(lost()));
  await harness.startRouter('one', { snapshotResumableBytes: 1_000_000 }, { database });
  const shape = await harness.createShape();
  await ended(harness, shape, 'dead');
  expect(seen.requests).toHaveLength(1);
});
