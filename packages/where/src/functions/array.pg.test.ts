import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  callFunction,
  expectSame,
  outcome,
  outcomeOf,
  sample,
  startFunctionOracle,
  unknownSignatures,
  type FunctionOracle,
} from '../testing/function-oracle.ts';
import { arrayNoise, arrayText, ELEMENT_TYPES, scalarText } from '../testing/structured.arbitrary.ts';
import { type as typeNamed } from '../types/types.ts';
import type { ArrayValue } from '../types/array-value.ts';
import { ARRAY_FUNCTIONS } from './array.ts';
import { makeArray, makeNestedArray, quantified, slice, subscript } from './array-expression.ts';

let oracle: FunctionOracle;

beforeAll(async () => {
  oracle = await startFunctionOracle();
});

afterAll(() => oracle.stop());

test('every function is one of Postgres', async () => {
  expect(await unknownSignatures(oracle, ARRAY_FUNCTIONS)).toEqual([]);
});

test('reads and writes text with any characters as Postgres does', async () => {
  const type = typeNamed('text[]');
  const rows = sample(fc.oneof(arrayNoise, arrayText('text'))).map((text): [string] => [text]);
  await expectSame(oracle, '$1::text[]', rows, (text) => outcome(type, () => type.parse(text).value));
});

test.each(ELEMENT_TYPES)('reads, writes, orders and keys %s[] as Postgres does', async (name) => {
  const type = typeNamed(`${name}[]`);
  const rows = sample(fc.tuple(arrayText(name), arrayText(name)));
  await expectSame(
    oracle,
    `$1::${name}[]`,
    rows.map(([text]): [string] => [text]),
    (text) => outcome(type, () => type.parse(type.parse(text).text).value),
  );
  const wire = (
    await oracle.ask(
      `$1::${name}[]`,
      rows.map(([text]) => [text]),
    )
  ).filter((one) => one !== 'error');
  expect(wire.map((one) => `=${type.format(type.decode(one.slice(1)))}`)).toEqual(wire);
  const order = typeNamed('int4');
  const collate = name === 'text' || name === 'bpchar' ? ' COLLATE "C"' : '';
  await expectSame(oracle, `btarraycmp($1::${name}[]${collate}, $2::${name}[])`, rows, (a, b) =>
    outcome(order, () =>
      Math.sign((type.compare as (a: unknown, b: unknown) => number)(type.parse(a).value, type.parse(b).value)),
    ),
  );
  const keys = wire.map((one) => (type.key ?? ((text: string) => text))(one.slice(1)));
  const values = wire.map((one) => type.decode(one.slice(1)));
  for (let i = 1; i < wire.length; i++) {
    const same = type.compare?.(values[i - 1] as ArrayValue, values[i] as ArrayValue) === 0;
    expect({ pair: [wire[i - 1], wire[i]], same: keys[i - 1] === keys[i] }).toEqual({
      pair: [wire[i - 1], wire[i]],
      same,
    });
  }
});

const dimension = fc.constantFrom('1', '1', '2', '3', '0', '-1', '7', '2147483647', '-2147483648');
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 12 });

test.each(ELEMENT_TYPES)('computes the functions on %s[] as Postgres does', async (name) => {
  const array = typeNamed(`${name}[]`);
  const element = typeNamed(name);
  const [int4, bool] = [typeNamed('int4'), typeNamed('bool')];
  const arrays = arrayText(name);
  const elements = scalarText(name);
  const check = async (
    signature: string,
    args: readonly ReturnType<typeof typeNamed>[],
    result: ReturnType<typeof typeNamed>,
    values: fc.Arbitrary<(string | null)[]>,
  ): Promise<void> => {
    const call = args.map((type, i) => `$${i + 1}::${type.name}`).join(', ');
    await expectSame(oracle, `${signature.slice(0, signature.indexOf('('))}(${call})`, sample(values), (...row) =>
      outcomeOf(ARRAY_FUNCTIONS, signature, args, result, row),
    );
  };
  for (const relation of ['arraycontains', 'arraycontained', 'arrayoverlap']) {
    await check(`${relation}(anyarray,anyarray)`, [array, array], bool, fc.tuple(arrays, arrays));
  }
  await check(
    'array_cat(anycompatiblearray,anycompatiblearray)',
    [array, array],
    array,
    fc.tuple(nullable(arrays), nullable(arrays)),
  );
  await check(
    'array_append(anycompatiblearray,anycompatible)',
    [array, element],
    array,
    fc.tuple(nullable(arrays), nullable(elements)),
  );
  await check(
    'array_prepend(anycompatible,anycompatiblearray)',
    [element, array],
    array,
    fc.tuple(nullable(elements), nullable(arrays)),
  );
  await check('array_ndims(anyarray)', [array], int4, fc.tuple(arrays));
  await check('cardinality(anyarray)', [array], int4, fc.tuple(arrays));
  for (const bound of ['array_length', 'array_lower', 'array_upper']) {
    await check(`${bound}(anyarray,int4)`, [array, int4], int4, fc.tuple(arrays, dimension));
  }
  const search = fc.tuple(nullable(arrays), nullable(elements));
  await check('array_position(anycompatiblearray,anycompatible)', [array, element], int4, search);
  await check(
    'array_position(anycompatiblearray,anycompatible,int4)',
    [array, element, int4],
    int4,
    fc.tuple(nullable(arrays), nullable(elements), nullable(dimension)),
  );
  await check('array_remove(anycompatiblearray,anycompatible)', [array, element], array, search);
  await check(
    'array_replace(anycompatiblearray,anycompatible,anycompatible)',
    [array, element, element],
    array,
    fc.tuple(nullable(arrays), nullable(elements), nullable(elements)),
  );
});

const index = fc.constantFrom('-1', '0', '1', '1', '2', '2', '3', '5', '2147483641', '2147483647', '-2147483648');
const int4s = arrayText('int4');

test('takes elements and slices out of arrays as Postgres does', async () => {
  const [array, int4] = [typeNamed('int4[]'), typeNamed('int4')];
  const read = (text: string) => array.parse(text).value as ArrayValue;
  for (let count = 1; count <= 4; count++) {
    const indexes = fc.tuple(...Array.from({ length: count }, () => index));
    const plain = Array.from({ length: count }, (_, i) => `[$${i + 2}::int4]`).join('');
    await expectSame(
      oracle,
      `($1::int4[])${plain}`,
      sample(fc.tuple(int4s, indexes)).map(([text, at]): [string, ...string[]] => [text, ...at]),
      (text, ...at) => outcome(int4, () => subscript(read(text), at.map(Number))),
    );
    for (const form of ['both', 'lower', 'upper', 'none', 'plain'] as const) {
      const ranges = Array.from({ length: count }, (_, i) => {
        const [lower, upper] = [`$${2 * i + 2}::int4`, `$${2 * i + 3}::int4`];
        if (i > 0 && form === 'plain') return `[${upper}]`;
        return `[${form === 'upper' || form === 'none' ? '' : lower}:${form === 'lower' || form === 'none' ? '' : upper}]`;
      }).join('');
      await expectSame(
        oracle,
        `($1::int4[])${ranges}`,
        sample(fc.tuple(int4s, indexes, indexes)).map(([text, low, high]): [string, ...string[]] => [
          text,
          ...low.flatMap((one, i) => [one, high[i] as string]),
        ]),
        (text, ...at) =>
          outcome(array, () => {
            const bounds = Array.from({ length: count }, (_, i) => ({
              lower:
                form === 'upper' || form === 'none' ? undefined : i > 0 && form === 'plain' ? 1 : Number(at[2 * i]),
              upper: form === 'lower' || form === 'none' ? undefined : Number(at[2 * i + 1]),
            }));
            return slice(read(text), bounds);
          }),
      );
    }
  }
});

test('builds arrays as Postgres does', async () => {
  const [array, int4] = [typeNamed('int4[]'), typeNamed('int4')];
  const numbers = nullable(scalarText('int4'));
  await expectSame(oracle, 'ARRAY[$1::int4, $2::int4]', sample(fc.tuple(numbers, numbers)), (...row) =>
    outcome(array, () => makeArray(row.map((text) => (text === null ? null : int4.parse(text).value)))),
  );
  const same = nullable(int4s).chain((text) =>
    fc.tuple(fc.constant(text), fc.oneof(fc.constant(text), nullable(int4s)), fc.constant(text)),
  );
  await expectSame(oracle, 'ARRAY[$1::int4[], $2::int4[], $3::int4[]]', sample(same), (...row) =>
    outcome(array, () =>
      makeNestedArray(row.map((text) => (text === null ? null : (array.parse(text).value as ArrayValue)))),
    ),
  );
});

test('decides ANY and ALL as Postgres does', async () => {
  const [array, int4, bool] = [typeNamed('int4[]'), typeNamed('int4'), typeNamed('bool')];
  for (const [operator, holds] of [
    ['=', (a: number, b: number) => a === b],
    ['<>', (a: number, b: number) => a !== b],
    ['<', (a: number, b: number) => a < b],
  ] as const) {
    for (const quantifier of ['ANY', 'ALL']) {
      const rows = sample(fc.tuple(nullable(scalarText('int4')), int4s));
      await expectSame(oracle, `$1::int4 ${operator} ${quantifier} ($2::int4[])`, rows, (left, right) =>
        outcome(bool, () => {
          const value = left === null ? null : (int4.parse(left).value as number);
          const compare = (element: unknown) =>
            element === null || value === null ? null : holds(value, element as number);
          return quantified(compare, array.parse(right).value as ArrayValue, quantifier === 'ALL');
        }),
      );
    }
  }
});

test('finds elements in large arrays', async () => {
  for (const name of ['int4', 'numeric', 'float8', 'text']) {
    const array = typeNamed(`${name}[]`);
    const large = fc.array(fc.option(scalarText(name)), { minLength: 10, maxLength: 40 }).map((values) => {
      const type = typeNamed(name);
      return array.format(makeArray(values.map((text) => (text === null ? null : type.parse(text).value))));
    });
    await expectSame(
      oracle,
      `ARRAY[$1::${name}[] @> $2::${name}[], $1::${name}[] && $2::${name}[]]`,
      sample(fc.tuple(large, large)),
      (...row) =>
        outcome(typeNamed('bool[]'), () => {
          const values = row.map((text) => array.parse(text).value);
          const call = (signature: string) =>
            callFunction(ARRAY_FUNCTIONS, signature, [array, array], typeNamed('bool'), values);
          return makeArray([call('arraycontains(anyarray,anyarray)'), call('arrayoverlap(anyarray,anyarray)')]);
        }),
    );
  }
});
