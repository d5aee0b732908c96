import { expect, test } from 'vitest';
import { runFuzz } from './run.ts';

/* eslint-disable no-console -- the seed has to be in the log of a run that fails */

test('100,000 random requests: never a 500, never a hang, never rows of another shape', async () => {
  const seed = Number(process.env['SHAPECAST_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`fuzz: seed ${seed}`);
  const report = await runFuzz({ seed, requests: 100_000 });
  console.log(`fuzz: ${JSON.stringify(report.statuses)}, rows of ${report.compared} answers compared`);
  expect(report.violations, `seed ${seed}`).toEqual([]);
  // The generator reaches what it is meant to reach.
  for (const status of [200, 204, 304, 400, 401, 404, 405, 409, 413, 414, 431]) {
    expect(report.statuses[status] ?? 0, `answers ${status}`).toBeGreaterThan(0);
  }
  expect(report.compared).toBeGreaterThan(report.requests / 20);
}, 600_000);
