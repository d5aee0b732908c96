import type { Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeRecord, ShapeStore, ShardId } from '@shapecast/shape-store';
import { endReason } from './end-reason.ts';
import type { SourceMetrics } from './source-metrics.ts';

interface CensusDeps {
  readonly store: Pick<ShapeStore, 'readHeads'>;
  readonly metrics: SourceMetrics;
  readonly log: Logger;
}

/** The shapes of a shard that are known, as `ShardIndex` has them. */
interface KnownShapes {
  get(handle: string): { readonly record: Pick<ShapeRecord, 'state'> } | undefined;
}

/** What routers end in shards of others they count themselves. */
const COUNTED_BY_JOBS: ReadonlySet<string> = new Set(['expired', 'memory', 'quota']);

/**
 * Counts the shapes that come and go in a shard, for its owner. What the owner ends it knows; of shapes that others have ended, or the
 * store itself in an append, their heads say why: somebody deletes them in an API pod, or they were too large to begin.
 */
export class ShapeCensus {
  readonly #deps: CensusDeps;
  readonly #shard: ShardId;
  /** Ended here, and not seen to be dead yet. */
  readonly #ended = new Set<string>();

  constructor(deps: CensusDeps, shard: ShardId) {
    this.#deps = deps;
    this.#shard = shard;
  }

  /** All of the shapes were loaded: what was ended is not among them. */
  reset(): void {
    this.#ended.clear();
  }

  /** The owner has ended a shape. */
  ended(handle: string, failure: ShapeFailure): void {
    this.#ended.add(handle);
    this.#deps.metrics.ended(failure);
  }

  /** These have changed in the store, and `known` does not say so yet. */
  changed(records: readonly Pick<ShapeRecord, 'handle' | 'state'>[], known: KnownShapes): void {
    const gone: string[] = [];
    let created = 0;
    for (const { handle, state } of records) {
      const before = known.get(handle)?.record.state;
      if (before === undefined && state !== 'dead') created += 1;
      if (state !== 'dead' || this.#ended.delete(handle)) continue;
      if (before !== undefined) gone.push(handle);
    }
    if (created > 0) this.#deps.metrics.created(created);
    if (gone.length > 0) void this.#ask(gone);
  }

  async #ask(handles: readonly string[]): Promise<void> {
    const { store, metrics, log } = this.#deps;
    try {
      for (const head of await store.readHeads(this.#shard, handles)) {
        if (head?.error === undefined) continue;
        const { kind, reason } = endReason(head.error);
        // A snapshot that failed is counted where it does.
        if (reason === 'snapshot_failed' || (kind === 'removed' && COUNTED_BY_JOBS.has(reason))) continue;
        metrics.ended(head.error);
      }
    } catch (err) {
      log.debug({ err }, 'why shapes ended could not be read');
    }
  }
}
