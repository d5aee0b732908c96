import type { Lsn } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import type { SnapshotRequest, SnapshotSink, SubsetRequest, SubsetSink } from './change-source.ts';

/** What to publish. */
export interface TableToPublish {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** A table and everything below it: partitions, and children in classic inheritance, from any distance (spec R 7.15). */
export interface TableTree {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Tables below it. The value is the transaction that brought one in; undefined when it was created there. */
  readonly members: ReadonlyMap<number, bigint | undefined>;
  /** A table that holds rows is not published, or not with full replica identity: `publish` is due. */
  readonly incomplete: boolean;
}

/** Catalog and snapshot queries against a source, from two bounded pools: admin work never waits for snapshots (spec R 3.6.2). */
export interface SourceDatabase {
  /** The table as the catalog has it now; undefined when there is none or it is not an ordinary or partitioned table. */
  introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined>;
  /**
   * Adds the table to the publication with full replica identity, and returns once no transaction that wrote to it
   * before is still open (the publication gap, spec R 7.12). Idempotent. Throws SOURCE_MISCONFIGURED with the texts of
   * O 7.2, SCHEMA_CHANGED when the oid no longer has that name, NOT_READY when the gap did not close in time.
   */
  publish(table: TableToPublish, signal: AbortSignal): Promise<void>;
  /**
   * Sets full replica identity on a table whose changes arrive without it: a partition that was added since its root was
   * published, for one (spec R 7.6). Does nothing when it is set or the table is gone. Throws as `publish` does.
   */
  repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void>;
  /** Those of the tables that exist, with what is below them, and the `xmax` of the snapshot that saw it so. */
  readTrees(
    oids: readonly number[],
    signal: AbortSignal,
  ): Promise<{ readonly xmax: bigint; readonly trees: readonly TableTree[] }>;
  /** Oldest running transaction, then the WAL flush position read after it (spec R 9.4.1). */
  progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }>;
  /**
   * One consistent read (spec R 10.5): REPEATABLE READ, display settings, rows through a cursor. Throws SNAPSHOT_FAILED
   * or SCHEMA_CHANGED; aborting cancels the query in Postgres.
   */
  snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void>;
  /**
   * One consistent read as for a snapshot, of any rows in any order (spec R 10.9). Throws INVALID_REQUEST with
   * `details.field` for what only Postgres finds wrong with the request, else SNAPSHOT_FAILED or SCHEMA_CHANGED; aborting
   * cancels the query in Postgres.
   */
  subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
