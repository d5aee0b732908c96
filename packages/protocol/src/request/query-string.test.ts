import { describe, expect, test } from 'vitest';
import { decodeQuery } from './query-string.ts';
import { collectSubset, mergeBody } from './request-body.ts';

const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

describe('decodeQuery', () => {
  test.each([
    ['', {}],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a=1&a=2', { a: '2' }],
    ['live', { live: '' }],
    ['live=&x=', { live: '', x: '' }],
    ['where=id+%3D+%241', { where: 'id = $1' }],
    ['a=b=c', { a: 'b=c' }],
    ['params[1]=x&params%5B2%5D=y', { params: { 1: 'x', 2: 'y' } }],
    ['columns[]=id&columns[]=Title', { columns: ['id', 'Title'] }],
    ['a=1&a[b]=2', { a: { b: '2' } }],
    ['foo[a][b]=1', { foo: { a: { value: '1' } } }],
    ['&&a=1&', { a: '1' }],
    ['x=%C3%A4', { x: 'ä' }],
  ])('decodes %s', (query, expected) => {
    expect(plain(decodeQuery(query))).toEqual(expected);
  });

  test.each(['x=%zz', '%zz=1', 'x=%', 'x=%E4', 'x=%ED%A0%80'])('refuses the malformed escape in %s', (query) => {
    expect(decodeQuery(query)).toBeUndefined();
  });

  test('refuses more than a thousand parameters', () => {
    expect(decodeQuery('a&'.repeat(1_000))).toBeUndefined();
  });

  test('a parameter called __proto__ is only a parameter', () => {
    const params = decodeQuery('__proto__[polluted]=1&__proto__=x');
    expect(params?.['__proto__']).toBe('x');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('POST bodies', () => {
  const merge = (query: string, body: Record<string, unknown>) =>
    plain(mergeBody(collectSubset(decodeQuery(query) ?? {}), body));

  test('subset parameters of the query are collected without their prefix', () => {
    expect(plain(collectSubset(decodeQuery('table=t&subset__limit=1&subset__foo=x') ?? {}))).toEqual({
      table: 't',
      subset: { limit: '1', foo: 'x' },
    });
  });

  test('an object under subset is merged over the query, and other members become parameters', () => {
    expect(merge('table=t&subset__limit=1', { subset: { where: 'a' }, where: 'b', replica: 'full' })).toEqual({
      table: 't',
      where: 'b',
      replica: 'full',
      subset: { limit: '1', where: 'a' },
    });
  });

  test('bare subset keys never replace the parameters of the URL', () => {
    expect(merge('table=t&offset=-1', { offset: 5, order_by: 'id', replica: 'full' })).toEqual({
      table: 't',
      offset: '-1',
      replica: 'full',
      subset: { offset: 5, order_by: 'id' },
    });
  });

  test('a body without subset keys adds parameters', () => {
    expect(merge('offset=-1', { table: 't', foo: 1 })).toEqual({ offset: '-1', table: 't', foo: 1 });
    expect(merge('offset=-1', {})).toEqual({ offset: '-1' });
  });

  test('a subset that is no object is left for the type check', () => {
    expect(merge('offset=-1', { subset: 'x' })).toEqual({ offset: '-1', subset: 'x' });
    expect(merge('offset=-1', { subset: ['x'], where: 'a' })).toEqual({ offset: '-1', subset: ['x'] });
  });

  test('a subset of null is none: it neither hides the subset keys beside it nor those of the query', () => {
    expect(merge('offset=-1', { subset: null, where: 'a' })).toEqual({ offset: '-1', subset: { where: 'a' } });
    expect(merge('subset__limit=1', { subset: null })).toEqual({ subset: { limit: '1' } });
    expect(merge('offset=-1', { subset: null })).toEqual({ offset: '-1' });
  });
});
