import fc from 'fast-check';
import pg from 'pg';
import { expect } from 'vitest';
import { createDatabase, sharedPostgresUrl } from '@shapecast/testkit';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import type { Fn, Implementations } from '../functions/implementation.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/** How much the comparisons with Postgres try; both settings are for longer runs by hand. */
const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 150);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

const SETTINGS = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET bytea_output = 'hex';
  SET extra_float_digits = 1; SET IntervalStyle = 'iso_8601'; SET client_min_messages = error`;

/** Postgres, asked for the values of expressions. */
export interface FunctionOracle {
  readonly client: pg.Client;
  /**
   * Value of an expression over $1, $2, ... for many rows of them. The arguments have type text, so that the expression
   * casts them with the input function. `null`, `error`, or the value's wire text behind an equals sign.
   */
  ask(expression: string, rows: readonly (readonly (string | null)[])[]): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startFunctionOracle(): Promise<FunctionOracle> {
  const database = await createDatabase(process.env['SHAPECAST_ORACLE_URL'] ?? sharedPostgresUrl());
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(SETTINGS);
  return {
    client,
    ask: (expression, rows) => ask(client, expression, rows),
    stop: async () => {
      await client.end();
      await database.drop();
    },
  };
}

async function ask(
  client: pg.Client,
  expression: string,
  rows: readonly (readonly (string | null)[])[],
): Promise<string[]> {
  const places = (rows[0] ?? []).map((_, i) => i);
  const texts = places.map(() => 'text').join(', ');
  await client.query(`CREATE OR REPLACE FUNCTION pg_temp.attempt(${texts}) RETURNS text LANGUAGE plpgsql AS $f$
    BEGIN
      RETURN (SELECT CASE WHEN x IS NULL THEN 'null' ELSE concat('=', x) END FROM (SELECT ${expression} AS x OFFSET 0) AS s);
    EXCEPTION WHEN others THEN
      RETURN 'error';
    END $f$`);
  const names = places.map((i) => `a${i}`).join(', ');
  const arrays = places.map((i) => `$${i + 1}::text[]`).join(', ');
  const { rows: answers } = await client.query<{ r: string }>(
    `SELECT pg_temp.attempt(${names}) AS r FROM unnest(${arrays}) WITH ORDINALITY AS u(${names}, n) ORDER BY n`,
    places.map((i) => rows.map((row) => row[i])),
  );
  await client.query(`DROP FUNCTION pg_temp.attempt(${texts})`);
  return answers.map(({ r }) => r);
}

export function sample<T>(arbitrary: fc.Arbitrary<T>): T[] {
  return fc.sample(arbitrary, { numRuns: CASES, seed: SEED });
}

/** `compute` gives for every row of $1, $2, ... what Postgres makes of `expression`. */
export async function expectSame<T extends (string | null)[]>(
  oracle: FunctionOracle,
  expression: string,
  rows: readonly T[],
  compute: (...row: T) => string,
): Promise<void> {
  const expected = await oracle.ask(expression, rows);
  const ours = rows.map((row) => compute(...row));
  // Where we leave the answer to Postgres there is nothing to compare; that has to stay the exception.
  const decided = ours.map((one, i) => (one === 'undecided' ? expected[i] : one));
  expect({ expression, values: rows.map((row, i) => [...row, decided[i]]) }).toEqual({
    expression,
    values: rows.map((row, i) => [...row, expected[i]]),
  });
  expect(ours.filter((one) => one === 'undecided').length).toBeLessThanOrEqual(rows.length / 5);
}

/** What we compute, written as the oracle writes it; `undecided` where we leave the answer to Postgres. */
export function outcome(result: Type, compute: () => Value | null): string {
  try {
    const value = compute();
    return value === null ? 'null' : `=${result.format(value)}`;
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'error' : 'undecided';
    if (error instanceof InputError) return error.undecided ? 'undecided' : 'error';
    throw error;
  }
}

/** Outcome of a function whose arguments are read from text by their input functions. */
export function outcomeOf(
  functions: Implementations,
  signature: string,
  args: readonly Type[],
  result: Type,
  texts: readonly (string | null)[],
): string {
  return outcome(result, () => {
    const values = texts.map((text, i) => (text === null ? null : readArgument(args[i] as Type, text)));
    return callFunction(functions, signature, args, result, values);
  });
}

/** Literals of type json are not supported; its text is its value. */
function readArgument(type: Type, text: string): Value {
  return type.name === 'json' ? text : type.parse(text).value;
}

export function callFunction(
  functions: Implementations,
  signature: string,
  args: readonly Type[],
  result: Type,
  values: readonly (Value | null)[],
): Value | null {
  const implementation = functions[signature];
  if (implementation === undefined) throw new Error(`no function ${signature}`);
  const fn: Fn = typeof implementation === 'function' ? implementation : implementation.of(args, result);
  return (fn as (...all: readonly (Value | null)[]) => Value | null)(...values);
}

/** Keys that are not the signature of a Postgres function. */
export async function unknownSignatures(oracle: FunctionOracle, functions: Implementations): Promise<string[]> {
  const quoted = Object.keys(functions).map((signature) => {
    const open = signature.indexOf('(');
    const types = signature.slice(open + 1, -1).split(',');
    const names = types.map((name) => (name.endsWith('[]') ? `"${name.slice(0, -2)}"[]` : `"${name}"`));
    return `pg_catalog."${signature.slice(0, open)}"(${names.join(',')})`;
  });
  const { rows } = await oracle.client.query<{ missing: string }>(
    'SELECT s AS missing FROM unnest($1::text[]) AS s WHERE to_regprocedure(s) IS NULL',
    [quoted],
  );
  return rows.map(({ missing }) => missing);
}
