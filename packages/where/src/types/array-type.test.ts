import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import { type as typeNamed } from './types.ts';
import { readArrayText, writeArrayText } from './array-text.ts';
import { ArrayValue } from './array-value.ts';
import type { Value } from './value.ts';

describe('array text', () => {
  test.each([
    ['{}', []],
    [' { } ', []],
    ['{1,NULL,"a b"}', ['1', null, 'a b']],
    ['{ nUlL , "NULL", n\\ull }', [null, 'NULL', 'null']],
    ['{ a  b ,\\ , x\\  }', ['a  b', ' ', 'x ']],
    ['{"\\"\\\\",\\{\\}\\,}', ['"\\', '{},']],
    ['{""}', ['']],
  ])('reads the elements of %s', (text, elements) => {
    expect(readArrayText(text).elements).toEqual(elements);
  });

  test('reads dimensions and lower bounds', () => {
    const nested = { elements: ['1', '2', '3', '4'], dims: [2, 2], lowerBounds: [1, 1] };
    expect(readArrayText('{{1,2},{3,4}}')).toEqual(nested);
    expect(readArrayText(' [0:1] [-1:0] = {{1,2},{3,4}}')).toEqual({ ...nested, lowerBounds: [0, -1] });
    expect(readArrayText('[2]={5,6}')).toEqual({ elements: ['5', '6'], dims: [2], lowerBounds: [1] });
  });

  test.each([
    '',
    'a',
    '{',
    '{1',
    '{1}}',
    '{1}x',
    '{1,}',
    '{,1}',
    '{"a"b}',
    '{a"b"}',
    '{1,{2}}',
    '{{1},2}',
    '{{1,2},{3}}',
  ])('refuses %j', (text) => {
    expect(() => readArrayText(text)).toThrow(InputError);
  });

  test.each([
    '[1:0]={}',
    '[2:1]={1}',
    '[1:3]={1,2}',
    '[1:2147483647]={1}',
    '[1:2]{1,2}',
    '[:2]={1,2}',
    '{{{{{{{1}}}}}}}',
    '{"\\',
  ])('refuses %j', (text) => {
    expect(() => readArrayText(text)).toThrow(InputError);
  });

  test('leaves brackets around nothing to Postgres, whose versions differ', () => {
    expect(() => readArrayText('{{},{}}')).toThrow(expect.objectContaining({ undecided: true }));
  });

  test('reads back what it writes', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 6 }).chain((dims) => {
      const count = dims.reduce((product, length) => product * length, 1);
      return fc.record({
        dims: fc.constant(dims),
        lowerBounds: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: dims.length, maxLength: dims.length }),
        elements: fc.array(fc.option(fc.string()), { minLength: count, maxLength: count }),
      });
    });
    fc.assert(
      fc.property(shape, (array) => {
        expect(readArrayText(writeArrayText(array))).toEqual(array);
      }),
    );
  });
});

describe('array types', () => {
  const ints = typeNamed('int4[]');
  const compare = ints.compare as (a: Value, b: Value) => number;

  test('orders by elements, number of elements, dimensions, lower bounds, with NULL above all', () => {
    const ascending = [
      '{}',
      '{1}',
      '{1,2}',
      '[2:3]={1,2}',
      '{{1,2}}',
      '{{1},{2}}',
      '{1,3}',
      '{1,NULL}',
      '{2}',
      '{NULL}',
    ];
    const values = ascending.map((text) => ints.decode(text));
    for (let i = 1; i < values.length; i++) {
      expect([ascending[i], compare(values[i - 1] as Value, values[i] as Value) < 0]).toEqual([ascending[i], true]);
      expect(compare(values[i] as Value, values[i] as Value)).toBe(0);
    }
  });

  test('gives equal arrays the same key', () => {
    const numerics = typeNamed('numeric[]');
    expect(numerics.key?.('{1.0,NULL}')).toBe(numerics.key?.('{1.00,NULL}'));
    expect(typeNamed('float8[]').key?.('{-0}')).toBe(typeNamed('float8[]').key?.('{0}'));
    expect(ints.key).toBeUndefined();
  });

  test('has no order when its elements have none', () => {
    expect(typeNamed('json[]').compare).toBeUndefined();
  });

  test('reads elements by the input function of their type', () => {
    expect(ints.parse('{ 1 ,+2}')).toEqual({ value: new ArrayValue([1, 2], [2], [1]), text: '{1,2}' });
    expect(() => ints.parse('{x}')).toThrow(InputError);
  });
});
