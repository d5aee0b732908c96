import { Client } from 'pg';
import type { ConformanceService } from './service.ts';

let count = 0;

/** Creates a table for one test alone and returns its name. It gets `rows` rows: `(1, 'row 1')` and so on. */
export async function freshTable(
  service: ConformanceService,
  columns = 'id int PRIMARY KEY, title text',
  rows = 0,
): Promise<string> {
  count += 1;
  const name = `t${count}`;
  await service.sql(`CREATE TABLE ${name} (${columns})`);
  if (rows > 0) await service.sql(`INSERT INTO ${name} SELECT i, 'row ' || i FROM generate_series(1, ${rows}) i`);
  return name;
}

/** Runs `task` on a connection of its own: for transactions, which the tests of a file must not share. */
export async function withConnection<T>(databaseUrl: string, task: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await task(client);
  } finally {
    await client.end();
  }
}

/** Runs the statements as one transaction. */
export async function transaction(databaseUrl: string, ...statements: readonly string[]): Promise<void> {
  await withConnection(databaseUrl, async (client) => {
    await client.query('BEGIN');
    for (const statement of statements) await client.query(statement);
    await client.query('COMMIT');
  });
}

/** Where the source's WAL ends, as the protocol writes it: a decimal number. */
export async function walPosition(service: ConformanceService): Promise<bigint> {
  const { rows } = await service.sql<{ position: string }>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text AS position`,
  );
  return BigInt(rows[0]?.position ?? 0);
}
