import { randomBytes } from 'node:crypto';
import { systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { SourceProgress } from '../../change-source.ts';
import { openPgWorld, type PgWorld, type PgWorldOptions } from '../../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../../contract/recording-handler.contract.ts';
import { openPgChangeSource, type PgChangeSourceOptions } from '../pg-change-source.ts';

const never = new AbortController().signal;
const ignore = () => {};
/** Waits of 10 s take 100 ms. */
const fast: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) };

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

/** A source on the world's names that remembers its log lines. */
function logged(options: Partial<PgChangeSourceOptions> = {}, clock: Clock = systemClock) {
  const lines: Record<string, unknown>[] = [];
  const note = (fields: object, text: string) => void lines.push({ ...fields, text });
  const log: Logger = { error: note, warn: note, info: note, debug: ignore, child: () => log };
  const { url, slotName, publicationName } = world;
  const source = openPgChangeSource({ url, slotName, publicationName, lockPollMs: 20, ...options }, { clock, log });
  const events = (name: string) => lines.filter((line) => line['event'] === name);
  const lost = () => events('warning').filter((line) => String(line['type']).startsWith('database_slot'));
  return { source, events, lost };
}

async function slot(): Promise<Record<string, unknown> | undefined> {
  const [row] = await world.sql('select to_jsonb(s) as row from pg_replication_slots s where slot_name = $1', [
    world.slotName,
  ]);
  return row?.['row'] as Record<string, unknown> | undefined;
}

const publicationOid = async () => {
  const [row] = await world.sql('select oid::int as oid from pg_publication where pubname = $1', [
    world.publicationName,
  ]);
  return row?.['oid'];
};

/** The world's URL for another role, which is dropped after the test. */
async function roleUrl(attributes: string): Promise<string> {
  const role = `role_${randomBytes(6).toString('hex')}`;
  await world.sql(`create role ${role} login ${attributes}`);
  await world.sql(`grant create on database ${new URL(world.url).pathname.slice(1)} to ${role}`);
  cleanUp.push(async () => {
    await world.sql(`drop owned by ${role}`);
    await world.sql(`drop role ${role}`);
  });
  const url = new URL(world.url);
  url.username = role;
  return url.href;
}

describe('a slot that Postgres gave up', () => {
  test.each([14, 15, 17, 18])(
    'T60 for the size of its WAL starts anew, its publication too, on Postgres %i',
    async (version) => {
      const settings = { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' };
      server = await startPostgres({ version, settings });
      await start({ adminUrl: server.url });
      const { source, events } = logged();
      const first = await source.open(ignore, never);
      await first.close();
      await world.sql('create table noise (n int)');
      await waitFor(async () => {
        await world.sql('insert into noise select generate_series(1, 100)');
        await world.sql('select pg_switch_wal()');
        await world.sql('checkpoint');
        return (await slot())?.['wal_status'] === 'lost';
      });
      const second = await source.open(ignore, never);
      expect(second.slot.created).toBe(true);
      expect(second.slot.publicationOid).not.toBe(first.slot.publicationOid);
      expect(second.slot.publicationOid).toBe(await publicationOid());
      expect(events('warning')).toMatchObject([
        {
          type: 'database_slot_exceeded_max_size',
          message: expect.stringContaining('max_slot_wal_keep_size') as string,
        },
      ]);
      const handler = new RecordingHandler();
      const stream = run(second, handler);
      await world.database.publish(await items(), never);
      await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
      await handler.waitForChanges(1);
      await stream.stop();
    },
  );

  test('because nobody used it for long starts anew, and leaves a publication alone that is somebody else’s (Postgres 18)', async () => {
    server = await startPostgres({ version: 18, settings: { idle_replication_slot_timeout: '1s' } });
    await start({ adminUrl: server.url });
    await world.sql('create publication "Pub ""quoted""" ');
    const { source, lost } = logged({ manualPublishing: true });
    const first = await source.open(ignore, never);
    await first.close();
    await waitFor(async () => {
      await world.sql('checkpoint');
      return (await slot())?.['invalidation_reason'] === 'idle_timeout';
    });
    const second = await source.open(ignore, never);
    expect(second.slot).toMatchObject({ created: true, publicationOid: first.slot.publicationOid });
    expect(lost()).toMatchObject([
      { type: 'database_slot_invalidated', message: expect.stringContaining('idle_timeout') as string },
    ]);
    await second.close();
  });
});

async function items() {
  const [row] = await world.sql(`select 'items'::regclass::oid::int as oid`);
  return { oid: row?.['oid'] as number, schema: 'public', name: 'items' };
}

describe('the publication', () => {
  const drop = 'drop publication "Pub ""quoted"""';

  test.each([
    ['missing', [drop], { code: 'SOURCE_MISCONFIGURED' }],
    ['another one', [drop, 'create publication "Pub ""quoted"""'], undefined],
    ['incomplete', [`alter publication "Pub ""quoted""" set (publish = 'insert')`], { code: 'SOURCE_MISCONFIGURED' }],
  ])('T33 that is %s is noticed by looking, and the slot starts anew', async (_, statements, refusal) => {
    await start();
    await world.sql('create publication "Pub ""quoted"""');
    const { source } = logged({ publicationCheckMs: 50, manualPublishing: true });
    const session = await source.open(ignore, never);
    const stream = run(session, new RecordingHandler());
    for (const statement of statements) await world.sql(statement);
    await expect(stream.done).rejects.toMatchObject({ details: { type: 'missing_publication' } });
    await session.close();
    if (refusal) {
      await expect(source.open(ignore, never)).rejects.toMatchObject(refusal);
      expect(await slot()).toBeUndefined();
      await world.sql('drop publication if exists "Pub ""quoted"""');
      await world.sql('create publication "Pub ""quoted"""');
    }
    // Not the same source: what happened must not be forgotten with the process.
    const next = await logged({ manualPublishing: true }).source.open(ignore, never);
    const anew = next.slot.created || next.slot.publicationOid !== session.slot.publicationOid;
    expect(anew).toBe(true);
    await next.close();
  });

  test('that nobody touches ends no session, whatever tables it has', async () => {
    await start();
    const { source } = logged({ publicationCheckMs: 20 });
    const session = await source.open(ignore, never);
    const handler = new RecordingHandler();
    const stream = run(session, handler);
    await world.database.publish(await items(), never);
    for (const id of ['1', '2', '3']) {
      await world.transaction([{ kind: 'insert', id, value: 'a' }]);
      await handler.waitForChanges(Number(id));
      await systemClock.sleep(40);
    }
    await stream.stop();
    expect(handler.parts.flatMap((part) => part.changes)).toHaveLength(3);
  });

  test('is not made where it is somebody else’s to make', async () => {
    await start();
    const { source } = logged({ manualPublishing: true });
    await expect(source.open(ignore, never)).rejects.toMatchObject({
      code: 'SOURCE_MISCONFIGURED',
      message: `Publication "${world.publicationName}" not found in the database`,
    });
    expect(await publicationOid()).toBeUndefined();
  });
});

describe('a slot for failover', () => {
  test('is made from version 17 on, and one from before the setting follows', async () => {
    server = await startPostgres({ version: 17 });
    await start({ adminUrl: server.url });
    await (await logged().source.open(ignore, never)).close();
    expect(await slot()).toMatchObject({ failover: false });
    const { source } = logged({ slotFailover: true });
    const second = await source.open(ignore, never);
    expect(second.slot.created).toBe(false);
    expect(await slot()).toMatchObject({ failover: true });
    await second.close();
    await world.sql('select pg_drop_replication_slot($1)', [world.slotName]);
    await (await source.open(ignore, never)).close();
    expect(await slot()).toMatchObject({ failover: true });
  });

  test('is an ordinary one before, and where it ends with its session', async () => {
    await start({ source: { slotFailover: true, temporarySlot: true } });
    const session = await world.source.open(ignore, never);
    const made = await slot();
    expect(made).toMatchObject({ temporary: true });
    // Postgres has the column since version 17.
    expect(made?.['failover']).not.toBe(true);
    await session.close();
    server = await startPostgres({ version: 16 });
    await start({ adminUrl: server.url, source: { slotFailover: true } });
    const older = await world.source.open(ignore, never);
    expect(older.slot.created).toBe(true);
    await older.close();
  });
});

describe('slot creation behind an open transaction', () => {
  /** An open transaction, and the opening of a source that waits for it. */
  async function blocked(options: Partial<PgChangeSourceOptions> = {}) {
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const reports: SourceProgress[] = [];
    const { source, events } = logged(options, fast);
    const opening = source.open((progress) => reports.push(progress), never);
    opening.catch(ignore);
    await waitFor(() => reports.filter((report) => report.kind === 'creating_slot').length >= 3);
    return { writer, opening, events };
  }

  test('A21 T61 heals by itself once that has ended, on a server where nothing else happens', async () => {
    server = await startPostgres({ version: 18 });
    await start({ adminUrl: server.url });
    const { writer, opening, events } = await blocked();
    const asked = () =>
      world.sql(`select count(*)::int as n from pg_stat_activity where query ~ 'pg_log_standby_snapshot'`);
    await waitFor(async () => Number((await asked())[0]?.['n']) > 1);
    await writer.query('commit');
    const session = await opening;
    expect(session.slot.created).toBe(true);
    expect(events('replication_slot_unblock_unavailable')).toEqual([]);
    await session.close();
  });

  test('A21 says once that it cannot be helped when the role may not, and goes on when Postgres gets round to it', async () => {
    server = await startPostgres({ version: 18 });
    await start({ adminUrl: server.url });
    const url = await roleUrl('replication');
    const { writer, opening, events } = await blocked({ url });
    expect(events('replication_slot_unblock_unavailable')).toMatchObject([
      { message: expect.stringContaining('permission denied') as string },
    ]);
    await writer.query('commit');
    await world.sql('checkpoint');
    const session = await opening;
    expect(session.slot.created).toBe(true);
    await session.close();
  });

  test('A21 says so too where Postgres is too old to be asked', async () => {
    server = await startPostgres({ version: 15 });
    await start({ adminUrl: server.url });
    const { writer, opening, events } = await blocked();
    expect(events('replication_slot_unblock_unavailable')).toMatchObject([
      { message: expect.stringContaining('pg_log_standby_snapshot') as string },
    ]);
    await writer.query('commit');
    await world.sql('checkpoint');
    await (await opening).close();
  });

  test('A17 an instance that was killed meanwhile keeps the lock until the transaction ends; its successor waits for that', async () => {
    await start();
    const writer = await world.connect();
    await writer.query('begin');
    await writer.query(`insert into items values ('1', 'a')`);
    const kill = new AbortController();
    const first = world.source.open(ignore, kill.signal);
    await waitFor(async () => (await slot())?.['active'] === true);
    // Before that it looks for WAL, and would see that its socket is closed.
    const waiting = `select 1 from pg_stat_activity where backend_type = 'walsender' and wait_event = 'transactionid'`;
    await waitFor(async () => (await world.sql(waiting)).length === 1);
    kill.abort();
    await expect(first).rejects.toThrow(/abort/);
    const reports: SourceProgress[] = [];
    const second = logged({}, fast).source.open((progress) => reports.push(progress), never);
    await waitFor(() => reports.some((report) => report.kind === 'waiting_for_lock'));
    await systemClock.sleep(300); // longer than the lock breaker waits here
    expect(await slot()).toMatchObject({ active: true });
    await writer.query('commit');
    await world.sql('checkpoint');
    const session = await second;
    expect((await slot())?.['confirmed_flush_lsn']).toBeDefined();
    const handler = new RecordingHandler();
    const stream = run(session, handler);
    await world.database.publish(await items(), never);
    await world.transaction([{ kind: 'insert', id: '2', value: 'b' }]);
    await handler.waitForChanges(1);
    await stream.stop();
  });
});

test('a standby whose connection is ended while it waits for the lock says that it could not take it', async () => {
  await start();
  const leader = await world.source.open(ignore, never);
  cleanUp.push(() => leader.close());
  const { source, events } = logged();
  const reports: SourceProgress['kind'][] = [];
  const opening = source.open(({ kind }) => reports.push(kind), never).catch((err: unknown) => err);
  await waitFor(() => reports.includes('waiting_for_lock'));
  await world.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and backend_type = 'walsender' and pid <> $1`,
    [leader.identity.walSenderPid],
  );
  expect(await opening).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  expect(events('failed_to_acquire_connection_lock')).toEqual([
    expect.objectContaining({ error: expect.stringMatching(/./) as string }),
  ]);
});
