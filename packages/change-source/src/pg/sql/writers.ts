import type { Writers } from '../../source-database.ts';
import { readXmax } from './catalog.ts';
import { rowsOf, type Queryable } from './query.ts';

const XIDS = 1n << 32n;

/**
 * Transactions that have written to the table or to one below it and have not ended, found by their locks: a transaction keeps
 * them until other sessions see what it did, also while its commit waits for a synchronous standby (spec R 10.6.7).
 *
 * Left out are those whose client is to say what comes next: they have not committed yet. Whose state may not be seen
 * (`pg_read_all_stats`) is taken for one that commits.
 */
export async function readUnfinished(db: Queryable, oid: number): Promise<Writers> {
  const rows = await rowsOf(
    db,
    `with recursive below(oid) as (
       select $1::oid union select i.inhrelid from below join pg_inherits i on i.inhparent = below.oid
     ), lock as materialized (
       select l.*, coalesce(a.state, '') like 'idle in transaction%' as open
       from pg_locks l left join pg_stat_activity a on a.pid = l.pid
       where l.granted and l.pid is distinct from pg_backend_pid()
     ), writer as (
       select distinct lock.virtualtransaction from lock join below on below.oid = lock.relation
       where lock.locktype = 'relation' and not lock.open
         and lock.database = (select d.oid from pg_database d where d.datname = current_database())
         and lock.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
     )
     select lock.transactionid, exists (select from writer w where w.virtualtransaction = lock.virtualtransaction)
     from lock where lock.locktype = 'transactionid' and lock.mode = 'ExclusiveLock'`,
    [oid],
  );
  // A statement of its own: a transaction that ended between this one's snapshot and its look at the locks is older than this.
  const xmax = await readXmax(db);
  const xids = rows.map(([xid, writes]) => ({ xid: widen(BigInt(xid as string), xmax), writes: writes === 't' }));
  const newest = xids.reduce((most, { xid }) => (xid > most ? xid : most), xmax - 1n);
  return { xids: xids.filter(({ writes }) => writes).map(({ xid }) => xid), newest };
}

/** Locks have 32 bits of an id; the 64-bit one is the nearest to a recent one (spec R 10.6.5). */
function widen(xid: bigint, near: bigint): bigint {
  return near + BigInt.asIntN(32, xid - (near % XIDS));
}
