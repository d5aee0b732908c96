import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fillTemplate, parseTemplate } from './template.ts';

describe('a template', () => {
  test('has a parameter for each claim, and one for a claim that comes twice', () => {
    expect(parseTemplate('tenant_id = {claims.tenant} and (owner = {claims.sub} or shared_by = {claims.sub})')).toEqual(
      {
        where: 'tenant_id = $1 and (owner = $2 or shared_by = $2)',
        paths: [['tenant'], ['sub']],
      },
    );
  });

  test('takes members of nested claims', () => {
    expect(parseTemplate('a = {claims.app.org-id}').paths).toEqual([['app', 'org-id']]);
  });

  test.each([
    ["tenant = '{claims.tenant}'", /inside quotes/],
    ['"{claims.tenant}" = 1', /inside quotes/],
    ['a = 1 -- {claims.tenant}', /inside quotes/],
    ['a = $q$ {claims.tenant} $q$', /inside quotes/],
    ['a = {tenant}', /\{tenant\} is no claim/],
    ['a = {claims}', /no claim/],
    ['a = {claims.}', /no claim/],
    ['a = {claims.a', /opening brace/],
    ['a = $1', /parameters such as \$1/],
  ])('%s is refused', (text, reason) => {
    expect(() => parseTemplate(text)).toThrow(reason);
  });

  test('braces in literals stay what they are', () => {
    expect(parseTemplate(`tags @> '{a,b}' and "x{y}" = {claims.x}`).where).toBe(`tags @> '{a,b}' and "x{y}" = $1`);
  });
});

describe('the clause for a token', () => {
  const tenant = parseTemplate('tenant = {claims.tenant}');

  test.each([
    ['text', "a' or 1=1 --", "a' or 1=1 --"],
    ['a number', 42, '42'],
    ['a boolean', true, 'true'],
    ['an array', ['a', 'b"c', 'd\\e', ''], '{"a","b\\"c","d\\\\e",""}'],
    ['an array of numbers', [1, 2], '{"1","2"}'],
    ['an empty array', [], '{}'],
  ])('has %s as a value beside the SQL', (_name, value, text) => {
    expect(fillTemplate(tenant, { tenant: value })).toEqual({ ok: true, where: 'tenant = $1', params: { 1: text } });
  });

  test.each([
    ['missing', {}],
    ['null', { tenant: null }],
    ['an object', { tenant: { a: 1 } }],
    ['an array of arrays', { tenant: [['a']] }],
    ['an array with null', { tenant: ['a', null] }],
    ['a number that JSON rounds', { tenant: 2 ** 53 }],
  ])('cannot be made when the claim is %s', (_name, claims) => {
    expect(fillTemplate(tenant, claims)).toEqual({ ok: false, missing: 'claims.tenant' });
  });

  test('cannot be made from what every object has', () => {
    const inherited = parseTemplate('a = {claims.constructor.name} or b = {claims.toString}');
    expect(fillTemplate(inherited, {}).ok).toBe(false);
  });

  test('never contains any part of a claim', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const filled = fillTemplate(tenant, { tenant: value });
        expect(filled).toEqual({ ok: true, where: 'tenant = $1', params: { 1: value } });
      }),
    );
  });
});
