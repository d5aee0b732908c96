import type pg from 'pg';
import { ClauseEvaluationError } from '../errors.ts';
import {
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
  parseTimestamptz,
} from '../types/datetime.ts';
import { formatNumeric, type Numeric } from '../types/decimal.ts';
import type { Interval } from '../types/interval-value.ts';
import { decodeInterval, formatInterval } from '../types/interval.ts';
import type { Value } from '../types/value.ts';
import { DATETIME_FUNCTIONS } from './datetime.ts';

/** The functions of dates and times on the engine's side and on Postgres's, for tests that compare them. */

/** `error` where Postgres raises one, `undecided` where the engine does not say, `null`, or output text. */
export type Outcome = string;

export const SESSION = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1`;

export function argumentTypes(signature: string): readonly string[] {
  return signature.slice(signature.indexOf('(') + 1, -1).split(',');
}

/** Calls the function of this signature on operands given as wire text. */
export function evaluate(signature: string, operands: readonly string[], result: string): Outcome {
  const types = argumentTypes(signature);
  const call = DATETIME_FUNCTIONS[signature] as (...args: readonly Value[]) => Value | null;
  const args = operands.map((text, i) => decode(types[i] ?? '', text));
  try {
    const value = call(...args);
    return value === null ? 'null' : format(result, value);
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'error' : 'undecided';
    throw error;
  }
}

/** What Postgres makes of each row of operands. */
export async function ask(
  client: pg.Client,
  signature: string,
  rows: readonly (readonly string[])[],
): Promise<Outcome[]> {
  const types = argumentTypes(signature);
  const name = signature.slice(0, signature.indexOf('('));
  const args = types.map((type, i) => `$${i + 1}::${type}`).join(', ');
  const parameters = types.map(() => 'text').join(', ');
  await client.query(`CREATE OR REPLACE FUNCTION pg_temp.attempt(${parameters}) RETURNS text LANGUAGE plpgsql AS $f$
    BEGIN
      RETURN coalesce((pg_catalog."${name}"(${args}))::text, 'null');
    EXCEPTION WHEN others THEN
      IF SQLSTATE IN ('42883', '42601') THEN RAISE; END IF;
      RETURN 'error';
    END $f$`);
  const columns = types.map((_, i) => rows.map((row) => row[i]));
  const names = types.map((_, i) => `c${i}`).join(', ');
  const arrays = types.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const { rows: answers } = await client.query<{ r: string }>(
    `SELECT pg_temp.attempt(${names}) AS r FROM unnest(${arrays}) WITH ORDINALITY AS u(${names}, n) ORDER BY n`,
    columns,
  );
  return answers.map(({ r }) => r);
}

/** Result types by signature, as Postgres has them; short names. */
export async function resultTypes(client: pg.Client, signatures: readonly string[]): Promise<Map<string, string>> {
  const quoted = signatures.map((signature) => `pg_catalog."${signature.replace('(', '"(')}`);
  const { rows } = await client.query<{ signature: string; result: string | null }>(
    `SELECT signature, t.typname AS result
       FROM unnest($1::text[], $2::text[]) AS u(signature, quoted)
       LEFT JOIN pg_proc p ON p.oid = to_regprocedure(u.quoted) LEFT JOIN pg_type t ON t.oid = p.prorettype`,
    [signatures, quoted],
  );
  return new Map(rows.flatMap(({ signature, result }) => (result === null ? [] : [[signature, result]])));
}

function decode(type: string, text: string): Value {
  switch (type) {
    case 'date':
      return parseDate(text);
    case 'time':
      return parseTime(text);
    case 'timestamp':
      return parseTimestamp(text);
    case 'timestamptz':
      return parseTimestamptz(text);
    case 'interval':
      return decodeInterval(text);
    case 'int4':
    case 'float8':
      return Number(text);
    default:
      return text;
  }
}

function format(type: string, value: Value): string {
  switch (type) {
    case 'date':
      return formatDate(value as number);
    case 'time':
      return formatTime(value as number);
    case 'timestamp':
      return formatTimestamp(value as number, '');
    case 'timestamptz':
      return formatTimestamp(value as number, '+00');
    case 'interval':
      return formatInterval(value as Interval);
    case 'numeric':
      return formatNumeric(value as Numeric);
    case 'bool':
      return value === true ? 'true' : 'false';
    default:
      return float8Text(value as number);
  }
}

/** Shortest float8 output; exponents from 1e15 up and below 1e-4. */
function float8Text(value: number): string {
  const size = Math.abs(value);
  if (value === 0 || !Number.isFinite(value) || (size >= 1e-4 && size < 1e15))
    return Object.is(value, -0) ? '-0' : String(value);
  const [digits, exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
