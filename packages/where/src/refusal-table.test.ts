import { describe, expect, test } from 'vitest';
import type { ClauseColumn, ColumnCollation } from './column.ts';
import { parseWhere } from './parse-where.ts';

/**
 * The refusal table of spec W 11.2, number by number. R60 to R62 are about subset requests. Membership in a subquery
 * (R50 to R58) is refused as a whole for now.
 */

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };
const US: ColumnCollation = { provider: 'libc', collate: 'en_US.UTF-8', ctype: 'en_US.UTF-8', deterministic: true };
const TABLE = { schema: 'public', name: 't', databaseCollation: C_UTF8 };

const COLUMNS: readonly ClauseColumn[] = [
  { name: 'i4', typeOid: 23 },
  { name: 's', typeOid: 25, collation: C_UTF8 },
  { name: 'us', typeOid: 25, collation: US },
  { name: 'b', typeOid: 16 },
  { name: 'd', typeOid: 1082 },
  { name: 'u', typeOid: 2950 },
  { name: 'ts', typeOid: 1114 },
  { name: 'tz', typeOid: 1184 },
  { name: 'ia', typeOid: 1007 },
  { name: 'ta', typeOid: 1009, collation: C_UTF8 },
  { name: 'j', typeOid: 3802 },
  {
    name: 'e',
    typeOid: 16_500,
    typeName: 'mood',
    typeSchema: 'public',
    typeKind: 'e',
    dims: 0,
    enumLabels: ['sad', 'ok', 'happy'],
  },
];

function answer(text: string, params: Readonly<Record<string, string>> = {}): string {
  const parsed = parseWhere(text, params, COLUMNS, TABLE);
  if (parsed.ok) return 'accepted';
  return parsed.field === 'where' ? parsed.message : `${parsed.field}: ${parsed.message}`;
}

describe('refused in the words of the reference', () => {
  test.each([
    ['R1', 'i4 =', 'At location 19: syntax error at end of input'],
    ['R2', 'i4 = 1; SELECT 1', 'unescaped ";" causing statement split'],
    ['R3', 'i4 = 1 ORDER BY i4', 'malformed query ending with SQL clauses'],
    ['R3', 'i4 = 1 LIMIT 1', 'malformed query ending with SQL clauses'],
    ['R3', 'i4 = 1 OFFSET 1', 'malformed query ending with SQL clauses'],
    ['R3', 'i4 = 1 FETCH FIRST 1 ROW ONLY', 'malformed query ending with SQL clauses'],
    ['R3', 'i4 = 1 UNION SELECT 1', 'malformed query ending with SQL clauses'],
    ['R4', 'nope = 1', 'At location 0: unknown reference nope'],
    ['R5', '"No pe" = 1', 'At location 0: unknown reference "No pe"'],
    ['R7', 'i4 = $1', 'At location 5: parameter $1 was not provided'],
    ['R10', 'i4', 'WHERE clause must return a boolean'],
    ['R11', "i4 = 'x'", 'At location 5: invalid syntax for type int4: x'],
    ['R13', 'now() > ts', 'At location 0: unknown or unsupported function now/0'],
    ['R14', 'ts > CURRENT_TIMESTAMP', 'At location 5: SQLValueFunction is not supported in this context'],
    ['R17', "s ~ 'x'", 'At location 2: unknown binary operator "~"'],
    ['R19', '!! i4 = 0', 'At location 0: unknown unary operator "!!"'],
    ['R22', 'count(*) > 1', 'At location 0: aggregation is not supported in this context'],
    ['R25', `s COLLATE "de_DE" < 'a'`, 'At location 2: CollateClause is not supported in this context'],
    ['R28', 's::json IS NULL', 'At location 3: unsupported type json'],
    ['R29', 'i4::uuid = u', 'At location 0: unknown cast from type int4 to type uuid'],
    ['R30', "'x'::int4 = 1", 'At location 0: could not cast value "x" from text to int4'],
    ['R31', '1 / 0 = 1', 'At location 2: Failed to apply function to constant arguments'],
    ['R33', 's > 1', 'At location 2: Could not select an operator overload'],
    ['R34', "i4 = '7'::text", 'At location 3: Could not select an operator overload'],
    ['R38', "e = 'nope'", 'At location 4: invalid syntax for type enum mood: nope'],
    ['R39', "i4 = B'101'", 'At location 5: BitString values are not supported'],
    ['R40', "ARRAY[1, 'a'::text] IS NULL", 'At location 0: ARRAY types text and int4 cannot be matched'],
    ['R41', "ia @> '{1}'::int8[]", 'At location 3: Could not select an operator overload'],
    ['R42', '3 > ANY (3)', 'At location 9: argument of ANY must be an array'],
    ['R43', 'i4 + ANY (ia) IS NULL', 'At location 3: ANY/ALL requires operator that returns bool'],
    [
      'R44',
      'array_cat(VARIADIC ta) IS NULL',
      'At location 0: explicit VARIADIC function calls are not currently supported',
    ],
    ['R46', 'i4 IS TRUE', 'At location 3: argument of IS TRUE must be bool, not int4'],
    ['R47', 'NOT i4', 'At location 4: reference i4 of type int4 is not castable to bool'],
    [
      'R48',
      'EXISTS (SELECT id FROM p)',
      'At location 0: only `value IN (SELECT ...)` sublinks are supported right now',
    ],
    ['R49', 'i4 = (SELECT id FROM p)', 'At location 5: only `value IN (SELECT ...)` sublinks are supported right now'],
    ['R50 to R58', 'i4 IN (SELECT id FROM p)', 'At location 3: subqueries are not supported yet'],
    ['R63', "tz > 'now'", 'At location 5: invalid syntax for type timestamptz: now'],
  ])('%s: %s', (_, text, expected) => {
    expect(answer(text)).toBe(expected);
  });

  test('R8, R9 and R12: parameters', () => {
    expect(answer('i4 = $1', { a: '1' })).toBe('params: Parameters can only use numbers as keys');
    expect(answer('i4 = $1', { '1': '1', '3': '2' })).toBe(
      'params: Parameters must be numbered sequentially, starting from 1',
    );
    expect(answer('i4 = $1', { '1': 'x' })).toBe('At location 5: invalid syntax for type int4: x');
  });

  test('R59: a clause above 65,536 bytes', () => {
    expect(answer(`s = '${'a'.repeat(65_536)}'`)).toContain('bigger than maximum size');
  });

  test('R64: text order that is not by code points', () => {
    expect(answer("us < 'a'")).toBe(
      'At location 3: ordering comparison on column "us" uses collation "en_US.UTF-8", which cannot be evaluated outside Postgres; add COLLATE "C"',
    );
  });
});

describe('accepted where the reference refuses', () => {
  test.each([
    ['R6', 't.i4 = 1'],
    ['R6', 'public.t.i4 = 1'],
    ['R15', 'CASE WHEN b THEN b END'],
    ['R16', 'NULLIF(i4, 0) = 1'],
    ['R18', 'i4 % 2 = 0'],
    ['R20', "s SIMILAR TO 'x'"],
    ['R21', "s LIKE 'a' ESCAPE '!'"],
    ['R23', 'length(s) > 1'],
    ['R24', `s COLLATE "C" < 'a'`],
    ['R26', 'i4::numeric = 1'],
    ['R27', "s::char(3) = 'x'"],
    ['R32', "j = '{}'"],
    ['R35', "d <> '2024-01-01'"],
    ['R36', 'b < true'],
    ['R37', "e = 'ok'"],
    ['R45', "concat('a', 1) = 'a1'"],
  ])('%s: %s', (_, text) => {
    expect(answer(text)).toBe('accepted');
  });
});
