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
import { arrayText, jsonKey, jsonNoise, jsonText } from '../testing/structured.arbitrary.ts';
import { type as typeNamed } from '../types/types.ts';
import { ArrayValue } from '../types/array-value.ts';
import type { Value } from '../types/value.ts';
import { JSON_FUNCTIONS } from './json.ts';

let oracle: FunctionOracle;

beforeAll(async () => {
  oracle = await startFunctionOracle();
});

afterAll(() => oracle.stop());

const jsonb = typeNamed('jsonb');
const order = jsonb.compare as (a: Value, b: Value) => number;
const read = (text: string): Value => jsonb.parse(text).value;

test('every function is one of Postgres', async () => {
  expect(await unknownSignatures(oracle, JSON_FUNCTIONS)).toEqual([]);
});

test('reads and writes text with any characters as Postgres does', async () => {
  const rows = sample(fc.oneof(jsonNoise, jsonNoise, jsonText)).map((text): [string] => [text]);
  await expectSame(oracle, '$1::jsonb', rows, (text) => outcome(jsonb, () => read(text)));
});

test('reads the wire text of any value', async () => {
  const wire = await oracle.ask(
    '$1::jsonb',
    sample(jsonText).map((text) => [text]),
  );
  expect(wire.map((one) => `=${jsonb.format(jsonb.decode(one.slice(1)))}`)).toEqual(wire);
});

// Two unrelated values are hardly ever equal, or one in the other.
const similar: fc.Arbitrary<[string, string]> = fc.oneof(
  fc.tuple(jsonText, jsonText),
  fc.tuple(jsonText, fc.constant('')).map(([text]): [string, string] => [text, text]),
  fc.tuple(jsonText, jsonText).map(([a, b]): [string, string] => [`[${a}, ${b}]`, `[${b}]`]),
  fc.tuple(jsonText, jsonText).map(([a, b]): [string, string] => [`[${a}, ${b}]`, b]),
  fc
    .tuple(jsonText, jsonText, jsonText)
    .map(([a, b, c]): [string, string] => [`{"a":${a},"b":${b}}`, `{"b":${b},"a":${c}}`]),
  fc.tuple(jsonText, jsonText).map(([a, b]): [string, string] => [`{"a":[${a},1.0],"b":${b}}`, `{"a":[1.00]}`]),
);

test('orders values as a database with code point order does, and keys them by equality', async () => {
  expect((await oracle.ask(`'\uffee' < '😀' COLLATE "default"`, [['']]))[0]).toBe('=t');
  const rows = sample(similar);
  await expectSame(oracle, 'sign(jsonb_cmp($1::jsonb, $2::jsonb))::int4', rows, (a, b) =>
    outcome(typeNamed('int4'), () => Math.sign(order(read(a), read(b)))),
  );
  const key = (text: string): string | number => (jsonb.key as (wire: string) => string)(jsonb.parse(text).text);
  await expectSame(oracle, '$1::jsonb = $2::jsonb', rows, (a, b) => (key(a) === key(b) ? '=t' : '=f'));
});

const paths = fc.oneof(
  arrayText('text'),
  fc
    .array(
      fc.oneof(
        jsonKey,
        fc.constantFrom('0', '1', '-1', '-2', '+0', ' 1', '\n0', '1 ', '2147483648', '-2147483648', '0x1'),
      ),
      {
        maxLength: 4,
      },
    )
    .map((steps) =>
      typeNamed('text[]').format(
        new ArrayValue(
          steps,
          steps.length === 0 ? [] : [steps.length],
          steps.map(() => 1),
        ),
      ),
    ),
);
const index = fc.constantFrom('0', '0', '1', '2', '-1', '-2', '-5', '2147483647', '-2147483648');

/** json has its text kept; escapes that only jsonb refuses are in some of it. */
const plainJson = fc
  .tuple(fc.constantFrom('', ' ', '\n\t'), jsonText, fc.constantFrom('', ' '))
  .chain(([before, text, after]) =>
    fc.oneof(
      { weight: 9, arbitrary: fc.constant(before + text + after) },
      {
        weight: 3,
        arbitrary: fc.constant(
          `${before}[[ 1, 2,3] , [${text}, "a\\u00e9"],[] ,{"a": ${text} ,"a" : [${text} ]}, ${text}${after}]`,
        ),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom('\\u0000', '\\ud800', '\\ud83d\\ude00').map((escape) => `[${text}, "${escape}"]`),
      },
    ),
  );

const OPERANDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  json: plainJson,
  jsonb: jsonText,
  text: jsonKey,
  'text[]': paths,
  int4: index,
};

const RESULTS: Readonly<Record<string, string>> = {
  jsonb_object_field: 'jsonb',
  jsonb_array_element: 'jsonb',
  jsonb_extract_path: 'jsonb',
  jsonb_concat: 'jsonb',
  jsonb_delete: 'jsonb',
  json_object_field: 'json',
  json_array_element: 'json',
  json_extract_path: 'json',
  json_object_field_text: 'text',
  json_array_element_text: 'text',
  json_extract_path_text: 'text',
  jsonb_object_field_text: 'text',
  jsonb_array_element_text: 'text',
  jsonb_extract_path_text: 'text',
  jsonb_typeof: 'text',
  jsonb_array_length: 'int4',
};

test.each(Object.keys(JSON_FUNCTIONS))('%s computes what Postgres computes', async (signature) => {
  const open = signature.indexOf('(');
  const name = signature.slice(0, open);
  const types = signature.slice(open + 1, -1).split(',');
  const isCast = types.length === 1 && !name.startsWith('json');
  const result = typeNamed(RESULTS[name] ?? (isCast ? name : 'bool'));
  const rows = sample(
    types.join() === 'jsonb,jsonb' ? similar : fc.tuple(...types.map((one) => OPERANDS[one] as fc.Arbitrary<string>)),
  );
  const variadic = name.includes('_extract_path') || signature === 'jsonb_delete(jsonb,text[])' ? 'VARIADIC ' : '';
  const args = types.map((one, i) => `${i === types.length - 1 ? variadic : ''}$${i + 1}::${one}`).join(', ');
  const expression = isCast ? `($1::jsonb)::${name}` : `${name}(${args})`;
  await expectSame(oracle, expression, rows, (...row) =>
    outcomeOf(JSON_FUNCTIONS, signature, types.map(typeNamed), result, row),
  );
});

test('finds paths and parts that are there', async () => {
  const deep = '{"a":{"b":[1,{"c":"x","d":null,"":[[2]]},[3]]},"1":{"-1":true}}';
  const steps = fc.array(fc.constantFrom('a', 'b', 'c', 'd', '', '0', '1', '2', '-1', '-3', '3'), { maxLength: 5 });
  const documents = [deep, '[[1,2,{"a":[ 5 , 6]}],{"a":{"b":[]}},[3, "\\u0041"],{"a":{"b":[7],"b":null},"a":[8]}, []]'];
  const rows = sample(fc.tuple(fc.constantFrom(...documents), steps)).map(([text, path]): [string, string] => [
    text,
    `{${path.map((one) => `"${one}"`).join(',')}}`,
  ]);
  for (const name of ['json', 'jsonb']) {
    const types = [typeNamed(name), typeNamed('text[]')];
    for (const [operator, called, result] of [
      ['#>', 'extract_path', typeNamed(name)],
      ['#>>', 'extract_path_text', typeNamed('text')],
    ] as const) {
      await expectSame(oracle, `$1::${name} ${operator} $2::text[]`, rows, (...row) =>
        outcomeOf(JSON_FUNCTIONS, `${name}_${called}(${name},text[])`, types, result, row),
      );
    }
  }
  const parts = [
    '{}',
    '[]',
    '{"a":{}}',
    '{"a":{"b":[]}}',
    '{"a":{"b":[3]}}',
    '{"a":{"b":[[3]]}}',
    '{"a":{"b":[{"d":null}]}}',
    '{"a":{"b":[{"":[[]]}, 1.0]}}',
    '{"a":[]}',
    '1',
    'null',
    '{"1":{"-1":true,"-1":1}}',
    '{"a":{"b":[{"":[2]}]}}',
  ];
  await expectSame(
    oracle,
    '$1::jsonb @> $2::jsonb',
    parts.map((part): [string, string] => [deep, part]),
    (...row) => outcomeOf(JSON_FUNCTIONS, 'jsonb_contains(jsonb,jsonb)', [jsonb, jsonb], typeNamed('bool'), row),
  );
});
