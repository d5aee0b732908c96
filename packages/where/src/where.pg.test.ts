import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import type { Cell } from '@shapecast/log';
import { anyClause, anyKeyedClause, anyRow, TEST_COLUMNS, type TestRow } from './testing/clause.arbitrary.ts';
import type { ClauseColumn, ColumnCollation } from './column.ts';
import { ClauseEvaluationError } from './errors.ts';
import { compileClause, parseWhere } from './parse-where.ts';

/** The engine against Postgres itself: same clause, same row, same answer (spec W 10.1). */

const CLAUSES = Number(process.env['SHAPECAST_ORACLE_CLAUSES'] ?? 300);
const ROWS = 40;
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

let database: TestDatabase;
let client: pg.Client;
/** What Postgres made of the rows we inserted, as wire text; `s[0]` is the row with id 0. */
let rows: readonly TestRow[];
let columns: readonly ClauseColumn[];

beforeAll(async () => {
  database = await createDatabase(sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(
    `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET bytea_output = 'hex'; SET extra_float_digits = 1`,
  );
  const definitions = TEST_COLUMNS.map(({ name, sql }) => `${quote(name)} ${sql}`);
  await client.query(`CREATE TABLE t (${definitions.join(', ')})`);
  // A statement that fails for one row must not fail the others.
  await client.query(`CREATE FUNCTION try_eval(clause text, rid int) RETURNS text LANGUAGE plpgsql AS $f$
    DECLARE r text;
    BEGIN
      EXECUTE format('SELECT (%s)::text FROM t WHERE id = %s', clause, rid) INTO r;
      RETURN coalesce(r, 'null');
    EXCEPTION WHEN others THEN RETURN 'error ' || SQLSTATE;
    END $f$`);
  rows = await insertRows();
  const locale = await client.query<{ collate: string; ctype: string }>(
    'SELECT datcollate AS collate, datctype AS ctype FROM pg_database WHERE datname = current_database()',
  );
  const collation = { provider: 'libc', deterministic: true, ...locale.rows[0] } as ColumnCollation;
  columns = TEST_COLUMNS.map((one) => (one.collation === undefined ? one : { ...one, collation }));
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test('evaluates random clauses on random rows as Postgres does', async () => {
  const clauses = fc.sample(fc.oneof(anyClause, anyKeyedClause), { numRuns: CLAUSES, seed: SEED });
  const seen = { true: 0, false: 0, null: 0, error: 0, refused: 0 };
  for (const clause of clauses) {
    const parsed = parseWhere(clause, {}, columns);
    if (!parsed.ok) {
      seen.refused++;
      continue;
    }
    const evaluate = compileClause(parsed.clause, columns);
    const expected = await ask(clause);
    const canonical = await ask(parsed.clause.sql);
    for (const [i, row] of rows.entries()) {
      const got = outcome(() => evaluate(row));
      const context = { clause, sql: parsed.clause.sql, row: named(row, parsed.clause.columns) };
      expect({ ...context, value: got }).toEqual({ ...context, value: expected[i] });
      expect({ ...context, value: canonical[i] }).toEqual({ ...context, value: expected[i] });
      seen[got as keyof typeof seen]++;
    }
  }
  for (const value of ['true', 'false', 'null'] as const) expect(seen[value]).toBeGreaterThan(1000);
  expect(seen.refused).toBeLessThan(CLAUSES / 3);
});

test('takes no clause that Postgres refuses', async () => {
  const clauses = fc.sample(anyClause, { numRuns: CLAUSES, seed: SEED + 1 });
  const mutate = fc.sample(
    fc.tuple(fc.nat(), fc.constantFrom('', ' 1 ', ' NULL ', "'x'", ' s ', ' i4 ', '::int4', ' AND ', '=')),
    {
      numRuns: CLAUSES,
      seed: SEED,
    },
  );
  const accepted: string[] = [];
  for (const [i, clause] of clauses.entries()) {
    const [place, piece] = mutate[i] as [number, string];
    const at = place % (clause.length + 1);
    const text = clause.slice(0, at) + piece + clause.slice(at + (place % 3));
    if (!parseWhere(text, {}, columns).ok) continue;
    await client.query(`SELECT 1 FROM t WHERE ${text} LIMIT 0`).catch((error: Error) => {
      accepted.push(`${text}: ${error.message}`);
    });
  }
  expect(accepted).toEqual([]);
});

async function ask(clause: string): Promise<string[]> {
  try {
    const result = await client.query<{ v: string }>({
      text: `SELECT coalesce((${clause})::text, 'null') AS v FROM t ORDER BY t.id`,
    });
    return result.rows.map((row) => row.v);
  } catch {
    const result = await client.query<{ v: string }>('SELECT try_eval($1, id) AS v FROM t ORDER BY t.id', [clause]);
    return result.rows.map((row) => (row.v.startsWith('error') ? 'error' : row.v));
  }
}

async function insertRows(): Promise<TestRow[]> {
  const names = TEST_COLUMNS.map(({ name }) => quote(name)).join(', ');
  for (const [i, row] of fc.sample(anyRow, { numRuns: ROWS, seed: SEED }).entries()) {
    const values = [i, ...row.slice(1)];
    const places = values.map((_, place) => `$${place + 1}`).join(', ');
    await client.query(`INSERT INTO t (${names}) VALUES (${places})`, values);
  }
  // concat() keeps the padding of char(n); booleans as the stream has them.
  const texts = TEST_COLUMNS.map(({ name, typeOid }) => {
    const column = quote(name);
    if (typeOid === 16) return `CASE WHEN ${column} THEN 't' WHEN NOT ${column} THEN 'f' END`;
    return typeOid === 1042 ? `CASE WHEN ${column} IS NOT NULL THEN concat(${column}, '') END` : `${column}::text`;
  });
  // `t.id`: plain `id` would be the first output column, which is text.
  const result = await client.query<Cell[]>({
    text: `SELECT ${texts.join(', ')} FROM t ORDER BY t.id`,
    rowMode: 'array',
  });
  return result.rows;
}

function outcome(evaluate: () => boolean | null): string {
  try {
    return String(evaluate());
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'error' : 'undecided';
    throw error;
  }
}

function named(row: TestRow, names: readonly string[]): Record<string, Cell> {
  const cells = TEST_COLUMNS.map(({ name }, i) => [name, row[i] ?? null] as const);
  return Object.fromEntries(cells.filter(([name]) => names.includes(name)));
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
