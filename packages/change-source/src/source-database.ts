import type { Lsn } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import type { SnapshotRequest, SnapshotSink } from './change-source.ts';

/** Catalog and snapshot queries against a source, from two bounded pools: admin work never waits for snapshots (spec R 3.6.2). */
export interface SourceDatabase {
  /** The table as the catalog has it now; undefined when there is none or it is not an ordinary or partitioned table. */
  introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined>;
  /**
   * Adds the table to the publication with full replica identity, and returns once no transaction that wrote to it
   * before is still open (the publication gap, spec R 7.12). Idempotent. Throws SOURCE_MISCONFIGURED with the texts of
   * O 7.2, SCHEMA_CHANGED when the oid no longer has that name, NOT_READY when the gap did not close in time.
   */
  publish(
    table: { readonly oid: number; readonly schema: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** Oldest running transaction, then the WAL flush position read after it (spec R 9.4.1). */
  progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }>;
  /**
   * One consistent read (spec R 10.5): REPEATABLE READ, display settings, rows through a cursor. Throws SNAPSHOT_FAILED
   * or SCHEMA_CHANGED; aborting cancels the query in Postgres.
   */
  snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
