import { describe, expect, test } from 'vitest';
import { ClauseRefusal } from '../errors.ts';
import type { ClauseLimits } from './grammar.ts';
import { CLIENT_LIMITS, parseClause, STORED_LIMITS } from './parser.ts';
import { printSyntax } from './print-syntax.ts';
import type { Syntax } from './syntax.ts';

function parse(text: string): Syntax {
  return parseClause(text, CLIENT_LIMITS);
}

function grouped(text: string): string {
  return printSyntax(parse(text));
}

function refusal(text: string, limits: ClauseLimits = CLIENT_LIMITS): string {
  try {
    parseClause(text, limits);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
    const at = error.at === undefined ? '' : `${error.at}: `;
    return `${error.kind === 'syntax' ? 'syntax ' : ''}${at}${error.message}`;
  }
}

describe('operators', () => {
  // Spec W 1.3, from Postgres's gram.y.
  test.each([
    ['-2 ^ 2 = 4', '(((- 2) ^ 2) = 4)'],
    ['2 ^ 3 ^ 2 = 64', '(((2 ^ 3) ^ 2) = 64)'],
    ['a + b * c ^ d', '(a + (b * (c ^ d)))'],
    ['a - b - c', '((a - b) - c)'],
    ['a || b + c || d', '((a || (b + c)) || d)'],
    ['@ a + b || c', '((@ (a + b)) || c)'],
    ['|/ a * @ b + c < d', '((|/ (a * (@ (b + c)))) < d)'],
    ['- a::int4', '(- CAST(a AS "int4"))'],
    ['- a[1]', '(- (a)[1])'],
    ['- - a', '(- (- a))'],
    ['- - 5 = -(-(-(5)))', '(5 = (- 5))'],
    ['- + 5 < 1', '((- (+ 5)) < 1)'],
    ['a OPERATOR(pg_catalog.*) b + c', '(a * (b + c))'],
    ['a operator(=) b operator(=) c', '((a = b) = c)'],
    ['OPERATOR(pg_catalog.-) a * b', '(- (a * b))'],
    ['a != b', '(a <> b)'],
    ['a < b = ANY (c)', undefined],
    ['a = ANY (b) = c', '((a = ANY (b)) = c)'],
    ['a + b <> ALL (c) IS NULL', '(((a + b) <> ALL (c)) IS NULL)'],
    ['a LIKE ANY (b)', '(a ~~ ANY (b))'],
    ['a NOT ILIKE ALL (b)', '(a !~~* ALL (b))'],
    ['a = some (b)', '(a = ANY (b))'],
    ['NOT a = b', '(NOT (a = b))'],
    ['NOT a AND b OR c', '(((NOT a) AND b) OR c)'],
    ['a = NOT b = c AND d', '((a = (NOT (b = c))) AND d)'],
    ['a AND b AND c OR d OR e', '((a AND b AND c) OR d OR e)'],
    ['a IS NULL = b', '((a IS NULL) = b)'],
    ['a = b IS NULL', '((a = b) IS NULL)'],
    ['a IS NOT NULL IS TRUE', '((a IS NOT NULL) IS TRUE)'],
    ['a ISNULL NOTNULL', '((a IS NULL) IS NOT NULL)'],
    ['a IS DISTINCT FROM b = c', '(a IS DISTINCT FROM (b = c))'],
    ['a IS NOT DISTINCT FROM b AND c', '((a IS NOT DISTINCT FROM b) AND c)'],
    ['a = b LIKE c', '(a = (b LIKE c))'],
    [`a LIKE b || c ESCAPE 'd' = e`, `((a LIKE (b || c) ESCAPE 'd') = e)`],
    ['a NOT SIMILAR TO b ESCAPE c', '(a NOT SIMILAR TO b ESCAPE c)'],
    ['a NOT LIKE b IS UNKNOWN', '((a NOT LIKE b) IS UNKNOWN)'],
    ['a IN (b, c) IN (d)', '((a IN (b, c)) IN (d))'],
    ['a BETWEEN b AND c AND d', '((a BETWEEN b AND c) AND d)'],
    ['a BETWEEN b < c AND d + e', '(a BETWEEN (b < c) AND (d + e))'],
    ['a BETWEEN b IS DISTINCT FROM c AND d', '(a BETWEEN (b IS DISTINCT FROM c) AND d)'],
    ['a NOT BETWEEN SYMMETRIC b AND NOT c', '(a NOT BETWEEN SYMMETRIC b AND (NOT c))'],
    ['a BETWEEN ASYMMETRIC b AND c = d', '((a BETWEEN b AND c) = d)'],
    ['a || b COLLATE "C" < c', '((a || (b COLLATE "C")) < c)'],
    ['- a COLLATE pg_catalog."C"', '((- a) COLLATE "pg_catalog"."C")'],
    ['a AT TIME ZONE b AT TIME ZONE c + d', '(timezone(c, timezone(b, a)) + d)'],
    ['a + b::int4 AT TIME ZONE c', '(a + timezone(c, CAST(b AS "int4")))'],
    ['a -> b ->> c = d', '(((a -> b) ->> c) = d)'],
  ])('%s groups as Postgres does', (text, expected) => {
    if (expected === undefined) expect(refusal(text)).toContain('syntax error');
    else expect(grouped(text)).toBe(expected);
  });

  test.each([
    ['a < b < c', 'syntax 6: syntax error at or near "<"'],
    ['a = b <> c', 'syntax 6: syntax error at or near "<>"'],
    ['a LIKE b LIKE c', 'syntax 9: syntax error at or near "LIKE"'],
    ['a LIKE b NOT IN (c)', 'syntax 9: syntax error at or near "NOT"'],
    ['a BETWEEN b AND c BETWEEN d AND e', 'syntax 18: syntax error at or near "BETWEEN"'],
    ['a BETWEEN b AND NOT c OR d AND', 'syntax 30: syntax error at end of input'],
    ['a BETWEEN b IS NULL AND c', 'syntax 15: syntax error at or near "NULL"'],
    ['a BETWEEN b COLLATE "C" AND c', 'syntax 12: syntax error at or near "COLLATE"'],
    ['a IS DISTINCT FROM b IS NULL', 'syntax 21: syntax error at or near "IS"'],
    ['* a', 'syntax 0: syntax error at or near "*"'],
    ['= a', 'syntax 0: syntax error at or near "="'],
    ['a + ^ b', 'syntax 4: syntax error at or near "^"'],
    ['a b', 'syntax 2: syntax error at or near "b"'],
    ['a NOT b', 'syntax 2: syntax error at or near "NOT"'],
    ['a IS b', 'syntax 5: syntax error at or near "b"'],
    ['a IN b', 'syntax 5: syntax error at or near "b"'],
    ['a IN ()', 'syntax 6: syntax error at or near ")"'],
    ['a = ANY b', 'syntax 8: syntax error at or near "b"'],
    ['t.NOT LIKE b', 'syntax 2: syntax error at or near "NOT"'],
  ])('%s does not parse', (text, expected) => {
    expect(refusal(text)).toBe(expected);
  });

  test('are located at their token, with NOT for the negated ones', () => {
    const at = (text: string): number => parse(text).at;
    expect(['a + b', 'a  LIKE b', 'a NOT LIKE b', 'a NOT IN (b)', 'a IS NOT NULL', 'NOT a'].map(at)).toEqual([
      2, 3, 2, 2, 2, 0,
    ]);
    expect(['a AND b OR c', 'a::int', 'CAST(a AS int)', 'f(a)', '(a)[1]', '(a, b)', 'a = ANY (b)'].map(at)).toEqual([
      8, 1, 0, 0, 0, 0, 2,
    ]);
    expect(parse('3 > ANY ( b || c)')).toMatchObject({ rightAt: 10 });
  });
});

describe('values', () => {
  test.each([
    ['a[1][b + 1]', '(a)[1][(b + 1)]'],
    ['t.a[1:2][:b][c:][:]', '(t.a)[1:2][:b][c:][:]'],
    ['(f(a))[1] = $1[2]', '((f(a))[1] = ($1)[2])'],
    ['ARRAY[1, b] = ARRAY[]', '(ARRAY[1, b] = ARRAY[])'],
    ['ARRAY[[1, 2], [3, ARRAY[4]], []]', 'ARRAY[ARRAY[1, 2], ARRAY[3, ARRAY[4]], ARRAY[]]'],
    ['(a, b) < ROW(c) AND ROW() IS NULL', '((ROW(a, b) < ROW(c)) AND (ROW() IS NULL))'],
    ['(a, b) OVERLAPS (c, d) = e', '(overlaps(a, b, c, d) = e)'],
    ['((a))', 'a'],
    ['CASE WHEN a THEN b WHEN c THEN d END', 'CASE WHEN a THEN b WHEN c THEN d END'],
    ['CASE a WHEN b THEN c ELSE d END = e', '(CASE a WHEN b THEN c ELSE d END = e)'],
    [
      'coalesce(a, b) = GREATEST(c) AND least(a) = nullif(b, c)',
      '((coalesce(a, b) = greatest(c)) AND (least(a) = nullif(b, c)))',
    ],
    ['pg_catalog.lower(a) = s.f()', '(lower(a) = s.f())'],
    ['left(a, 1) = "Right"(b) OR like(a, b)', '((left(a, 1) = "Right"(b)) OR like(a, b))'],
    ['f(a, VARIADIC b)', 'f(a, VARIADIC b)'],
    ["EXTRACT(YEAR FROM a) = extract('x' from b)", `(pg_catalog.extract('year', a) = pg_catalog.extract('x', b))`],
    ['POSITION(a || b IN c)', 'pg_catalog.position(c, (a || b))'],
    ['substring(a FROM b FOR c)', 'pg_catalog.substring(a, b, c)'],
    ['substring(a FOR c FROM b)', 'pg_catalog.substring(a, b, c)'],
    ['substring(a FOR c)', 'pg_catalog.substring(a, 1, CAST(c AS "pg_catalog"."int4"))'],
    ['substring(a SIMILAR b ESCAPE c)', 'pg_catalog.substring(a, b, c)'],
    ['substring(a SIMILAR TO b, c)', 'pg_catalog.substring((a SIMILAR TO b), c)'],
    ['substring(a, b)', 'pg_catalog.substring(a, b)'],
    ['overlay(a PLACING b FROM c)', 'pg_catalog.overlay(a, b, c)'],
    ['overlay(a PLACING b FROM c FOR d)', 'pg_catalog.overlay(a, b, c, d)'],
    [`trim(a) = trim(BOTH 'x' FROM a)`, `(btrim(a) = btrim(a, 'x'))`],
    [`trim(LEADING FROM a) = trim(TRAILING 'x' FROM a)`, `(ltrim(a) = rtrim(a, 'x'))`],
    [`trim(a, 'x')`, `btrim(a, 'x')`],
    ['normalize(a, nfkc) = normalize(b)', `(pg_catalog.normalize(a, 'NFKC') = pg_catalog.normalize(b))`],
    ['COLLATION FOR (a)', 'pg_collation_for(a)'],
    ['CURRENT_USER = current_timestamp(3)', '(current_user = current_timestamp)'],
  ])('%s becomes %s', (text, expected) => {
    expect(grouped(text)).toBe(expected);
  });

  test.each([
    ['interval = values AND double < é', '((interval = values) AND (double < "é"))'],
    ['time.between = "order"', '(time.between = order)'],
    ['exists = row OR coalesce IS NULL', '((exists = row) OR (coalesce IS NULL))'],
    ['public.t.left', 'public.t.left'],
  ])('%s has columns with the names of keywords', (text, expected) => {
    expect(grouped(text)).toBe(expected);
  });

  test.each([
    ['order = 1', 'syntax 0: syntax error at or near "order"'],
    ['end = 1', 'syntax 0: syntax error at or near "end"'],
    ['desc.a = 1', 'syntax 0: syntax error at or near "desc"'],
    ['left = 1', 'syntax 5: syntax error at or near "="'],
    ['int(1) = 1', 'syntax 3: syntax error at or near "("'],
    ['between(1, 2)', 'syntax 7: syntax error at or near "("'],
    ['f(a)[1] = 1', 'syntax 4: syntax error at or near "["'],
    ['ARRAY[1][1] = 1', 'syntax 8: syntax error at or near "["'],
    ['(a, b)[1] = 1', 'syntax 6: syntax error at or near "["'],
    ['ARRAY[[1], 2] = a', 'syntax 11: syntax error at or near "2"'],
    ['ARRAY[1, [2]] = a', 'syntax 9: syntax error at or near "["'],
    ['ARRAY[1,] = a', 'syntax 8: syntax error at or near "]"'],
    ['a[] = 1', 'syntax 2: syntax error at or near "]"'],
    ['() = a', 'syntax 1: syntax error at or near ")"'],
    ['substring(a = b SIMILAR c ESCAPE d)', 'syntax 24: syntax error at or near "c"'],
    ['a COLLATE left', 'syntax 10: syntax error at or near "left"'],
    ['', 'syntax 0: syntax error at end of input'],
  ])('%s does not parse', (text, expected) => {
    expect(refusal(text)).toBe(expected);
  });

  test('keep what marks a call as an aggregate', () => {
    expect(parse('count(*) > 1')).toMatchObject({ left: { kind: 'call', name: 'count', star: true, distinct: false } });
    for (const call of [
      'f(DISTINCT a)',
      'f(ALL a)',
      'f(a ORDER BY b DESC, c)',
      'f(a) FILTER (WHERE b)',
      'f(a) OVER (PARTITION BY (b))',
      'f(a) OVER w',
      'f(a) WITHIN GROUP (ORDER BY b)',
    ]) {
      expect(parse(call)).toMatchObject({ kind: 'call', name: 'f', args: [{ kind: 'column' }], distinct: true });
    }
  });
});

describe('types', () => {
  test.each([
    ['int', '"pg_catalog"."int4"'],
    ['int4[3][]', '"int4"[][]'],
    ['bigint ARRAY', '"pg_catalog"."int8"[]'],
    ['text ARRAY[4]', '"text"[]'],
    ['numeric(10, -2)', '"pg_catalog"."numeric"(10, -2)'],
    ['char', '"pg_catalog"."bpchar"(1)'],
    ['bpchar', '"bpchar"'],
    ['character varying(3)', '"pg_catalog"."varchar"(3)'],
    ['national char varying', '"pg_catalog"."varchar"'],
    ['bit varying(3)', '"pg_catalog"."varbit"(3)'],
    ['"char"', '"char"'],
    ['float(24)', '"pg_catalog"."float4"'],
    ['float(25)', '"pg_catalog"."float8"'],
    ['double precision', '"pg_catalog"."float8"'],
    ['timestamp(3) with time zone[]', '"pg_catalog"."timestamptz"(3)[]'],
    ['time without time zone', '"pg_catalog"."time"'],
    ['interval', '"pg_catalog"."interval"'],
    ['interval(3)', '"pg_catalog"."interval"(32767, 3)'],
    ['interval year to month', '"pg_catalog"."interval"(6)'],
    ['interval day to second(3)', '"pg_catalog"."interval"(7176, 3)'],
    ['public."Mood"[]', '"public"."Mood"[]'],
    ['pg_catalog.int4', '"pg_catalog"."int4"'],
    ['json', '"pg_catalog"."json"'],
  ])('%s', (type, expected) => {
    expect(grouped(`a::${type}`)).toBe(`CAST(a AS ${expected})`);
    expect(grouped(`cast(a as ${type})`)).toBe(`CAST(a AS ${expected})`);
  });

  test.each([
    [`date '2024-01-01'`, `CAST('2024-01-01' AS "date")`],
    [`char 'abc'`, `CAST('abc' AS "pg_catalog"."bpchar")`],
    [`N'abc'`, `CAST('abc' AS "pg_catalog"."bpchar")`],
    [`varchar(2) 'abc'`, `CAST('abc' AS "pg_catalog"."varchar"(2))`],
    [`timestamp with time zone 'x'`, `CAST('x' AS "pg_catalog"."timestamptz")`],
    [`interval '1' hour to second(2)`, `CAST('1' AS "pg_catalog"."interval"(7168, 2))`],
    [`interval(2) '1'`, `CAST('1' AS "pg_catalog"."interval"(32767, 2))`],
    [`interval '1'`, `CAST('1' AS "pg_catalog"."interval")`],
    [`public."Mood" 'ok'`, `CAST('ok' AS "public"."Mood")`],
    [`s.t(1, -2) 'ok'`, `CAST('ok' AS "s"."t"(1, -2))`],
    [`pg_catalog.timestamptz(3) 'x'`, `CAST('x' AS "pg_catalog"."timestamptz"(3))`],
  ])('%s is a cast of a string', (text, expected) => {
    expect(grouped(text)).toBe(expected);
  });

  test('say the name without pg_catalog, and the catalog type "char" with its quotes', () => {
    const name = (type: string): unknown => (parse(`a::${type}`) as { type?: { name: string } }).type?.name;
    expect(['integer', 'pg_catalog.int4', 'public."Mood"', 'char', '"char"'].map(name)).toEqual([
      'int4',
      'int4',
      'public.Mood',
      'bpchar',
      '"char"',
    ]);
  });

  test.each([
    ['a::int[b]', 'syntax 7: syntax error at or near "b"'],
    ['a::order', 'syntax 3: syntax error at or near "order"'],
    ['a::setof int', '3: SETOF types are not supported in this context'],
    ['a::numeric(b)', '11: type modifiers must be integers'],
    ['a::float(54)', '3: precision for type float must be from 1 to 53 bits'],
    ['a::timestamp with zone', 'syntax 13: syntax error at or near "with"'],
    ['a::interval month to day', 'syntax 18: syntax error at or near "to"'],
    [`int[] '{}'`, 'syntax 4: syntax error at or near "]"'],
    [`time with time zone = a`, 'syntax 20: syntax error at or near "="'],
  ])('%s is refused', (text, expected) => {
    expect(refusal(text)).toBe(expected);
  });
});

describe('subqueries', () => {
  test('are read as far as they are plain', () => {
    expect(parse('a IN (SELECT x AS y, z w FROM s.p AS q, r WHERE b = 1)')).toMatchObject({
      kind: 'subquery',
      form: 'in',
      left: { kind: 'column', path: ['a'] },
      at: 2,
      select: {
        columns: [{ path: ['x'] }, { path: ['z'] }],
        from: [
          { path: ['s', 'p'], alias: 'q', at: 30 },
          { path: ['r'], alias: undefined },
        ],
        where: { kind: 'binary' },
        otherClauses: false,
        distinct: false,
        at: 6,
      },
    });
  });

  test.each([
    ['a NOT IN (SELECT 1)', { form: 'notIn', at: 2 }],
    ['a IN ((SELECT 1))', { form: 'in', at: 2 }],
    ['a < ALL (SELECT 1)', { form: 'quantified', op: '<', all: true, at: 2 }],
    ['a LIKE ANY ((SELECT 1))', { form: 'quantified', op: '~~', all: false, at: 2 }],
    ['EXISTS (SELECT 1)', { form: 'exists', at: 0 }],
    ['EXISTS ((SELECT 1) LIMIT 1)', { form: 'exists', at: 0, select: { otherClauses: true } }],
    ['ARRAY(SELECT 1)', { form: 'array', at: 0 }],
    ['((SELECT 1) UNION SELECT 2)', { form: 'scalar', select: { otherClauses: true } }],
    ['(SELECT DISTINCT 1)', { form: 'scalar', at: 0, select: { distinct: true, otherClauses: false } }],
    ['(SELECT * FROM p)', { select: { otherClauses: true } }],
    ['(SELECT 1 FROM p JOIN q ON true)', { select: { from: [{ path: ['p'] }], otherClauses: true } }],
    ['(SELECT a varying FROM p)', { select: { columns: [{ path: ['a'] }], from: [], otherClauses: true } }],
    ['(SELECT 1 FROM p, WHERE a)', { select: { from: [{ path: ['p'] }], otherClauses: true } }],
    ['(SELECT 1 FROM f(1))', { select: { otherClauses: true } }],
    ['(SELECT 1 FROM p ORDER BY (1))', { select: { otherClauses: true } }],
    ['(VALUES (1))', { select: { otherClauses: true } }],
    ['(WITH p AS (SELECT 1) SELECT 1)', { select: { otherClauses: true } }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toMatchObject({ kind: 'subquery', ...expected });
  });

  test.each([
    ['a IN (b, (SELECT 1))', 'in'],
    ['a IN ((SELECT 1) + 1)', 'in'],
    ['(values) = 1', 'binary'],
    ['a = ANY ((SELECT 1)::int[])', 'quantified'],
    ['(SELECT 1)[1]', 'subscript'],
  ])('%s is none', (text, kind) => {
    expect(parse(text).kind).toBe(kind);
  });

  test.each([
    ['EXISTS (a)', 'syntax 8: syntax error at or near "a"'],
    ['a IN (SELECT 1', 'syntax 14: syntax error at end of input'],
    ['a IN (SELECT 1)[1]', 'syntax 15: syntax error at or near "["'],
  ])('%s does not parse', (text, expected) => {
    expect(refusal(text)).toBe(expected);
  });
});

describe('a clause', () => {
  // R2 and R3 of spec W 11.2, and what has no place in the tree.
  test.each([
    ['a; SELECT 1', 'unescaped ";" causing statement split'],
    ['a;', 'unescaped ";" causing statement split'],
    ...['ORDER BY a', 'LIMIT 1', 'OFFSET 1', 'FETCH FIRST ROW ONLY', 'UNION SELECT 1', 'GROUP BY a', 'FOR UPDATE'].map(
      (rest): [string, string] => [`a ${rest}`, 'malformed query ending with SQL clauses'],
    ),
    ['a = t.*', '4: ColumnRef with * is not supported in this context'],
    ['(a).b = 1', '0: composite fields are not supported in this context'],
    ['a[1].b = 1', '0: composite fields are not supported in this context'],
    ['f(a => 1)', '2: named arguments are not supported in this context'],
    ['f(a := 1)', '2: named arguments are not supported in this context'],
    ['a = DEFAULT', '4: DEFAULT is not supported in this context'],
    ['a IS JSON', '2: IsJsonPredicate is not supported in this context'],
    ['a IS NOT DOCUMENT', '2: XmlExpr is not supported in this context'],
    ['a IS NFC NORMALIZED', '2: IS NORMALIZED is not supported in this context'],
    ['xmlparse(document a) IS NULL', '0: XmlExpr is not supported in this context'],
    ['json_value(a, b) = 1', '0: JsonFuncExpr is not supported in this context'],
    ['GROUPING(a) = 1', '0: aggregation is not supported in this context'],
    ['a AT LOCAL = b', '2: AT LOCAL is not supported; name a time zone'],
    ['OPERATOR(-) 5 = a', '0: OPERATOR(-) is not supported before a number; write - instead'],
    ['$70000 = a', '0: parameter $70000 was not provided'],
  ])('like %s is refused', (text, expected) => {
    expect(refusal(text)).toBe(
      expected.replace(/^(\d+: )(ColumnRef)/, '4: $2').replace('0: composite', '0: composite'),
    );
  });

  test('may have long chains and lists, which are one node', () => {
    expect(parse(Array(9000).fill('a').join(' OR '))).toMatchObject({ kind: 'or', args: { length: 9000 } });
    expect(parse(`a IN (${Array(20_000).fill(1).join()})`)).toMatchObject({ kind: 'in', items: { length: 20_000 } });
    expect(refusal(`a IN (${Array(32_767).fill(1).join()})`)).toBe('accepted');
    expect(refusal(`a IN (${Array(32_768).fill(1).join()})`)).toContain('list has too many elements (limit 32767)');
    expect(refusal(Array(1000).fill('a').join('+'))).toBe('accepted');
  });

  test('may be nested up to a limit, which the refusal names with the place', () => {
    for (const [open, close] of [
      ['(', ')'],
      ['f(', ')'],
      ['CAST(', ' AS int)'],
      ['a[', ']'],
      ['CASE WHEN ', ' THEN a END'],
    ] as const) {
      expect(refusal(`${open.repeat(199)}a${close.repeat(199)}`)).toBe('accepted');
      expect(refusal(`${open.repeat(200)}a${close.repeat(200)}`)).toContain('clause is nested too deeply (limit 200)');
    }
    expect(refusal(`${'('.repeat(300)}a`)).toBe('200: clause is nested too deeply (limit 200)');
    expect(refusal(`${'NOT '.repeat(300)}a`)).toContain('(limit 200)');
    expect(refusal(`a IN (SELECT ${'(SELECT '.repeat(300)}`)).toContain('(limit 200)');
    expect(refusal(`${'- '.repeat(300)}a`)).toContain('(limit 200)');
    expect(refusal(`ARRAY${'['.repeat(300)}`)).toContain('number of array dimensions exceeds the maximum allowed (6)');
  });

  test('may have operations one upon another up to a limit', () => {
    expect(refusal(`a${'+a'.repeat(1000)}`)).toBe('accepted');
    expect(refusal(`a${'+a'.repeat(1001)}`)).toBe(
      '2001: clause is nested too deeply (limit 1000 operations one upon another)',
    );
    expect(refusal(`a${' IS NULL'.repeat(1001)}`)).toContain('(limit 1000 operations one upon another)');
    expect(refusal(`a${'::int'.repeat(1001)}`)).toContain('(limit 1000 operations one upon another)');
    expect(refusal(Array(10_001).fill('a').join(' OR '))).toBe('accepted');
    expect(refusal(Array(20_001).fill('a').join(' OR '))).toContain('clause has too many terms (limit 20000)');
  });

  test('that is stored may be as deep as the canonical form of any that was accepted', () => {
    const deep = `${'('.repeat(2500)}a${'::int4 + a)'.repeat(1250)}${')'.repeat(1250)}`;
    expect(refusal(deep, STORED_LIMITS)).toBe('accepted');
  });
});
