import { join } from 'node:path';
import { createConfig, lint } from '@redocly/openapi-core';
import { expect, test } from 'vitest';

test('the description of the HTTP API passes the linter, its examples fit their schemas', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const ref = join(import.meta.dirname, '../../services/api/openapi.yaml');
  const problems = await lint({ ref, config });
  expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
});
