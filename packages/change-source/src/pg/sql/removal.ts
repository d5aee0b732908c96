import pg from 'pg';
import { rowsOf, type Queryable } from './query.ts';

const { escapeIdentifier } = pg;

export async function dropPublication(db: Queryable, name: string): Promise<void> {
  await rowsOf(db, `drop publication if exists ${escapeIdentifier(name)}`);
}

/** Drops the slot if it is of this database: names are those of the whole server, and one of another database is not ours. */
export async function dropOwnSlot(db: Queryable, name: string): Promise<void> {
  await rowsOf(
    db,
    `with ours as materialized (
       select slot_name from pg_replication_slots where slot_name = $1 and database = current_database())
     select pg_drop_replication_slot(slot_name) from ours`,
    [name],
  );
}

/** Ends whoever reads from the slot, or makes it. Answers the backends. */
export async function terminateSlotUser(db: Queryable, slotName: string): Promise<number[]> {
  const rows = await rowsOf(
    db,
    `with users as materialized (
       select active_pid from pg_replication_slots
       where slot_name = $1 and active_pid is not null and database = current_database())
     select active_pid, pg_terminate_backend(active_pid) from users`,
    [slotName],
  );
  return rows.map(([pid]) => Number(pid));
}
