import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  expectSame,
  outcome,
  outcomeOf,
  sample,
  startFunctionOracle,
  unknownSignatures,
  type FunctionOracle,
} from '../testing/function-oracle.ts';
import { rangeNoise, rangeText, scalarText } from '../testing/structured.arbitrary.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Value } from '../types/value.ts';
import { RANGE_FUNCTIONS } from './range.ts';

let oracle: FunctionOracle;

beforeAll(async () => {
  oracle = await startFunctionOracle();
});

afterAll(() => oracle.stop());

const RANGES = [
  ['int4range', 'int4'],
  ['int8range', 'int8'],
  ['numrange', 'numeric'],
  ['daterange', 'date'],
  ['tsrange', 'timestamp'],
  ['tstzrange', 'timestamptz'],
] as const;

test('every function is one of Postgres', async () => {
  expect(await unknownSignatures(oracle, RANGE_FUNCTIONS)).toEqual([]);
});

test('reads text with any characters as Postgres does', async () => {
  const range = typeNamed('numrange');
  const rows = sample(rangeNoise).map((text): [string] => [text]);
  await expectSame(oracle, '$1::numrange', rows, (text) => outcome(range, () => range.parse(text).value));
});

test.each(RANGES)('reads, writes, orders and keys %s as Postgres does', async (name, subtype) => {
  const range = typeNamed(name);
  const compare = range.compare as (a: Value, b: Value) => number;
  const rows = sample(fc.tuple(rangeText(subtype), rangeText(subtype)));
  const texts = rows.map(([text]): [string] => [text]);
  await expectSame(oracle, `$1::${name}`, texts, (text) => outcome(range, () => range.parse(text).value));
  const wire = (await oracle.ask(`$1::${name}`, texts)).filter((one) => one !== 'error').map((one) => one.slice(1));
  expect(wire.map((text) => range.format(range.decode(text)))).toEqual(wire);
  await expectSame(oracle, `range_cmp($1::${name}, $2::${name})`, rows, (a, b) =>
    outcome(typeNamed('int4'), () => Math.sign(compare(range.parse(a).value, range.parse(b).value))),
  );
  const keys = wire.map((text) => range.key?.(text) ?? text);
  for (let i = 1; i < wire.length; i++) {
    const pair = [wire[i - 1] as string, wire[i] as string] as const;
    const [a, b] = pair.map((text) => range.decode(text)) as [Value, Value];
    expect({ pair, same: keys[i - 1] === keys[i] }).toEqual({ pair, same: compare(a, b) === 0 });
  }
});

test.each(RANGES)('computes the functions on %s as Postgres does', async (name, subtype) => {
  for (const signature of Object.keys(RANGE_FUNCTIONS)) {
    const open = signature.indexOf('(');
    const called = signature.slice(0, open);
    if (called.endsWith('range') && called !== name) continue;
    const types = signature
      .slice(open + 1, -1)
      .split(',')
      .map((one) => (one === 'anyrange' ? name : one === 'anyelement' ? subtype : one));
    const args = types.map((one) => {
      if (one === 'text') return fc.option(fc.constantFrom('[]', '[)', '(]', '()', '', '[', '[]]', ')('), { freq: 10 });
      if (one === name) return rangeText(subtype);
      return called === name ? fc.option(scalarText(subtype), { freq: 6 }) : scalarText(subtype);
    });
    const result = called === name ? name : called === 'lower' || called === 'upper' ? subtype : 'bool';
    const call = types.map((one, i) => `$${i + 1}::${one}`).join(', ');
    await expectSame(oracle, `${called}(${call})`, sample(fc.tuple(...args)), (...row) =>
      outcomeOf(RANGE_FUNCTIONS, signature, types.map(typeNamed), typeNamed(result), row),
    );
  }
});
