import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from './postgres.ts';
import { ageTo } from './reset-wal.ts';

test.each([14, 18])(
  'Postgres %i goes on at a place in the WAL and a transaction id that it is told',
  async (version) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'shapecast-reset-'));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    await chmod(dataDir, 0o755);
    const server = await startPostgres({ version, dataDir: join(dataDir, 'data'), durable: false });
    onTestFinished(() => server.stop());
    await ageTo(server, 0x5_ffff_ff00n, 0xffff_ffff_0000_0000n);
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query('create table t (n int)');
    for (let n = 0; n < 300; n += 1) await client.query('insert into t values ($1)', [n]);
    const { rows } = await client.query<Record<string, string>>(
      `select pg_current_xact_id()::text as xid, pg_current_wal_lsn()::text as lsn, sum(n)::text as sum,
       (select count(*)::text from pg_class) > '0' as catalog from t`,
    );
    expect(rows[0]?.['lsn']).toMatch(/^FFFFFFFF\/[0-9A-F]{1,7}$/);
    expect(BigInt(rows[0]?.['xid'] ?? 0) - 0x6_0000_0000n).toBeGreaterThan(40n);
    expect(BigInt(rows[0]?.['xid'] ?? 0) - 0x6_0000_0000n).toBeLessThan(400n);
    expect(rows[0]).toMatchObject({ sum: String((299 * 300) / 2), catalog: true });
  },
);
