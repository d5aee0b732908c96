import { MemorySourceDatabase, type SubsetRequest, type SubsetSink } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { subsetSubject, type SubsetMetadata, type SubsetQuery } from '@shapecast/messaging';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { ownTelemetry } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Harness } from '../testing/harness.ts';
import { FairSlots } from '../process/fair-slots.ts';
import { SourceMetrics } from '../telemetry/source-metrics.ts';
import { SubsetServer } from './subset-server.ts';

interface Row {
  readonly key: string;
  readonly value: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Runs queries until they are told to end, and counts. */
class HeldDatabase extends MemorySourceDatabase {
  running = 0;
  mostRunning = 0;
  readonly order: string[] = [];
  readonly #ends: (() => void)[] = [];

  override async subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
    this.order.push(request.limit ?? '');
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#ends.push(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
      await super.subset(request, sink, signal);
    } finally {
      this.running -= 1;
    }
  }

  endOne(): void {
    this.#ends.shift()?.();
  }
}

describe('subsets of a router', () => {
  let harness: Harness;
  const stops: (() => void)[] = [];

  beforeEach(async () => {
    harness = new Harness();
    await harness.open();
  });

  afterEach(async () => {
    for (const stop of stops.splice(0)) stop();
    await harness.close();
  });

  const query = (parts: Partial<SubsetQuery> = {}): SubsetQuery => ({
    ...{ schema: 'public', table: 'items', oid: harness.items.oid },
    ...{ columns: ['id', 'owner'], keyColumns: ['id'], hasPrimaryKey: true },
    ...{ shapeWhere: '', subsetWhere: '', orderBy: [{ column: 'id', descending: false }] },
    ...parts,
  });

  const ask = (request: unknown, signal = AbortSignal.timeout(60_000)) =>
    harness.messaging.rpc.stream(subsetSubject(harness.source), request, { timeoutMs: 30_000, signal });

  async function read(request: unknown, signal?: AbortSignal) {
    const frames: Uint8Array[] = [];
    for await (const frame of ask(request, signal)) frames.push(frame);
    const [head, ...rest] = frames.map((frame) => Buffer.from(frame).toString());
    return {
      metadata: JSON.parse(head ?? '') as SubsetMetadata,
      rows: JSON.parse(`[${rest.join(',')}]`) as Row[],
      sizes: rest.map((text) => text.length),
    };
  }

  function serve(database: MemorySourceDatabase, concurrency = 8, log: Logger = silentLogger): SubsetServer {
    const metrics = new SourceMetrics(ownTelemetry(), systemClock, harness.source);
    const { rpc } = harness.messaging;
    const deps = { rpc, database, slots: new FairSlots(Infinity), metrics, clock: systemClock, log };
    const quotas = () => ({ subsetSlots: concurrency });
    const server = new SubsetServer(deps, { source: harness.source, quotas, timeoutMs: 30_000 });
    stops.push(server.serve());
    return server;
  }

  function write(...rows: readonly (readonly [id: string, owner: string | null])[]): void {
    harness.commit((tx) => rows.forEach(([id, owner]) => tx.insert(harness.items, { id, owner, note: 'n' })));
  }

  test('come as metadata, then rows with its mark, encoded as snapshots are', async () => {
    write(['1', 'a'], ['2', null]);
    await harness.startRouter('one');
    const { metadata, rows } = await read(query());
    const { nextXid, walLsn } = harness.memory;
    const mark = metadata.snapshot_mark;
    expect(metadata).toEqual({
      xmin: String(nextXid),
      xmax: String(nextXid),
      xip_list: [],
      database_lsn: String(walLsn),
      snapshot_mark: mark,
    });
    expect(Number.isInteger(mark) && mark >= 0 && mark < 2 ** 31).toBe(true);
    const headers = { operation: 'insert', relation: ['public', 'items'], snapshot_mark: mark };
    expect(rows).toEqual([
      { key: '"public"."items"/"1"', value: { id: '1', owner: 'a' }, headers },
      { key: '"public"."items"/"2"', value: { id: '2', owner: null }, headers },
    ]);
    const again = await read(query({ columns: ['owner'], subsetWhere: `"id" = '2'` }));
    expect(again.rows.map(({ key, value }) => [key, value])).toEqual([['"public"."items"/"2"', { owner: null }]]);
    expect(again.metadata.snapshot_mark).not.toBe(mark);
    expect((await read(query({ subsetWhere: `"id" = '9'` }))).rows).toEqual([]);
  });

  test('meet both clauses, each as a whole, in the order and number asked for', async () => {
    write(['1', 'a'], ['2', 'b'], ['3', 'c'], ['4', 'a']);
    await harness.startRouter('one');
    const both = { shapeWhere: `"owner" = 'a' OR "owner" = 'b'`, subsetWhere: `"owner" = 'c' OR "id" = '4'` };
    expect((await read(query(both))).rows.map(({ value }) => value['id'])).toEqual(['4']);
    const orderBy = [
      { column: 'owner', descending: true },
      { column: 'id', descending: true },
    ];
    const page = await read(query({ orderBy, limit: '2', offset: '1' }));
    expect(page.rows.map(({ value }) => value['id'])).toEqual(['2', '4']);
  });

  test('of any length come in frames of about one size', async () => {
    write(...Array.from({ length: 5_000 }, (_, n) => [String(n).padStart(4, '0'), 'x'.repeat(50)] as const));
    await harness.startRouter('one');
    const { rows, sizes } = await read(query());
    expect(rows.map(({ value }) => value['id'])).toEqual(
      Array.from({ length: 5_000 }, (_, n) => `${n}`.padStart(4, '0')),
    );
    expect(Math.max(...sizes)).toBeLessThan(70_000);
    expect(sizes.length).toBeLessThan(40);
  });

  test('are not read ahead of a reader that takes its time', async () => {
    write(...Array.from({ length: 50 }, (_, n) => [String(n), 'x'.repeat(100_000)] as const));
    let encoded = 0;
    class Counting extends MemorySourceDatabase {
      override subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
        const onRows: SubsetSink['onRows'] = async (rows) => {
          for (const row of rows) {
            await sink.onRows([row]);
            encoded += 1;
          }
        };
        return super.subset(request, { ...sink, onRows }, signal);
      }
    }
    serve(new Counting(harness.memory));
    let taken = 0;
    let ahead = 0;
    for await (const frame of ask(query())) {
      if (frame.length < 1_000) continue;
      taken += 1;
      for (let i = 0; i < 3; i += 1) await systemClock.sleep(1);
      ahead = Math.max(ahead, encoded - taken);
    }
    expect([taken, encoded]).toEqual([50, 50]);
    expect(ahead).toBeLessThanOrEqual(12);
  });

  test('run up to the limit at a time, the rest in the order they came', async () => {
    const database = new HeldDatabase(harness.memory);
    const server = serve(database, 3);
    const reading = Array.from({ length: 10 }, (_, n) => read(query({ limit: String(n + 1) })));
    await waitFor(() => database.running === 3 && server.report().waiting === 7);
    expect(server.report()).toEqual({ running: 3, waiting: 7 });
    for (let ended = 1; ended <= 10; ended += 1) {
      database.endOne();
      await waitFor(() => database.order.length === Math.min(10, 3 + ended));
    }
    await Promise.all(reading);
    expect(database.mostRunning).toBe(3);
    expect(database.order).toEqual(Array.from({ length: 10 }, (_, n) => String(n + 1)));
    await waitFor(() => server.report().running === 0);
  });

  test('of readers that leave, waiting or running, are cancelled and make room', async () => {
    const database = new HeldDatabase(harness.memory);
    const server = serve(database, 1);
    const leaving = [new AbortController(), new AbortController()] as const;
    const first = read(query({ limit: '1' }), leaving[0].signal).catch((error: unknown) => error);
    await waitFor(() => database.running === 1);
    const second = read(query({ limit: '2' }), leaving[1].signal).catch((error: unknown) => error);
    await waitFor(() => server.report().waiting === 1);
    const third = read(query({ limit: '3' }));
    await waitFor(() => server.report().waiting === 2);
    leaving[1].abort(new Error('left while waiting'));
    await waitFor(() => server.report().waiting === 1);
    leaving[0].abort(new Error('left while running'));
    expect(String(await first)).toContain('left while running');
    expect(String(await second)).toContain('left while waiting');
    await waitFor(() => database.order.length === 2);
    database.endOne();
    database.endOne();
    expect((await third).rows).toEqual([]);
    expect(database.order).toEqual(['1', '3']);
    await waitFor(() => server.report().running === 0 && database.running === 0);
  });

  test('of a reader that leaves among the rows are given up', async () => {
    write(...Array.from({ length: 200 }, (_, n) => [String(n), 'x'.repeat(50_000)] as const));
    const server = serve(harness.database, 1);
    let frames = 0;
    for await (const frame of ask(query())) {
      frames += frame.length > 1_000 ? 1 : 0;
      if (frames === 2) break;
    }
    await waitFor(() => server.report().running === 0);
    expect(frames).toBe(2);
  });

  test('pass on what the database says, after rows too, and log only what is not the asker’s affair', async () => {
    write(['1', 'a']);
    const warnings: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_, message) => void warnings.push(message), child: () => log };
    class Failing extends MemorySourceDatabase {
      override async subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void> {
        await super.subset(request, sink, signal);
        if (request.limit === '1') throw new ShapecastError('INVALID_REQUEST', 'no such label', { field: 'where' });
        throw new ShapecastError('SNAPSHOT_FAILED', 'it took too long', { type: 'query_timeout' });
      }
    }
    serve(new Failing(harness.memory), 8, log);
    const invalid = { code: 'INVALID_REQUEST', message: 'no such label', details: { field: 'where' } };
    await expect(read(query({ limit: '1' }))).rejects.toMatchObject(invalid);
    expect(warnings).toEqual([]);
    const late = { code: 'SNAPSHOT_FAILED', message: 'it took too long', details: { type: 'query_timeout' } };
    await expect(read(query({ limit: '2' }))).rejects.toMatchObject(late);
    expect(warnings).toEqual(['a subset could not be read']);
  });

  test('are refused when the request is none', async () => {
    serve(harness.database);
    const { columns: _, ...without } = query();
    const bad = [undefined, {}, without, { ...query(), limit: '1; drop table items' }, { ...query(), limit: 1 }];
    for (const request of bad) await expect(read(request)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    const gone = query({ oid: 4_000_000_000 });
    await expect(read(gone)).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
  });
});
