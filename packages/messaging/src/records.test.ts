import { expect, test } from 'vitest';
import { tableKey } from './records.ts';

test('the key of a table has only characters that keys may have, and one length', () => {
  const names = ['items', '', 'a.b', 'ü ">*', 'x'.repeat(10_000), '\0'];
  const keys = names.flatMap((schema) => names.map((table) => tableKey('src', schema, table)));
  for (const key of keys) expect(key).toMatch(/^src\.[A-Za-z0-9_-]{43}$/);
  expect(new Set(keys).size).toBe(names.length ** 2);
});

test('schema and name do not run together', () => {
  expect(tableKey('src', 'a', 'b.c')).not.toBe(tableKey('src', 'a.b', 'c'));
  expect(tableKey('one', 'a', 'b')).not.toBe(tableKey('two', 'a', 'b'));
});
