import { rowOf, type Queryable } from './query.ts';

/** What a change of rows takes, and what leaves no trace in the catalog. */
const WEAK = `('AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'SIReadLock')`;

/**
 * Oids of the relations that a transaction has locked as everything does that changes a table in the catalog: its columns, its
 * key, what it is below, by what it is published. Undefined when the transaction is not seen running.
 *
 * `xid` is of 64 bits; the locks are read once, because two readings need not go together.
 */
export async function readDdlLocks(db: Queryable, xid: bigint): Promise<ReadonlySet<number> | undefined> {
  const [running, oids] = await rowOf(
    db,
    `with held as materialized (
       select locktype, virtualtransaction, transactionid, database, relation, mode from pg_locks where granted
     ),
     holder as (
       select virtualtransaction from held
       where locktype = 'transactionid' and mode = 'ExclusiveLock' and transactionid = $1::text::xid
     )
     select exists (select from holder), (
       select json_agg(distinct h.relation::bigint) from held h join holder using (virtualtransaction)
       where h.locktype = 'relation' and h.mode not in ${WEAK}
         and h.database = (select oid from pg_database where datname = current_database()))`,
    [String(xid & 0xffffffffn)],
  );
  if (running !== 't') return undefined;
  return new Set(typeof oids === 'string' ? (JSON.parse(oids) as number[]) : []);
}
