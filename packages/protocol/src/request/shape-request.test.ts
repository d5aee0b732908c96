import { formatOffset } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { decodeQuery } from './query-string.ts';
import { collectSubset } from './request-body.ts';
import { definitionKey, parseDeleteRequest, parseShapeRequest, type ShapeRequest } from './shape-request.ts';

const parse = (query: string) => parseShapeRequest(collectSubset(decodeQuery(query) ?? {}));
const errorsOf = (query: string) => {
  const parsed = parse(query);
  return parsed.ok ? undefined : parsed.errors;
};
const accepted = (query: string): ShapeRequest => {
  const parsed = parse(query);
  if (!parsed.ok) throw new Error(`refused: ${JSON.stringify(parsed.errors)}`);
  return parsed.value;
};

describe('parseShapeRequest', () => {
  test.each<[string, string, string]>([
    ['table=items', 'offset', "can't be blank"],
    ['table=items&offset=', 'offset', "can't be blank"],
    ['offset=+', 'offset', "can't be blank"],
    ...['foo', '10', '1_2_3', '0_-1', '-2', '1_2%20', '1.5_0', '0_INF', '99999999999999999999_0'].map(
      (offset): [string, string, string] => [`offset=${offset}`, 'offset', 'has invalid format'],
    ),
    ['offset=0_0', 'handle', "can't be blank when offset != -1"],
    ['offset=0_0&handle=', 'handle', "can't be blank when offset != -1"],
    ['offset=-1&live=true', 'live', "can't be true when offset == -1"],
    ['offset=-1&live', 'live', "can't be true when offset == -1"],
    ['offset=-1&live=', 'live', "can't be true when offset == -1"],
    ['offset=-1&live=0', 'live', "can't be true when offset == -1"],
    ['offset=-1&live=False', 'live', "can't be true when offset == -1"],
    ['offset=now&live=true', 'live', "can't be true when offset is 'now'"],
    ['offset=0_0&handle=H&live_sse=true', 'live_sse', "can't be true unless live is also true"],
    ['offset=0_0&handle=H&experimental_live_sse=true', 'live_sse', "can't be true unless live is also true"],
    ['offset=0_0&handle=H&experimental_live_sse=maybe', 'live_sse', 'is invalid'],
    ['offset=foo&replica=bar', 'replica', 'is invalid'],
    ['offset=-1&log=baz', 'log', 'is invalid'],
    ['offset=-1&experimental_compaction=maybe', 'experimental_compaction', 'is invalid'],
    ['offset=-1&params={"1":"x"}', 'params', 'is invalid'],
    ['offset=-1&params[]=x', 'params', 'is invalid'],
    ['offset=-1&table[]=x', 'table', 'is invalid'],
    ['offset=-1&columns[a]=x', 'columns', 'is invalid'],
    ['offset=-1&handle[]=x', 'handle', 'is invalid'],
    ['offset=-1&subset=x', 'subset', 'is invalid'],
  ])('refuses %s under %s', (query, field, text) => {
    expect(errorsOf(query)).toEqual({ [field]: [text] });
  });

  test('reports all errors of the first stage that has any', () => {
    expect(errorsOf('offset=foo&replica=bar&log=baz')).toEqual({ replica: ['is invalid'], log: ['is invalid'] });
  });

  test('blank values count as absent', () => {
    const blank = accepted('table=items&offset=-1&replica=&log=%20&where=&columns=&params=');
    expect(definitionKey(blank.definition)).toBe(definitionKey(accepted('table=items&offset=-1').definition));
    expect(blank.definition).toEqual({ table: 'items', replica: 'default', log: 'full', compaction: false });
  });

  test('drops the handle where the offset starts a log anew', () => {
    expect(accepted('offset=-1&handle=x').handle).toBeUndefined();
    expect(accepted('offset=-1_0&handle=x').handle).toBeUndefined();
    expect(accepted('offset=now&handle=x').handle).toBeUndefined();
    expect(accepted('offset=0_0&handle=x').handle).toBe('x');
  });

  test('normalises offsets', () => {
    const { offset } = accepted('offset=00012_002&handle=x');
    expect(offset === 'now' ? offset : formatOffset(offset)).toBe('12_2');
  });

  test('live_sse decides over its older spelling', () => {
    const query = 'offset=0_0&handle=H&live=true';
    expect(accepted(query).sse).toBe(false);
    expect(accepted(`${query}&experimental_live_sse=true`).sse).toBe(true);
    expect(accepted(`${query}&live_sse=false&experimental_live_sse=true`).sse).toBe(false);
    expect(accepted(`${query}&live_sse=1&experimental_live_sse=false`).sse).toBe(true);
  });

  test('JSON values are as good as text', () => {
    const parsed = parseShapeRequest({ offset: -1, live: false, columns: ['id'], params: { 1: 'x' } });
    expect(parsed.ok && parsed.value).toMatchObject({
      live: false,
      definition: { columns: ['id'], params: { 1: 'x' } },
    });
    expect(parseShapeRequest({ offset: '-1', params: { 1: 7, 2: true, 3: 'x' } })).toMatchObject({
      value: { definition: { params: { 1: '7', 2: 'true', 3: 'x' } } },
    });
    for (const params of [{ 1: null }, { 1: {} }, { 1: ['x'] }, ['x'], '{"1":"x"}', 7]) {
      expect(parseShapeRequest({ offset: '-1', params }).ok).toBe(false);
    }
  });

  test('one subset key, even an unknown one, makes a subset request', () => {
    expect(accepted('offset=-1&subset__foo=1').subset).toEqual({ foo: '1' });
    expect(accepted('offset=-1')).not.toHaveProperty('subset');
  });
});

describe('parseDeleteRequest', () => {
  test('needs a definition or a handle', () => {
    expect(parseDeleteRequest({})).toEqual({
      ok: false,
      errors: { handle: ["can't be blank when shape definition is missing"] },
    });
    expect(parseDeleteRequest({ handle: 'x' }).ok).toBe(true);
  });

  test('takes live as an ordinary boolean', () => {
    expect(parseDeleteRequest({ table: 't', live: 'banana' })).toEqual({ ok: false, errors: { live: ['is invalid'] } });
    expect(parseDeleteRequest({ table: 't', live: '1', offset: 'rubbish' }).ok).toBe(true);
  });
});
