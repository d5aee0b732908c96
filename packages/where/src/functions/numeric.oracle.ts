import fc from 'fast-check';
import type pg from 'pg';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import { decodeNumeric, formatNumeric, parseNumericLiteral, type Numeric } from '../types/decimal.ts';
import { formatFloat, parseFloatLiteral, parseInteger } from '../types/numbers.ts';
import type { Value } from '../types/value.ts';
import { NUMERIC_FUNCTIONS } from './numeric.ts';
import { anyNumberText, anyOperands, type NumberType } from './numeric.arbitrary.ts';

/** What a comparison with Postgres came to. */
interface Comparison {
  readonly compared: number;
  readonly undecided: number;
  /** Where the two differ, as readable text. */
  readonly different: readonly string[];
}

interface Signature {
  readonly text: string;
  readonly name: string;
  readonly args: readonly NumberType[];
}

/** Keys of NUMERIC_FUNCTIONS taken apart. */
export function signatures(): readonly Signature[] {
  return Object.keys(NUMERIC_FUNCTIONS).map((text) => {
    const at = text.indexOf('(');
    return { text, name: text.slice(0, at), args: text.slice(at + 1, -1).split(',') as NumberType[] };
  });
}

/** Calls the function with `cases` random lists of operands, here and in Postgres. */
export async function compareFunction(
  client: pg.Client,
  { text, name, args }: Signature,
  { cases, seed }: { readonly cases: number; readonly seed: number },
): Promise<Comparison> {
  const result = await resultType(client, name, args);
  const places = args.map((_, i) => `$${i + 1}`).join(', ');
  await client.query(
    `CREATE OR REPLACE FUNCTION try_call(${args.join(', ')}) RETURNS text LANGUAGE plpgsql AS $f$
     BEGIN RETURN coalesce(pg_catalog."${name}"(${places})::text, 'null');
     EXCEPTION WHEN others THEN RETURN 'error'; END $f$`,
  );
  const operands = fc.sample(anyOperands(text, args), { numRuns: cases, seed }).filter((one) => readable(args, one));
  const columns = args.map((_, i) => operands.map((one) => one[i] as string));
  const names = args.map((_, i) => `a${i}`);
  const answer = await client.query<{ v: string }>(
    `SELECT try_call(${names.map((one, i) => `${one}::${args[i]}`).join(', ')}) AS v
     FROM unnest(${args.map((_, i) => `$${i + 1}::text[]`).join(', ')}) WITH ORDINALITY AS t(${names.join(', ')}, n) ORDER BY n`,
    columns,
  );
  await client.query(`DROP FUNCTION try_call(${args.join(', ')})`);
  return tally(
    operands.map((one) => `${text} of ${one.join(' and ')}`),
    answer.rows.map((row) => row.v),
    operands.map((one) => () => call(text, args, result, one)),
  );
}

/** Reads random text as numbers of one type, here and in Postgres. */
export async function compareInput(
  client: pg.Client,
  type: NumberType,
  { cases, seed }: { readonly cases: number; readonly seed: number },
): Promise<Comparison> {
  await client.query(
    `CREATE OR REPLACE FUNCTION try_input(text) RETURNS text LANGUAGE plpgsql AS $f$
     BEGIN RETURN $1::${type}::text; EXCEPTION WHEN others THEN RETURN 'error'; END $f$`,
  );
  const texts = fc.sample(anyNumberText, { numRuns: cases, seed });
  const answer = await client.query<{ v: string }>(
    'SELECT try_input(a) AS v FROM unnest($1::text[]) WITH ORDINALITY AS t(a, n) ORDER BY n',
    [texts],
  );
  return tally(
    texts.map((text) => `${type} from ${JSON.stringify(text)}`),
    answer.rows.map((row) => row.v),
    texts.map((text) => () => format(type, read(type, text))),
  );
}

function tally(names: readonly string[], expected: readonly string[], compute: readonly (() => string)[]): Comparison {
  const different: string[] = [];
  let undecided = 0;
  for (const [i, name] of names.entries()) {
    const got = outcome(compute[i] as () => string);
    if (got === 'undecided') undecided++;
    else if (got !== expected[i]) different.push(`${name}: ${got} instead of ${expected[i]}`);
  }
  return { compared: names.length, undecided, different };
}

function outcome(compute: () => string): string {
  try {
    return compute();
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'error' : 'undecided';
    if (error instanceof InputError) return error.undecided ? 'undecided' : 'error';
    throw error;
  }
}

function call(text: string, args: readonly NumberType[], result: NumberType, operands: readonly string[]): string {
  const fn = NUMERIC_FUNCTIONS[text] as (...values: readonly Value[]) => Value | null;
  const value = fn(...operands.map((operand, i) => read(args[i] as NumberType, operand)));
  return value === null ? 'null' : format(result, value);
}

function readable(args: readonly NumberType[], operands: readonly string[]): boolean {
  return operands.every((operand, i) => outcome(() => (read(args[i] as NumberType, operand), 'value')) === 'value');
}

function read(type: NumberType, text: string): Value {
  switch (type) {
    case 'bool':
      return text === 'true';
    case 'int2':
    case 'int4':
    case 'int8':
      return parseInteger(type, text);
    case 'float4':
    case 'float8':
      return parseFloatLiteral(type, text);
    case 'numeric':
      return parseNumericLiteral(text).value;
  }
}

/** Output text; a numeric must also survive the way back from the wire. */
function format(type: NumberType, value: Value): string {
  if (type === 'float4' || type === 'float8') return formatFloat(type, value as number);
  if (type !== 'numeric' && typeof value !== 'object') return Object.is(value, -0) ? 'negative zero' : String(value);
  const text = formatNumeric(value as Numeric);
  return formatNumeric(decodeNumeric(text)) === text && !Object.is(value, -0) ? text : `${text}, not stable`;
}

async function resultType(client: pg.Client, name: string, args: readonly NumberType[]): Promise<NumberType> {
  const { rows } = await client.query<{ type: NumberType }>(
    `SELECT t.typname AS type FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
     WHERE p.proname = $1 AND p.pronamespace = 'pg_catalog'::regnamespace AND p.proisstrict AND p.provolatile = 'i'
       AND ARRAY(SELECT typname::text FROM unnest(p.proargtypes) WITH ORDINALITY AS a(o, n) JOIN pg_type ON oid = o ORDER BY n) = $2::text[]`,
    [name, args],
  );
  if (rows[0] === undefined) throw new Error(`pg_proc has no ${name}(${args.join(',')})`);
  return rows[0].type;
}
