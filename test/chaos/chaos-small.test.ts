import { expect, test } from 'vitest';
import { chooseFaults } from './nemesis/nemesis.ts';
import { runChaos } from './run.ts';

/** As `chaos.test.ts`, with one server of each kind: whatever is killed is gone until it is back. */
const SEED = Number(process.env['CHAOS_SEED'] ?? 11);
const MINUTES = Number(process.env['CHAOS_MINUTES'] ?? 1);

test(`18.2.1 every reader has what Postgres had at each up-to-date, where nothing is there twice, seed ${SEED}`, async () => {
  const report = await runChaos({
    seed: SEED,
    minutes: MINUTES,
    everyMs: 6_000,
    faults: chooseFaults(['default']),
    alter: 'nothing',
    rotationsAllowed: false,
    cluster: { nats: 1, redis: 'single' },
  });
  expect(report.violations).toEqual([]);
  expect(report.committed).toBeGreaterThan(100);
  expect(report.compared).toBeGreaterThan(100);
  expect(Object.keys(report.faults).length).toBeGreaterThan(4);
}, 900_000);
