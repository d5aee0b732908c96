import { describe, expect, test } from 'vitest';
import type { ClauseColumn, ColumnCollation } from './column.ts';
import { MAX_WHERE_BYTES, parseStoredWhere, parseWhere } from './parse-where.ts';

const US: ColumnCollation = { provider: 'libc', collate: 'en_US.UTF-8', ctype: 'en_US.UTF-8', deterministic: true };
const TURKISH: ColumnCollation = { provider: 'libc', collate: 'C', ctype: 'tr_TR.UTF-8', deterministic: true };
const LOOSE: ColumnCollation = { provider: 'icu', collate: 'und-u-ks-level2', ctype: 'und', deterministic: false };

const COLUMNS: readonly ClauseColumn[] = [
  { name: 'id', typeOid: 23 },
  { name: 'i4', typeOid: 23 },
  { name: 'n', typeOid: 1700 },
  { name: 'b', typeOid: 16 },
  { name: 's', typeOid: 25 },
  { name: 'us', typeOid: 25, collation: US },
  { name: 'tr', typeOid: 25, collation: TURKISH },
  { name: 'loose', typeOid: 25, collation: LOOSE },
  { name: 'u', typeOid: 2950 },
  { name: 'd', typeOid: 1082 },
  { name: 'ts', typeOid: 1114 },
  { name: 'tz', typeOid: 1184 },
  { name: 'j', typeOid: 3802, typeName: 'jsonb', typeKind: 'b', dims: 0 },
  { name: 'ia', typeOid: 1007, typeName: 'int4', typeKind: 'b', dims: 1 },
  { name: 'e', typeOid: 16_500, ...enumeration('mood', ['sad', 'ok', 'happy']) },
  { name: 'moods', typeOid: 16_501, ...enumeration('mood', ['sad', 'ok', 'happy']), dims: 1 },
  { name: 'other', typeOid: 16_510, ...enumeration('other', ['ok']) },
  { name: 'dom', typeOid: 16_600, typeName: 'posint', typeSchema: 'public', typeKind: 'd', dims: 0, baseTypeOid: 23 },
  { name: 'c', typeOid: 16_700, typeName: 'citext', typeSchema: 'public', typeKind: 'b', dims: 0 },
];

function enumeration(typeName: string, enumLabels: readonly string[]): Omit<ClauseColumn, 'name' | 'typeOid'> {
  return { typeName, typeSchema: 'public', typeKind: 'e', dims: 0, enumLabels };
}

function refusal(text: string, params: Readonly<Record<string, string>> = {}): string {
  const parsed = parseWhere(text, params, COLUMNS);
  return parsed.ok ? `accepted as ${parsed.clause.sql}` : `${parsed.field}: ${parsed.message}`;
}

describe('a refusal', () => {
  // Texts of spec H PA-6 and W 11.2 (R1 to R63); constructs that come later are refused in the words of the reference.
  test.each([
    ['1 x 1', 'At location 17: syntax error at or near "x"'],
    ['foo = 1', 'At location 0: unknown reference foo'],
    ['i4 =', 'At location 19: syntax error at end of input'],
    ['', 'At location 15: syntax error at end of input'],
    ['i4 = 1; SELECT 1', 'unescaped ";" causing statement split'],
    ['i4 = 1;', 'unescaped ";" causing statement split'],
    ['i4 = 1 ORDER BY i4', 'malformed query ending with SQL clauses'],
    ['i4 = 1 LIMIT 1', 'malformed query ending with SQL clauses'],
    ['i4 = 1 UNION SELECT 1', 'malformed query ending with SQL clauses'],
    ['"No pe" = 1', 'At location 0: unknown reference "No pe"'],
    ['t.i4 = 1', 'At location 0: unknown reference t.i4'],
    ['ctid IS NULL', 'At location 0: unknown reference ctid'],
    ['i4', 'WHERE clause must return a boolean'],
    ['id + 1', 'WHERE clause must return a boolean'],
    ["i4 = 'x'", 'At location 5: invalid syntax for type int4: x'],
    ["i4 = '2147483648'", 'At location 5: invalid syntax for type int4: 2147483648'],
    ["'x' = i4", 'At location 0: invalid syntax for type int4: x'],
    ['now() > ts', 'At location 0: unknown or unsupported function now/0'],
    ['ts > CURRENT_TIMESTAMP', 'At location 5: SQLValueFunction is not supported in this context'],
    ["user = 'x'", 'At location 0: SQLValueFunction is not supported in this context'],
    ["s ~ 'x'", 'At location 2: unknown binary operator "~"'],
    ['!! i4 = 0', 'At location 0: unknown unary operator "!!"'],
    ['count(*) > 1', 'At location 0: aggregation is not supported in this context'],
    ['max(i4) > 1', 'At location 0: aggregation is not supported in this context'],
    [`s COLLATE "de_DE" < 'a'`, 'At location 2: CollateClause is not supported in this context'],
    ['s::json IS NULL', 'At location 3: unsupported type json'],
    ['i4::uuid = u', 'At location 0: unknown cast from type int4 to type uuid'],
    ["'x'::int4 = 1", 'At location 0: could not cast value "x" from text to int4'],
    ['3000000000::int4 = 1', 'At location 10: Failed to apply function to constant arguments'],
    ['s > 1', 'At location 2: Could not select an operator overload'],
    ["i4 = '7'::text", 'At location 3: Could not select an operator overload'],
    ['s BETWEEN 1 AND 2', 'At location 2: Could not select an operator overload'],
    ['s IN (1, 2)', 'At location 2: Could not select an operator overload'],
    ['i4 LIKE s', 'At location 3: Could not select an operator overload'],
    ["e = 'nope'", 'At location 4: invalid syntax for type enum mood: nope'],
    ["e IN ('ok', 'nope')", 'At location 12: invalid syntax for type enum mood: nope'],
    ['e = s', 'At location 2: Could not select an operator overload'],
    ['e = other', 'At location 2: Could not select an operator overload'],
    [
      "c = 'a'",
      'At location 2: column "c" has type citext, whose values cannot be compared here; only IS NULL and IS NOT NULL are supported',
    ],
    ['int4range(1, 2) @> dom', 'At location 16: Could not select an operator overload'],
    [
      "array_prepend(dom, '{1}') IS NULL",
      'At location 19: a literal next to a domain takes the type of the domain; cast it to its base type',
    ],
    ['c::text = s', 'At location 0: unknown cast from type citext to type text'],
    ["s::citext = 'a'", 'At location 3: unsupported type citext'],
    ['1 / 0 = 1', 'At location 2: Failed to apply function to constant arguments'],
    ['j < j', 'At location 2: ordering comparison of jsonb is not supported'],
    ["ARRAY[1, 'a'::text] IS NULL", 'At location 0: ARRAY types text and int4 cannot be matched'],
    ["ia @> '{1}'::int8[]", 'At location 3: Could not select an operator overload'],
    ['3 > ANY (3)', 'At location 9: argument of ANY must be an array'],
    ['i4 + ANY (ia) IS NULL', 'At location 3: ANY/ALL requires operator that returns bool'],
    ['length(1) > 1', 'At location 0: Could not select a function overload for length(int4)'],
    ["substr(s) = 'a'", 'At location 0: unknown or unsupported function substr/1'],
    ['(i4, n) = (1, 2, 3)', 'At location 8: unequal number of entries in row expressions'],
    ['ARRAY[] IS NULL', 'At location 0: cannot determine type of empty array'],
    ['s[1] IS NULL', 'At location 0: cannot subscript type text, which is not an array'],
    ["ia['x'::text] = 1", 'At location 3: array subscript must have type integer'],
    ['CASE WHEN i4 THEN b END', 'At location 10: reference i4 of type int4 is not castable to bool'],
    ['CASE WHEN b THEN 1 ELSE s END = 1', 'At location 0: CASE types int4 and text cannot be matched'],
    ["coalesce(i4, s) = 'a'", 'At location 0: COALESCE types text and int4 cannot be matched'],
    ["i4 = B'101'", 'At location 5: BitString values are not supported'],
    ['array_cat(VARIADIC ia) IS NULL', 'At location 0: explicit VARIADIC function calls are not currently supported'],
    ['i4 IS TRUE', 'At location 3: argument of IS TRUE must be bool, not int4'],
    ['j IS NOT UNKNOWN', 'At location 2: argument of IS NOT UNKNOWN must be bool, not jsonb'],
    ['NOT i4', 'At location 4: reference i4 of type int4 is not castable to bool'],
    ['b AND i4', 'At location 6: reference i4 of type int4 is not castable to bool'],
    ['EXISTS (SELECT id FROM p)', 'At location 0: only `value IN (SELECT ...)` sublinks are supported right now'],
    ['i4 = (SELECT id FROM p)', 'At location 5: only `value IN (SELECT ...)` sublinks are supported right now'],
    ['i4 IN (SELECT id FROM p)', 'At location 3: subqueries are not supported yet'],
    ["tz > 'now'", 'At location 5: invalid syntax for type timestamptz: now'],
    ["d > 'today'", 'At location 4: invalid syntax for type date: today'],
    ["d = '01/02/2024'", 'At location 4: invalid syntax for type date: 01/02/2024'],
    ['i4 < n < i4', 'At location 22: syntax error at or near "<"'],
    ["s = 'abc", `At location 19: unterminated quoted string at or near "'abc"`],
    ['i4 = 1 /* x', 'At location 22: unterminated /* comment at or near "/* x"'],
    ['"" = 1', 'At location 15: zero-length delimited identifier at or near """"'],
    ['i4 = 1x', 'At location 20: trailing junk after numeric literal at or near "1x"'],
    ["s LIKE 'a' ESCAPE 'ab'", 'At location 2: Failed to apply function to constant arguments'],
    [`'ab' LIKE 'a\\'`, 'At location 5: Failed to apply function to constant arguments'],
    ['order = 1', 'At location 15: syntax error at or near "order"'],
  ])('of %s', (text, expected) => {
    expect(refusal(text)).toBe(`where: ${expected}`);
  });

  test('locates by characters, not by UTF-16 units', () => {
    expect(refusal("s = '😀' AND foo = 1")).toBe('where: At location 12: unknown reference foo');
  });

  test('comes with field params when the parameters are at fault (H PA-7)', () => {
    expect(refusal('i4 = $1', { a: '1' })).toBe('params: Parameters can only use numbers as keys');
    expect(refusal('i4 = $1', { '1': '1', '3': '2' })).toBe(
      'params: Parameters must be numbered sequentially, starting from 1',
    );
    expect(refusal('i4 = $1', { '2': '1' })).toBe('params: Parameters must be numbered sequentially, starting from 1');
    expect(refusal('i4 = $1', { '1': '\ud800' })).toBe('params: Parameters must be valid UTF-8 text');
  });

  test('comes with field where when a parameter is missing or does not fit', () => {
    expect(refusal('i4 = $1')).toBe('where: At location 5: parameter $1 was not provided');
    expect(refusal('i4 = $2', { '1': '1' })).toBe('where: At location 5: parameter $2 was not provided');
    expect(refusal('i4 = $1', { '1': 'x' })).toBe('where: At location 5: invalid syntax for type int4: x');
    expect(refusal('i4 = $1 AND s = $1', { '1': '7' })).toBe(
      'where: At location 14: Could not select an operator overload',
    );
  });

  test('meets clauses above 65,536 bytes, counted in UTF-8', () => {
    const clause = (length: number): string => `s = '${'é'.repeat(length / 2 - 3)}'`;
    expect(refusal(clause(MAX_WHERE_BYTES + 2))).toContain('bigger than maximum size');
    expect(refusal(clause(MAX_WHERE_BYTES))).toContain('accepted');
  });

  test('meets clauses nested deeper than 200, and no long ones', () => {
    expect(refusal(`${'('.repeat(300)}b${')'.repeat(300)}`)).toContain('nested too deeply');
    expect(refusal(`${'NOT '.repeat(300)}b`)).toContain('nested too deeply');
    expect(refusal(Array.from({ length: 3000 }, (_, i) => `i4 = ${i}`).join(' OR '))).toContain('accepted');
    expect(refusal(`i4 IN (${Array.from({ length: 12_000 }, (_, i) => i).join(',')})`)).toContain('accepted');
  });

  test('meets text order under a collation that is not code point order, unless the clause says COLLATE "C"', () => {
    expect(refusal("us > 'a'")).toBe(
      'where: At location 3: ordering comparison on column "us" uses collation "en_US.UTF-8", which cannot be evaluated outside Postgres; add COLLATE "C"',
    );
    expect(refusal("s > 'a'")).toContain('a collation that is not known');
    expect(refusal("us BETWEEN 'a' AND 'b'")).toContain('At location 3: ordering comparison');
    expect(refusal("'a' > 'b'")).toContain("the database's collation");
    expect(refusal(`us COLLATE "C" > 'a'`)).toBe(`accepted as "us" COLLATE "C" > 'a'::text`);
    expect(refusal("us = 'a' AND us LIKE 'a%' AND us IN ('a', 'b')")).toContain('accepted');
  });

  test('meets any text operator under a nondeterministic collation', () => {
    for (const text of ["loose = 'a'", "loose LIKE 'a'", "loose IN ('a', 'b')", "loose IS DISTINCT FROM 'a'"]) {
      expect(refusal(text)).toContain('nondeterministic');
    }
    expect(refusal('loose IS NULL')).toContain('accepted');
  });

  test('meets ILIKE where the case rules are not known or not simple', () => {
    expect(refusal("s ILIKE 'a'")).toContain('At location 2: ILIKE with the case rules of column "s"');
    expect(refusal("tr ILIKE 'a'")).toContain('At location 3: ILIKE');
    expect(refusal("us ILIKE 'a'")).toBe(`accepted as "us" ILIKE 'a'::text`);
    expect(refusal(`tr COLLATE "C" ILIKE 'a'`)).toBe(`accepted as "tr" COLLATE "C" ILIKE 'a'::text`);
  });
});

describe('a stored clause', () => {
  const stream: readonly ClauseColumn[] = COLUMNS.map(({ name, typeOid }) => ({ name, typeOid }));

  test.each([
    "us ILIKE 'a'",
    `s COLLATE "C" < 'a'`,
    "e::text = 'ok'",
    "e > 'sad'",
    "moods @> '{ok}'",
    's::public.mood = e',
    'dom + 1 = 2',
    "ia || dom = '{1}' OR dom = ANY (ia)",
    'c IS NULL',
  ])('is read back from stream columns, which say less: %s', (text) => {
    const parsed = parseWhere(text, {}, COLUMNS);
    if (!parsed.ok) throw new Error(parsed.message);
    expect(parseStoredWhere(parsed.clause.sql, stream, parsed.clause.types).sql).toBe(parsed.clause.sql);
  });

  test('may be longer than what a client may send', () => {
    const list = Array.from({ length: 12_000 }, (_, i) => i).join(',');
    const parsed = parseWhere(`i4 IN (${list})`, {}, COLUMNS);
    if (!parsed.ok) throw new Error(parsed.message);
    expect(parsed.clause.sql.length).toBeGreaterThan(MAX_WHERE_BYTES);
    expect(parseStoredWhere(parsed.clause.sql, stream).sql).toBe(parsed.clause.sql);
  });

  test('may be deeper than what a client may send', () => {
    for (const text of [`${'NOT '.repeat(190)}b`, Array.from({ length: 3000 }, (_, i) => `i4 = ${i}`).join(' OR ')]) {
      const parsed = parseWhere(text, {}, COLUMNS);
      if (!parsed.ok) throw new Error(parsed.message);
      expect(parseStoredWhere(parsed.clause.sql, stream).sql).toBe(parsed.clause.sql);
    }
  });

  test('that does not parse is a bug, not an answer', () => {
    expect(() => parseStoredWhere('nope = 1', stream)).toThrow('unknown reference nope');
  });
});
