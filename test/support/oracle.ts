import { Client } from 'pg';
import type { Chance } from './chance.ts';
import { anyCell, CELL_NAMES, oracleTableSql } from './oracle-columns.ts';

export { Chance } from './chance.ts';
export { ORACLE_COLUMNS } from './oracle-columns.ts';

/** Keys are 0 .. KEYS-1, so that inserts, updates and deletes meet. */
const KEYS = 400;

/** A table with a column of every type that clauses know, and the types it uses. */
export async function createOracleTable(client: Client, table: string): Promise<void> {
  await client.query(oracleTableSql(table));
}

export interface WriterStats {
  transactions: number;
  changes: number;
}

/**
 * Commits random transactions until the signal aborts: inserts, updates of few or many columns (also to and from NULL), updates
 * that leave a value out of line, key changes, deletes, rollbacks, savepoints, and now and then a pause while it is open.
 */
export async function writeRandomly(
  databaseUrl: string,
  table: string,
  chance: Chance,
  stats: WriterStats,
  signal: AbortSignal,
): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    while (!signal.aborted) {
      await client.query('begin');
      const changes = 1 + chance.int(8);
      for (let i = 0; i < changes; i += 1) {
        await client.query('savepoint s');
        try {
          await randomStatement(client, table, chance);
          if (chance.chance(0.1)) await client.query('rollback to savepoint s');
        } catch (error) {
          // A key taken by a concurrent writer, or a deadlock: the savepoint undoes it.
          if ((error as { code?: string }).code === '40P01') throw error;
          await client.query('rollback to savepoint s');
        }
        stats.changes += 1;
      }
      if (chance.chance(0.05)) await new Promise((resolve) => setTimeout(resolve, 50 + chance.int(200)));
      await client.query(chance.chance(0.08) ? 'rollback' : 'commit');
      stats.transactions += 1;
      await new Promise((resolve) => setTimeout(resolve, chance.int(15)));
    }
  } catch (error) {
    if ((error as { code?: string }).code !== '40P01') throw error;
    await client.query('rollback');
    if (!signal.aborted) return await writeRandomly(databaseUrl, table, chance, stats, signal);
  } finally {
    await client.end();
  }
}

async function randomStatement(client: Client, table: string, chance: Chance): Promise<void> {
  const id = chance.int(KEYS);
  const kind = chance.next();
  if (kind < 0.35) {
    const cells = CELL_NAMES.map((name) => anyCell(name, chance));
    const places = cells.map((_, i) => `$${i + 2}`).join(', ');
    const text = `insert into ${table} (id, ${quoted(CELL_NAMES)}) values ($1, ${places}) on conflict (id) do nothing`;
    await client.query(text, [id, ...cells]);
  } else if (kind < 0.75) {
    const names = chance.shuffle(CELL_NAMES).slice(0, 1 + chance.int(chance.chance(0.3) ? CELL_NAMES.length : 4));
    const assignments = names.map((name, i) => `"${name}" = $${i + 3}`).join(', ');
    const cells = names.map((name) => anyCell(name, chance));
    const text = `update ${table} set ${assignments} where id between $1 and $2`;
    await client.query(text, [id, id + chance.pick([0, 0, 1, 5]), ...cells]);
  } else if (kind < 0.8) {
    await client.query(`update ${table} set id = $2 where id = $1`, [id, chance.int(KEYS)]);
  } else if (kind < 0.85) {
    await client.query(`update ${table} set grp = grp where id between $1 and $1 + 20`, [id]);
  } else {
    await client.query(`delete from ${table} where id = $1`, [id]);
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
