import pg from 'pg';
import { parseLsn, type Lsn } from '@shapecast/log';
import type { TimelineEnd } from '../../change-source.ts';
import { parseTimelineHistory } from '../replication/timeline-history.ts';
import { rowOf, rowsOf, type Queryable } from './query.ts';

const { escapeIdentifier, escapeLiteral } = pg;

/** Statements of a replication connection (`replication=database`): simple protocol, no bound values. */

export async function identifySystem(db: Queryable) {
  const [systemId, timeline, walLsn, database] = await rowOf(db, 'IDENTIFY_SYSTEM');
  return {
    systemId: systemId as string,
    timeline: Number(timeline),
    walLsn: requireLsn(walLsn),
    database: database as string,
  };
}

/** Version, backend, recovery state, `wal_level` and the walsender timeout in milliseconds (spec R 5 step 5). */
export async function readServerState(db: Queryable) {
  const [version, pid, standby, walLevel, timeout] = await rowOf(
    db,
    `select current_setting('server_version_num'), pg_backend_pid(), pg_is_in_recovery(), current_setting('wal_level'),
       (select setting from pg_settings where name = 'wal_sender_timeout')`,
  );
  return {
    version: Number(version),
    pid: Number(pid),
    standby: standby === 't',
    walLevel: walLevel as string,
    walSenderTimeoutMs: Number(timeout),
  };
}

export async function setWalSenderTimeout(db: Queryable, timeoutMs: number): Promise<void> {
  await rowsOf(db, `set wal_sender_timeout = '${timeoutMs}ms'`);
}

/** How a session prints values, so that stream and snapshots print alike (spec R 10.4.1). */
export const DISPLAY_SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['bytea_output', 'hex'],
  ['DateStyle', 'ISO, DMY'],
  ['TimeZone', 'UTC'],
  ['extra_float_digits', '1'],
  ['IntervalStyle', 'iso_8601'],
];

export async function setDisplaySetting(db: Queryable, name: string, value: string): Promise<void> {
  await rowsOf(db, `set ${name} = ${escapeLiteral(value)}`);
}

/** True when this session now holds the source's lock. The key is the one the reference uses (spec R 4.1). */
export async function tryLock(db: Queryable, slotName: string): Promise<boolean> {
  const [locked] = await rowOf(db, `select pg_try_advisory_lock(hashtext(${escapeLiteral(slotName)}))`);
  return locked === 't';
}

export interface NewSlot {
  /** Ends with the session (spec R 5.5). */
  readonly temporary: boolean;
  /** Kept by standbys too, from version 17 on (spec R 5.6). */
  readonly failover: boolean;
}

/** Blocks until every transaction that runs now has ended, which can take hours (spec R 5.2). */
export async function createSlot(db: Queryable, slotName: string, { temporary, failover }: NewSlot): Promise<Lsn> {
  const kind = temporary ? ' TEMPORARY' : '';
  // The form without parentheses is all that 14 knows, and the other one is all that knows FAILOVER.
  const options = failover ? `(SNAPSHOT 'nothing', FAILOVER)` : 'NOEXPORT_SNAPSHOT';
  const text = `CREATE_REPLICATION_SLOT ${escapeIdentifier(slotName)}${kind} LOGICAL pgoutput ${options}`;
  const [, consistentPoint] = await rowOf(db, text);
  return requireLsn(consistentPoint);
}

/** For a slot that was made before the setting. Needs version 17, and that nobody uses the slot. */
export async function keepSlotOnStandbys(db: Queryable, slotName: string): Promise<void> {
  await rowsOf(db, `ALTER_REPLICATION_SLOT ${escapeIdentifier(slotName)} (FAILOVER true)`);
}

/** Where the timelines before this one ended, from the server's history file; a first timeline has none. */
export async function readTimelineHistory(db: Queryable, timeline: number): Promise<TimelineEnd[]> {
  const [, content] = await rowOf(db, `TIMELINE_HISTORY ${timeline}`);
  return parseTimelineHistory(content ?? '');
}

/** The publication name stands inside an option that is itself a list of identifiers: quoted twice. */
export function startReplication(slotName: string, publicationName: string): string {
  const publications = escapeLiteral(escapeIdentifier(publicationName));
  return `START_REPLICATION SLOT ${escapeIdentifier(slotName)} LOGICAL 0/0 (proto_version '1', publication_names ${publications})`;
}

export function requireLsn(text: string | null | undefined): Lsn {
  const value = text ? parseLsn(text) : undefined;
  if (value === undefined) throw new Error(`Postgres answered '${text}' where an LSN was expected`);
  return value;
}
