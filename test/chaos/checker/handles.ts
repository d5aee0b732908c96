import type { TrackedShape } from '../model/shape.ts';
import { isVisible, type Truth, type Visibility } from '../truth/truth.ts';
import type { FaultLedger } from './faults.ts';

/** What readers know of a handle. */
interface HandleLife {
  readonly shape: TrackedShape;
  /** By `performance.now()`, from its second half: by the clock of the store, which is ours. */
  readonly createdAt: number;
  readonly firstSeen: number;
  snapshot: Visibility | undefined;
  /** Some reader held it completely. */
  complete: boolean;
  /** A reader was told that it ended. */
  deadAt: number | undefined;
  /** When that was told last, also if it is alive again. */
  endedAt: number | undefined;
  /** Of the last request that it was told with, to ask again. */
  lastOffset: string;
}

/** Of `appendfsync everysec`, at most (spec R 12.4.2), and some for the clock. */
const STORE_TAIL_MS = 3_000;
/** After a fault a half-made shape may take this long to be given up. */
const AFTERMATH_MS = 30_000;

/**
 * The lives of handles. A shape that ends without a reason of R 15.7 that this run gave it has lost its continuity for nothing;
 * one that comes back to life gives readers another history (spec R 1, I6, I9).
 */
export class Handles {
  /** Handles that came back because the store had forgotten a truncation. */
  revived = 0;
  readonly #truth: Truth;
  readonly #faults: FaultLedger;
  readonly #lives = new Map<string, HandleLife>();
  /** Offset between the wall clock and `performance.now()`. */
  readonly #epoch: number;

  constructor(truth: Truth, faults: FaultLedger, epoch: number) {
    this.#truth = truth;
    this.#faults = faults;
    this.#epoch = epoch;
  }

  get size(): number {
    return this.#lives.size;
  }

  /** A request that was sent at `sentAt` was answered with data of the handle. Returns what is wrong with that. */
  served(handle: string, shape: TrackedShape, sentAt: number, offset: string): string | undefined {
    const life = this.#life(handle, shape, sentAt);
    life.lastOffset = offset;
    if (life.deadAt === undefined || sentAt <= life.deadAt || this.mayBeBack(handle, sentAt)) return undefined;
    return `${handle} was told to be dead ${Math.round(sentAt - life.deadAt)} ms before it was asked for and served`;
  }

  /**
   * A store that went back does not know of a truncation until its shards have come to it again: until then the shape is alive, and
   * right as of its watermark. Other ends are in a journal, and must be kept (spec R 12.5.7).
   */
  mayBeBack(handle: string, at: number): boolean {
    const life = this.#lives.get(handle);
    if (life?.deadAt === undefined || this.reason(handle) !== 'truncate') return false;
    if (this.#faults.during(life.deadAt - STORE_TAIL_MS, at, 'store-tail').length === 0) return false;
    life.deadAt = undefined;
    this.revived += 1;
    return true;
  }

  snapshotEnded(handle: string, snapshot: Visibility): void {
    const life = this.#lives.get(handle);
    if (life !== undefined) life.snapshot = snapshot;
  }

  completed(handle: string): void {
    const life = this.#lives.get(handle);
    if (life !== undefined) life.complete = true;
  }

  refused(handle: string, shape: TrackedShape, at: number): void {
    const life = this.#life(handle, shape, at);
    life.deadAt ??= at;
    life.endedAt = at;
  }

  /** A dead handle, with the shape and an offset to ask with. */
  dead(
    choose: (handles: readonly string[]) => string,
  ): { handle: string; shape: TrackedShape; offset: string } | undefined {
    const dead = [...this.#lives].filter(([, life]) => life.deadAt !== undefined).map(([handle]) => handle);
    if (dead.length === 0) return undefined;
    const handle = choose(dead);
    const { shape, lastOffset } = this.#lives.get(handle) as HandleLife;
    return { handle, shape, offset: lastOffset };
  }

  /** Why the handle was allowed to end; undefined when nothing is known that allows it. The truth must be known up to then. */
  reason(handle: string): string | undefined {
    const life = this.#lives.get(handle);
    if (life?.endedAt === undefined) return undefined;
    const { shape, snapshot, createdAt, endedAt } = life;
    const truncation = this.#truth
      .truncations(shape.table)
      .findLast(({ xid }) => snapshot === undefined || !isVisible(snapshot, xid));
    if (truncation !== undefined) return 'truncate';
    const lost = this.#faults.during(createdAt, createdAt + STORE_TAIL_MS, 'store-tail');
    if (lost.length > 0) return 'created just before the store lost its tail';
    const harmed = this.#faults.during(createdAt - AFTERMATH_MS, endedAt);
    if (!life.complete && harmed.length > 0) return 'ended by a fault before it was complete';
    return undefined;
  }

  #life(handle: string, shape: TrackedShape, at: number): HandleLife {
    const known = this.#lives.get(handle);
    if (known !== undefined) return known;
    const micros = Number(handle.split('-')[1]);
    const life: HandleLife = {
      shape,
      createdAt: Number.isFinite(micros) ? micros / 1_000 - this.#epoch : at,
      firstSeen: at,
      snapshot: undefined,
      complete: false,
      deadAt: undefined,
      endedAt: undefined,
      lastOffset: '-1',
    };
    this.#lives.set(handle, life);
    return life;
  }
}
