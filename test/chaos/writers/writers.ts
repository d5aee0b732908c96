import type { Client } from 'pg';
import type { Chance } from '../../support/chance.ts';
import { GROUPS, KEYS } from '../model/tables.ts';
import { insistently, isExpected, pause } from './connection.ts';

export interface Written {
  transactions: number;
  failed: number;
  /** Of 10,000 rows or more. */
  large: number;
  truncations: number;
  ddl: number;
}

/** Small transactions write to these. */
const SMALL = ['plain', 'parts', 'names'] as const;

/** Random small transactions until the signal aborts. The database may go away at any moment; what it refuses is not written. */
export async function writeUntil(
  databaseUrl: string,
  chance: Chance,
  written: Written,
  signal: AbortSignal,
): Promise<void> {
  await insistently(databaseUrl, signal, async (client) => {
    const statements = Array.from({ length: 1 + chance.int(5) }, () => change(chance));
    const plan = chance.next();
    await transaction(client, written, async () => {
      for (const [i, statement] of statements.entries()) {
        if (plan < 0.25) await client.query('savepoint s');
        await client.query(statement);
        if (plan < 0.25 && i % 2 === 1) await client.query('rollback to savepoint s');
      }
      if (plan > 0.95) await pause(chance.int(400), signal);
      return plan > 0.3 && plan < 0.36 ? 'rollback' : 'commit';
    });
    await pause(chance.int(60), signal);
  });
}

/** A transaction that touches 10,000 rows or more, now and then. */
export async function writeLargeUntil(
  databaseUrl: string,
  chance: Chance,
  written: Written,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  await insistently(databaseUrl, signal, async (client) => {
    await pause(everyMs / 2 + chance.int(everyMs), signal);
    if (signal.aborted) return;
    const rows = 10_000 + chance.int(4_000);
    const committed = await transaction(client, written, async () => {
      const { rowCount } = await client.query('select 1 from bulk limit 1');
      const insert = `insert into bulk select i, i % ${GROUPS}, ${chance.int(100)}, 'short ' || i from generate_series(1, ${rows}) i on conflict do nothing`;
      if (rowCount === 0) await client.query(insert);
      else if (chance.chance(0.5)) await client.query(`update bulk set n = ${chance.int(100)}`);
      else if (chance.chance(0.5))
        await client.query('update bulk set id = id + 20000 where id < 20000 and id % 2 = 0');
      else await client.query('delete from bulk');
      if (chance.chance(0.3)) await client.query(change(chance));
      return 'commit';
    });
    if (committed) written.large += 1;
  });
}

/** Empties a table now and then: the only thing that may end its shapes. */
export async function truncateUntil(
  databaseUrl: string,
  chance: Chance,
  written: Written,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  await insistently(databaseUrl, signal, async (client) => {
    await pause(everyMs / 2 + chance.int(everyMs), signal);
    if (signal.aborted) return;
    const table = chance.pick([...SMALL, 'bulk']);
    const together = chance.chance(0.3);
    await client.query(`set lock_timeout = '3s'`);
    const committed = await transaction(client, written, async () => {
      if (together) await client.query(change(chance));
      await client.query(`truncate ${table}`);
      if (table !== 'bulk') await client.query(seedRows(table, 50 + chance.int(100)));
      return 'commit';
    });
    if (committed) written.truncations += 1;
  });
}

/** Rows to begin with. */
export function seedRows(table: string, count: number): string {
  const id = table === 'names' ? `'name ' || i` : 'i';
  return `insert into ${table} select ${id}, i % ${GROUPS}, i % 100, 'short ' || i from generate_series(0, ${count - 1}) i`;
}

/** True when it was committed, as far as we were told. */
async function transaction(
  client: Client,
  written: Written,
  act: () => Promise<'commit' | 'rollback'>,
): Promise<boolean> {
  try {
    await client.query('begin');
    const end = await act();
    await client.query(end);
    written.transactions += 1;
    return end === 'commit';
  } catch (error) {
    written.failed += 1;
    await client.query('rollback');
    if (!isExpected(error)) throw error;
    return false;
  }
}

function change(chance: Chance): string {
  const table = chance.pick(SMALL);
  const number = chance.int(KEYS);
  const key = (n: number): string => (table === 'names' ? `'name ${n}'` : String(n));
  const group = chance.int(GROUPS);
  const n = chance.chance(0.2) ? 'null' : String(chance.int(100));
  const body = chance.pick([
    `'${'short '.repeat(chance.int(4))}'`,
    `'short ${chance.int(1e6)}'`,
    'null',
    // Stored apart, so that updates of other columns come without it.
    `(select string_agg(md5(i::text || ${chance.int(1e6)}), '') from generate_series(1, 150) i)`,
  ]);
  const kind = chance.next();
  if (kind < 0.3) return `insert into ${table} values (${key(number)}, ${group}, ${n}, ${body}) on conflict do nothing`;
  if (kind < 0.45) return `update ${table} set body = ${body} where id = ${key(number)}`;
  if (kind < 0.58) return `update ${table} set n = ${n} where grp = ${group} and n % 7 = ${chance.int(7)}`;
  // In `parts` it moves the row to another partition.
  if (kind < 0.7) return `update ${table} set grp = ${group} where id = ${key(number)}`;
  if (kind < 0.8) return `update ${table} set id = ${key(chance.int(KEYS))} where id = ${key(number)}`;
  if (kind < 0.97) return `delete from ${table} where id = ${key(number)}`;
  return `insert into ${table} select ${table === 'names' ? `'name ' || i` : 'i'}, i % ${GROUPS}, ${n}, ${body} from generate_series(0, ${KEYS - 1}, ${2 + chance.int(6)}) i on conflict do nothing`;
}
