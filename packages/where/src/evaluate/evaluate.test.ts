import { describe, expect, test } from 'vitest';
import type { ClauseColumn, ColumnCollation } from '../column.ts';
import { ClauseEvaluationError } from '../errors.ts';
import { compileClause, parseWhere } from '../parse-where.ts';

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };
const COLUMNS: readonly ClauseColumn[] = [
  { name: 'p', typeOid: 16 },
  { name: 'q', typeOid: 16 },
  { name: 's', typeOid: 25, collation: C_UTF8 },
  { name: 'd', typeOid: 1082 },
  { name: 'n', typeOid: 1700 },
  { name: 'i8', typeOid: 20 },
];

function sql(text: string, params: Readonly<Record<string, string>> = {}): string {
  const parsed = parseWhere(text, params, COLUMNS);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return parsed.clause.sql;
}

function evaluate(text: string, cells: Readonly<Record<string, string | null>>): boolean | null {
  const parsed = parseWhere(text, {}, COLUMNS);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return compileClause(parsed.clause, COLUMNS)(COLUMNS.map(({ name }) => cells[name] ?? null));
}

describe('T47 three-valued logic', () => {
  const wire = { T: 't', F: 'f', N: null } as const;
  const value = { T: true, F: false, N: null } as const;

  /** Rows p, columns q, in the order T F N. */
  const TABLES: Record<string, readonly [string, string, string]> = {
    'p AND q': ['TFN', 'FFF', 'NFN'],
    'p OR q': ['TTT', 'TFN', 'TNN'],
    'p = q': ['TFN', 'FTN', 'NNN'],
    'p <> q': ['FTN', 'TFN', 'NNN'],
    'p < q': ['FFN', 'TFN', 'NNN'],
    'p IS DISTINCT FROM q': ['FTT', 'TFT', 'TTF'],
    'p IS NOT DISTINCT FROM q': ['TFF', 'FTF', 'FFT'],
    'NOT p': ['FFF', 'TTT', 'NNN'],
    'p IS TRUE': ['TTT', 'FFF', 'FFF'],
    'p IS NOT TRUE': ['FFF', 'TTT', 'TTT'],
    'p IS FALSE': ['FFF', 'TTT', 'FFF'],
    'p IS NOT FALSE': ['TTT', 'FFF', 'TTT'],
    'p IS UNKNOWN': ['FFF', 'FFF', 'TTT'],
    'p IS NOT UNKNOWN': ['TTT', 'TTT', 'FFF'],
    'p IS NULL': ['FFF', 'FFF', 'TTT'],
    'p IN (TRUE, NULL)': ['TTT', 'NNN', 'NNN'],
    'p NOT IN (TRUE, NULL)': ['FFF', 'NNN', 'NNN'],
    'p IN (q, FALSE)': ['TFN', 'TTT', 'NNN'],
    'p BETWEEN q AND q': ['TFN', 'FTN', 'NNN'],
    'p AND q AND TRUE': ['TFN', 'FFF', 'NFN'],
    'p OR q OR FALSE': ['TTT', 'TFN', 'TNN'],
  };

  test.each(Object.entries(TABLES))('%s', (text, table) => {
    const letters = ['T', 'F', 'N'] as const;
    for (const [i, p] of letters.entries()) {
      const got = letters.map((q) => evaluate(text, { p: wire[p], q: wire[q] }));
      expect(got).toEqual([...(table[i] as string)].map((letter) => value[letter as 'T' | 'F' | 'N']));
    }
  });
});

describe('canonical SQL', () => {
  test.each([
    ['I8 = 7', `"i8" = '7'::int8`],
    ["i8='7'", `"i8" = '7'::int8`],
    ['7 = i8', `'7'::int8 = "i8"`],
    ['i8 != 7.0', `"i8" <> '7.0'::numeric`],
    ['n = 1e2', `"n" = '100'::numeric`],
    ["s~~'a%'", `"s" LIKE 'a%'::text`],
    ["s !~~* 'a%'", `"s" NOT ILIKE 'a%'::text`],
    ["s LIKE 'a' ESCAPE '\\'", `"s" LIKE 'a'::text`],
    ["s = E'it\\'s'", `"s" = 'it''s'::text`],
    ['n NOT BETWEEN 1 AND 2', `("n" < '1'::numeric) OR ("n" > '2'::numeric)`],
    ['i8 IN (1)', `"i8" = '1'::int8`],
    ["d > timestamp '2024-01-01T10:00'", `"d" > '2024-01-01 10:00:00'::timestamp`],
    ["d = DATE '20240101'", `"d" = '2024-01-01'::date`],
    ['p AND (q AND (p OR q))', '"p" AND "q" AND ("p" OR "q")'],
    ['cast(i8 as numeric) = 1', `"i8"::numeric = '1'::numeric`],
    ['NULL', 'NULL::bool'],
    ["'yes'", `'t'::bool`],
  ])('of %s', (text, expected) => {
    expect(sql(text)).toBe(expected);
  });

  test('has parameters in it as literals, so that a parameter and a literal are one shape (H PA-8)', () => {
    expect(sql('i8 = $1', { '1': '1' })).toBe(sql('i8 = 1'));
    expect(sql('s = $2 AND i8 = $1', { '1': '1', '2': "' OR 1=1 --", '3': 'surplus' })).toBe(
      `("s" = ''' OR 1=1 --'::text) AND ("i8" = '1'::int8)`,
    );
    expect(sql('i8 = $1 OR n = $1', { '1': '1' })).toBe(`("i8" = '1'::int8) OR ("n" = '1'::numeric)`);
    expect(sql('$1::int8 = i8', { '1': '1' })).toBe(`'1'::int8 = "i8"`);
  });
});

describe('LIKE', () => {
  test.each([
    ['%b%', 'abc', true],
    ['a%c%e', 'abcde', true],
    ['a%c%e', 'abcd', false],
    ['%ab%ab', 'abab', true],
    ['%ab%ab', 'xaab', false],
    ['_%_', 'a', false],
    ['__', '😀é', true],
    ['%😀', 'a😀', true],
    ['', '', true],
    ['%', '', true],
    ['_', '', false],
    ['%a', 'aaaaaaaab', false],
    ['a\\%b', 'a%b', true],
    ['a\\%b', 'axb', false],
    ['\\a', 'a', true],
  ])('%s on %s', (pattern, text, expected) => {
    expect(evaluate(`s LIKE '${pattern}'`, { s: text })).toBe(expected);
  });

  test('takes time in proportion to text and pattern, not exponential', () => {
    const pattern = `${'%a'.repeat(50)}%b`;
    expect(evaluate(`s LIKE '${pattern}_'`, { s: 'a'.repeat(5000) })).toBe(false);
  });

  test('escapes with another character, or none', () => {
    expect(evaluate("s LIKE 'a!%' ESCAPE '!'", { s: 'a%' })).toBe(true);
    expect(evaluate("s LIKE 'a!%' ESCAPE '!'", { s: 'ab' })).toBe(false);
    expect(evaluate("s LIKE 'a\\%' ESCAPE ''", { s: 'a\\bc' })).toBe(true);
    expect(sql("s LIKE 'a!%' ESCAPE '!'")).toBe(`"s" LIKE 'a!%'::text ESCAPE '!'`);
  });
});

describe('a row that has no value', () => {
  test('because Postgres raises an error is told from one that cannot be read', () => {
    const reasonOf = (text: string, cells: Record<string, string>): string => {
      try {
        return String(evaluate(text, cells));
      } catch (error) {
        return error instanceof ClauseEvaluationError ? error.reason : 'bug';
      }
    };
    expect(reasonOf('s::int8 = 1', { s: 'x' })).toBe('postgres');
    expect(reasonOf('s::int8 = 1', { s: '0x1' })).toBe('undecided');
    expect(reasonOf("d > '2024-01-01'", { d: '01/02/2024' })).toBe('undecided');
    expect(reasonOf('p AND s::int8 = 1', { p: 'f', s: 'x' })).toBe('false');
  });
});
