import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RelationInfo } from '@shapecast/shape';
import {
  createDatabase,
  sharedPostgresUrl,
  startPgbouncer,
  type TestDatabase,
  type TestServer,
} from '@shapecast/testkit';
import { request, subsetRequest, takeSnapshot, takeSubset } from '../contract/change-source.contract.ts';
import { deps } from '../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../contract/recording-handler.contract.ts';
import type { SourceDatabase } from '../source-database.ts';
import { openPgChangeSource } from './pg-change-source.ts';
import { openPgSourceDatabase } from './pg-source-database.ts';

const never = new AbortController().signal;
const ignore = () => {};

/** Everything that a session of ours could leave behind; a fresh one says what it should be. */
const SESSION_STATE = `
  select json_build_object(
    'settings', (select json_agg(json_build_array(name, setting) order by name) from pg_settings
      where source = 'session' and name not in ('application_name', 'client_encoding')),
    'display', json_build_array(current_setting('DateStyle'), current_setting('TimeZone'), current_setting('IntervalStyle'),
      current_setting('bytea_output'), current_setting('extra_float_digits'), current_setting('statement_timeout'),
      current_setting('idle_in_transaction_session_timeout'), current_setting('lc_messages')),
    'prepared', (select count(*) from pg_prepared_statements),
    'channels', (select count(*) from pg_listening_channels()),
    'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
    'cursors', (select count(*) from pg_cursors where is_holdable)
  ) as state`;

describe('A12 a query URL that leads through a transaction pooler', () => {
  const role = `reader_${randomBytes(6).toString('hex')}`;
  let bouncer: TestServer;
  let database: TestDatabase;
  let admin: pg.Client;
  let pooled: pg.Client;
  let source: SourceDatabase;

  beforeAll(async () => {
    // One server connection: whoever comes next gets the one we used.
    bouncer = await startPgbouncer({ target: sharedPostgresUrl(), users: [role], poolSize: 1 });
  });
  afterAll(() => bouncer?.stop());

  beforeEach(async () => {
    database = await createDatabase(sharedPostgresUrl());
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query(`create role ${role} login noreplication`);
    await admin.query('create table items (id text primary key, value text, at timestamptz)');
    await admin.query(`insert into items values ('1', 'a', '2026-02-03 04:05:06+00'), ('2', 'b', null)`);
    await admin.query(`grant select on items to ${role}`);
    // What our settings would be told from.
    await admin.query(`alter role ${role} set DateStyle = 'SQL, MDY'`);
    await admin.query(`alter role ${role} set TimeZone = 'Asia/Tokyo'`);
    const url = new URL(database.url);
    url.port = String(bouncer.port);
    url.username = role;
    source = openPgSourceDatabase({ url: database.url, queryUrl: url.href, publicationName: 'p' }, deps);
    pooled = new pg.Client({ connectionString: url.href });
    await pooled.connect();
  });
  afterEach(async () => {
    await source.close();
    await pooled.end();
    await disconnectPooler();
    await admin.query(`drop owned by ${role}`);
    await admin.query(`drop role ${role}`);
    await admin.end();
    await database.drop();
  });

  /** The pooler keeps its connections, and a role in use cannot be dropped. */
  const disconnectPooler = () =>
    admin.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
  const state = async () => (await pooled.query<{ state: unknown }>(SESSION_STATE)).rows[0]?.state;
  const serverPid = async () => (await pooled.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;

  test('gives snapshots and subsets to a role without REPLICATION, and keeps nothing of our sessions', async () => {
    const before = await state();
    const dateStyle = (await pooled.query<{ DateStyle: string }>('show DateStyle')).rows;
    const pid = await serverPid();
    const items = (await source.introspect('public', 'items', never)) as RelationInfo;
    const { rows } = await takeSnapshot(source, { ...request(items), columns: ['at'] });
    expect(rows.flat()).toContain('2026-02-03 04:05:06+00');
    expect((await takeSubset(source, { ...subsetRequest(items), columns: ['at'] })).rows.flat()).toContain(
      '2026-02-03 04:05:06+00',
    );
    // It was the same server session all the time.
    expect(await serverPid()).toBe(pid);
    expect((await pooled.query('show DateStyle')).rows).toEqual(dateStyle);
    expect(dateStyle).toEqual([{ DateStyle: 'SQL, MDY' }]);
    expect(await state()).toEqual(before);
  });

  test('does not replicate: the direct URL does', async () => {
    const url = new URL(database.url);
    url.port = String(bouncer.port);
    const names = { slotName: `slot_${role}`, publicationName: 'p' };
    const replication = openPgChangeSource({ url: url.href, ...names }, deps).open(ignore, never);
    // Pooler and version decide how; it must be one of the ways that are told to somebody.
    await expect(replication).rejects.toMatchObject({ code: expect.stringMatching(/^SOURCE_/) as string });
  });

  test('T35 the advisory lock is held by the replication connection, which goes past the pooler', async () => {
    const names = { slotName: `slot_${role}`, publicationName: 'p' };
    const session = await openPgChangeSource({ url: database.url, ...names }, deps).open(ignore, never);
    const holder = async () =>
      (
        await admin.query<{ backend_type: string; pid: number }>(
          `select a.backend_type, a.pid from pg_locks l join pg_stat_activity a using (pid)
           where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and a.datname = current_database()
             and (l.classid::bigint << 32 | l.objid::bigint) = hashtext($1)::bigint & x'ffffffffffffffff'::bigint`,
          [names.slotName],
        )
      ).rows;
    expect(await holder()).toEqual([{ backend_type: 'walsender', pid: session.identity.walSenderPid }]);
    const running = run(session, new RecordingHandler());
    expect(await holder()).toEqual([{ backend_type: 'walsender', pid: session.identity.walSenderPid }]);
    await running.stop();
    expect(await holder()).toEqual([]);
  });
});
