import type { SnapshotRequest, SnapshotSink, SourceDatabase } from '@shapecast/change-source';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { openRedisShapeStore, type ShapeHead, type ShapeStore } from '@shapecast/shape-store';
import { redisCommand, waitFor, type TestServer } from '@shapecast/testkit';
import { expect } from 'vitest';
import type { Router, RouterOptions } from '../router-options.ts';
import { Harness, type PlacedShape, type ShapeRequest } from './harness.ts';
import { readShape, type ReadShape } from './read-shape.ts';

/** A source with one shard in a Redis of its own, to lose what that knows. */
export class StoreWorld {
  readonly harness: Harness;
  /** Names of the events that routers have told of. */
  readonly events: string[] = [];
  readonly snapshots = new HeldSnapshots();
  readonly #log: Logger;
  #rows = 0;

  constructor(url: string, options: { readonly shards?: number } = {}) {
    this.harness = new Harness({ shards: options.shards ?? 1, store: openStore(url) });
    const line = (fields: object) => {
      if ('event' in fields) this.events.push(String(fields.event));
    };
    const log: Logger = { error: line, warn: line, info: line, debug: () => {}, child: () => log };
    this.#log = log;
  }

  get store(): ShapeStore {
    return this.harness.store;
  }

  /** That were inserted. */
  get rows(): number {
    return this.#rows;
  }

  startRouter(id: string, options: Partial<RouterOptions> = {}, store?: ShapeStore): Promise<Router> {
    const database = this.snapshots.of(this.harness.database);
    const settings = { worker: { lingerMs: 5, emptyLingerMs: 5, metaPollMs: 200 }, snapshotDrainMs: 0, ...options };
    return this.harness.startRouter(id, settings, { database, log: this.#log, ...(store ? { store } : {}) });
  }

  async liveShape(request: ShapeRequest = {}): Promise<PlacedShape> {
    const shape = await this.harness.createShape(request);
    await this.until(shape, (head) => head?.state === 'live');
    return shape;
  }

  head({ shard, handle }: PlacedShape, store = this.store): Promise<ShapeHead | undefined> {
    return store.readHead(shard, handle);
  }

  /** Resolves once the store answers, and the head is like that. */
  async until(shape: PlacedShape, holds: (head: ShapeHead | undefined) => boolean): Promise<void> {
    let seen: unknown = 'no answer';
    await waitFor(
      async () => {
        const head = await this.head(shape).catch(() => 'no answer' as const);
        seen = head;
        return head !== 'no answer' && holds(head);
      },
      {
        describe: () =>
          `the head is ${JSON.stringify(seen, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
      },
    );
  }

  /** Resolves once they are visible for the shapes. */
  async insert(count: number, ...shapes: readonly PlacedShape[]): Promise<void> {
    let lsn = 0n;
    for (let i = 0; i < count; i += 1) {
      const id = String(this.#rows);
      this.#rows += 1;
      lsn = this.harness.commit((tx) => tx.insert(this.harness.items, { id, owner: 'a', note: `row ${id}` }));
      await this.harness.flush();
    }
    for (const shape of shapes) await this.until(shape, (head) => (head?.tail.tx ?? 0n) >= lsn);
  }

  read(shape: PlacedShape, store = this.store): Promise<ReadShape> {
    return readShape(store, shape);
  }

  /** The same bytes at the same offsets, and nothing more. */
  async expectSame(shape: PlacedShape, before: ReadShape): Promise<void> {
    await this.until(shape, (head) => head?.state === 'live' && !isBehind(head, before));
    expect(await this.read(shape)).toEqual(before);
  }

  close(): Promise<void> {
    this.snapshots.open();
    return this.harness.close();
  }
}

function isBehind({ tail }: ShapeHead, { log }: ReadShape): boolean {
  return tail.tx < BigInt((log.at(-1)?.offset ?? '0').split('_')[0] ?? 0);
}

export function openStore(url: string): ShapeStore {
  return openRedisShapeStore(
    { url, connectTimeoutMs: 500, limits: { leaseMs: 1_500 } },
    { clock: systemClock, log: silentLogger },
  );
}

/** Counts the snapshots that are read at the same time, and holds them back before or after their rows. */
class HeldSnapshots {
  running = 0;
  most = 0;
  taken = 0;
  #held: { readonly until: Promise<void>; readonly at: 'rows' | 'end'; readonly open: () => void } | undefined;

  /** From now on they wait, before they hand out rows or after, until `open` is called. */
  hold(at: 'rows' | 'end'): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#held;
    this.#held = { until: promise, at, open: resolve };
    before?.open();
  }

  open(): void {
    this.#held?.open();
    this.#held = undefined;
  }

  of(database: SourceDatabase): SourceDatabase {
    return new Proxy(database, {
      get: (target, name) => {
        if (name === 'snapshot') return this.#snapshot(target);
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
      },
    });
  }

  #snapshot(database: SourceDatabase) {
    return async (request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void> => {
      this.running += 1;
      this.taken += 1;
      this.most = Math.max(this.most, this.running);
      const wait = (until: Promise<void>) =>
        Promise.race([
          until,
          new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => resolve(), { once: true });
            if (signal.aborted) resolve();
          }),
        ]);
      try {
        const onRows: SnapshotSink['onRows'] = async (rows) => {
          if (this.#held?.at === 'rows') await wait(this.#held.until);
          signal.throwIfAborted();
          await sink.onRows(rows);
          if (this.#held?.at === 'end') await wait(this.#held.until);
          signal.throwIfAborted();
        };
        await database.snapshot(request, { onSnapshot: (info, about) => sink.onSnapshot(info, about), onRows }, signal);
      } finally {
        this.running -= 1;
      }
    };
  }
}

/** Writes all of the data to disk: what a server has that is killed and started again later. */
export async function save({ port }: TestServer): Promise<void> {
  expect(await redisCommand(port, 'SAVE')).toBe('OK');
}

/** To what was saved last. */
export async function goBack(server: TestServer): Promise<void> {
  await server.kill();
  await server.start();
}
