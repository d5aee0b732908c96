import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import pg from 'pg';
import type { ReplicationClientConfig } from 'pg-logical-replication';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '@shapecast/service-kit';
import { sharedPostgresUrl, startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import type { SourceProgress } from '../change-source.ts';
import { deps, openPgWorld, type PgWorld, type PgWorldOptions } from '../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../contract/recording-handler.contract.ts';
import { openPgChangeSource, type PgChangeSourceOptions } from './pg-change-source.ts';
import { startReplication } from './sql/replication.ts';

const never = new AbortController().signal;
const ignore = () => {};

describe('setting up replication', () => {
  let world: PgWorld;
  let server: TestPostgres | undefined;
  let cleanUp: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const task of cleanUp.reverse()) await task();
    cleanUp = [];
    await server?.stop();
    server = undefined;
  });

  async function start(options: PgWorldOptions = {}): Promise<PgWorld> {
    world = await openPgWorld(options);
    cleanUp.push(() => world.close());
    return world;
  }

  /** The world's URL for another role, which is dropped after the test. */
  async function roleUrl(attributes: string): Promise<URL> {
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role} login password 'secret' ${attributes}`);
    cleanUp.push(async () => {
      await world.sql(`drop owned by ${role}`);
      await world.sql(`drop role ${role}`);
    });
    const url = new URL(world.url);
    url.username = role;
    url.password = 'secret';
    return url;
  }

  const openAs = (url: URL | string) => openPgChangeSource({ ...names(), url: String(url) }, deps).open(ignore, never);
  /** Polls the lock some times and gives up. */
  const openUntilPolled = (times: number, options: Partial<PgChangeSourceOptions> = { lockBreaker: false }) => {
    const stop = new AbortController();
    let polls = 0;
    const sleep = (ms: number, signal?: AbortSignal) => {
      polls += 1;
      if (polls === times) stop.abort();
      return systemClock.sleep(ms, signal);
    };
    const clock = { ...systemClock, sleep };
    const source = openPgChangeSource({ url: world.url, ...names(), lockPollMs: 10, ...options }, { ...deps, clock });
    return source.open(ignore, stop.signal);
  };
  const slotInUse = async () => {
    const rows = await world.sql('select active from pg_replication_slots where slot_name = $1', [world.slotName]);
    return rows[0]?.['active'] === true;
  };
  const names = () => ({ slotName: world.slotName, publicationName: world.publicationName });

  test('identifies the server and applies the display settings', async () => {
    await start();
    const session = await world.source.open(ignore, never);
    const [row] = await world.sql(
      `select system_identifier::text as id, current_database() as name, current_setting('server_version_num')::int as version
       from pg_control_system()`,
    );
    expect(session.identity).toMatchObject({
      systemId: row?.['id'],
      database: row?.['name'],
      serverVersion: row?.['version'],
      timeline: 1,
    });
    expect(session.identity.walLsn).toBeGreaterThan(0n);
    expect(session.slot.created).toBe(true);
    await session.close();
  });

  test('creates slot and publication once', async () => {
    await start();
    const first = await world.source.open(ignore, never);
    await first.close();
    const second = await world.source.open(ignore, never);
    expect(second.slot).toEqual({ ...first.slot, created: false });
    await second.close();
    const publications = await world.sql('select pubname from pg_publication');
    expect(publications).toEqual([{ pubname: world.publicationName }]);
  });

  test('starts the slot anew when the publication was gone', async () => {
    await start();
    const first = await world.source.open(ignore, never);
    await first.close();
    await world.sql('drop publication "Pub ""quoted"""');
    const second = await world.source.open(ignore, never);
    expect(second.slot.created).toBe(true);
    expect(second.slot.confirmedLsn).toBeGreaterThan(first.slot.confirmedLsn);
    await second.close();
  });

  test('completes a publication that does not publish everything, and starts anew', async () => {
    await start();
    const first = await world.source.open(ignore, never);
    await first.close();
    await world.sql(`alter publication "Pub ""quoted""" set (publish = 'insert, update')`);
    const second = await world.source.open(ignore, never);
    expect(second.slot.created).toBe(true);
    await second.close();
    expect(await world.sql('select pubdelete, pubtruncate from pg_publication')).toEqual([
      { pubdelete: true, pubtruncate: true },
    ]);
  });

  test('refuses a publication that does not publish everything and is looked after by hand', async () => {
    await start({ source: { manualPublishing: true } });
    await world.sql(`create publication "Pub ""quoted""" with (publish = 'insert, update')`);
    await expect(world.source.open(ignore, never)).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Publication "${world.publicationName}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`,
    });
  });

  test('refuses a slot of another plugin', async () => {
    await start();
    await world.sql('select pg_create_logical_replication_slot($1, $2)', [world.slotName, 'test_decoding']);
    const opening = world.source.open(ignore, never);
    await expect(opening).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED' });
  });

  test('drops a temporary slot with the session', async () => {
    await start({ source: { temporarySlot: true } });
    const first = await world.source.open(ignore, never);
    await first.close();
    expect(
      await world.sql('select slot_name from pg_replication_slots where slot_name = $1', [world.slotName]),
    ).toEqual([]);
  });

  test('T36 terminates a backend that holds the lock of an unused slot', async () => {
    await start();
    await (await world.source.open(ignore, never)).close();
    const orphan = await world.connect();
    await orphan.query('select pg_advisory_lock(hashtext($1))', [world.slotName]);
    const session = await world.source.open(ignore, never);
    await expect(orphan.query('select 1')).rejects.toThrow(/terminat|not queryable/i);
    await session.close();
  });

  test('leaves a lock alone when told to', async () => {
    await start({ source: { lockBreaker: false } });
    await (await world.source.open(ignore, never)).close();
    const holder = await world.connect();
    await holder.query('select pg_advisory_lock(hashtext($1))', [world.slotName]);
    await expect(openUntilPolled(5)).rejects.toThrow(/abort/);
    expect((await holder.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('leaves the holder of a slot in use alone', async () => {
    await start();
    const session = await world.source.open(ignore, never);
    const handler = new RecordingHandler();
    const stream = run(session, handler);
    await waitFor(slotInUse);
    await expect(openUntilPolled(5, { lockBreaker: true })).rejects.toThrow(/abort/);
    expect(await slotInUse()).toBe(true);
    await stream.stop();
  });

  test('waits for open transactions while the slot is created, and says so', async () => {
    const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal) };
    await start({ clock });
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const reports: SourceProgress[] = [];
    const opening = world.source.open((progress) => reports.push(progress), never);
    await waitFor(() => reports.some((report) => report.kind === 'creating_slot'));
    await writer.query('commit');
    const session = await opening;
    expect(reports.at(-1)).toEqual({ kind: 'ready' });
    await session.close();
  });

  test('what its role is set to for applications does not keep it from writing and waiting', async () => {
    const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal) };
    await start();
    const url = await roleUrl('superuser replication');
    for (const setting of ['default_transaction_read_only = on', 'lock_timeout = 1']) {
      await world.sql(`alter role ${url.username} set ${setting}`);
    }
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const reports: SourceProgress[] = [];
    const source = openPgChangeSource({ ...names(), url: String(url) }, { ...deps, clock });
    const opening = source.open((progress) => reports.push(progress), never);
    await waitFor(() => reports.some(({ kind }) => kind === 'creating_slot'));
    await writer.query('commit');
    const session = await opening;
    expect(session.slot.created).toBe(true);
    await session.close();
    expect(await world.sql('select from pg_publication where pubname = $1', [world.publicationName])).toHaveLength(1);
  });

  test('can be told to give up while the slot is created', async () => {
    await start();
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const stop = new AbortController();
    const opening = world.source.open(ignore, stop.signal);
    await waitFor(
      async () =>
        (await world.sql('select 1 from pg_replication_slots where slot_name = $1', [world.slotName])).length > 0,
    );
    stop.abort();
    await expect(opening).rejects.toThrow(/abort/);
    await writer.query('rollback');
  });

  test('asks for wal_level logical', async () => {
    server = await startPostgres({ settings: { wal_level: 'replica' } });
    await start({ adminUrl: server.url });
    await expect(world.source.open(ignore, never)).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: expect.stringMatching(/^Shapecast requires wal_level >= logical: [^.]*\.$/) as string,
    });
  });

  test('asks for the REPLICATION attribute', async () => {
    await start();
    await expect(openAs(await roleUrl('noreplication'))).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: expect.stringMatching(/^User does not have the REPLICATION attribute/) as string,
    });
  });

  test('names a publication that is missing and that the role may not create', async () => {
    await start();
    await expect(openAs(await roleUrl('replication'))).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Publication "${world.publicationName}" not found in the database`,
    });
  });

  test('tells a database that is missing', async () => {
    await start();
    const missing = new URL(world.url);
    missing.pathname = '/no_such_database';
    const opening = openAs(missing);
    await expect(opening).rejects.toMatchObject({ details: { type: 'database_does_not_exist' } });
    await expect(opening).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED' });
  });

  test('tells a wrong password, and does not repeat it', async () => {
    server = await startPostgres({ password: 'right' });
    await start({ adminUrl: server.url });
    const wrong = new URL(world.url);
    wrong.password = 'wr0ng';
    const error: unknown = await openAs(wrong).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      details: { type: 'invalid_username_or_password' },
    });
    expect(inspect(error, { depth: 10 })).not.toContain('wr0ng');
  });

  test('tells a server that cannot be reached', async () => {
    await start();
    const refused = new URL(world.url);
    refused.port = '1';
    await expect(openAs(refused)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { type: 'connection_refused' },
    });
  });

  test('tells that the slot is in use, by somebody who does not take the lock', async () => {
    await start();
    await (await world.source.open(ignore, never)).close();
    const config: ReplicationClientConfig = { connectionString: world.url, replication: 'database' };
    const other = new pg.Client(config);
    other.on('error', ignore);
    await other.connect();
    other.query(startReplication(world.slotName, world.publicationName)).catch(ignore);
    await waitFor(slotInUse);
    const session = await world.source.open(ignore, never);
    await expect(session.stream(new RecordingHandler(), never)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { type: 'replication_slot_in_use' },
    });
    await session.close();
    await other.end();
  });

  test.each(['Upper', 'with space', '', 'a'.repeat(64)])('refuses %j as the name of a slot', (slotName) => {
    const open = () => openPgChangeSource({ url: sharedPostgresUrl(), slotName, publicationName: 'p' }, deps);
    expect(open).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  });
});
