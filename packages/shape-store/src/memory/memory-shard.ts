import { randomUUID } from 'node:crypto';
import { comparePositions, maxLsn, POSITION_ZERO, ZERO_LSN, type Lsn } from '@shapecast/log';
import { PENDING_OVERFLOW, type ShapeStoreLimits } from '../limits.ts';
import type {
  AppendBatch,
  SafetyRing,
  ShapeFailure,
  ShardCursor,
  ShardDelta,
  ShardMeta,
  ShardState,
  WriteOutcome,
} from '../shape-store.ts';
import type { MemoryShape } from './memory-shape.ts';

const START: ShardCursor = { seq: 0, position: POSITION_ZERO, openTxSeq: 0 };

/** One shard of the memory store: meta, ring, versions, and the shapes by handle. */
export class MemoryShard {
  readonly shapes = new Map<string, MemoryShape>();
  /** Handles by digest. Several only when digests collide. */
  readonly digests = new Map<string, string[]>();
  /** Time of death by handle, in order of death. */
  readonly dead = new Map<string, number>();
  /** Second half of the last handle, in microseconds since 1970. */
  issued = 0;

  readonly #limits: ShapeStoreLimits;
  #epoch = 0;
  #owner = '';
  #counter = 1;
  #ver = version(1);
  #cursor = START;
  #visible = POSITION_ZERO;
  #watermark = ZERO_LSN;
  #xmin = 0n;
  #ring: { readonly lsn: Lsn; readonly xid: bigint }[] = [];
  #floor = 0n;
  /** Where the shard stood when it last skipped transactions; a new one has seen none. */
  #skipped: string | undefined = 'new';
  /** New shapes wait for the next append. */
  held = false;
  /** Oldest first; what each version changed. */
  readonly #versions: { readonly ver: string; readonly handle?: string }[] = [{ ver: this.#ver }];

  constructor(limits: ShapeStoreLimits) {
    this.#limits = limits;
  }

  meta(): ShardMeta {
    return {
      epoch: this.#epoch,
      owner: this.#owner,
      ver: this.#ver,
      cursor: this.#cursor,
      visible: this.#visible,
      watermark: this.#watermark,
    };
  }

  acquire(owner: string): ShardMeta {
    this.#epoch += 1;
    this.#owner = owner;
    return this.meta();
  }

  release(state: Pick<ShardState, 'epoch' | 'owner'>): void {
    if (state.epoch === this.#epoch && state.owner === this.#owner) this.#owner = '';
  }

  hold(state: Pick<ShardState, 'epoch' | 'owner'>): void {
    if (state.epoch === this.#epoch && state.owner === this.#owner) this.held = true;
  }

  bump(handle: string): void {
    this.#counter += 1;
    this.#ver = version(this.#counter);
    this.#versions.push({ ver: this.#ver, handle });
    if (this.#versions.length > this.#limits.versionsKept) this.#versions.shift();
  }

  delta(known: string): ShardDelta | 'regressed' | undefined {
    const from = this.#versions.findLastIndex(({ ver }) => ver === known);
    if (from < 0) return counterOf(known) < counterOf(this.#versions[0]?.ver ?? '') ? undefined : 'regressed';
    const handles = new Set(this.#versions.slice(from + 1).flatMap(({ handle }) => handle ?? []));
    const shapes = [...handles].map((handle) => this.shapes.get(handle));
    // Swept already: nothing left to say that it is dead.
    if (shapes.includes(undefined)) return undefined;
    return { ver: this.#ver, changed: shapes.map((shape) => (shape as MemoryShape).record()) };
  }

  append(expected: ShardState, batch: AppendBatch, now: number): WriteOutcome {
    if (expected.epoch !== this.#epoch || expected.owner !== this.#owner) return 'epoch';
    if (expected.ver !== this.#ver) return 'ver';
    if (!isSameCursor(expected.cursor, this.#cursor)) return 'cursor';

    for (const entry of batch.entries) {
      const shape = this.shapes.get(entry.handle);
      if (shape && !shape.append(entry, this.#limits, batch.appliedMs))
        this.bury(entry.handle, shape, PENDING_OVERFLOW, now);
    }
    this.#remember(batch);
    this.#cursor = batch.to;
    if (batch.visible && comparePositions(batch.visible, this.#visible) > 0) this.#visible = batch.visible;
    if (batch.watermark !== undefined) this.#watermark = maxLsn(this.#watermark, batch.watermark);
    this.held = false;
    return 'ok';
  }

  bury(handle: string, shape: MemoryShape, failure: ShapeFailure, now: number): void {
    shape.die(failure, this.#visible);
    this.dead.set(handle, now);
    const others = (this.digests.get(shape.digest) ?? []).filter((other) => other !== handle);
    if (others.length === 0) this.digests.delete(shape.digest);
    else this.digests.set(shape.digest, others);
    this.bump(handle);
  }

  ring(upTo: Lsn): SafetyRing {
    const entries = this.#ring.filter(({ lsn }) => lsn <= upTo);
    return { entries, floor: this.#floor, ...(this.#skipped === undefined ? {} : { skipped: this.#skipped }) };
  }

  skipRing(): void {
    this.#skipped = randomUUID();
  }

  boundRing(skipped: string, newest: bigint): void {
    if (skipped !== this.#skipped) return;
    this.#skipped = undefined;
    if (newest > this.#floor) this.#floor = newest;
  }

  #remember(batch: AppendBatch): void {
    if (batch.xmin !== undefined && batch.xmin > this.#xmin) this.#xmin = batch.xmin;
    const newest = this.#ring.at(-1)?.lsn ?? ZERO_LSN;
    for (const entry of batch.transactions) if (entry.lsn > newest) this.#ring.push(entry);
    const keep = this.#ring.findIndex(({ xid }) => xid >= this.#xmin);
    const excess = this.#ring.length - (keep < 0 ? this.#ring.length : keep) - this.#limits.ringMaxEntries;
    if (keep !== 0) this.#ring = keep < 0 ? [] : this.#ring.slice(keep);
    if (excess <= 0) return;
    for (const { xid } of this.#ring.slice(0, excess)) if (xid > this.#floor) this.#floor = xid;
    this.#ring = this.#ring.slice(excess);
  }
}

function version(counter: number): string {
  return `${counter}:${randomUUID()}`;
}

function isSameCursor(a: ShardCursor, b: ShardCursor): boolean {
  return a.seq === b.seq && a.openTxSeq === b.openTxSeq && comparePositions(a.position, b.position) === 0;
}

function counterOf(ver: string): number {
  return Number(/^\d+/.exec(ver)?.[0] ?? 0);
}
