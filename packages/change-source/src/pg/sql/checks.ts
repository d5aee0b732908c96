import { rowOf, rowsOf, type Queryable } from './query.ts';

/** Statements that look whether a server is set up as it should be. Each reads only what any role may read. */

/** Free places for walsenders and slots, and settings that decide how long WAL is kept. Undefined: not known to this server. */
export interface ServerRoom {
  readonly maxReplicationSlots: number;
  readonly replicationSlots: number;
  readonly maxWalSenders: number;
  readonly walSenders: number;
  /** Megabytes; -1 is without limit. */
  readonly maxSlotWalKeepSize: number;
  /** Milliseconds; 0 is never. */
  readonly walSenderTimeout: number;
  /** Seconds; 0 is never. From 18. */
  readonly idleReplicationSlotTimeout: number | undefined;
}

export async function readServerRoom(db: Queryable): Promise<ServerRoom> {
  const row = await rowOf(
    db,
    `select current_setting('max_replication_slots'), (select count(*) from pg_replication_slots),
       current_setting('max_wal_senders'), (select count(*) from pg_stat_replication),
       (select setting from pg_settings where name = 'max_slot_wal_keep_size'),
       (select setting from pg_settings where name = 'wal_sender_timeout'),
       (select case unit when 'min' then setting::bigint * 60 else setting::bigint end
          from pg_settings where name = 'idle_replication_slot_timeout')`,
  );
  const [slots = 0, usedSlots = 0, senders = 0, usedSenders = 0, keepSize = 0, timeout = 0] = row.map(Number);
  return {
    maxReplicationSlots: slots,
    replicationSlots: usedSlots,
    maxWalSenders: senders,
    walSenders: usedSenders,
    maxSlotWalKeepSize: keepSize,
    walSenderTimeout: timeout,
    idleReplicationSlotTimeout: row[6] === null || row[6] === undefined ? undefined : Number(row[6]),
  };
}

/** Which database a connection reaches, and what decides how it prints values. */
export interface SessionFacts {
  readonly standby: boolean;
  readonly database: string;
  /** By name: settings that influence how values print and that no session of ours sets (spec R 10.4.2). */
  readonly settings: Readonly<Record<string, string>>;
}

const PRINTING = ['lc_monetary', 'xmlbinary', 'search_path', 'standard_conforming_strings'];

export async function readSessionFacts(db: Queryable): Promise<SessionFacts> {
  const settings = PRINTING.map((name) => `current_setting('${name}')`).join(', ');
  const [standby, database, ...values] = await rowOf(db, `select pg_is_in_recovery(), current_database(), ${settings}`);
  return {
    standby: standby === 't',
    database: database as string,
    settings: Object.fromEntries(PRINTING.map((name, index) => [name, values[index] as string])),
  };
}

export async function readDatabaseName(db: Queryable): Promise<string> {
  const [name] = await rowOf(db, 'select current_database()');
  return name as string;
}

/** Names the cluster of databases, also after a restart; a copy of the files has the same. Fails where a role may not read it. */
export async function readSystemIdentifier(db: Queryable): Promise<string> {
  const [identifier] = await rowOf(db, 'select system_identifier from pg_control_system()');
  return identifier as string;
}

/** Whether policies filter what this role reads of the table; false when it does not exist. */
export async function readsThroughPolicies(db: Queryable, oid: number): Promise<boolean> {
  const [row] = await rowsOf(db, 'select row_security_active(oid) from pg_class where oid = $1', [oid]);
  return row?.[0] === 't';
}
