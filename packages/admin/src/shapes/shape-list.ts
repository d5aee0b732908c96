import type { UsageBoard } from '@shapecast/messaging';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeState, ShapeStore, ShardId } from '@shapecast/shape-store';

/** Looking at more than this takes longer than anybody waits, and Redis has better things to do. */
const MAX_SHAPES = 50_000;
/** Whoever turns pages sees the same list. */
const KEEP_MS = 5_000;
const MAX_KEPT = 20;
/** Handles whose readers each API pod tells. */
const MOST_READ = 1_000;

export const SORTS = ['readers', 'bytes', 'lastRead'] as const;
export type ShapeSort = (typeof SORTS)[number];

/** A shape without its definition. */
export interface ListedShape {
  readonly shard: ShardId;
  readonly handle: string;
  readonly state: ShapeState;
  readonly logBytes: number;
  readonly snapshotBytes: number;
  /** Bytes that Redis holds of it. */
  readonly heldBytes: number;
  /** Requests that wait for its next change. */
  readonly readers: number;
  /** Milliseconds since 1970. */
  readonly readAt?: number;
}

export interface ShapeListing {
  readonly shapes: readonly ListedShape[];
  /** There are more shapes than were looked at. */
  readonly truncated: boolean;
}

interface ListDeps {
  readonly store: ShapeStore;
  readonly board: UsageBoard;
  readonly clock: Clock;
}

/** All shapes of a source, from every shard; kept for a few seconds. */
export class ShapeList {
  readonly #deps: ListDeps;
  readonly #kept = new Map<string, { readonly listing: Promise<ShapeListing>; readonly at: number }>();

  constructor(deps: ListDeps) {
    this.#deps = deps;
  }

  async read(source: string, incarnation: number, shards: number, sort: ShapeSort): Promise<ShapeListing> {
    const { shapes, truncated } = await this.#listing(source, incarnation, shards);
    return { shapes: shapes.toSorted(ORDERS[sort]), truncated };
  }

  #listing(source: string, incarnation: number, shards: number): Promise<ShapeListing> {
    const now = this.#deps.clock.now();
    const key = `${source}.${incarnation}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && now - kept.at < KEEP_MS) return kept.listing;
    const listing = this.#collect(source, incarnation, shards);
    this.#kept.delete(key);
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value as string);
    this.#kept.set(key, { listing, at: now });
    listing.catch(() => this.#kept.delete(key));
    return listing;
  }

  /** Something was done to one of them. */
  forget(source: string): void {
    for (const key of this.#kept.keys()) if (key.startsWith(`${source}.`)) this.#kept.delete(key);
  }

  async #collect(source: string, incarnation: number, shards: number): Promise<ShapeListing> {
    const { store } = this.#deps;
    const readers = this.readers(source);
    const found = new Map<string, ListedShape>();
    let truncated = false;
    for (let shard = 0; shard < shards && !truncated; shard += 1) {
      const id = { source, incarnation, shard };
      let cursor: string | undefined;
      do {
        const page = await store.scanShapes(id, cursor);
        cursor = page.cursor;
        const times = await store.whenRead(
          id,
          page.shapes.map(({ handle }) => handle),
        );
        for (const [i, { handle, state, logBytes, snapshotBytes, heldBytes }] of page.shapes.entries()) {
          const at = times[i]?.at;
          const read = at === undefined ? {} : { readAt: at };
          found.set(handle, { shard: id, handle, state, logBytes, snapshotBytes, heldBytes, readers: 0, ...read });
        }
        truncated = found.size >= MAX_SHAPES && cursor !== undefined;
      } while (cursor !== undefined && !truncated);
    }
    const waiting = await readers;
    const shapes = [...found.values()].map((shape) => ({ ...shape, readers: waiting.get(shape.handle) ?? 0 }));
    return { shapes, truncated };
  }

  /** Requests that wait for each of the shapes that most wait for, over all API pods. */
  async readers(source: string): Promise<ReadonlyMap<string, number>> {
    const sums = new Map<string, number>();
    for (const { value } of await this.#deps.board.ask(source, 'readers', MOST_READ)) {
      for (const pair of Array.isArray(value) ? (value as unknown[]) : []) {
        const [handle, waiting] = Array.isArray(pair) ? (pair as unknown[]) : [];
        if (typeof handle !== 'string' || typeof waiting !== 'number') continue;
        sums.set(handle, (sums.get(handle) ?? 0) + waiting);
      }
    }
    return sums;
  }
}

type Order = (a: ListedShape, b: ListedShape) => number;

const byHandle: Order = (a, b) => (a.handle < b.handle ? -1 : 1);

const ORDERS: Readonly<Record<ShapeSort, Order>> = {
  readers: (a, b) => b.readers - a.readers || b.heldBytes - a.heldBytes || byHandle(a, b),
  bytes: (a, b) => b.heldBytes - a.heldBytes || byHandle(a, b),
  lastRead: (a, b) => (b.readAt ?? 0) - (a.readAt ?? 0) || byHandle(a, b),
};
