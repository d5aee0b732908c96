import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CHECKS, checksOf, GROUPS } from './checks.ts';

const PAGE = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');

test('docs/cli.md says what to do about each finding, in the order of the report', () => {
  const rows = [...PAGE.matchAll(/^\| `([a-z]+\.[a-z_]+)` \| (.*) \|$/gm)];
  expect(rows.map(([, id]) => id)).toEqual(Object.keys(CHECKS));
  expect(rows.filter(([, , what]) => (what ?? '').length < 10)).toEqual([]);
});

test('each check belongs to one group', () => {
  expect(checksOf(...GROUPS)).toEqual(Object.keys(CHECKS));
});
