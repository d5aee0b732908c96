import type { ColumnInfo, RelationInfo } from '@shapecast/shape';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeQuery } from './query-string.ts';
import { collectSubset, mergeBody } from './request-body.ts';
import { parseShapeRequest } from './shape-request.ts';
import { exactNumbers } from './subset-params.ts';
import { resolveSubset } from './subset.ts';

const column = (name: string, attnum: number, extra: Partial<ColumnInfo> = {}): ColumnInfo => ({
  name,
  attnum,
  typeOid: 25,
  typeName: 'text',
  typeSchema: 'pg_catalog',
  typeKind: 'b',
  dims: 0,
  typeMod: -1,
  notNull: false,
  generated: 'none',
  ...extra,
});
const users: RelationInfo = {
  oid: 16_400,
  schema: 'public',
  name: 'users',
  kind: 'r',
  columns: [
    column('id', 1, { typeOid: 20, typeName: 'int8', pkIndex: 0, notNull: true }),
    column('name', 2),
    column('secret_token', 3),
    column('mood', 4, {
      typeOid: 16_500,
      typeName: 'mood',
      typeSchema: 'public',
      typeKind: 'e',
      enumLabels: ['sad', 'ok'],
    }),
  ],
};

/** The subset of a request with this query string and, for a POST, this body. */
function resolve(query: string, body?: object) {
  const collected = collectSubset(decodeQuery(`table=users&offset=-1&${query}`) ?? {});
  const request = parseShapeRequest(body === undefined ? collected : mergeBody(collected, { ...body }));
  if (!request.ok) return request;
  const { subset, definition } = request.value;
  if (subset === undefined) throw new Error('not a subset request');
  return resolveSubset(subset, definition, users);
}
const selection = (query: string, body?: object) => {
  const resolved = resolve(query, body);
  return resolved.ok ? resolved.value : resolved.errors;
};
const where = (query: string, body?: object) => {
  const found = selection(query, body);
  return 'where' in found ? found.where : found;
};
const nothing = { where: '', orderBy: [] };

describe('a subset request', () => {
  test('without anything known to it is all rows of the shape', () => {
    expect(selection('subset__foo=1&subset__where_expr=[1]&subset__order_by_expr=x')).toEqual(nothing);
    expect(selection('', { subset: {} })).toEqual(nothing);
    expect(selection('subset__where=%20&subset__limit=&subset__params=&subset__order_by=')).toEqual(nothing);
  });

  test('selects, orders and pages', () => {
    expect(
      selection('subset__where=id>$1&subset__params[1]=2&subset__order_by=name DESC&subset__limit=10&subset__offset=0'),
    ).toEqual({
      where: `"id" > '2'::int8`,
      orderBy: [{ column: 'name', descending: true }],
      limit: '10',
      offset: '0',
    });
  });

  test.each([
    ['a JSON object in a string', 'subset__params={"1":"2"}', undefined],
    ['numbers in it', 'subset__params={"1":2}', undefined],
    ['brackets', 'subset__params[1]=2', undefined],
    ['an object in the body', '', { params: { 1: '2' } }],
    ['numbers in that', '', { subset: { params: { 1: 2 } } }],
    ['a string in the body', '', { params: '{"1":"2"}' }],
  ])('takes parameters as %s', (_name, query, body) => {
    expect(where(`subset__where=id = $1&${query}`, body)).toBe(`"id" = '2'::int8`);
  });

  test('reads numbers of parameters with all their digits', () => {
    expect(where('subset__where=id = $1&subset__params={"1":9007199254740993}')).toBe(
      `"id" = '9007199254740993'::int8`,
    );
    const body = JSON.parse('{"where":"id = $1","params":{"1":-9007199254740993}}', exactNumbers) as object;
    expect(where('', body)).toBe(`"id" = '-9007199254740993'::int8`);
  });

  test('turns booleans into text', () => {
    expect(where('subset__where=$1', { params: { 1: true } })).toBe(`'t'::bool`);
  });

  test.each([
    ['subset__params=[1]', { params: ['params must be a JSON object'] }],
    ['subset__params=5', { params: ['params must be a JSON object'] }],
    ['subset__params[]=1', { params: ['params must be a JSON object'] }],
    ['subset__params=x', { params: ['params must be valid JSON'] }],
    ['subset__params={"1":null}', { params: ['is invalid'] }],
    ['subset__params={"1":{}}', { params: ['is invalid'] }],
    ['subset__where=id=$1&subset__params={"a":1}', { params: ['Parameters can only use numbers as keys'] }],
    [
      'subset__where=id=$2&subset__params={"2":1}',
      { params: ['Parameters must be numbered sequentially, starting from 1'] },
    ],
    ['subset__limit=1', { order_by: ['order_by is required when limit or offset is present'] }],
    ['subset__offset=1&subset__order_by=', { order_by: ['order_by is required when limit or offset is present'] }],
    ['subset__order_by=id&subset__limit=0', { limit: ['must be greater than 0'] }],
    ['subset__order_by=id&subset__limit=-1', { limit: ['must be greater than 0'] }],
    ['subset__order_by=id&subset__offset=-1', { offset: ['must be greater than or equal to 0'] }],
    ['subset__order_by=id&subset__limit=x', { limit: ['is invalid'] }],
    ['subset__order_by=id&subset__limit=1.5', { limit: ['is invalid'] }],
    ['subset__order_by=id&subset__limit[]=1', { limit: ['is invalid'] }],
    ['subset__where[]=id', { where: ['is invalid'] }],
    ['subset__order_by[]=id', { order_by: ['is invalid'] }],
    ['subset__where=id IN (SELECT 1)', { where: ['Subqueries are not allowed in subsets'] }],
    ['subset__where=1 x 1', { where: ['At location 17: syntax error at or near "x"'] }],
    ['subset__where=nope=1', { where: ['At location 0: unknown reference nope'] }],
    [
      'subset__where=nope=1&subset__order_by=lower(name)',
      {
        where: ['At location 0: unknown reference nope'],
        order_by: ['At location 0: FuncCall expressions are not allowed in ORDER BY clauses'],
      },
    ],
  ])('with %s is refused under subset', (query, errors) => {
    expect(selection(query)).toEqual({ subset: errors });
  });

  test('that is no object is invalid, with the types of other parameters', () => {
    expect(selection('', { subset: 'x' })).toEqual({ subset: ['is invalid'] });
    expect(selection('replica=x', { subset: [1] })).toEqual({ subset: ['is invalid'], replica: ['is invalid'] });
  });

  test('T40 refers to queryable columns only, quoted or not', () => {
    const errors = (query: string) => selection(`queryable_columns=id,name&${query}`);
    expect(errors(`subset__where=name = 'x'&subset__order_by=name`)).toMatchObject({ where: `"name" = 'x'::text` });
    expect(errors(`subset__where=secret_token = 'x'`)).toEqual({
      subset: { where: ['At location 0: unknown reference secret_token'] },
    });
    expect(errors('subset__order_by=id, users."secret_token"')).toEqual({
      subset: { order_by: ['At location 4: unknown reference users.secret_token'] },
    });
  });

  test('may compare an enum with its labels', () => {
    expect(where(`subset__where=mood = 'sad'`)).toBe(`"mood" = 'sad'::"public"."mood"`);
    expect(where(`subset__where=mood = 'nope'`)).toEqual({
      subset: { where: [expect.stringContaining('nope') as string] },
    });
  });

  test('pages by numbers and by their text alike, and by any size', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), fc.nat(), (limit, offset) => {
        const expected = { limit: String(limit), offset: String(offset) };
        expect(selection(`subset__order_by=id&subset__limit=${limit}&subset__offset=${offset}`)).toMatchObject(
          expected,
        );
        const body = JSON.parse(`{"order_by":"id","limit":${limit},"offset":${offset}}`, exactNumbers) as object;
        expect(selection('', body)).toMatchObject(expected);
      }),
    );
    expect(selection('subset__order_by=id&subset__limit=99999999999999999999')).toMatchObject({
      limit: '9223372036854775807',
    });
  });
});
