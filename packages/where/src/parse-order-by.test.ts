import { describe, expect, test } from 'vitest';
import type { ClauseColumn, ColumnCollation } from './column.ts';
import { parseOrderBy } from './parse-order-by.ts';
import { parseSubsetWhere, parseWhere } from './parse-where.ts';

const US: ColumnCollation = { provider: 'libc', collate: 'en_US.UTF-8', ctype: 'en_US.UTF-8', deterministic: true };
const COLUMNS: readonly ClauseColumn[] = [
  { name: 'id', typeOid: 23 },
  { name: 'title', typeOid: 25, typeName: 'text', typeSchema: 'pg_catalog', typeKind: 'b', dims: 0, collation: US },
  { name: 'Odd, "Name"', typeOid: 25 },
  { name: 'doc', typeOid: 114, typeName: 'json', typeSchema: 'pg_catalog', typeKind: 'b', dims: 0 },
  { name: 'docs', typeOid: 199, typeName: 'json', typeSchema: 'pg_catalog', typeKind: 'b', dims: 1 },
  { name: 'own', typeOid: 16_500, typeName: 'json', typeSchema: 'public', typeKind: 'c', dims: 0 },
  { name: 'dom', typeOid: 16_501, typeName: 'place', typeSchema: 'public', typeKind: 'd', dims: 0, baseTypeOid: 600 },
];
const TABLE = { schema: 'public', name: 'items' };

function order(text: string) {
  const parsed = parseOrderBy(text, COLUMNS, TABLE);
  return parsed.ok ? parsed.columns : parsed.message;
}
const up = (column: string) => ({ column, descending: false });
const down = (column: string) => ({ column, descending: true });

describe('an ORDER BY', () => {
  test.each([
    ['id', [up('id')]],
    [' TITLE desc  nulls LAST , id asc', [{ ...down('title'), nulls: 'last' }, up('id')]],
    ['id NULLS FIRST', [{ ...up('id'), nulls: 'first' }]],
    ['"Odd, ""Name""" DESC, "id"', [down('Odd, "Name"'), up('id')]],
    ['items.id, public.items.title', [up('id'), up('title')]],
    ['id USING <, title USING > NULLS LAST', [up('id'), { ...down('title'), nulls: 'last' }]],
    ['id -- by key\n DESC /* newest */', [down('id')]],
    ['own', [up('own')]],
  ])('%s names columns', (text, columns) => {
    expect(order(text)).toEqual(columns);
  });

  test('counts a column where it is named first', () => {
    expect(order('id DESC, title, id ASC')).toEqual([down('id'), up('title')]);
  });

  test('takes an integer, which orders nothing', () => {
    expect(order('id, 1')).toEqual([up('id')]);
  });

  test.each([
    ['lower(title)', 'At location 0: FuncCall expressions are not allowed in ORDER BY clauses'],
    ['id, pg_sleep(5)', 'At location 4: FuncCall expressions are not allowed in ORDER BY clauses'],
    ['(SELECT 1)', 'At location 0: SubLink expressions are not allowed in ORDER BY clauses'],
    ['CASE WHEN true THEN 1 END', 'At location 0: CaseExpr expressions are not allowed in ORDER BY clauses'],
    ['title::int', 'At location 5: TypeCast expressions are not allowed in ORDER BY clauses'],
    ['CAST(id AS text)', 'At location 0: TypeCast expressions are not allowed in ORDER BY clauses'],
    ['id + 1', 'At location 3: A_Expr expressions are not allowed in ORDER BY clauses'],
    ['title IS NULL', 'At location 6: NullTest expressions are not allowed in ORDER BY clauses'],
    ['title COLLATE "C"', 'At location 6: CollateClause expressions are not allowed in ORDER BY clauses'],
    ["'title'", 'At location 0: A_Const expressions are not allowed in ORDER BY clauses'],
    ['current_user', 'At location 0: SQLValueFunction expressions are not allowed in ORDER BY clauses'],
    ['id, $1 DESC', 'At location 4: parameter $1 is not supported in ORDER BY clauses'],
    ['id; DROP TABLE items', 'Unexpected `;` in order by'],
    ['id;', 'Unexpected `;` in order by'],
    ['id LIMIT 1', 'malformed query ending with SQL clauses'],
    ['id, secret', 'At location 4: unknown reference secret'],
    ['other.id', 'At location 0: unknown reference other.id'],
    ['id USING <=', 'At location 9: operator <= is not supported in ORDER BY clauses'],
    ['id ASC DESC', 'At location 25: syntax error at or near "DESC"'],
    ['id,', 'At location 21: syntax error at end of input'],
    ['id NULLS', 'At location 26: syntax error at end of input'],
    ['id\0', 'order by is not valid UTF-8 text'],
    ['doc', 'At location 0: could not identify an ordering operator for type json'],
    ['id, docs DESC', 'At location 4: could not identify an ordering operator for type json'],
    ['dom', 'At location 0: could not identify an ordering operator for type point'],
  ])('%s is refused', (text, message) => {
    expect(order(text)).toBe(message);
  });

  test('is bounded in size', () => {
    expect(order('id, '.repeat(20_000))).toContain('bigger than maximum size');
  });
});

describe('a clause of a subset', () => {
  const sql = (text: string, params = {}) => {
    const parsed = parseSubsetWhere(text, params, COLUMNS, TABLE);
    return parsed.ok ? parsed.clause.sql : parsed.message;
  };

  test('compares text by the collation of the column, which Postgres knows and we do not', () => {
    expect(parseWhere("title > 'a'", {}, COLUMNS, TABLE).ok).toBe(false);
    expect(sql('title > $1', { 1: 'a' })).toBe(`"title" > 'a'::text`);
    expect(sql("title BETWEEN 'a' AND 'b'")).toBe(`("title" >= 'a'::text) AND ("title" <= 'b'::text)`);
    expect(sql("(title, id) > ('a', 1)")).toBe(`ROW("title", "id") > ROW('a'::text, '1'::int4)`);
    expect(sql("title > ANY ('{a}')")).toBe(`"title" > ANY ('{a}'::text[])`);
    expect(sql("title ILIKE 'A%' AND lower(title) = 'a'")).toBe(
      `("title" ILIKE 'A%'::text) AND (lower("title") = 'a'::text)`,
    );
  });

  test('keeps a collation that is asked for', () => {
    expect(sql(`title COLLATE "C" > 'a'`)).toBe(`"title" COLLATE "C" > 'a'::text`);
    expect(sql(`title COLLATE "C" ILIKE 'a'`)).toBe(`"title" COLLATE "C" ILIKE 'a'::text`);
  });

  test.each(['id IN (SELECT id FROM items)', 'NOT EXISTS (SELECT 1)', 'id = 1 OR id = (SELECT 1)'])(
    'has no subquery: %s',
    (text) => {
      expect(sql(text)).toBe('Subqueries are not allowed in subsets');
    },
  );
});
