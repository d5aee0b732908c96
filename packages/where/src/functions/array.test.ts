import { describe, expect, test } from 'vitest';
import { ClauseEvaluationError } from '../errors.ts';
import { type as typeNamed } from '../types/types.ts';
import type { ArrayValue } from '../types/array-value.ts';
import type { Value } from '../types/value.ts';
import { ARRAY_FUNCTIONS } from './array.ts';
import { makeArray, makeNestedArray, quantified, slice, subscript } from './array-expression.ts';
import type { Polymorphic } from './implementation.ts';

const ints = typeNamed('int4[]');
const read = (text: string): ArrayValue => ints.decode(text) as ArrayValue;

function call(signature: string, ...values: (Value | null)[]): Value | null {
  const implementation = ARRAY_FUNCTIONS[signature];
  const fn =
    typeof implementation === 'function' ? implementation : (implementation as Polymorphic).of([ints, ints], ints);
  return (fn as (...all: (Value | null)[]) => Value | null)(...values);
}

describe('containment', () => {
  const contains = (a: string, b: string) => call('arraycontains(anyarray,anyarray)', read(a), read(b));
  const overlaps = (a: string, b: string) => call('arrayoverlap(anyarray,anyarray)', read(a), read(b));

  test('ignores order, repetition and dimensions', () => {
    expect(contains('{{1,2},{3,4}}', '{4,4,1}')).toBe(true);
    expect(contains('{1,2}', '{}')).toBe(true);
    expect(overlaps('{1,2}', '{9,2}')).toBe(true);
    expect(overlaps('{1,2}', '{}')).toBe(false);
  });

  test('never finds NULL', () => {
    expect(contains('{1,NULL}', '{1,NULL}')).toBe(false);
    expect(overlaps('{NULL}', '{NULL}')).toBe(false);
  });

  test('looks up many elements in large arrays', () => {
    const numerics = typeNamed('numeric[]');
    const many = makeArray(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 100_003));
    const { of } = ARRAY_FUNCTIONS['arraycontains(anyarray,anyarray)'] as Polymorphic;
    const fn = of([numerics, numerics], typeNamed('bool')) as (a: ArrayValue, b: ArrayValue) => boolean;
    expect(fn(many, many)).toBe(true);
    expect(fn(many, makeArray([...many.elements, -1]))).toBe(false);
  });
});

describe('concatenation', () => {
  const cat = (a: string | null, b: string | null) => {
    const result = call('array_cat(anycompatiblearray,anycompatiblearray)', a && read(a), b && read(b));
    return result && ints.format(result);
  };

  test('treats NULL and arrays without elements as nothing', () => {
    expect([cat(null, '{1}'), cat('{1}', null), cat(null, null)]).toEqual(['{1}', '{1}', null]);
    expect([cat('{}', '[2:2]={1}'), cat('[2:2]={1}', '{}')]).toEqual(['[2:2]={1}', '[2:2]={1}']);
  });

  test('takes an array of fewer dimensions as an element', () => {
    expect(cat('{{1,2}}', '{3,4}')).toBe('{{1,2},{3,4}}');
    expect(cat('{1,2}', '{{3,4}}')).toBe('{{1,2},{3,4}}');
    expect(cat('{{1,2}}', '{{3,4}}')).toBe('{{1,2},{3,4}}');
  });

  test('raises an error for other dimensions', () => {
    expect(() => cat('{{1,2}}', '{3}')).toThrow(ClauseEvaluationError);
    expect(() => cat('{{{1}}}', '{3}')).toThrow(ClauseEvaluationError);
  });

  test('keeps the lower bound when elements are put on either end', () => {
    expect(ints.format(call('array_append(anycompatiblearray,anycompatible)', read('[5:5]={1}'), 2) as Value)).toBe(
      '[5:6]={1,2}',
    );
    expect(ints.format(call('array_prepend(anycompatible,anycompatiblearray)', 2, read('[5:5]={1}')) as Value)).toBe(
      '[5:6]={2,1}',
    );
    expect(ints.format(call('array_append(anycompatiblearray,anycompatible)', null, null) as Value)).toBe('{NULL}');
  });
});

describe('subscripts and slices', () => {
  test('are NULL outside of the array and for another number of subscripts', () => {
    const array = read('[0:1][1:2]={{1,2},{3,4}}');
    expect([
      subscript(array, [1, 1]),
      subscript(array, [2, 1]),
      subscript(array, [1]),
      subscript(array, [1, 1, 1]),
    ]).toEqual([3, null, null, null]);
    expect(subscript(read('{}'), [])).toBeNull();
  });

  test('number what they take from 1', () => {
    expect(ints.format(slice(read('[3:5]={1,2,3}'), [{ lower: 4, upper: undefined }]))).toBe('{2,3}');
    expect(ints.format(slice(read('{{1,2},{3,4}}'), [{ lower: 2, upper: 2 }]))).toBe('{{3,4}}');
    expect(ints.format(slice(read('{1,2}'), [{ lower: 2, upper: 1 }]))).toBe('{}');
    expect(
      ints.format(
        slice(read('{1,2}'), [
          { lower: 1, upper: 1 },
          { lower: 1, upper: 1 },
        ]),
      ),
    ).toBe('{}');
  });
});

test('an array of arrays needs equal dimensions', () => {
  expect(ints.format(makeNestedArray([read('{1,2}'), read('{3,4}')]))).toBe('{{1,2},{3,4}}');
  expect(ints.format(makeNestedArray([read('{}'), null]))).toBe('{}');
  expect(() => makeNestedArray([read('{1}'), null])).toThrow(ClauseEvaluationError);
  expect(() => makeNestedArray([read('{1}'), read('{1,2}')])).toThrow(ClauseEvaluationError);
});

test('ANY and ALL stop at the element that decides, and know NULL', () => {
  const seen: (Value | null)[] = [];
  const equals = (wanted: number) => (element: Value | null) => {
    seen.push(element);
    return element === null ? null : element === wanted;
  };
  expect(quantified(equals(1), read('{NULL,1,2}'), false)).toBe(true);
  expect(seen).toEqual([null, 1]);
  expect(quantified(equals(3), read('{NULL,1}'), false)).toBeNull();
  expect(quantified(equals(1), read('{1,NULL}'), true)).toBeNull();
  expect([quantified(equals(1), read('{}'), false), quantified(equals(1), read('{}'), true)]).toEqual([false, true]);
});
