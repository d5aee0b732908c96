import { expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl } from '@shapecast/testkit';
import { runOracle } from './oracle-run.ts';

/** The engine against Postgres itself: same clause, same row, same answer (spec W 10.1). More with `npm run oracle:where`. */

const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);
const PAIRS = Number(process.env['SHAPECAST_ORACLE_PAIRS'] ?? 20_000);

test('the engine and Postgres agree on random clauses and rows', async () => {
  const database = await createDatabase(sharedPostgresUrl());
  try {
    const report = await runOracle({ url: database.url, seed: SEED, count: PAIRS, rows: 40, maxDefects: 5 });
    expect([...report.defects.values()].map(({ shrunk }) => shrunk)).toEqual([]);
    expect(report.comparisons).toBeGreaterThanOrEqual(PAIRS);
    // 1 % in the long run (`oracle:where` checks that): one clause can be a tenth of a percent here.
    expect(report.undecided).toBeLessThan(report.comparisons / 50);
    // Every answer there is, and clauses that both refuse.
    for (const outcome of ['t', 'f', 'n', 'e'] as const) expect(report.outcomes[outcome]).toBeGreaterThan(PAIRS / 100);
    expect(report.refusedByBoth).toBeGreaterThan(0);
  } finally {
    await database.drop();
  }
});
