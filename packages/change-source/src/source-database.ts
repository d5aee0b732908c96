import type { Lsn } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import type { SourcePublication } from './source-publication.ts';
import type { SnapshotRequest, SnapshotSink, SubsetRequest, SubsetSink } from './change-source.ts';
import type { KeyPlaces } from './keyset.ts';

/** What to publish. */
export interface TableToPublish {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** By what the table was published when somebody else waited for the gap to close (spec R 7.12): as then it need not be done again. */
  readonly gapClosedFor?: string;
}

/**
 * Where a snapshot stands among all that a server gives out: `xmax` grows, and as long as it stays the same, transactions below
 * it only end.
 */
export interface SnapshotMoment {
  /** First transaction id not assigned yet. */
  readonly xmax: bigint;
  /** Number of transactions below it that had not ended. */
  readonly running: number;
}

/** A table below another one: a partition, or a child in classic inheritance, at any distance (spec R 7.15). */
export interface TableMember {
  /** The transaction that brought it in; absent when it was created there. */
  readonly joinedXid?: bigint;
  /** Names what its rows are stored in. */
  readonly filenode: number;
}

/** A table that can be synced, as one look at the catalog shows it. */
export interface TableSight {
  readonly oid: number;
  /** Of everything that the look would tell in detail; never compared between servers of different versions. */
  readonly digest: string;
  /** Names what its rows are stored in: another one, and all rows were written anew. */
  readonly filenode: number;
  readonly members: ReadonlyMap<number, TableMember>;
  /** A table that holds rows is not published, or not with full replica identity: `publish` is due. */
  readonly incomplete: boolean;
  /** Absent when the digest is the one that is known already. */
  readonly details?: TableDetails;
}

export interface TableDetails {
  readonly relation: RelationInfo;
  /** By `attnum`: the transaction that last changed the column's description, be it in part. */
  readonly columnXids: ReadonlyMap<number, bigint>;
}

/** Some of the tables that were asked for. */
export interface TableSights {
  readonly moment: SnapshotMoment;
  readonly tables: readonly TableSight[];
  /** Those that do not exist, or cannot be synced any more. */
  readonly gone: readonly number[];
}

/** Who writes to a table at a moment. 64-bit xids. */
export interface Writers {
  /** Transactions that have written to the table and may have committed, but do not show yet. */
  readonly xids: readonly bigint[];
  /** No transaction that had begun to write, to any table, has a newer id. */
  readonly newest: bigint;
}

/** Catalog and snapshot queries against a source, from two bounded pools: admin work never waits for snapshots (spec R 3.6.2). */
export interface SourceDatabase {
  /** Looks after the publication as a whole; for the leader of the source. */
  readonly publication: SourcePublication;
  /** The table as the catalog has it now; undefined when there is none or it is not an ordinary or partitioned table. */
  introspect(schema: string, table: string, signal: AbortSignal): Promise<RelationInfo | undefined>;
  /**
   * Adds the table to the publication with full replica identity, and returns once no transaction that wrote to it
   * before is still open (the publication gap, spec R 7.12). Idempotent. Throws SOURCE_MISCONFIGURED with the texts of
   * O 7.2, SCHEMA_CHANGED when the oid no longer has that name, NOT_READY when the gap did not close in time. Returns by what
   * it is published (`SnapshotInfo.published`): a snapshot that sees something else is not covered by this.
   */
  publish(table: TableToPublish, signal: AbortSignal): Promise<string>;
  /**
   * Sets full replica identity on a table whose changes arrive without it: a partition that was added since its root was
   * published, for one (spec R 7.6). Does nothing when it is set or the table is gone. Throws as `publish` does.
   */
  repairReplicaIdentity(oid: number, signal: AbortSignal): Promise<void>;
  /**
   * Looks at tables in the catalog, all in one transaction of at most 5 s (spec R 10.3.6); what `known` has a digest of is told in
   * detail only if that changed. Calls back for some of the tables at a time, earlier `oids` first: after a failure, what was
   * called back for is nevertheless true.
   */
  readTables(
    request: { readonly oids: readonly number[]; readonly known: ReadonlyMap<number, string> },
    onSights: (sights: TableSights) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Calls back when DDL commits, where the event trigger of `deploy/postgres/ddl-trigger.sql` is installed, and once when it
   * begins to listen: what came before is for the caller to look for. Returns when there is no such trigger, or no more. Holds a
   * connection meanwhile; throws when that ends, when `signal` aborts, and NOT_READY when there are too few to spare one.
   */
  listenForDdl(onDdl: () => void, signal: AbortSignal): Promise<void>;
  /** Everything that committed before and is not in `xids` shows in every snapshot that is taken later (spec R 10.6.7). */
  writers(oid: number, signal: AbortSignal): Promise<Writers>;
  /** Oldest running transaction, then the WAL flush position read after it (spec R 9.4.1). */
  progress(signal: AbortSignal): Promise<{ readonly xmin: bigint; readonly walLsn: Lsn }>;
  /**
   * One consistent read (spec R 10.5): REPEATABLE READ, display settings, rows through a cursor. Throws SNAPSHOT_FAILED
   * or SCHEMA_CHANGED; aborting cancels the query in Postgres.
   */
  snapshot(request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal): Promise<void>;
  /** How many of the bounds come before each of the keys, in the order of a snapshot that was read in it. Throws SNAPSHOT_FAILED. */
  placeKeys(places: KeyPlaces, signal: AbortSignal): Promise<readonly number[]>;
  /**
   * One consistent read as for a snapshot, of any rows in any order (spec R 10.9). Throws INVALID_REQUEST with
   * `details.field` for what only Postgres finds wrong with the request, else SNAPSHOT_FAILED or SCHEMA_CHANGED; aborting
   * cancels the query in Postgres.
   */
  subset(request: SubsetRequest, sink: SubsetSink, signal: AbortSignal): Promise<void>;
  /** Closes the connections that nobody uses at the moment; who needs one gets a new one. */
  rest(): void;
  close(): Promise<void>;
}
