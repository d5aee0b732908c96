import { describe, expect, test } from 'vitest';
import { ClauseEvaluationError } from '../errors.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import type { Fn } from './implementation.ts';
import { ASCII_CASE_FUNCTIONS, TEXT_FUNCTIONS } from './text.ts';

/** Calls a function by its signature; polymorphic ones for arguments of these types. */
function call(signature: string, args: readonly (Value | null)[], types: readonly Type[] = []): Value | null {
  const implementation = TEXT_FUNCTIONS[signature] as Fn | { of: (args: readonly Type[], result: Type) => Fn };
  const fn = typeof implementation === 'function' ? implementation : implementation.of(types, text);
  return (fn as (...values: (Value | null)[]) => Value | null)(...args);
}

function typeNamed(name: string, format: (value: Value) => string): Type {
  return {
    name,
    sql: name,
    oid: 0,
    category: 'S',
    preferred: false,
    parse: (source) => ({ value: source, text: source }),
    decode: (source) => source,
    format,
    compare: undefined,
    key: undefined,
    element: undefined,
  };
}

const text = typeNamed('text', (value) => value as string);
const bpchar = typeNamed('bpchar', (value) => value as string);
const bool = typeNamed('bool', (value) => (value === true ? 't' : 'f'));
const inet = typeNamed('inet', (value) => value as string);

const POSTGRES = 'postgres';
const UNDECIDED = 'undecided';

describe('values', () => {
  test.each<[string, (string | number | boolean)[], Value]>([
    ['length(text)', ['😀'], 1],
    ['length(text)', ['e\u0301'], 2],
    ['length(bpchar)', ['é   '], 1],
    ['octet_length(text)', ['é😀'], 6],
    ['octet_length(bpchar)', ['é '], 3],
    ['bit_length(text)', ['a'], 8],
    ['substring(text,int4)', ['a😀bc', 3], 'bc'],
    ['substring(text,int4)', ['abc', -5], 'abc'],
    ['substring(text,int4,int4)', ['a😀bc', 2, 2], '😀b'],
    ['substring(text,int4,int4)', ['abc', 0, 2], 'a'],
    ['substring(text,int4,int4)', ['abc', -5, 3], ''],
    ['substr(text,int4,int4)', ['abc', 2, 2147483647], 'bc'],
    ['left(text,int4)', ['😀bc', 1], '😀'],
    ['left(text,int4)', ['abc', -1], 'ab'],
    ['left(text,int4)', ['abc', -4], ''],
    ['right(text,int4)', ['a😀', 1], '😀'],
    ['right(text,int4)', ['abc', 0], ''],
    ['right(text,int4)', ['abc', -1], 'bc'],
    ['right(text,int4)', ['abc', -2147483648], 'abc'],
    ['overlay(text,text,int4)', ['abcdef', 'XX', 2], 'aXXdef'],
    ['overlay(text,text,int4,int4)', ['abcdef', 'X', 2, 0], 'aXbcdef'],
    ['overlay(text,text,int4,int4)', ['abc', 'X', 2, -5], 'aXabc'],
    ['split_part(text,text,int4)', ['a,b,c', ',', 2], 'b'],
    ['split_part(text,text,int4)', ['a,b,c', ',', -1], 'c'],
    ['split_part(text,text,int4)', ['a,b,c', ',', 4], ''],
    ['split_part(text,text,int4)', ['a,b,c', ',', -4], ''],
    ['split_part(text,text,int4)', ['a,b', '', 1], 'a,b'],
    ['split_part(text,text,int4)', ['a,b', '', 2], ''],
    ['btrim(text)', [' \ta '], '\ta'],
    ['btrim(text,text)', ['😀xay😀', 'x😀y'], 'a'],
    ['ltrim(text,text)', ['xxax', 'x'], 'ax'],
    ['rtrim(text,text)', ['xxax', ''], 'xxax'],
    ['rtrim(text)', ['a  '], 'a'],
    ['lpad(text,int4)', ['a', 3], '  a'],
    ['lpad(text,int4,text)', ['a', 4, '😀y'], '😀y😀a'],
    ['lpad(text,int4,text)', ['abc', 2, 'x'], 'ab'],
    ['lpad(text,int4,text)', ['abc', 1000000000, ''], 'abc'],
    ['rpad(text,int4,text)', ['a', 4, 'xy'], 'axyx'],
    ['rpad(text,int4)', ['a', -1], ''],
    ['repeat(text,int4)', ['ab', 2], 'abab'],
    ['repeat(text,int4)', ['ab', -2], ''],
    ['repeat(text,int4)', ['', 2147483647], ''],
    ['replace(text,text,text)', ['aXbX', 'X', '$&'], 'a$&b$&'],
    ['replace(text,text,text)', ['abc', '', 'x'], 'abc'],
    ['reverse(text)', ['a😀b'], 'b😀a'],
    ['translate(text,text,text)', ['12345', '143', 'ax'], 'a2x5'],
    ['translate(text,text,text)', ['aa', 'aa', 'xy'], 'xx'],
    ['strpos(text,text)', ['a😀b', 'b'], 3],
    ['strpos(text,text)', ['abc', ''], 1],
    ['position(text,text)', ['abc', 'd'], 0],
    ['starts_with(text,text)', ['abc', 'ab'], true],
    ['like(text,text)', ['abc', 'a%'], true],
    ['notlike(name,text)', ['abc', 'a%'], false],
    ['like_escape(text,text)', ['a!%\\', '!'], 'a\\%\\\\'],
    ['like_escape(text,text)', ['a\\', ''], 'a\\\\'],
    ['ascii(text)', ['😀'], 0x1f600],
    ['ascii(text)', [''], 0],
    ['chr(int4)', [0x1f600], '😀'],
    ['md5(text)', ['é'], '66ddcd97cfdeabb2f6fb8a999b4bc76f'],
    ['upper(text)', ['straße'], 'STRAßE'],
    ['text(bool)', [true], 'true'],
    ['text(bpchar)', ['a  '], 'a'],
    ['name(text)', ['é'.repeat(40)], 'é'.repeat(31)],
    ['name(bpchar)', [`${'a'.repeat(62)}  b`], 'a'.repeat(62)],
    ['varchar(varchar,int4,bool)', ['a😀b', 6, true], 'a😀'],
    ['varchar(varchar,int4,bool)', ['ab', -1, true], 'ab'],
    ['varchar(varchar,int4,bool)', ['ab  ', 6, false], 'ab'],
    ['bpchar(bpchar,int4,bool)', ['😀', 7, true], '😀  '],
    ['bpchar(bpchar,int4,bool)', ['abc', 5, true], 'a'],
    ['length(bytea)', ['\\x0aff'], 2],
    ['substring(bytea,int4,int4)', ['\\x0aff01', 2, 1], '\\xff'],
    ['position(bytea,bytea)', ['\\x10010203', '\\x0102'], 2],
    ['byteacat(bytea,bytea)', ['\\x0a', '\\xff'], '\\x0aff'],
  ])('%s of %j is %j', (signature, args, expected) => {
    expect(call(signature, args)).toBe(expected);
  });

  test('the C locale changes the case of ASCII letters only', () => {
    expect((ASCII_CASE_FUNCTIONS['upper(text)'] as (value: string) => string)('éa')).toBe('éA');
    expect((ASCII_CASE_FUNCTIONS['lower(text)'] as (value: string) => string)('ÉA')).toBe('Éa');
  });
});

describe('functions of any type', () => {
  test('|| casts to text: blanks of char(n) go, booleans are words, hosts have a prefix length', () => {
    expect(call('textanycat(text,anynonarray)', ['x', true], [text, bool])).toBe('xtrue');
    expect(call('anytextcat(anynonarray,text)', ['a ', 'x'], [bpchar, text])).toBe('ax');
    expect(call('textanycat(text,anynonarray)', ['', '10.0.0.1'], [text, inet])).toBe('10.0.0.1/32');
    expect(call('textanycat(text,anynonarray)', ['', '::1'], [text, inet])).toBe('::1/128');
    expect(call('textanycat(text,anynonarray)', ['', '10.0.0.0/8'], [text, inet])).toBe('10.0.0.0/8');
  });

  test('concat takes what the output functions write and leaves out NULL', () => {
    expect(call('concat(any)', [true, null, 'a '], [bool, text, bpchar])).toBe('ta ');
    expect(call('concat(any)', [null], [text])).toBe('');
    expect(call('concat_ws(text,any)', [',', true, null, 'a '], [text, bool, text, bpchar])).toBe('t,a ');
    expect(call('concat_ws(text,any)', [null, 'a'], [text, text])).toBe(null);
  });
});

describe('errors', () => {
  test.each<[string, (string | number | boolean)[], string]>([
    ['substring(text,int4,int4)', ['a', 1, -1], POSTGRES],
    ['overlay(text,text,int4)', ['abc', 'x', 0], POSTGRES],
    ['overlay(text,text,int4,int4)', ['abc', 'x', 2, 2147483647], POSTGRES],
    ['split_part(text,text,int4)', ['a', ',', 0], POSTGRES],
    ['repeat(text,int4)', ['ab', 2147483647], POSTGRES],
    ['repeat(text,int4)', ['ab', 1000000], UNDECIDED],
    ['lpad(text,int4)', ['a', 2147483647], POSTGRES],
    ['rpad(text,int4)', ['a', 10000000], UNDECIDED],
    ['replace(text,text,text)', ['a'.repeat(2000), 'a', 'b'.repeat(2000)], UNDECIDED],
    ['like_escape(text,text)', ['a', 'xy'], POSTGRES],
    ['like(text,text)', ['ab', 'a\\'], POSTGRES],
    ['chr(int4)', [0], POSTGRES],
    ['chr(int4)', [0xd800], POSTGRES],
    ['varchar(varchar,int4,bool)', ['abc', 6, false], POSTGRES],
    ['bpchar(bpchar,int4,bool)', ['abc', 6, false], POSTGRES],
    ['bpchar(bpchar,int4,bool)', ['abc', 10_000_000, true], UNDECIDED],
  ])('%s of %j is an error (%s)', (signature, args, reason) => {
    let error: unknown;
    try {
      call(signature, args);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ClauseEvaluationError);
    expect((error as ClauseEvaluationError).reason).toBe(reason);
  });

  test('a text that is long already may be changed as long as it does not grow', () => {
    const long = 'a'.repeat(3_000_000);
    expect(call('replace(text,text,text)', [long, 'a', 'b'])).toBe('b'.repeat(3_000_000));
    expect(call('rpad(text,int4)', [long, 2_000_000])).toBe('a'.repeat(2_000_000));
  });
});
