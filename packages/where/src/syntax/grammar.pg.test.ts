import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { ClauseRefusal } from '../errors.ts';
import {
  anyFlatText,
  anyGrammaticalText,
  anyMutatedText,
  anyNumberText,
  anyQuotedText,
  anyTokens,
  OVERLOADED_OPERATORS,
} from './clause-text.arbitrary.ts';
import { AS_ONLY, isColumnWord, isFunctionWord } from './keywords.ts';
import { Lexer, type Token } from './lexer.ts';
import { CLIENT_LIMITS, parseClause } from './parser.ts';
import { printSyntax } from './print-syntax.ts';
import type { Syntax } from './syntax.ts';

/** The parser against the grammar of Postgres: the same texts parse, and to the same trees (spec W 1.1). */

const TEXTS = Number(process.env['SHAPECAST_GRAMMAR_TEXTS'] ?? 2000);
/** Each of them makes two views. */
const GROUPED_TEXTS = TEXTS / 4;
const SEED = Number(process.env['SHAPECAST_GRAMMAR_SEED'] ?? 1);

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase(sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test.each([
  ['that follow the grammar', anyGrammaticalText],
  ['of the grammar with mistakes in them', anyMutatedText],
  ['of tokens in any order', anyTokens],
])('parses the texts that Postgres parses, among those %s', async (_, texts) => {
  const seen = { parsed: 0, refused: 0, sameRefusal: 0 };
  for (const text of fc.sample(texts, { numRuns: TEXTS, seed: SEED })) {
    // Postgres parses every statement of the text, the parser the first.
    if (text.includes(';')) continue;
    const ours = outcome(text);
    const theirs = await syntaxErrorOf(text);
    // What is refused on sight, or skipped because it will be, may be anything.
    if (ours === 'unsupported') continue;
    // The names a SELECT gives its columns may be keywords that are operators elsewhere.
    const isAlias = ours !== 'parsed' && theirs === 'none' && /select/i.test(text);
    // Postgres takes no keyword as a field of EXTRACT; to us one is a field that does not exist.
    const isField = /extract\s*\(\s*\w/i.test(text) && ours === 'parsed' && theirs !== 'none';
    if (!isAlias && !isField) expect({ text, parses: ours === 'parsed' }).toEqual({ text, parses: theirs === 'none' });
    if (ours === 'parsed') seen.parsed++;
    else seen.refused++;
    if (ours === theirs) seen.sameRefusal++;
  }
  expect(seen.parsed).toBeGreaterThan(TEXTS / 40);
  expect(seen.refused).toBeGreaterThan(TEXTS / 10);
  expect(seen.sameRefusal / seen.refused).toBeGreaterThan(0.95);
});

test('knows what the keywords of Postgres may name', async () => {
  const { rows } = await client.query<{ word: string; class: string; label: boolean }>(
    'SELECT word, catcode AS class, barelabel AS label FROM pg_get_keywords()',
  );
  expect(rows.length).toBeGreaterThan(400);
  for (const { word, class: of, label } of rows) {
    const expected = { word, column: of === 'U' || of === 'C', function: of === 'U' || of === 'T', label };
    const known = { column: isColumnWord(word), function: isFunctionWord(word), label: !AS_ONLY.has(word) };
    expect({ word, ...known }).toEqual(expected);
  }
});

test('reads strings, names and numbers as Postgres does', async () => {
  const seen = { read: 0, refused: 0 };
  const texts = fc.oneof({ weight: 3, arbitrary: anyQuotedText }, anyNumberText);
  for (const text of fc.sample(texts, { numRuns: TEXTS, seed: SEED })) {
    const ours = constantOf(text);
    if (ours === 'several') continue;
    expect({ text, value: await theirConstant(text, ours) }).toEqual({ text, value: ours?.text });
    if (ours === undefined) seen.refused++;
    else seen.read++;
  }
  expect(seen.read).toBeGreaterThan(TEXTS / 4);
  expect(seen.refused).toBeGreaterThan(TEXTS / 10);
});

test('groups operators as Postgres does', async () => {
  await createOverloads();
  let compared = 0;
  for (const text of fc.sample(anyFlatText, { numRuns: GROUPED_TEXTS, seed: SEED })) {
    const ours = outcome(text);
    const theirs = await viewOf(text);
    expect({ text, parses: ours === 'parsed' }).toEqual({ text, parses: theirs !== undefined });
    if (theirs === undefined) continue;
    const printed = printSyntax(parseClause(text, CLIENT_LIMITS));
    expect({ text, printed, view: await viewOf(printed) }).toEqual({ text, printed, view: theirs });
    compared++;
  }
  expect(compared).toBeGreaterThan(GROUPED_TEXTS / 4);
});

/** `parsed`, `unsupported`, or the syntax error with its place in the clause. */
function outcome(text: string): string {
  try {
    return hasSkippedText(parseClause(text, CLIENT_LIMITS)) ? 'unsupported' : 'parsed';
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
    return error.kind === 'syntax' ? `${[...text.slice(0, error.at)].length}: ${error.message}` : 'unsupported';
  }
}

function hasSkippedText(syntax: Syntax): boolean {
  return /"(otherClauses|distinct)":true/.test(JSON.stringify(syntax));
}

/** The only token of a text; undefined when the text is refused. */
function constantOf(text: string): Token | 'several' | undefined {
  try {
    const lexer = new Lexer(text);
    const token = lexer.next();
    return lexer.next().kind === 'end' ? token : 'several';
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
    return undefined;
  }
}

/** What Postgres makes of a text; `ours` if that is a number of the same type and value. */
async function theirConstant(text: string, ours: Token | undefined): Promise<string | undefined> {
  try {
    if (/^(u&)?"/i.test(text)) return (await client.query(`SELECT 1 AS ${text}`)).fields[0]?.name;
    const { rows } = await client.query<{ v: string }>(`SELECT (${text}\n)::text AS v`);
    const isNumber = ours?.kind === 'integer' || ours?.kind === 'decimal';
    if (!isNumber) return rows[0]?.v;
    const same = await client.query<{ same: boolean }>(
      `SELECT pg_typeof(${text}) = pg_typeof(${ours.text}) AND ${text} = ${ours.text} AS same`,
    );
    return same.rows[0]?.same === true ? ours.text : rows[0]?.v;
  } catch {
    return undefined;
  }
}

const WRAPPER = 'SELECT 1 WHERE ';
/** Refusals of the scanner and the grammar; analysis uses their error code, too. */
const GRAMMAR_ERROR =
  /^(syntax error at|unterminated|zero-length|trailing junk|operator too long|invalid (Unicode|hex|octal|binary|byte)|improper use|wrong number of parameters|UESCAPE)/;

async function syntaxErrorOf(text: string): Promise<string> {
  try {
    await client.query(WRAPPER + text);
    return 'none';
  } catch (error) {
    const { message, position } = error as pg.DatabaseError;
    if (!GRAMMAR_ERROR.test(message)) return 'none';
    return `${Number(position) - 1 - WRAPPER.length}: ${message}`;
  }
}

/** An expression over columns a to d as Postgres writes it, every operation in parentheses; undefined if it does not parse. */
async function viewOf(expression: string): Promise<string | undefined> {
  try {
    await client.query(`CREATE OR REPLACE VIEW grouped AS SELECT (${expression})::bool AS v FROM operands`);
  } catch (error) {
    const { message } = error as pg.DatabaseError;
    if (GRAMMAR_ERROR.test(message)) return undefined;
    throw new Error(`${expression}: ${message}`, { cause: error });
  }
  const result = await client.query<{ v: string }>(`SELECT pg_get_viewdef('grouped') AS v`);
  return result.rows[0]?.v;
}

/**
 * A type with every operator that is a boolean where one is wanted, and booleans with every operator: then all that parses
 * has a meaning.
 */
async function createOverloads(): Promise<void> {
  await client.query(`
    CREATE TYPE x AS ENUM ();
    CREATE FUNCTION f(x, x) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION f(x, bool) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION f(bool, bool) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION f(bool, x) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION f(bool) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION f(x) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION to_bool(x) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION to_x(bool) RETURNS x LANGUAGE sql IMMUTABLE AS 'SELECT NULL::x';
    CREATE CAST (x AS bool) WITH FUNCTION to_bool(x) AS IMPLICIT;
    CREATE CAST (bool AS x) WITH FUNCTION to_x(bool) AS IMPLICIT;
    CREATE TABLE operands (a x, b x, c x, d x);`);
  for (const right of ['x', 'bool']) {
    for (const op of OVERLOADED_OPERATORS.prefix) {
      await client.query(`CREATE OPERATOR ${op} (RIGHTARG = ${right}, FUNCTION = f)`);
    }
    for (const left of ['x', 'bool']) {
      for (const op of OVERLOADED_OPERATORS.infix) {
        await client.query(`CREATE OPERATOR ${op} (LEFTARG = ${left}, RIGHTARG = ${right}, FUNCTION = f)`);
      }
    }
  }
}
