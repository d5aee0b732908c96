import type { SnapshotInfo, SourceDatabase, Writers } from '@shapecast/change-source';
import { isVisible, type SafetyRing, type ShapeRecord, type ShapeStore, type ShardId } from '@shapecast/shape-store';

interface Deps {
  readonly store: Pick<ShapeStore, 'readRing' | 'boundRing'>;
  readonly database: Pick<SourceDatabase, 'writers'>;
}

/**
 * Decides whether a snapshot shows every transaction that is not routed to its shape, because the shard had started it before the
 * shape was registered: a commit can be streamed before other sessions see it, for as long as it waits for a synchronous
 * standby (spec R 10.6.7).
 *
 * The shard's ring names the transactions that could be meant: mostly all of them show, and that is that. Otherwise the table's
 * locks tell, since who wrote to it and does not show yet still holds them: when the ring does not reach back far enough, because
 * the shard is new, skipped a part of the stream or had to drop some, and when what does not show is of other tables. They have
 * to be read before the snapshot is taken, or a transaction could begin to show between the two (ADR 16).
 */
export class SafeVisibility {
  readonly #deps: Deps;
  readonly #shard: ShardId;
  readonly #shape: Pick<ShapeRecord, 'regLsn' | 'definition'>;
  readonly #signal: AbortSignal;
  /** Read before the snapshot that is offered next. */
  #writers: Writers | undefined;

  constructor(deps: Deps, shard: ShardId, shape: Pick<ShapeRecord, 'regLsn' | 'definition'>, signal: AbortSignal) {
    this.#deps = deps;
    this.#shard = shard;
    this.#shape = shape;
    this.#signal = signal;
  }

  /** To be called before the first snapshot is taken. */
  async prepare(): Promise<void> {
    const ring = await this.#readRing();
    if (!isComplete(ring)) await this.#look(ring);
  }

  async accepts(info: SnapshotInfo): Promise<boolean> {
    const ring = await this.#readRing();
    const reachesBack = ring.skipped === undefined && (ring.floor === 0n || info.xmin > ring.floor);
    if (reachesBack && ring.entries.every(({ xid }) => isVisible(info, xid))) return true;
    if (this.#writers?.xids.every((xid) => isVisible(info, xid)) === true) return true;
    await this.#look(ring);
    return false;
  }

  #readRing(): Promise<SafetyRing> {
    return this.#deps.store.readRing(this.#shard, this.#shape.regLsn);
  }

  async #look({ skipped }: SafetyRing): Promise<void> {
    const { store, database } = this.#deps;
    this.#writers = await database.writers(this.#shape.definition.oid, this.#signal);
    // What the shard skipped was in the stream before, so it had begun to write by now: later snapshots need not ask the locks.
    if (skipped !== undefined) await store.boundRing(this.#shard, skipped, this.#writers.newest);
  }
}

function isComplete({ floor, skipped }: SafetyRing): boolean {
  return floor === 0n && skipped === undefined;
}
