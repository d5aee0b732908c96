import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import { type as typeNamed } from './types.ts';
import { Json } from './json-value.ts';
import type { Value } from './value.ts';

function textOf(type: string, text: string): string {
  return typeNamed(type).parse(text).text;
}

describe('jsonb', () => {
  const jsonb = typeNamed('jsonb');
  const compare = jsonb.compare as (a: Value, b: Value) => number;
  const order = (a: string, b: string): number => Math.sign(compare(jsonb.decode(a), jsonb.decode(b)));

  test('keeps the last of equal keys, in an order of its own, and numbers exactly', () => {
    expect(textOf('jsonb', '{"b":1,"aa":2,"é":3,"b":1.50}')).toBe('{"b": 1.50, "aa": 2, "é": 3}');
    expect(textOf('jsonb', '[1e3, -0, 12345678901234567890.10]')).toBe('[1000, 0, 12345678901234567890.10]');
    expect(textOf('jsonb', '{"__proto__":1,"10":2,"9":3}')).toBe('{"9": 3, "10": 2, "__proto__": 1}');
  });

  test('reads and writes escapes', () => {
    expect(textOf('jsonb', '"\\u00e9\\ud83d\\ude00\\/\\b\\u001f"')).toBe('"é😀/\\b\\u001f"');
  });

  test.each([
    '',
    '{',
    '[1,]',
    '{"a"}',
    '{a:1}',
    "'a'",
    '01',
    '1.',
    '.5',
    '+1',
    'nul',
    '"\\u0000"',
    '"\\ud83d"',
    '"\\udc00"',
    '"\t"',
    '[1] 2',
    '\v1',
  ])('refuses %j', (text) => {
    expect(() => jsonb.parse(text)).toThrow(expect.objectContaining({ name: 'InputError', undecided: false }));
  });

  test('leaves deep nesting and long numbers to Postgres', () => {
    expect(jsonb.format(jsonb.decode(`${'['.repeat(500)}${']'.repeat(500)}`))).toHaveLength(1000);
    for (const text of ['['.repeat(100_000), '9'.repeat(1001)]) {
      expect(() => jsonb.parse(text)).toThrow(expect.objectContaining({ name: 'InputError', undecided: true }));
    }
    expect(jsonb.decode('9'.repeat(1001))).toBeInstanceOf(Json);
  });

  test('orders by kind, size and content', () => {
    const ascending = [
      '[]',
      'null',
      '"a"',
      '1',
      'false',
      'true',
      '[1]',
      '[1, 2]',
      '{}',
      '{"a": 1}',
      '{"a": 2}',
      '{"a": 1, "b": 1}',
    ];
    for (let i = 1; i < ascending.length; i++) {
      const pair = [ascending[i - 1] as string, ascending[i] as string] as const;
      expect([...pair, order(...pair)]).toEqual([...pair, -1]);
    }
    expect(order('{"a": [1.0]}', '{"a": [1.00]}')).toBe(0);
  });

  test('gives equal values the same key', () => {
    expect(jsonb.key?.('{"a": 1.0}')).toBe(jsonb.key?.('{"a": 1}'));
    expect(jsonb.key?.('{"a": "1.0"}')).not.toBe(jsonb.key?.('{"a": "1"}'));
  });
});

describe('ranges', () => {
  test('are canonical where their type has a next value', () => {
    expect(textOf('int4range', '(1,4]')).toBe('[2,5)');
    expect(textOf('int4range', '(1,2)')).toBe('empty');
    expect(textOf('daterange', '[2024-02-28,2024-02-29]')).toBe('[2024-02-28,2024-03-01)');
    expect(textOf('daterange', '[2024-01-01,infinity]')).toBe('[2024-01-01,infinity]');
    expect(textOf('numrange', '(1.0,2.00]')).toBe('(1.0,2.00]');
    expect(textOf('tsrange', '[2024-01-01,]')).toBe('["2024-01-01 00:00:00",)');
    expect(textOf('int8range', ' [ 1 ,"2"] ')).toBe('[1,3)');
  });

  test.each(['', '[1', '[2,1]', '1,2', '[1,2,3]', '[1,2] x', '[,2147483647]', '[ ,1]', '(,"")'])(
    'refuses %j',
    (text) => {
      expect(() => typeNamed('int4range').parse(text)).toThrow(InputError);
    },
  );

  test('give equal values the same key', () => {
    expect(typeNamed('numrange').key?.('[1.0,2)')).toBe(typeNamed('numrange').key?.('[1,2.00)'));
    expect(typeNamed('numrange').key?.('empty')).toBe('empty');
  });

  test('order empty ranges first and infinite bounds outermost', () => {
    const { compare, decode } = typeNamed('int4range');
    const ascending = ['empty', '(,1)', '(,)', '[1,2)', '[1,)', '[2,3)'].map(decode);
    for (let i = 1; i < ascending.length; i++) {
      expect(compare?.(ascending[i - 1] as Value, ascending[i] as Value)).toBeLessThan(0);
    }
  });
});

describe('network addresses', () => {
  test('are written in the shortest form', () => {
    expect(textOf('inet', '10.0.0.1/32')).toBe('10.0.0.1');
    expect(textOf('inet', '10.1/16')).toBe('10.1.0.0/16');
    expect(textOf('inet', '1:0:0:2:0:0:0:3/64')).toBe('1:0:0:2::3/64');
    expect(textOf('inet', '::FFFF:1.2.3.4')).toBe('::ffff:1.2.3.4');
    expect(textOf('cidr', '10')).toBe('10.0.0.0/8');
    expect(textOf('cidr', '10.0.0.1')).toBe('10.0.0.1/32');
  });

  test.each([
    '',
    '10',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '1.2.3.4/33',
    '1.2.3.4/',
    ':1',
    '1::2::3',
    '12345::',
    '::/129',
    '::/01',
    '::%eth0',
  ])('refuses %j as inet', (text) => {
    expect(() => typeNamed('inet').parse(text)).toThrow(InputError);
  });

  test('refuse bits behind the mask of a cidr', () => {
    expect(() => typeNamed('cidr').parse('10.0.0.1/8')).toThrow(InputError);
    expect(() => typeNamed('cidr').parse('::1/64')).toThrow(InputError);
  });

  test('order IPv4 first, then by network, then by length of the prefix', () => {
    const { compare, decode } = typeNamed('inet');
    const ascending = [
      '9.255.255.255',
      '10.0.0.0/8',
      '10.0.0.0/9',
      '10.0.0.0',
      '10.0.0.1',
      '11.0.0.0/8',
      '::/0',
      '::1',
    ].map(decode);
    for (let i = 1; i < ascending.length; i++) {
      expect(compare?.(ascending[i - 1] as Value, ascending[i] as Value)).toBeLessThan(0);
    }
  });
});
