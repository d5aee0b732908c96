import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { startCluster, waitFor } from '@shapecast/testkit';
import { Chance, createOracleTable, ORACLE_COLUMNS, writeRandomly } from '../support/oracle.ts';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

/** 18 is what every other test runs on. */
describe.each([14, 15, 16, 17])('Postgres %i', (version) => {
  test('a shape created under writes ends equal to Postgres', async () => {
    const cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, postgres: { version } });
    const client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
    const reading = new AbortController();
    try {
      const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') as version`);
      expect(rows[0]?.version).toMatch(new RegExp(`^${version}\\.`));
      await createOracleTable(client, 'versions');
      const writing = new AbortController();
      const stats = { transactions: 0, changes: 0 };
      const writer = writeRandomly(cluster.databaseUrl, 'versions', new Chance(version), stats, writing.signal);
      await waitFor(() => stats.transactions > 10, { describe: () => stats });
      const clauses = ['', `grp IN (1, 2) OR name LIKE 'al%'`, `at > '2026-01-01' AND flag IS NOT NULL`];
      const readers = clauses.map((where) => {
        const reader = new StrictReader(cluster.url, { table: 'versions', ...(where ? { where } : {}) });
        return { where, reader, done: reader.follow(reading.signal) };
      });
      await waitFor(() => stats.transactions > 150, { describe: () => stats });
      writing.abort();
      await writer;
      for (const { where, reader } of readers) {
        const expected = await selectText(client, 'versions', ORACLE_COLUMNS, where);
        await waitFor(() => canonicalRows(reader.rows.values()).join('\n') === expected.join('\n'), {
          describe: () => `where ${where}: ${reader.rows.size} rows, Postgres ${expected.length}`,
        });
        expect(reader.violations).toEqual([]);
        expect(reader.rotations).toBe(0);
      }
      reading.abort();
      await Promise.all(readers.map(({ done }) => done));
    } finally {
      reading.abort();
      await client.end();
      await cluster.stop();
    }
  });
});
