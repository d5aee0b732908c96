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
import { inetText } from '../testing/structured.arbitrary.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Value } from '../types/value.ts';
import { NETWORK_FUNCTIONS } from './network.ts';

let oracle: FunctionOracle;

beforeAll(async () => {
  oracle = await startFunctionOracle();
});

afterAll(() => oracle.stop());

test('every function is one of Postgres', async () => {
  expect(await unknownSignatures(oracle, NETWORK_FUNCTIONS)).toEqual([]);
});

test.each(['inet', 'cidr'])('reads, writes, orders and keys %s as Postgres does', async (name) => {
  const type = typeNamed(name);
  const compare = type.compare as (a: Value, b: Value) => number;
  const rows = sample(fc.tuple(inetText, inetText));
  const texts = rows.map(([text]): [string] => [text]);
  await expectSame(oracle, `$1::${name}`, texts, (text) => outcome(type, () => type.parse(text).value));
  const wire = (await oracle.ask(`$1::${name}`, texts)).filter((one) => one !== 'error').map((one) => one.slice(1));
  expect(wire.map((text) => type.format(type.decode(text)))).toEqual(wire);
  await expectSame(oracle, `sign(network_cmp($1::${name}, $2::${name}))::int4`, rows, (a, b) =>
    outcome(typeNamed('int4'), () => Math.sign(compare(type.parse(a).value, type.parse(b).value))),
  );
});

test('an inet and a cidr have the same key when they are equal', async () => {
  const [inet, cidr] = [typeNamed('inet'), typeNamed('cidr')];
  const wide = fc.constantFrom('10.0.0.1', '10.0.0.1/32', '10.0.0.0/8', '::1', '::1/128', '::/64', '::1.2.3.4/128');
  const rows = sample(fc.tuple(fc.oneof(wide, inetText), wide));
  const key = (type: typeof inet, text: string) => {
    const { text: wire } = type.parse(text);
    return type.key?.(wire) ?? wire;
  };
  await expectSame(oracle, '$1::inet = $2::cidr', rows, (a, b) =>
    outcome(typeNamed('bool'), () => key(inet, a) === key(cidr, b)),
  );
});

const RESULTS: Readonly<Record<string, string>> = {
  family: 'int4',
  masklen: 'int4',
  host: 'text',
  text: 'text',
  cidr: 'cidr',
  network: 'cidr',
  netmask: 'inet',
  hostmask: 'inet',
  broadcast: 'inet',
};

test.each(Object.keys(NETWORK_FUNCTIONS))('%s computes what Postgres computes', async (signature) => {
  const open = signature.indexOf('(');
  const name = signature.slice(0, open);
  const types = signature.slice(open + 1, -1).split(',');
  const result = typeNamed(name === 'set_masklen' ? (types[0] as string) : (RESULTS[name] ?? 'bool'));
  const bits = fc.constantFrom('-2', '-1', '0', '8', '24', '32', '33', '64', '128', '129');
  const args = types.map((one) => (one === 'int4' ? bits : inetText));
  const call = types.map((one, i) => `$${i + 1}::${one}`).join(', ');
  const expression = name === 'text' || name === 'cidr' ? `($1::inet)::${name}` : `${name}(${call})`;
  await expectSame(oracle, expression, sample(fc.tuple(...args)), (...row) =>
    outcomeOf(NETWORK_FUNCTIONS, signature, types.map(typeNamed), result, row),
  );
});
