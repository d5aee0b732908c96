import type { SnapshotRequest, SnapshotSink, SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { RotationJournal } from '@shapecast/messaging';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { ownTelemetry } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';
import { FairSlots } from '../process/fair-slots.ts';
import { SourceCounters } from '../quotas/source-counters.ts';
import { SourceMetrics } from '../telemetry/source-metrics.ts';
import { SnapshotQueue, type SnapshotQueueReport } from './snapshot-queue.ts';

const open: Harness[] = [];

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

async function start(options: { readonly leaseMs?: number; readonly shards?: number } = {}): Promise<Harness> {
  const { leaseMs = 60_000, shards = 1 } = options;
  const harness = new Harness({ shards, store: openMemoryShapeStore(systemClock, { leaseMs }) });
  open.push(harness);
  await harness.open();
  return harness;
}

type Take = (request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal) => Promise<void>;

/** The harness's database, with another way to take snapshots. */
function steered(harness: Harness, take: (original: Take) => Take): SourceDatabase {
  const original: Take = (...args) => harness.database.snapshot(...args);
  return new Proxy<SourceDatabase>(harness.database, {
    get(target, name) {
      if (name === 'snapshot') return take(original);
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
}

/** Passes once opened; a wait ends early when its signal aborts. */
class Gate {
  readonly #opened = Promise.withResolvers<void>();
  waiting = 0;
  aborted = 0;

  open(): void {
    this.#opened.resolve();
  }

  async pass(signal: AbortSignal): Promise<void> {
    this.waiting += 1;
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => {
      this.aborted += 1;
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#opened.promise, promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.waiting -= 1;
    }
  }
}

/** Waits at the gate before the first row. */
const beforeRows =
  (gate: Gate) =>
  (original: Take): Take =>
  async (request, sink, signal) => {
    const onRows: SnapshotSink['onRows'] = async (rows) => {
      await gate.pass(signal);
      await sink.onRows(rows);
    };
    await original(request, { ...sink, onRows }, signal);
  };

/** Waits at the gate once readers have something. */
const afterRows =
  (gate: Gate) =>
  (original: Take): Take =>
  async (request, sink, signal) => {
    const onRows: SnapshotSink['onRows'] = async (rows) => {
      await sink.onRows(rows);
      await gate.pass(signal);
    };
    await original(request, { ...sink, onRows }, signal);
  };

const insertRow = (harness: Harness, id: string) =>
  harness.commit((tx) => tx.insert(harness.items, { id, owner: 'a', note: 'x'.repeat(100) }));

const state = async (harness: Harness, { shard, handle }: PlacedShape) =>
  (await harness.store.readHead(shard, handle))?.state;

const ended = (harness: Harness, { shard, handle }: PlacedShape) =>
  waitFor(async () => {
    const head = await harness.store.readHead(shard, handle);
    return head?.state === 'dead' ? head : undefined;
  });

const live = (harness: Harness, shape: PlacedShape) => waitFor(async () => (await state(harness, shape)) === 'live');

test('a table whose queries hang keeps places for other tables, and a burst does not multiply its queries', async () => {
  const harness = await start({ shards: 2 });
  const others = harness.memory.createTable({ schema: 'public', name: 'others', columns: ['id'], primaryKey: ['id'] });
  insertRow(harness, '1');
  const gate = new Gate();
  let queries = 0;
  let most = 0;
  const router = await harness.startRouter(
    'one',
    { quotas: { snapshotSlots: 4 } },
    {
      database: steered(harness, (original) => async (request, sink, signal) => {
        queries += 1;
        if (request.table === 'items') {
          most = Math.max(most, gate.waiting + 1);
          await gate.pass(signal);
        }
        await original(request, sink, signal);
      }),
    },
  );
  const report = () => router.report()['snapshots'] as SnapshotQueueReport;
  const hanging: PlacedShape[] = [];
  for (let i = 0; i < 100; i += 1) hanging.push(await harness.createShape({ where: `owner = 'o${i}'` }));
  // The same definitions once more are the same shapes.
  for (let i = 0; i < 100; i += 1) await harness.createShape({ where: `owner = 'o${i}'` });
  await waitFor(() => report().waiting === 97 && report().running === 3);
  expect(report().snapshots.map(({ table, rows }) => [table, rows])).toEqual(Array(3).fill(['public.items', 0]));

  const other = await harness.createShape({}, others);
  await live(harness, other);
  expect(queries).toBe(4);
  gate.open();
  for (const shape of hanging) await live(harness, shape);
  expect([queries, most]).toEqual([101, 3]);
  expect(report()).toEqual({ waiting: 0, running: 0, oldestWaitMs: 0, snapshots: [] });
});

test('beyond its bound the queue leaves shapes registered, and takes them on when there is room', async () => {
  const harness = await start();
  const gate = new Gate();
  insertRow(harness, '1');
  const shapes: PlacedShape[] = [];
  for (let i = 0; i < 30; i += 1) shapes.push(await harness.createShape({ where: `owner <> 'o${i}'` }));
  const database = steered(harness, beforeRows(gate));
  const { store, messaging } = harness;
  const parts = { clock: systemClock, log: silentLogger };
  const journal = new RotationJournal({ ...parts, registries: messaging.registries }, harness.source);
  const queue = new SnapshotQueue(
    {
      ...{ ...parts, store, database, rpc: messaging.rpc, hints: messaging.hints, journal },
      ...{ slots: new FairSlots(Infinity), count: new SourceCounters() },
      metrics: new SourceMetrics(ownTelemetry(), systemClock, harness.source),
    },
    {
      source: harness.source,
      quotas: () => ({ snapshotSlots: 1, snapshotBytes: Infinity }),
      refusal: () => undefined,
      maxWaiting: 5,
    },
  );
  const [first] = shapes as [PlacedShape];
  const owner = new AbortController();
  let due = true;
  const changed = () => void (due = true);
  const offer = async () => {
    if (!due) return;
    due = false;
    const { shapes: records } = await store.loadShapes(first.shard);
    queue.offer(
      first.shard,
      records.map((record) => ({ record })),
      { signal: owner.signal, changed, observe: async () => {} },
    );
  };
  await offer();
  expect(queue.report()).toMatchObject({ waiting: 4, running: 1 });
  gate.open();
  await waitFor(async () => {
    await offer();
    expect(queue.report().waiting).toBeLessThanOrEqual(5);
    return (await Promise.all(shapes.map((shape) => state(harness, shape)))).every((one) => one === 'live');
  });
  await queue.stop(0);
});

const lost = () => new ShapecastError('SNAPSHOT_FAILED', 'Unable to create ...', { type: 'connection_closed' });

test('a connection that breaks before anybody read rows is replaced, under the same handle, twice at most', async () => {
  const harness = await start();
  insertRow(harness, '1');
  let breaks = 2;
  let attempts = 0;
  await harness.startRouter(
    'one',
    {},
    {
      database: steered(harness, (original) => async (request, sink, signal) => {
        attempts += 1;
        if (breaks > 0) {
          breaks -= 1;
          await original(request, { ...sink, onRows: () => Promise.reject(lost()) }, signal);
        }
        await original(request, sink, signal);
      }),
    },
  );
  const shape = await harness.createShape();
  await live(harness, shape);
  expect(attempts).toBe(3);
  expect((await readShape(harness.store, shape)).rows.size).toBe(1);

  breaks = Infinity;
  const failing = await harness.createShape({ where: `owner = 'a'` });
  expect((await ended(harness, failing)).error).toEqual({ code: 'SNAPSHOT_FAILED', message: 'Unable to create ...' });
  expect(attempts).toBe(6);
  // Removed, so that the next request tries afresh.
  expect((await harness.createShape({ where: `owner = 'a'` })).handle).not.toBe(failing.handle);
});

test('a connection that breaks after rows were readable ends the shape, and an error that stays is not tried again', async () => {
  const harness = await start();
  insertRow(harness, '1');
  let attempts = 0;
  let failure: () => Error = lost;
  await harness.startRouter(
    'one',
    {},
    {
      database: steered(harness, (original) => async (request, sink, signal) => {
        attempts += 1;
        const onRows: SnapshotSink['onRows'] = async (rows) => {
          if (failure === lost) await sink.onRows(rows);
          throw failure();
        };
        await original(request, { ...sink, onRows }, signal);
      }),
    },
  );
  const shape = await harness.createShape();
  expect(await ended(harness, shape)).toMatchObject({ snapshotStarted: true, snapshotComplete: false });
  expect(attempts).toBe(1);
  failure = () => new ShapecastError('SNAPSHOT_FAILED', 'denied', { type: 'insufficient_privileges' });
  const denied = await harness.createShape({ where: `owner = 'a'` });
  expect((await ended(harness, denied)).error?.message).toBe('denied');
  expect(attempts).toBe(2);
});

test('the query of a shape that is removed is cancelled, that of one nobody waits for is finished', async () => {
  const harness = await start({ leaseMs: 400 });
  insertRow(harness, '1');
  const gate = new Gate();
  await harness.startRouter('one', { snapshotLeaseMs: 400 }, { database: steered(harness, beforeRows(gate)) });
  const removed = await harness.createShape();
  const kept = await harness.createShape({ where: `owner = 'a'` });
  await waitFor(() => gate.waiting === 2);
  await harness.store.rotate(removed.shard, removed.handle, { code: 'SCHEMA_CHANGED', message: 'deleted' });
  await waitFor(() => gate.aborted === 1);
  expect(gate.waiting).toBe(1);
  gate.open();
  await live(harness, kept);
  expect(await state(harness, removed)).toBe('dead');
});

test('a snapshot beyond the size limit is given up, and its definition refused for a while without a query', async () => {
  const harness = await start();
  for (let i = 0; i < 1_500; i += 1) insertRow(harness, String(i));
  let queries = 0;
  await harness.startRouter(
    'one',
    { quotas: { snapshotBytes: 200_000 } },
    {
      database: steered(harness, (original) => async (...args) => {
        queries += 1;
        await original(...args);
      }),
    },
  );
  const message = { code: 'SNAPSHOT_TOO_LARGE', message: 'Snapshot exceeds the size limit' };
  const shape = await harness.createShape();
  expect((await ended(harness, shape)).error).toEqual(message);
  const again = await harness.createShape();
  expect(again.handle).not.toBe(shape.handle);
  expect((await ended(harness, again)).error).toEqual(message);
  expect(queries).toBe(1);
  await live(harness, await harness.createShape({ where: `id = '7'` }));
});

test('a router that stops hands back at once what nobody has read', async () => {
  const harness = await start();
  insertRow(harness, '1');
  const gate = new Gate();
  const first = await harness.startRouter('one', {}, { database: steered(harness, beforeRows(gate)) });
  const shape = await harness.createShape();
  await waitFor(() => gate.waiting === 1);
  // Its lease would last for a minute.
  await first.stop();
  expect(await state(harness, shape)).toBe('snapshotting');
  await harness.startRouter('two');
  await live(harness, shape);
});

test('a router that stops finishes what readers see, and the next owner leaves it alone until then', async () => {
  const harness = await start();
  insertRow(harness, '1');
  const gate = new Gate();
  const first = await harness.startRouter('one', {}, { database: steered(harness, afterRows(gate)) });
  const shape = await harness.createShape();
  await waitFor(() => gate.waiting === 1);
  const stopped = first.stop();
  const second = await harness.startRouter('two');
  await waitFor(() => second.report()['owned'] === 1);
  insertRow(harness, '2');
  await harness.flush();
  expect(await state(harness, shape)).toBe('snapshotting');
  gate.open();
  await stopped;
  await live(harness, shape);
  expect((await readShape(harness.store, shape)).rows.size).toBe(2);
});

test('T18 what is not finished in time is rotated by the next owner, never taken for the whole', async () => {
  const harness = await start();
  insertRow(harness, '1');
  const gate = new Gate();
  const first = await harness.startRouter(
    'one',
    { snapshotDrainMs: 50 },
    { database: steered(harness, afterRows(gate)) },
  );
  const shape = await harness.createShape();
  await waitFor(() => gate.waiting === 1);
  await first.stop();
  const told: unknown[] = [];
  const line = (fields: object) => {
    if ('event' in fields && fields.event === 'shape_rotated') told.push(fields);
  };
  const log: Logger = { error: line, warn: line, info: line, debug: () => {}, child: () => log };
  await harness.startRouter('two', {}, { log });
  expect((await ended(harness, shape)).error).toMatchObject({ code: 'SNAPSHOT_FAILED' });
  // Told after it is done.
  await waitFor(() => told.length > 0);
  expect(told).toEqual([
    expect.objectContaining({ handle: shape.handle, reason: 'The snapshot of the shape was interrupted.' }),
  ]);
});

test('a shard that moves while a snapshot is taken keeps it', async () => {
  const harness = await start({ shards: 2 });
  insertRow(harness, '1');
  const gate = new Gate();
  const first = await harness.startRouter('one', {}, { database: steered(harness, afterRows(gate)) });
  const shapes: PlacedShape[] = [];
  for (let i = 0; new Set(shapes.map(({ shard }) => shard.shard)).size < 2; i += 1) {
    shapes.push(await harness.createShape({ where: `owner <> 'o${i}'` }));
  }
  await waitFor(() => gate.waiting === shapes.length);
  const second = await harness.startRouter('two');
  await waitFor(() => first.report()['owned'] === 1 && second.report()['owned'] === 1);
  insertRow(harness, '2');
  await harness.flush();
  gate.open();
  for (const shape of shapes) {
    await live(harness, shape);
    await waitFor(async () => (await readShape(harness.store, shape)).rows.size === 2);
  }
});

test('a truncation that the cursor has passed does not get lost with the owner, nor end the shape', async () => {
  const harness = await start();
  insertRow(harness, '1');
  const gate = new Gate();
  const first = await harness.startRouter(
    'one',
    {},
    {
      database: steered(harness, (original) => async (request, sink, signal) => {
        await gate.pass(signal);
        await original(request, sink, signal);
      }),
    },
  );
  const shape = await harness.createShape();
  await waitFor(() => gate.waiting === 1);
  harness.commit((tx) => tx.truncate(harness.items));
  insertRow(harness, '2');
  await harness.flush();
  await harness.progress();
  const lsn = harness.memory.walLsn - 1n;
  await waitFor(async () => ((await harness.store.readMeta(shape.shard))?.watermark ?? 0n) >= lsn);
  await first.stop();
  let offered = 0;
  await harness.startRouter(
    'two',
    {},
    {
      database: steered(harness, (original) => (request, sink, signal) => {
        const onSnapshot: SnapshotSink['onSnapshot'] = (info, table) => {
          offered += 1;
          // The first one was fixed before the truncation showed.
          return sink.onSnapshot(offered === 1 ? { ...info, xmin: 1n, xmax: 1n } : info, table);
        };
        return original(request, { ...sink, onSnapshot }, signal);
      }),
    },
  );
  await live(harness, shape);
  expect(offered).toBe(2);
  expect([...(await readShape(harness.store, shape)).rows.keys()]).toEqual(['"public"."items"/"2"']);
});

test('a shape without rows starts with the end of its snapshot, and takes changes', async () => {
  const harness = await start();
  await harness.startRouter('one');
  const shape = await harness.createShape({ where: `owner = 'a'` });
  await live(harness, shape);
  const empty = await readShape(harness.store, shape);
  expect(empty.snapshot.map(({ headers }) => headers['control'])).toEqual(['snapshot-end']);
  const head = await harness.store.readHead(shape.shard, shape.handle);
  expect(head).toMatchObject({ closedChunks: 1, snapshotComplete: true, tail: { tx: 0n, op: Infinity } });
  insertRow(harness, '1');
  await harness.flush();
  await waitFor(async () => (await readShape(harness.store, shape)).rows.size === 1);
});

test('T38 a table that changed since the request was checked ends the creation before a row is read', async () => {
  const harness = await start();
  insertRow(harness, '1');
  let reads = 0;
  const database = steered(harness, (original) => (request, sink, signal) => {
    const onRows: SnapshotSink['onRows'] = async (rows) => {
      reads += 1;
      await sink.onRows(rows);
    };
    return original(request, { ...sink, onRows }, signal);
  });
  // What the catalog has once the snapshot has locked the table.
  const introspect: SourceDatabase['introspect'] = async (...args) => {
    const relation = await harness.database.introspect(...args);
    const columns = relation?.columns.map((column) => (column.name === 'note' ? { ...column, typeOid: 23 } : column));
    return relation && columns && { ...relation, columns };
  };
  await harness.startRouter(
    'one',
    {},
    {
      database: new Proxy(database, {
        get: (target, name) => (name === 'introspect' ? introspect : (Reflect.get(target, name) as unknown)),
      }),
    },
  );
  const shape = await harness.createShape();
  expect((await ended(harness, shape)).error?.code).toBe('SCHEMA_CHANGED');
  expect(reads).toBe(0);
});

test('the log tells how far a snapshot is, and no row', async () => {
  const harness = await start({ leaseMs: 100 });
  insertRow(harness, '1');
  const gate = new Gate();
  const lines: [unknown, string][] = [];
  const log = { ...silentLogger, info: (fields: object, message: string) => void lines.push([fields, message]) };
  Object.assign(log, { child: () => log });
  const router = await harness.startRouter(
    'one',
    { snapshotLeaseMs: 100, snapshotProgressMs: 100 },
    { database: steered(harness, afterRows(gate)), log },
  );
  const shape = await harness.createShape();
  await waitFor(() => lines.some(([, message]) => message === 'snapshot goes on'));
  const [told] = lines.find(([, message]) => message === 'snapshot goes on') as [Record<string, unknown>, string];
  expect(told).toMatchObject({ table: 'public.items', rows: 1, estimatedRows: 1 });
  expect(Object.keys(told).sort()).toEqual(['ageMs', 'bytes', 'estimatedRows', 'rows', 'rowsPerSecond', 'table']);
  const { snapshots } = router.report()['snapshots'] as SnapshotQueueReport;
  expect(snapshots).toMatchObject([{ handle: shape.handle, rows: 1 }]);
  gate.open();
  await live(harness, shape);
});
