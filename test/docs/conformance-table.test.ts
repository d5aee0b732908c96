import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unaccounted, withConformanceTable } from './conformance-table.ts';

test('every case of the conformance table has a test or a reason', () => {
  expect(unaccounted()).toEqual([]);
});

test('the page about what is held lists the tests of the conformance table (npm run docs:conformance)', () => {
  const page = readFileSync(new URL('../../docs/spec/enforcement.md', import.meta.url), 'utf8');
  expect(withConformanceTable(page)).toBe(page);
});
