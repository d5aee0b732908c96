import type { SourceUsage } from '@shapecast/messaging';
import type { SourceCounters } from './source-counters.ts';
import type { SourceQuotas } from './source-quotas.ts';

/** What a router has to say of the use of its source. */
export interface UsageSight {
  readonly counters: SourceCounters;
  readonly quotas: SourceQuotas;
  /** That live and share what is for all of them together; at least this one. */
  readonly routers: number;
  /** Of the shards of this router. */
  readonly shapes: number;
  /** Different clauses without an index, of the table that has most of them. */
  readonly scannedClauses: number;
  readonly snapshots: {
    readonly running: number;
    readonly largestBytes: number;
    readonly bytesPerSecond: number;
    readonly waits: number;
  };
  readonly subsets: { readonly running: number; readonly refused: number };
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** As it is told to the others, and in the health report: numbers of bounded count. */
export function usageOf(sight: UsageSight): SourceUsage {
  const { counters, quotas, routers, shapes, scannedClauses, snapshots, subsets } = sight;
  const { entries, entryBytes, rotations, snapshots: taken, snapshotRows, snapshotBytes, redisBytes } = counters;
  const share = (limit: number) => Math.ceil(limit / routers);
  const refused = (axis: string) => counters.refused(axis);
  return {
    counters: { entries, entryBytes, snapshots: taken, snapshotRows, snapshotBytes, rotations },
    gauges: {
      shapes,
      applyLagMs: counters.lagMs(sight.now),
      // Each router weighs all of it.
      ...(redisBytes === undefined ? {} : { redisBytes: Math.round(redisBytes / routers) }),
    },
    quotas: {
      ...(quotas.maxShapes === undefined
        ? {}
        : { maxShapes: { used: shapes, limit: share(quotas.maxShapes), refused: refused('maxShapes') } }),
      unindexableClauses: {
        used: scannedClauses,
        limit: quotas.unindexableClauses,
        refused: refused('unindexableClauses'),
      },
      snapshotSlots: { used: snapshots.running, limit: quotas.snapshotSlots, refused: 0 },
      snapshotBytes: {
        used: snapshots.largestBytes,
        limit: quotas.snapshotBytes,
        refused: refused('snapshotBytes'),
      },
      snapshotBytesPerSecond: {
        used: snapshots.bytesPerSecond,
        limit: share(quotas.snapshotBytesPerSecond),
        refused: snapshots.waits,
      },
      subsetSlots: { used: subsets.running, limit: quotas.subsetSlots, refused: subsets.refused },
      logBytes: { used: counters.largestLogBytes, limit: quotas.logBytes, refused: refused('logBytes') },
      ...(quotas.redisBytes === undefined
        ? {}
        : {
            redisBytes: {
              used: Math.round((redisBytes ?? 0) / routers),
              limit: share(quotas.redisBytes),
              refused: refused('redisBytes'),
            },
          }),
    },
  };
}
