import { runStatements } from '@shapecast/change-source';
import {
  createDatabase,
  defaultPostgresMajor,
  sharedPostgresUrl,
  startPostgres,
  type TestDatabase,
} from '@shapecast/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examineWith } from '../testing/call.ts';
import { checksOf } from './checks.ts';

// Roles are of the whole server, which other tests share: their names say whose they are.
const ROLE = `cli_doctor_${process.pid}`;
const PASSWORD = 'hunter2';
/** An own stream id, so that slots and locks are ours. */
const STREAM = `cli_${process.pid}`;
const PUBLICATION = `electric_publication_${STREAM}`;
const SLOT = `electric_slot_${STREAM}`;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase(sharedPostgresUrl());
  await admin(`create role ${ROLE} login password '${PASSWORD}'`, 'create table items (id int primary key, v text)');
});
afterAll(async () => {
  await admin(`drop owned by ${ROLE}`);
  await database.drop();
  await runStatements(sharedPostgresUrl(), [`drop role ${ROLE}`]);
});

const admin = (...statements: string[]) => runStatements(database.url, statements);

function urlOf(user: string, password = PASSWORD): string {
  const url = new URL(database.url);
  url.username = user;
  url.password = password;
  return url.href;
}

async function examine(env: Readonly<Record<string, string>> = {}) {
  const url = { DATABASE_URL: database.url, ELECTRIC_REPLICATION_STREAM_ID: STREAM };
  const examined = await examineWith({ ...url, ...env });
  const status = (id: Parameters<typeof examined.findings.get>[0]) => examined.findings.get(id)?.status;
  return { ...examined, status };
}

test('a database before its first replicator has nothing to complain of but limits that are not set', async () => {
  const { code, findings } = await examine();
  const pg = checksOf('pg').map((id) => findings.get(id));
  const notOk = pg.filter((finding) => finding?.status !== 'ok').map((finding) => [finding?.id, finding?.status]);
  expect(notOk).toEqual([
    ['pg.slot_wal_keep', 'warn'],
    ['pg.tables', 'skipped'],
    ['pg.replica_identity', 'skipped'],
    ['pg.slot_wal', 'skipped'],
  ]);
  expect(code).toBe(0);
});

test('what no variable leads to is skipped, and says which one it was', async () => {
  const { findings } = await examine();
  for (const id of checksOf('nats')) {
    expect(findings.get(id)).toMatchObject({
      status: 'skipped',
      message: 'Not checked: SHAPECAST_NATS_URL is not set.',
    });
  }
});

test('a role without REPLICATION, CREATE and what is good to have: each is a finding with the statement to run', async () => {
  const { code, findings } = await examine({ DATABASE_URL: urlOf(ROLE) });
  expect(findings.get('pg.grants')).toMatchObject({
    status: 'warn',
    next: expect.stringContaining(`GRANT pg_read_all_stats TO ${ROLE}`) as string,
  });
  expect(findings.get('pg.replication')).toMatchObject({
    status: 'fail',
    next: expect.stringContaining('WITH REPLICATION') as string,
  });
  expect(findings.get('pg.create')).toMatchObject({
    status: 'fail',
    next: expect.stringContaining('GRANT CREATE') as string,
  });
  expect(code).toBe(1);
});

test('with manual publishing the publication has to be there', async () => {
  const { code, findings, status } = await examine({ ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true' });
  expect(findings.get('pg.publication')).toMatchObject({
    status: 'fail',
    next: `Run CREATE PUBLICATION ${PUBLICATION}, and ALTER PUBLICATION ${PUBLICATION} ADD TABLE … for each table.`,
  });
  expect([status('pg.create'), code]).toEqual(['ok', 1]);
});

test('a published table without full replica identity fails where nobody else sets it, and warns where we do', async () => {
  await admin(`create publication ${PUBLICATION} for table items`);
  const manual = await examine({ ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true' });
  expect(manual.findings.get('pg.replica_identity')).toMatchObject({
    status: 'fail',
    message: 'The replica identity of public.items is not FULL.',
  });
  expect(manual.code).toBe(1);
  const automatic = await examine();
  expect([automatic.status('pg.replica_identity'), automatic.code]).toEqual(['warn', 0]);
  await admin('alter table items replica identity full');
  expect((await examine({ ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true' })).status('pg.replica_identity')).toBe('ok');
});

test('a publication that leaves out operations fails', async () => {
  await admin(`alter publication ${PUBLICATION} set (publish = 'insert')`);
  expect((await examine()).status('pg.publication')).toBe('fail');
  await admin(`alter publication ${PUBLICATION} set (publish = 'insert, update, delete, truncate')`);
  expect((await examine()).status('pg.publication')).toBe('ok');
});

// Postgres 14 has neither column lists nor row filters.
test.skipIf(defaultPostgresMajor() < 15)('a publication that leaves out columns fails', async () => {
  await admin(`alter publication ${PUBLICATION} set table items (id)`);
  const { findings, code } = await examine();
  expect(findings.get('pg.tables')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('public.items') as string,
  });
  expect(code).toBe(1);
  await admin(`alter publication ${PUBLICATION} set table items`);
});

test('what the role of the query URL may not read, or reads through policies, is named', async () => {
  const unreadable = await examine({ ELECTRIC_POOLED_DATABASE_URL: urlOf(ROLE) });
  expect(unreadable.findings.get('pg.privileges')).toMatchObject({
    status: 'fail',
    message: `Role ${ROLE} may not read public.items.`,
  });
  await admin(`grant select on items to ${ROLE}`, 'alter table items enable row level security');
  const filtered = await examine({ ELECTRIC_POOLED_DATABASE_URL: urlOf(ROLE) });
  expect([filtered.status('pg.privileges'), filtered.status('pg.row_security')]).toEqual(['ok', 'warn']);
  await admin('alter table items disable row level security');
});

test('a query URL that reaches another database fails', async () => {
  const { findings } = await examine({ ELECTRIC_POOLED_DATABASE_URL: sharedPostgresUrl() });
  expect(findings.get('pg.query_url')).toMatchObject({
    status: 'fail',
    message: 'The query URL reaches another database than the direct URL.',
  });
});

test('a slot that nobody reads from warns, and one of another plugin fails', async () => {
  await admin(`select pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`);
  const { findings, status, code } = await examine();
  expect(findings.get('pg.slot_wal')?.message).toMatch(/^Postgres keeps .* of WAL for the slot \(reserved/);
  expect([status('pg.slot'), status('pg.lock'), code]).toEqual(['warn', 'warn', 0]);
  await admin(`select pg_drop_replication_slot('${SLOT}')`);
  await admin(`select pg_create_logical_replication_slot('${SLOT}', 'test_decoding')`);
  const other = await examine();
  expect([other.status('pg.slot'), other.code]).toEqual(['fail', 1]);
  await admin(`select pg_drop_replication_slot('${SLOT}')`);
});

test('a publication of all tables is looked at with the tables that it implies', async () => {
  await admin(
    `drop publication ${PUBLICATION}`,
    `create publication ${PUBLICATION} for all tables`,
    'create table extra ()',
  );
  const { findings } = await examine({ ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true' });
  expect(findings.get('pg.replica_identity')).toMatchObject({
    status: 'warn',
    message: 'The replica identity of public.extra is not FULL.',
  });
});

test('a wrong password is one finding, the rest is not checked, and no password is repeated', async () => {
  const own = await startPostgres({ password: 'correct', settings: { wal_level: 'replica' } });
  try {
    const wrong = new URL(own.url);
    wrong.password = 'hunter2';
    const refused = await examineWith({ DATABASE_URL: wrong.href });
    expect(refused.findings.get('pg.reachable')).toMatchObject({
      status: 'fail',
      message: 'The database rejected the user name or password: check both.',
    });
    expect(refused.findings.get('pg.version')).toMatchObject({ status: 'skipped' });
    expect(refused.text).not.toContain('hunter2');
    expect(refused.code).toBe(1);

    const right = await examineWith({ DATABASE_URL: own.url });
    expect(right.findings.get('pg.wal_level')).toMatchObject({ status: 'fail', message: 'wal_level is replica.' });
    expect(right.code).toBe(1);

    await own.kill();
    const away = await examineWith({ DATABASE_URL: own.url });
    expect(away.findings.get('pg.reachable')).toMatchObject({ status: 'fail' });
    const rest = checksOf('pg').filter((id) => id !== 'pg.reachable');
    expect(rest.map((id) => away.findings.get(id)?.status)).toEqual(rest.map(() => 'skipped'));
    expect(away.code).toBe(1);
  } finally {
    await own.stop();
  }
});

test('a server that does not answer is given up after the time that was allowed', async () => {
  const own = await startPostgres();
  try {
    await own.pause();
    const { findings, code } = await examineWith({ DATABASE_URL: own.url }, ['--timeout', '0.5']);
    expect(findings.get('pg.reachable')).toMatchObject({
      status: 'fail',
      message: 'No answer to the checks within 500 ms.',
    });
    expect(code).toBe(1);
  } finally {
    await own.resume();
    await own.stop();
  }
});
