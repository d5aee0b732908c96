import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import { parseBool, parseBytea, parseUuid } from '../types/text.ts';
import type { Type } from '../types/type.ts';
import { type } from '../types/types.ts';
import type { Value } from '../types/value.ts';
import { lowerText, upperText, type CaseFold } from './case-mapping.ts';
import type { Fn } from './implementation.ts';
import { compileLike } from './like.ts';
import { ASCII_CASE_FUNCTIONS, TEXT_FUNCTIONS } from './text.ts';

/** Functions and patterns against Postgres itself. Both settings are for longer runs by hand. */
const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 150);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  const { SHAPECAST_ORACLE_URL } = process.env;
  database = await createDatabase(SHAPECAST_ORACLE_URL ?? sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`SET bytea_output = 'hex'`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

const character = fc.constantFrom(
  ...['a', 'b', 'c', 'A', 'B', ' ', '%', '_', '\\', "'", '"', '\n', '\t', ',', '0', 'x', 'é', 'É', 'ß', '\u0301'],
  ...['😀', '🙂', '\uFFEE', 'Σ', 'ς', 'İ', 'ı', 'ﬁ', 'ᾳ', '\u{10400}', 'Ǆ', '$', '&', '!'],
);
const anyText = fc.oneof(
  fc.string({ unit: character, maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 8 }),
  fc.constantFrom(...['', ' ', '  a  ', 'a\\b', 'NULL', "it's", 'e\u0301', 'ab'.repeat(150), '😀'.repeat(100)]),
  fc.constantFrom(...['a'.repeat(62) + '  b', 'é'.repeat(40), '😀'.repeat(15) + '  😀', 'straße', 'ΟΣ', 'x,y,,z']),
  fc.string({ unit: 'grapheme', maxLength: 6 }).filter((text) => !text.includes('\0')),
);
/** Short and of few characters, so that it is found. */
const part = fc.oneof(
  fc.string({ unit: character, maxLength: 2 }),
  fc.constantFrom('', 'a', 'b', 'ab', ' ', ',', '😀', '\\'),
);
const pattern = fc.string({
  unit: fc.constantFrom('a', 'b', 'A', '%', '%', '_', '\\', '!', 'é', '😀', '\n'),
  maxLength: 8,
});
const bytes = fc.uint8Array({ maxLength: 8 }).map((array) => `\\x${Buffer.from(array).toString('hex')}`);
const someInt = fc.oneof(
  fc.integer({ min: -12, max: 16 }),
  fc.constantFrom(0, 1, -1, 100, 1000, 2147483647, -2147483648, 268435455, 65, 0xd800, 0x10ffff, 0x1f600),
);

const KINDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  text: anyText,
  bpchar: anyText,
  varchar: anyText,
  name: anyText.map((text) => Buffer.from(text).subarray(0, 63).toString().replaceAll('\uFFFD', '')),
  bytea: bytes,
  int4: someInt.map(String),
  bool: fc.constantFrom('t', 'f'),
};

/** Arguments after the first that deserve something better than any value of their type. */
const SPECIAL: Readonly<Record<string, readonly (fc.Arbitrary<string> | undefined)[]>> = {
  'like(text,text)': [undefined, pattern],
  'notlike(text,text)': [undefined, pattern],
  'like(name,text)': [undefined, pattern],
  'notlike(name,text)': [undefined, pattern],
  'like_escape(text,text)': [pattern, part],
  // Postgres takes seconds for the largest results it can make, and to repeat nothing two billion times.
  'repeat(text,int4)': [
    anyText.filter((text) => text !== ''),
    fc.oneof(fc.integer({ min: -2, max: 2000 }), fc.constant(2147483647)).map(String),
  ],
  'varchar(varchar,int4,bool)': [undefined, fc.integer({ min: -1, max: 30 }).map(String)],
  'bpchar(bpchar,int4,bool)': [undefined, fc.integer({ min: -1, max: 30 }).map(String)],
};

function argumentsOf(signature: string): { readonly name: string; readonly types: readonly string[] } {
  const open = signature.indexOf('(');
  return { name: signature.slice(0, open), types: signature.slice(open + 1, -1).split(',') };
}

function read(typeName: string, text: string): Value {
  if (typeName === 'int4') return Number(text);
  return typeName === 'bool' ? text === 't' : text;
}

function write(value: Value | null): string {
  return typeof value === 'boolean' ? (value ? '=t' : '=f') : `=${value as string}`;
}

/** The value as text after an equals sign, `error`, or `undecided`. */
function outcome(compute: () => Value | null): string {
  try {
    return write(compute());
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'error' : 'undecided';
    if (error instanceof InputError) return 'error';
    throw error;
  }
}

/** What Postgres makes of an expression that is never NULL, over $1, $2, ... of the given types, for many rows of them. */
async function ask(expression: string, types: readonly string[], rows: readonly (readonly string[])[]) {
  await client.query(`CREATE OR REPLACE FUNCTION pg_temp.attempt(${types.join(', ')}) RETURNS text
    LANGUAGE plpgsql AS $f$
    BEGIN
      RETURN concat('=', ${expression});
    EXCEPTION WHEN others THEN
      RETURN 'error';
    END $f$`);
  const columns = types.map((typeName, i) => `a${i}::${typeName}`);
  const unnest = types.map((_, i) => `$${i + 1}::text[]`);
  const names = types.map((_, i) => `a${i}`);
  const { rows: answers } = await client.query<{ r: string }>(
    `SELECT pg_temp.attempt(${columns.join(', ')}) AS r
     FROM unnest(${unnest.join(', ')}) WITH ORDINALITY AS u(${[...names, 'n'].join(', ')}) ORDER BY n`,
    types.map((_, i) => rows.map((row) => row[i])),
  );
  await client.query(`DROP FUNCTION pg_temp.attempt(${types.join(', ')})`);
  return answers.map(({ r }) => r);
}

describe('functions', () => {
  test('have the name and argument types of a Postgres function', async () => {
    const keys = [...Object.keys(TEXT_FUNCTIONS), ...Object.keys(ASCII_CASE_FUNCTIONS)];
    const quoted = keys.map((key) => {
      const { name, types } = argumentsOf(key);
      return `pg_catalog."${name}"(${types.map((typeName) => `"${typeName}"`).join(',')})`;
    });
    const { rows } = await client.query<{ missing: string }>(
      'SELECT s AS missing FROM unnest($1::text[]) AS s WHERE to_regprocedure(s) IS NULL',
      [quoted],
    );
    expect(rows).toEqual([]);
  });

  const plain = Object.entries(TEXT_FUNCTIONS).filter(([, implementation]) => typeof implementation === 'function');

  test.each(plain)('%s computes what Postgres computes', async (signature, implementation) => {
    const { name, types } = argumentsOf(signature);
    const row = fc.tuple(...types.map((typeName, i) => SPECIAL[signature]?.[i] ?? argument(typeName, i)));
    // The signature is part of the seed, so that not all functions see the same texts.
    const rows = fc.sample(row, { numRuns: CASES, seed: SEED * 1000 + signature.length });
    const placeholders = types.map((_, i) => `$${i + 1}`);
    const expected = await ask(`pg_catalog."${name}"(${placeholders.join(', ')})`, types, rows);
    let decided = 0;
    for (const [i, values] of rows.entries()) {
      const args = values.map((value, at) => read(types[at] as string, value));
      const got = outcome(() => (implementation as (...values: Value[]) => Value | null)(...args));
      if (got === 'undecided') continue;
      decided++;
      expect({ signature, args, got }).toEqual({ signature, args, got: expected[i] });
    }
    expect(decided).toBeGreaterThan(CASES * 0.8);
  });

  function argument(typeName: string, i: number): fc.Arbitrary<string> {
    if (typeName === 'text' && i > 0) return fc.oneof({ weight: 3, arbitrary: part }, anyText);
    return KINDS[typeName] as fc.Arbitrary<string>;
  }

  test.each([
    ['textanycat(text,anynonarray)', '$1::text || $2'],
    ['anytextcat(anynonarray,text)', '$2 || $1::text'],
    ['concat(any)', 'concat($1::text, $2)'],
    ['concat_ws(text,any)', 'concat_ws($1::text, $2, NULL, $2)'],
  ])('%s converts values of any type as Postgres does', async (signature, expression) => {
    const values: Readonly<Record<string, readonly string[]>> = {
      bool: ['t', 'f'],
      bpchar: ['a  ', '', '  ', 'é 😀 '],
      name: ['a', 'x y'],
      int4: ['0', '-7'],
      int8: ['9223372036854775807'],
      numeric: ['1.10', 'NaN', '-0.001'],
      float8: ['1e+20', '-0', '0.1', 'Infinity'],
      date: ['2024-02-29', 'infinity'],
      uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      bytea: ['\\x00ff'],
      inet: ['10.0.0.1', '10.0.0.0/8', '::1', 'fe80::/10'],
    };
    for (const [typeName, texts] of Object.entries(values)) {
      const valueType = type(typeName);
      const fn = instantiate(signature, valueType);
      const rows = texts.flatMap((text) => ['', 'a', ' 😀'].map((other) => [other, text]));
      const expected = await ask(expression, ['text', typeName], rows);
      const got = rows.map(([other, text]) => {
        const value = valueType.decode(text as string);
        if (signature.startsWith('any')) return outcome(() => fn(value, other as string));
        if (signature.startsWith('concat_ws')) return outcome(() => fn(other as string, value, null, value));
        return outcome(() => fn(other as string, value));
      });
      expect({ typeName, got }).toEqual({ typeName, got: expected });
    }
  });

  function instantiate(signature: string, valueType: Type): (...values: (Value | null)[]) => Value | null {
    const implementation = TEXT_FUNCTIONS[signature] as { of: (args: readonly Type[], result: Type) => Fn };
    const text = type('text');
    const types = signature.startsWith('any') ? [valueType, text] : [text, valueType, valueType, valueType];
    return implementation.of(types, text) as (...values: (Value | null)[]) => Value | null;
  }
});

describe('case mapping', () => {
  test.each<[CaseFold, string]>([
    ['one', 'C.UTF-8'],
    ['ascii', 'C'],
  ])('%s maps every code point as Postgres does under %s', async (fold, locale) => {
    const collation = locale === 'C' ? '"C"' : 'text_under_test';
    if (locale !== 'C') {
      await client.query(`CREATE COLLATION text_under_test (provider = libc, locale = '${locale}')`);
    }
    const { rows } = await client.query<{ n: number; lower: string; upper: string }>(
      `SELECT n, lower(chr(n) COLLATE ${collation}) AS lower, upper(chr(n) COLLATE ${collation}) AS upper
       FROM generate_series(1, 1114111) AS n WHERE n NOT BETWEEN 55296 AND 57343
         AND (lower(chr(n) COLLATE ${collation}) <> chr(n) OR upper(chr(n) COLLATE ${collation}) <> chr(n))`,
    );
    const mapped = new Map(rows.map(({ n, lower, upper }) => [n, [lower, upper]]));
    const wrong: string[] = [];
    for (let code = 1; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const char = String.fromCodePoint(code);
      const [lower, upper] = mapped.get(code) ?? [char, char];
      if (lowerText(char, fold) !== lower || upperText(char, fold) !== upper) wrong.push(code.toString(16));
      // Texts with letters that differ take another path.
      if (lowerText(`Σ${char}`, 'one') !== `σ${lowerText(char, 'one')}`) wrong.push(code.toString(16));
      if (upperText(`ß${char}`, 'one') !== `ß${upperText(char, 'one')}`) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });
});

describe('LIKE', () => {
  const ESCAPES = [undefined, '\\', '!', '', '%', '_', 'a', 'A', '😀'] as const;
  const FORMS: readonly (readonly [operator: string, collate: string, fold: CaseFold | undefined])[] = [
    ['LIKE', '', undefined],
    ['ILIKE', ' COLLATE libc_utf8', 'one'],
    ['ILIKE', ' COLLATE "C"', 'ascii'],
  ];

  test.each(FORMS.flatMap((form) => ESCAPES.map((escape) => [...form, escape] as const)))(
    '%s%s folding %s with escape %s matches what Postgres matches',
    async (operator, collate, fold, escape) => {
      await client.query(`CREATE COLLATION IF NOT EXISTS libc_utf8 (provider = libc, locale = 'C.UTF-8')`);
      const subject = fc.oneof(
        fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'é', 'É', '😀', '\n', '!', '%', '\\'), maxLength: 10 }),
        anyText,
      );
      const numRuns = CASES * 3;
      const rows = fc.sample(fc.tuple(subject, fc.oneof({ weight: 4, arbitrary: pattern }, anyText)), {
        numRuns,
        seed: SEED * 100 + ESCAPES.indexOf(escape),
      });
      const clause = escape === undefined ? '' : ` ESCAPE ${pg.escapeLiteral(escape)}`;
      const expected = await ask(`$1${collate} ${operator} $2${clause}`, ['text', 'text'], rows);
      const seen = { '=t': 0, '=f': 0, error: 0 };
      for (const [i, [text, like]] of rows.entries()) {
        const got = outcome(() => compileLike(like, escape, fold)(text));
        expect({ text, like, escape, got }).toEqual({ text, like, escape, got: expected[i] });
        seen[got as keyof typeof seen]++;
      }
      expect(Math.min(seen['=t'], seen['=f'])).toBeGreaterThan(0);
      expect(seen.error > 0).toBe(escape !== '');
    },
  );
});

describe('input functions', () => {
  const uuidText = fc
    .tuple(fc.uuid(), fc.array(fc.tuple(fc.nat(40), fc.constantFrom('-', '', '{', '}', 'g', ' ')), { maxLength: 2 }))
    .map(([uuid, edits]) => edits.reduce((text, [at, insert]) => text.slice(0, at) + insert + text.slice(at), uuid));
  const looseUuid = fc
    .tuple(fc.uuid(), fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }), fc.boolean())
    .map(([uuid, places, braces]) => {
      const digits = uuid.replaceAll('-', '').toUpperCase();
      const groups = digits.match(/.{4}/g) as string[];
      const text = groups.map((group, i) => (places.includes(i) ? `${group}-` : group)).join('');
      return braces ? `{${text}}` : text;
    });
  const byteText = fc.oneof(
    fc.string({ unit: fc.constantFrom('\\', '0', '1', '3', '7', '8', 'a', 'é', '😀', ' '), maxLength: 8 }),
    fc
      .string({ unit: fc.constantFrom('0', '1', 'a', 'F', ' ', '\n', '\t', '\r', '\v', 'g'), maxLength: 6 })
      .map((text) => `\\x${text}`),
    anyText,
  );
  const boolText = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('', ' ', '\t', '\n', '\v', '\f', '\u00A0'),
        fc.constantFrom(...['true', 'false', 'yes', 'no', 'on', 'off', '1', '0', 'TRUE', 'Falſe', 'o', '01', 'nope']),
        fc.nat(6),
      )
      .map(([blank, word, length]) => blank + word.slice(0, length) + blank),
    anyText,
  );

  test.each<[string, (text: string) => Value, fc.Arbitrary<string>]>([
    ['bool', parseBool, boolText],
    ['uuid', parseUuid, fc.oneof(uuidText, looseUuid, anyText)],
    ['bytea', parseBytea, byteText],
  ])('%s takes and refuses what Postgres does', async (typeName, parse, texts) => {
    const rows = fc.sample(fc.tuple(texts), { numRuns: CASES * 10, seed: SEED });
    const expected = await ask(`$1::${typeName}`, ['text'], rows);
    for (const [i, [text]] of rows.entries()) {
      expect({ text, got: outcome(() => parse(text)) }).toEqual({ text, got: expected[i] });
    }
    expect(new Set(expected).has('error')).toBe(true);
    expect(expected.filter((answer) => answer !== 'error').length).toBeGreaterThan(CASES);
  });
});
