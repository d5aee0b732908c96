import type { Lsn } from '@shapecast/log';
import type { ClockOffset } from '@shapecast/service-kit';

/** What somebody sees who looks a source over without changing anything: facts, which others judge. */
export interface SourceInspection {
  /** The server as the direct URL reaches it. Errors are SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED, like those of the others. */
  direct(signal: AbortSignal): Promise<DirectSight>;
  /** Opens a replication connection for a moment. Throws when that is not allowed, or there is no room for one. */
  replication(signal: AbortSignal): Promise<void>;
  /** The server as the query URL reaches it, and what its role may read of the tables, given by oid. */
  query(tables: readonly number[], signal: AbortSignal): Promise<QuerySight>;
}

export interface DirectSight {
  readonly server: ServerSight;
  /** Undefined where the role may not read it. */
  readonly systemId: string | undefined;
  readonly role: RoleSight;
  readonly room: RoomSight;
  /** Who has the source's lock. */
  readonly lockHolder: LockHolderSight | undefined;
  readonly slot: SlotSight | undefined;
  readonly publication: PublicationInspection | undefined;
  readonly clock: ClockOffset | undefined;
}

export interface ServerSight {
  /** Such as `18.4`. */
  readonly version: string;
  /** Such as 180004. */
  readonly versionNumber: number;
  readonly standby: boolean;
  readonly walLevel: string;
  readonly database: string;
}

/** What a role may do beside what it owns. */
export interface RoleSight {
  readonly name: string;
  /** May create publications in the database of the connection. */
  readonly mayCreate: boolean;
  /** What is good to have and was not granted, as GRANT names it (docs/postgres.md). */
  readonly missingGrants: readonly string[];
}

/** Free places, and settings that decide how long WAL is kept. */
interface RoomSight {
  readonly maxReplicationSlots: number;
  readonly replicationSlots: number;
  readonly maxWalSenders: number;
  readonly walSenders: number;
  /** Megabytes; -1 is without limit. */
  readonly maxSlotWalKeepSize: number;
  /** Milliseconds; 0 is never. */
  readonly walSenderTimeout: number;
  /** Seconds; 0 is never. Undefined before version 18. */
  readonly idleReplicationSlotTimeout: number | undefined;
}

export interface LockHolderSight {
  readonly pid: number;
  /** Empty where the role may not see it. */
  readonly application: string;
  /** Undefined over a local socket, or where the role may not see it. */
  readonly address: string | undefined;
}

export interface SlotSight {
  readonly plugin: string | null;
  readonly database: string | null;
  /** Backend that reads from it. */
  readonly activePid: number | undefined;
  readonly lost: boolean;
  /** In Postgres's words, from version 17 on. */
  readonly lostBecause: string | undefined;
  /** `reserved`, `extended`, `unreserved` or `lost`; undefined for one that keeps nothing yet. */
  readonly walStatus: string | undefined;
  /** Bytes that may still be written before it is in danger; undefined without a limit. */
  readonly safeBytes: bigint | undefined;
  /** Undefined for one that keeps nothing. */
  readonly wal: { readonly current: Lsn; readonly confirmed: Lsn; readonly restart: Lsn } | undefined;
}

export interface PublicationInspection {
  /** Publishes insert, update, delete and truncate. */
  readonly allOperations: boolean;
  readonly allTables: boolean;
  /** The role may alter it. */
  readonly owned: boolean;
  readonly viaRoot: boolean;
  /** Carries stored generated columns; undefined before version 18, where none does. */
  readonly generatedColumns: boolean | undefined;
  /** In it by name, or because all tables are, or those of their schema. */
  readonly tables: readonly TableInspection[];
}

export interface TableInspection {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** In the publication by its own name. */
  readonly listed: boolean;
  /** Has a row filter or a column list there. */
  readonly restricted: boolean;
  /** It, or those of its partitions, whose replica identity is not FULL, as `schema.name`. */
  readonly withoutFullIdentity: readonly string[];
  /** All of those are tables that the role may alter. */
  readonly owned: boolean;
  /** Why no shape can be made on it, in one sentence; absent when one can, perhaps after the identity was set. */
  readonly problem: string | undefined;
}

export interface QuerySight {
  readonly server: ServerSight;
  readonly systemId: string | undefined;
  readonly role: RoleSight;
  /** As `schema.name`, those that the role may not read. */
  readonly unreadable: readonly string[];
  /** As `schema.name`, those that policies filter for the role. */
  readonly filtered: readonly string[];
}
