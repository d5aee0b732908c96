import { existsSync } from 'node:fs';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { createDatabase } from '../database.ts';
import { sharedPostgresUrl } from '../vitest/shared-servers.ts';
import { startPostgres } from './postgres.ts';

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('committed rows are there after a crash and a start on the same port', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const { port } = server;
  await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await server.kill();
  await expect(query(server.url, 'SELECT 1')).rejects.toThrow();
  await server.start();
  expect(server.port).toBe(port);
  expect(await query(server.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('is ready for logical replication, in UTF-8, sorted by code point', async () => {
  const [settings] = await query(
    sharedPostgresUrl(),
    `SELECT current_setting('wal_level') AS wal, current_setting('max_replication_slots')::int >= 20 AS slots,
       current_setting('server_encoding') AS encoding, upper('ä') AS upper, 'B' < 'a' AS by_code_point,
       current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets`,
  );
  expect(settings).toEqual({
    wal: 'logical',
    slots: true,
    encoding: 'UTF8',
    upper: 'Ä',
    by_code_point: true,
    addresses: '127.0.0.1',
    sockets: '',
  });
});

test('a dropped test database takes its sessions and replication slots along', async () => {
  const database = await createDatabase(sharedPostgresUrl());
  const session = new pg.Client({ connectionString: database.url });
  const ended = new Promise<Error>((resolve) => session.on('error', resolve));
  await session.connect();
  await session.query(`SELECT pg_create_logical_replication_slot('slot_${database.name}', 'pgoutput')`);

  await database.drop();

  expect((await ended).message).toMatch(/terminat/);
  const left = `SELECT datname FROM pg_database WHERE datname = '${database.name}'
    UNION ALL SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'slot_${database.name}'`;
  expect(await query(sharedPostgresUrl(), left)).toEqual([]);
});

test.each([14, 15, 16, 17])('PostgreSQL %i is installed on first use', async (version) => {
  const server = await startPostgres({ version });
  onTestFinished(() => server.stop());
  const [row] = await query(server.url, "SELECT current_setting('server_version_num')::int / 10000 AS major");
  expect(row).toEqual({ major: version });
  expect(existsSync(server.dataDir)).toBe(true);
});
