import { describe, expect, test } from 'vitest';
import { ClauseEvaluationError } from '../errors.ts';
import { analyseLike, compileLike, matchesLike } from './like.ts';

describe('compileLike', () => {
  test.each([
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['', '', true],
    ['', 'a', false],
    ['%', '', true],
    ['%', 'a\nb', true],
    ['%%', 'a', true],
    ['a%', 'abc', true],
    ['a%', 'bac', false],
    ['%c', 'abc', true],
    ['%c', 'cb', false],
    ['%b%', 'abc', true],
    ['%b%', 'aac', false],
    ['a%c', 'ac', true],
    ['a%a', 'a', false],
    ['ab%ba', 'aba', false],
    ['a%b%c', 'a1b2c', true],
    ['a%b%c', 'a1c2b', false],
    ['%a%a%', 'a', false],
    ['%ab%b_', 'xabxbb!', true],
    ['%ab_b', 'ababcb', true],
    ['%a_b%', 'aaab', true],
    ['_', '', false],
    ['__', 'ab', true],
    ['%_', '', false],
    ['%_', 'a', true],
    ['_%_', 'a', false],
    ['%__b', 'ab', false],
    ['_b%', 'ab', true],
    ['x%y', 'x\ny', true],
    ['a', 'a\n', false],
    ['a.c', 'abc', false],
  ])('%j matches %j: %s', (pattern, text, expected) => {
    expect(compileLike(pattern)(text)).toBe(expected);
  });

  test.each([
    ['_', '😀', true],
    ['_', 'é', true],
    ['__', '😀', false],
    ['_', 'e\u0301', false],
    ['%_x', '😀x', true],
    ['😀_%🙂', '😀é🙂', true],
    ['%😀__', 'a😀🙂b', true],
    // The second units of both are the same.
    ['%\u{1F600}', '\u{1FA00}', false],
  ])('%j against %j counts code points', (pattern, text, expected) => {
    expect(compileLike(pattern)(text)).toBe(expected);
  });

  test.each([
    ['a\\%', undefined, 'a%', true],
    ['a\\%', undefined, 'ab', false],
    ['a\\_', undefined, 'a_', true],
    ['a\\b', undefined, 'ab', true],
    ['a\\\\b', undefined, 'a\\b', true],
    ['a!%', '!', 'a%', true],
    ['a!!%', '!', 'a!b', true],
    ['a!\\', '!', 'a\\', true],
    ['a\\%', '!', 'a\\b', true],
    ['a\\%', '', 'a\\b', true],
    ['%%a', '%', '%a', true],
    ['😀_', '😀', '_', true],
  ])('%j with escape %j against %j: %s', (pattern, escape, text, expected) => {
    expect(compileLike(pattern, escape)(text)).toBe(expected);
  });

  test.each([
    ['ABC', 'abc', true],
    ['É%', 'été', true],
    ['straße', 'STRASSE', false],
    ['STRAẞE', 'straße', true],
    ['\\A', 'a', true],
    ['ΟΣ', 'ος', false],
    ['ΟΣ', 'οσ', true],
  ])('folds case in %j and %j', (pattern, text, expected) => {
    expect(compileLike(pattern, '\\', 'one')(text)).toBe(expected);
  });

  test('folds ASCII letters only under the C locale', () => {
    expect(compileLike('É%', '\\', 'ascii')('été')).toBe(false);
    expect(compileLike('ÉT%', '\\', 'ascii')('Été')).toBe(true);
  });

  // Where text is left when the matching of Postgres arrives at the escape character.
  test.each<[pattern: string, text: string, expected: boolean | 'error']>([
    ['a\\', 'a', false],
    ['a\\', 'b', false],
    ['a\\', 'ab', 'error'],
    ['\\', '', false],
    ['%\\', '', false],
    ['%\\', 'a', 'error'],
    ['%_\\', 'a', 'error'],
    ['%__\\', 'a', false],
    ['a%_\\', 'a', false],
    ['_%\\', 'a', false],
    ['%_%\\', 'a', 'error'],
    ['%a\\', 'ba', false],
    ['%a\\', 'bac', 'error'],
    ['%b\\', 'aaa', false],
    ['b%\\', 'aaa', false],
    ['%a%b\\', 'ab', false],
    ['%a%b\\', 'abb', 'error'],
  ])('%j, which ends in its escape character, against %j: %s', (pattern, text, expected) => {
    const match = (): boolean => compileLike(pattern)(text);
    if (expected === 'error') expect(match).toThrow(new ClauseEvaluationError('postgres', MISSING));
    else expect(match()).toBe(expected);
  });

  test('does not try again what it has passed', () => {
    const text = 'a'.repeat(20_000);
    expect(compileLike(`${'%a'.repeat(500)}%b`)(text)).toBe(false);
    expect(compileLike(`${'%a_'.repeat(500)}b`)(text)).toBe(false);
  });
});

const MISSING = 'LIKE pattern must not end with escape character';

test('matchesLike gives the answers of compileLike for more patterns than it keeps', () => {
  for (let i = 0; i < 1000; i++) {
    expect(matchesLike(`x${i}y`, `x${i % 700}%`)).toBe(compileLike(`x${i % 700}%`)(`x${i}y`));
  }
  expect(matchesLike('A', 'a')).toBe(false);
  expect(matchesLike('A', 'a', '\\', 'ascii')).toBe(true);
  expect(matchesLike('É', 'é', '\\', 'ascii')).toBe(false);
  expect(matchesLike('É', 'é', '\\', 'one')).toBe(true);
  expect(matchesLike('%', '!%', '!')).toBe(true);
  expect(matchesLike('a'.repeat(2000), 'a'.repeat(2000))).toBe(true);
});

describe('analyseLike', () => {
  test.each([
    ['', 'exact', ''],
    ['abc', 'exact', 'abc'],
    ['a\\%c', 'exact', 'a%c'],
    ['%', 'prefix', ''],
    ['%%', 'prefix', ''],
    ['abc%', 'prefix', 'abc'],
    ['%abc', 'suffix', 'abc'],
    ['%abc%', 'substring', 'abc'],
    ['%%abc%%', 'substring', 'abc'],
    ['a%c', 'general', ''],
    ['a_c', 'general', ''],
    ['_', 'general', ''],
    ['%_', 'general', ''],
    ['abc%_', 'general', ''],
    ['%_abc', 'general', ''],
    ['%a%b%', 'general', ''],
    ['a%b%', 'general', ''],
    ['abc\\', 'general', ''],
    ['%abc\\', 'general', ''],
  ])('%j is %s of %j', (pattern, kind, literal) => {
    expect(analyseLike(pattern)).toMatchObject({ kind, literal });
  });

  test('tells what every text that matches has in common', () => {
    expect(analyseLike('ab_cde%f%_gh')).toEqual({
      kind: 'general',
      literal: '',
      literals: ['ab', 'cde', 'f', 'gh'],
      prefix: 'ab',
      suffix: 'gh',
      longest: 'cde',
    });
    expect(analyseLike('_a%b_')).toMatchObject({ literals: ['a', 'b'], prefix: '', suffix: '', longest: 'a' });
    expect(analyseLike('%_%')).toMatchObject({ literals: [], prefix: '', suffix: '', longest: '' });
  });

  test('gives literals in the case they are compared in', () => {
    expect(analyseLike('ÀB%', '\\', 'one')).toMatchObject({ kind: 'prefix', literal: 'àb' });
    expect(analyseLike('ÀB%', '\\', 'ascii')).toMatchObject({ kind: 'prefix', literal: 'Àb' });
  });
});
