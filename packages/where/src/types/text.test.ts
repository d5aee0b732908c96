import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import {
  characterCount,
  characterEnd,
  characterIndex,
  characterStart,
  padCharacters,
  parseBool,
  parseBytea,
  parseUuid,
  truncateCharacters,
  utf8Bytes,
} from './text.ts';

describe('characters', () => {
  test('are code points', () => {
    expect(characterCount('a😀é')).toBe(3);
    expect(characterCount('')).toBe(0);
    expect(utf8Bytes('a😀é')).toBe(7);
    expect(truncateCharacters('a😀é', 2)).toBe('a😀');
    expect(padCharacters('😀', 3)).toBe('😀  ');
    expect(padCharacters('abc', 2)).toBe('ab');
  });

  test('characterIndex goes forward from the start and stops at the end', () => {
    expect([-1, 0, 1, 2, 3, 4, 9].map((count) => characterIndex('a😀é', count))).toEqual([0, 0, 1, 3, 4, 4, 4]);
    expect([0, 2, 5].map((count) => characterIndex('abc', count))).toEqual([0, 2, 3]);
  });

  test('characterEnd and characterStart know when there are not enough', () => {
    expect([0, 1, 2, 3].map((count) => characterEnd('a😀é', 1, count))).toEqual([1, 3, 4, -1]);
    expect([0, 1, 2, 3, 4].map((count) => characterStart('a😀é', 4, count))).toEqual([4, 3, 1, 0, -1]);
  });
});

function read(parse: (text: string) => unknown, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof InputError) return 'refused';
    throw error;
  }
}

describe('input', () => {
  test.each([
    [' YES\t', true],
    ['tRu', true],
    ['1', true],
    ['of', false],
    ['0', false],
    ['o', 'refused'],
    ['', 'refused'],
    ['truee', 'refused'],
    ['\u00A0t', 'refused'],
  ])('bool %j is %s', (text, expected) => {
    expect(read(parseBool, text)).toBe(expected);
  });

  test.each([
    ['A0EE-BC99-9C0B-4EF8-BB6D-6BB9-BD38-0A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['{a0eebc999c0b4ef8-bb6d6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['a0-eebc999c0b4ef8bb6d6bb9bd380a11', 'refused'],
    ['a0eebc999c0b4ef8bb6d6bb9bd380a11-', 'refused'],
    ['{a0eebc999c0b4ef8bb6d6bb9bd380a11', 'refused'],
    [' a0eebc999c0b4ef8bb6d6bb9bd380a11', 'refused'],
  ])('uuid %j is %s', (text, expected) => {
    expect(read(parseUuid, text)).toBe(expected);
  });

  test.each([
    ['\\x0AfF', '\\x0aff'],
    ['\\x 0a\n ff\t\r', '\\x0aff'],
    ['\\x0 a', 'refused'],
    ['\\x0', 'refused'],
    ['\\x0\v', 'refused'],
    ['\\X0a', 'refused'],
    ['', '\\x'],
    ['a\\000\\377\\\\b', '\\x6100ff5c62'],
    ['é😀', '\\xc3a9f09f9880'],
    ['\\400', 'refused'],
    ['\\38', 'refused'],
    ['\\', 'refused'],
  ])('bytea %j is %s', (text, expected) => {
    expect(read(parseBytea, text)).toBe(expected);
  });
});
