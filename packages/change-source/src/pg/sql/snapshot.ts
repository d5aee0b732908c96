import pg from 'pg';
import type { Lsn } from '@shapecast/log';
import type { SnapshotInfo, SnapshotRequest } from '../../change-source.ts';
import type { TextRow } from './query.ts';
import { DISPLAY_SETTINGS, requireLsn } from './replication.ts';

const { escapeIdentifier, escapeLiteral } = pg;

const CURSOR = 'shapecast_snapshot';

type Table = Pick<SnapshotRequest, 'schema' | 'table'>;

/**
 * Begins the snapshot transaction: display settings and limits for this transaction only (spec R 3.2.2, 10.5). The time
 * until the first row is limited by the server itself, which cancels the query.
 */
export function beginSnapshot(serverVersion: number, firstRowTimeoutMs: number): string {
  const settings = DISPLAY_SETTINGS.map(([name, value]) => `set local ${name} = ${escapeLiteral(value)}`);
  return [
    'begin isolation level repeatable read read only',
    ...settings,
    `set local statement_timeout = ${firstRowTimeoutMs}`,
    'set local idle_in_transaction_session_timeout = 0',
    ...(serverVersion >= 170000 ? ['set local transaction_timeout = 0'] : []),
  ].join('; ');
}

/** Opening the cursor fixes the snapshot and locks the table against being altered. `rest` follows the where clause. */
export function declareCursor(request: Table & Pick<SnapshotRequest, 'columns' | 'where'>, rest = ''): string {
  const columns = request.columns.map((column) => escapeIdentifier(column)).join(', ');
  const where = request.where === '' ? '' : ` where ${parenthesized(request.where)}`;
  return `declare ${CURSOR} no scroll cursor for select ${columns} from ${tableName(request)}${where}${rest}`;
}

/** On lines of its own, so that not even a comment could reach past the parenthesis. */
export function parenthesized(condition: string): string {
  return `(\n${condition}\n)`;
}

/**
 * Visibility of this transaction, an upper bound for the commits it sees, and the oid that now has the table's name. The
 * insert position, not the write position: with asynchronous commit a visible transaction may not be written yet (10.5.2).
 */
export function selectVisibility(request: Table): string {
  const oid = `to_regclass(${escapeLiteral(tableName(request))})::oid`;
  return `select s, pg_current_wal_insert_lsn(), ${oid} from pg_current_snapshot() s`;
}

export function parseVisibility(row: TextRow): { info: SnapshotInfo; oid: number | undefined } {
  const [snapshot, insertLsn, oid] = row;
  const [xmin = '', xmax = '', xip = ''] = (snapshot as string).split(':');
  const info = {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    xip: xip === '' ? [] : xip.split(',').map(BigInt),
    insertLsn: requireLsn(insertLsn) satisfies Lsn,
  };
  return { info, oid: oid ? Number(oid) : undefined };
}

/**
 * How many tables that hold rows were rewritten or truncated between the snapshot and the cursor's lock: the snapshot sees
 * nothing of their new files, because neither is done in a way that older snapshots could follow (Postgres manual, "Caveats"
 * of concurrency control). And how many rows the planner expects, and the bytes of the table itself if they matter. The
 * functions look at the catalog as it is now.
 */
export function selectTableState({ oid, keyset }: Pick<SnapshotRequest, 'oid' | 'keyset'>): string {
  return `with recursive below(oid) as (
      select ${oid}::oid union select i.inhrelid from below join pg_inherits i on i.inhparent = below.oid
    )
    select count(*) filter (where pg_relation_filenode(c.oid) is distinct from c.relfilenode),
      sum(c.reltuples) filter (where c.reltuples >= 0), ${keyset ? `pg_table_size(${oid}::oid)` : 0}
    from below join pg_class c on c.oid = below.oid where c.relkind = 'r'`;
}

export function parseTableState(row: TextRow): {
  readonly replaced: boolean;
  readonly estimatedRows?: number;
  readonly bytes: number;
} {
  const [replaced, rows, bytes] = row;
  return {
    replaced: replaced !== '0',
    ...(typeof rows === 'string' ? { estimatedRows: Number(rows) } : {}),
    bytes: Number(bytes ?? 0),
  };
}

/** The first row under the time limit, the rest of the batch without one; one round trip. */
export function fetchFirst(rows: number): string {
  return `fetch 1 from ${CURSOR}; set local statement_timeout = 0; fetch ${rows - 1} from ${CURSOR}`;
}

export function fetchMore(rows: number): string {
  return `fetch ${rows} from ${CURSOR}`;
}

export const READ_SERVER_VERSION = `select current_setting('server_version_num')`;

function tableName(request: Table): string {
  return `${escapeIdentifier(request.schema)}.${escapeIdentifier(request.table)}`;
}
