import { silentLogger, systemClock } from '@shapecast/service-kit';
import { createDatabase, sharedPostgresUrl } from '@shapecast/testkit';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SourceDatabase } from '../source-database.ts';
import type { DatabaseIdentity } from './expected-database.ts';
import { openPgSourceDatabase } from './pg-source-database.ts';

const never = new AbortController().signal;
const OTHER = { code: 'SOURCE_MISCONFIGURED', details: { type: 'other_database' } };

let url: string;
let scratch: Awaited<ReturnType<typeof createDatabase>>;
let known: DatabaseIdentity;
let expected: DatabaseIdentity | undefined;
let opened: SourceDatabase[] = [];

beforeEach(async () => {
  scratch = await createDatabase(sharedPostgresUrl());
  ({ url } = scratch);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ readonly id: string; readonly name: string }>(
    'select system_identifier::text as id, current_database() as name from pg_control_system()',
  );
  await client.end();
  known = { systemId: rows[0]?.id ?? '', database: rows[0]?.name ?? '' };
  expected = undefined;
});
afterEach(async () => {
  await Promise.all(opened.map((database) => database.close()));
  opened = [];
  await scratch.drop();
});

function open(at = url): SourceDatabase {
  const deps = { clock: systemClock, log: silentLogger };
  const options = { url: at, publicationName: 'publication', expected: () => expected };
  const database = openPgSourceDatabase(options, deps);
  opened.push(database);
  return database;
}

describe('the database that a source is replicated from', () => {
  test('is what connections are compared with, once it is known', async () => {
    await expect(open().progress(never)).resolves.toBeDefined();
    expected = known;
    await expect(open().progress(never)).resolves.toBeDefined();
    // A note of an older version does not tell its name.
    expected = { systemId: known.systemId };
    await expect(open().progress(never)).resolves.toBeDefined();
  });

  test('another server, or another database of the same one, is not read from', async () => {
    expected = { ...known, systemId: '1' };
    await expect(open().progress(never)).rejects.toMatchObject(OTHER);
    expected = { ...known, database: 'elsewhere' };
    await expect(open().introspect('public', 'items', never)).rejects.toMatchObject(OTHER);
  });

  test('may become the right one: a connection is refused, not the process', async () => {
    expected = { ...known, systemId: '1' };
    const database = open();
    await expect(database.progress(never)).rejects.toMatchObject(OTHER);
    expected = known;
    await expect
      .poll(() => database.progress(never).then(Boolean, () => false), { timeout: 30_000, interval: 100 })
      .toBe(true);
  });

  test('goes by its name where the role may not read the identifier of the server', async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const role = `reader_${known.database ?? ''}`;
    await client.query(`create role "${role}" login password 'secret'`);
    await client.query('revoke execute on function pg_control_system() from public');
    const as = new URL(url);
    as.username = role;
    as.password = 'secret';
    expected = { ...known, systemId: '1' };
    await expect(open(as.href).progress(never)).resolves.toBeDefined();
    expected = { systemId: '1', database: 'elsewhere' };
    await expect(open(as.href).progress(never)).rejects.toMatchObject(OTHER);
    await client.query('grant execute on function pg_control_system() to public');
    await Promise.all(opened.map((database) => database.close()));
    await client.query(`drop role "${role}"`).catch(() => undefined);
    await client.end();
  });
});
