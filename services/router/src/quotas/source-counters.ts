import type { SourceQuotas } from './source-quotas.ts';

/** What a router did for its source since it started. Entries and rows are counted when they are stored. */
export class SourceCounters {
  entries = 0;
  entryBytes = 0;
  snapshots = 0;
  snapshotRows = 0;
  snapshotBytes = 0;
  /** Shapes that this router ended. */
  rotations = 0;
  /** Bytes in the store of all shards, as far as this router accounts for them. */
  redisBytes: number | undefined;
  /** By shard, as the last round over its shapes found it; also of shards that are no longer this router's. */
  readonly weights = new Map<number, { readonly heldBytes: number; readonly pendingBytes: number }>();
  readonly #refused = new Map<string, number>();
  #log = { bytes: 0, at: -Infinity };
  #lagMs = 0;
  #lagAt = -Infinity;

  /** JSON bytes of the largest log that was seen in the last rounds over all shapes. */
  get largestLogBytes(): number {
    return this.#log.bytes;
  }

  /** A shape's log has so many JSON bytes. */
  sawLog(bytes: number, nowMs: number): void {
    if (bytes >= this.#log.bytes || nowMs - this.#log.at > LOG_MS) this.#log = { bytes, at: nowMs };
  }

  refuse(axis: keyof SourceQuotas, count = 1): void {
    this.#refused.set(axis, this.refused(axis) + count);
  }

  refused(axis: string): number {
    return this.#refused.get(axis) ?? 0;
  }

  /** The newest of the transactions that became visible was committed so long ago. Both clocks are those of people. */
  visible(lagMs: number, nowMs: number): void {
    // The worst of the shards, for a moment: the next look is to see it.
    if (lagMs < this.#lagMs && nowMs - this.#lagAt < LAG_MS) return;
    this.#lagMs = Math.max(0, lagMs);
    this.#lagAt = nowMs;
  }

  /** How long the latest transactions took; 0 when there were none for a while. */
  lagMs(nowMs: number): number {
    return nowMs - this.#lagAt < LAG_MS ? Math.round(this.#lagMs) : 0;
  }
}

const LAG_MS = 5_000;
/** Longer than a round. */
const LOG_MS = 120_000;
