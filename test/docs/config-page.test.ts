import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectedConfigPage } from './sections.ts';

test('the settings page says what the code reads', () => {
  const page = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8');
  expect(page).toBe(expectedConfigPage());
});
