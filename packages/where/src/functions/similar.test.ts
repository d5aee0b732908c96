import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import { compileSimilar } from './similar.ts';

describe('compileSimilar', () => {
  test.each([
    ['(a|b)c', 'bc', true],
    ['(a|b)c', 'abc', false],
    ['a|bc', 'bc', true],
    ['a|', '', true],
    ['%b%', 'a\nb', true],
    ['_', '😀', true],
    ['__', '😀', false],
    ['a*', '', true],
    ['a+', '', false],
    ['(ab)+', 'abab', true],
    ['a?b', 'b', true],
    ['a{2}', 'aa', true],
    ['a{2}', 'aaa', false],
    ['a{0}', '', true],
    ['a{2,}', 'aaaa', true],
    ['a{1,2}', 'aaa', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]', 'b', false],
    ['[^a-c]', '😀', true],
    ['[%_]', '%', true],
    ['a.c', 'abc', false],
    ['^a$', '^a$', true],
    ['a\\%', 'a%', true],
    ['(a*)*b', 'aaab', true],
    ['()', '', true],
  ])('%j matches %j: %s', (pattern, text, expected) => {
    expect(compileSimilar(pattern)(text)).toBe(expected);
  });

  test('takes another escape character, or none', () => {
    expect(compileSimilar('a!%', '!')('a%')).toBe(true);
    expect(compileSimilar('a\\', '!')('a\\')).toBe(true);
    expect(compileSimilar('\\%', '')('\\x')).toBe(true);
  });

  test.each([
    ...['*a', 'a**', 'a|+', '(a', 'a)', 'a{', 'a{3,2}', 'a{256}', '[a', '[]', '[b-a]', '[a\\]]', '[[:alpha:]]', '%*'],
    ...['\\d', '\\"', 'a\\', '(((a{99}){99}){99})', '('.repeat(1000)],
  ])('refuses %j', (pattern) => {
    expect(() => compileSimilar(pattern)).toThrow(InputError);
  });

  test('refuses an escape of two characters', () => {
    expect(() => compileSimilar('a', 'ab')).toThrow(InputError);
  });

  test('follows all ways to match at once', () => {
    expect(compileSimilar('(a*)*(a|aa)*b')('a'.repeat(20_000))).toBe(false);
    expect(compileSimilar(`${'('.repeat(20)}a{0}${'){255}'.repeat(20)}`)('')).toBe(true);
    expect(compileSimilar('(a?){60}a{60}')('a'.repeat(60))).toBe(true);
  });
});
