import { Client } from 'pg';

/** A seeded generator (mulberry32): the same seed gives the same run. */
export class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  /** 0 .. n-1 */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }
  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)] as T;
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
}

/** A table with every column type that clauses of this suite compare. */
export const ORACLE_COLUMNS = ['id', 'grp', 'name', 'flag', 'ref', 'at', 'big'] as const;

export async function createOracleTable(client: Client, table: string): Promise<void> {
  await client.query(
    `create table ${table} (id int primary key, grp int, name text, flag bool, ref uuid, at timestamptz, big int8)`,
  );
}

const NAMES = ['alpha', 'beta', 'gamma', 'Delta', 'al%pha', 'a_b', '', "o'hara", 'été', 'x/y'] as const;
const UUIDS = [1, 2, 3, 4].map((n) => `00000000-0000-4000-8000-00000000000${n}`);
const TIMES = [
  '2026-01-01 00:00:00+00',
  '2026-06-15 12:30:00.5+02',
  '1999-12-31 23:59:59+00',
  '2026-01-01 00:00:01+00',
];
const BIGS = ['0', '-1', '9007199254740993', '9223372036854775807', '42'];

function orNull<T>(chance: Chance, value: T): T | null {
  return chance.chance(0.15) ? null : value;
}

function randomCells(chance: Chance): unknown[] {
  return [
    orNull(chance, chance.int(6)),
    orNull(chance, chance.pick(NAMES)),
    orNull(chance, chance.chance(0.5)),
    orNull(chance, chance.pick(UUIDS)),
    orNull(chance, chance.pick(TIMES)),
    orNull(chance, chance.pick(BIGS)),
  ];
}

/** A random clause over the oracle table, two levels deep at most. */
export function randomClause(chance: Chance, depth = 2): string {
  if (depth > 0 && chance.chance(0.45)) {
    const left = randomClause(chance, depth - 1);
    const right = randomClause(chance, depth - 1);
    return chance.pick([`(${left}) AND (${right})`, `(${left}) OR (${right})`, `NOT (${left})`]);
  }
  const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
  return chance.pick([
    `grp = ${chance.int(6)}`,
    `grp IN (${chance.int(6)}, ${chance.int(6)})`,
    `grp ${chance.pick(['<', '>', '<=', '>=', '<>'])} ${chance.int(6)}`,
    `id < ${chance.int(400)}`,
    `name = ${quote(chance.pick(NAMES))}`,
    `name LIKE ${quote(chance.pick(['al%', '%a', '_eta', '%']))}`,
    `name IS NULL`,
    `name > ${quote(chance.pick(NAMES))}`,
    `name ILIKE ${quote(chance.pick(['AL%', '%É%', 'delta']))}`,
    `flag`,
    `flag IS NOT NULL`,
    `ref = ${quote(chance.pick(UUIDS))}`,
    `ref IN (${quote(chance.pick(UUIDS))}, ${quote(chance.pick(UUIDS))})`,
    `at > ${quote(chance.pick(TIMES))}`,
    `at = ${quote(chance.pick(TIMES))}`,
    `big >= ${chance.pick(BIGS)}`,
    `big NOT IN (${chance.pick(BIGS)}, ${chance.pick(BIGS)})`,
  ]);
}

export interface WriterStats {
  transactions: number;
  changes: number;
}

/**
 * Commits random transactions until the signal aborts: inserts, updates, deletes, moves between groups, key changes,
 * rollbacks, savepoints, and now and then a pause inside an open transaction.
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
  const id = chance.int(400);
  const cells = randomCells(chance);
  const kind = chance.next();
  if (kind < 0.35) {
    await client.query(
      `insert into ${table} (id, grp, name, flag, ref, at, big) values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`,
      [id, ...cells],
    );
  } else if (kind < 0.6) {
    await client.query(`update ${table} set grp = $2, name = $3, flag = $4 where id = $1`, [id, ...cells.slice(0, 3)]);
  } else if (kind < 0.75) {
    await client.query(`update ${table} set ref = $2, at = $3, big = $4 where id between $1 and $1 + 5`, [
      id,
      ...cells.slice(3),
    ]);
  } else if (kind < 0.8) {
    await client.query(`update ${table} set id = $2 where id = $1`, [id, chance.int(400)]);
  } else if (kind < 0.85) {
    await client.query(`update ${table} set grp = grp where id between $1 and $1 + 20`, [id]);
  } else {
    await client.query(`delete from ${table} where id = $1`, [id]);
  }
}
