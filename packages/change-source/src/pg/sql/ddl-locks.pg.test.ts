import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { readDdlLocks } from './ddl-locks.ts';

let world: PgWorld;
let reader: Client;
let writer: Client;

beforeEach(async () => {
  world = await openPgWorld();
  await world.sql('create table above (id int primary key) partition by range (id)');
  await world.sql('create table below partition of above for values from (0) to (10)');
  // Cells as text, as all our connections have them.
  reader = new Client({ connectionString: world.url, types: { getTypeParser: () => String } });
  writer = new Client({ connectionString: world.url });
  await Promise.all([reader.connect(), writer.connect()]);
});

afterEach(async () => {
  await Promise.all([reader.end(), writer.end()]);
  await world.close();
});

async function begun(...statements: readonly string[]): Promise<bigint> {
  await writer.query('begin');
  for (const statement of statements) await writer.query(statement);
  const { rows } = await writer.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  return BigInt(rows[0]?.xid ?? 0);
}

async function oidOf(table: string): Promise<number> {
  const { rows } = await writer.query<{ oid: number }>('select $1::regclass::oid as oid', [table]);
  return rows[0]?.oid ?? 0;
}

test('a transaction that only wrote has none, also when it has locked rows', async () => {
  const xid = await begun(
    'insert into above values (1)',
    'select * from below for update',
    'update above set id = 2',
    'delete from below',
  );
  expect(await readDdlLocks(reader, xid)).toEqual(new Set());
  // Of another epoch, too: locks know 32 bits.
  expect(await readDdlLocks(reader, xid + 2n ** 32n)).toEqual(new Set());
  await writer.query('commit');
});

test.each([
  ['gives it another key', 'alter table above drop constraint above_pkey', ['above', 'below']],
  ['renames a column', 'alter table above rename id to n', ['above', 'below']],
  ['truncates it', 'truncate below', ['below']],
  ['takes it away from another', 'alter table above detach partition below', ['above', 'below']],
  ['adds it below another', 'create table added partition of above for values from (10) to (20)', ['above', 'added']],
  ['publishes it', 'create publication of_locks for table below', ['below']],
])('a transaction that %s has a lock on it', async (_, statement, tables) => {
  const xid = await begun('insert into above values (1)', statement);
  const locked = await readDdlLocks(reader, xid);
  for (const table of tables) expect(locked).toContain(await oidOf(table));
  await writer.query('rollback');
  expect(await readDdlLocks(reader, xid)).toBeUndefined();
});
