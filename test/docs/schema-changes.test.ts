import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaChangesPage } from './schema-changes-page.ts';

test('the page on schema changes says what the test of them does', () => {
  const page = readFileSync(new URL('../../docs/schema-changes.md', import.meta.url), 'utf8');
  expect(page).toBe(schemaChangesPage());
});
