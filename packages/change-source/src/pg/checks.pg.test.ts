import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import { createDatabase, sharedPostgresUrl, startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { request, takeSnapshot } from '../contract/change-source.contract.ts';
import { openPgWorld, type PgWorld } from '../contract/pg-world.contract.ts';
import type { SourceDatabase } from '../source-database.ts';
import { openPgChangeSource } from './pg-change-source.ts';
import { openPgSourceDatabase } from './pg-source-database.ts';
import { findingsOf } from './source-checks.ts';
import type { ServerRoom } from './sql/checks.ts';

const never = new AbortController().signal;
const ignore = () => {};
const run = promisify(execFile);

interface Warnings extends Logger {
  readonly types: unknown[];
  readonly messages: unknown[];
}

function warnings(): Warnings {
  const types: unknown[] = [];
  const messages: unknown[] = [];
  const warn = (fields: object) => {
    if (!('event' in fields) || fields.event !== 'warning') return;
    types.push('type' in fields ? fields.type : undefined);
    messages.push('message' in fields ? fields.message : undefined);
  };
  return { ...silentLogger, warn, types, messages };
}

async function onServer(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('the server behind a URL', () => {
  let home: string;
  let primary: TestPostgres;
  let standby: TestPostgres;
  let databases: SourceDatabase[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'shapecast-checks-'));
    await run('chmod', ['755', home]);
    const folder = { dataDir: join(home, 'primary'), durable: false };
    primary = await startPostgres(folder);
    await onServer(
      primary.url,
      'create table items (id text primary key, value text)',
      `insert into items values ('1', 'a')`,
    );
    await onServer(primary.url, 'create database other');
    await primary.stop();
    // A copy that was told to follow somebody: it never becomes a primary by itself.
    await run('cp', ['-a', join(home, 'primary'), join(home, 'standby')]);
    await writeFile(join(home, 'standby', 'standby.signal'), '');
    await primary.start();
    standby = await startPostgres({ dataDir: join(home, 'standby'), durable: false });
  });
  afterAll(async () => {
    await Promise.all([primary?.stop(), standby?.stop()]);
    await rm(home, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const database of databases) await database.close();
    databases = [];
  });

  function open(url: string, queryUrl?: string, log: Logger = silentLogger): SourceDatabase {
    const options = { url, publicationName: 'p', ...(queryUrl && { queryUrl }) };
    const database = openPgSourceDatabase(options, { clock: systemClock, log });
    databases.push(database);
    return database;
  }

  async function snapshot(database: SourceDatabase) {
    const items = (await database.introspect('public', 'items', never)) as RelationInfo;
    return takeSnapshot(database, request(items));
  }

  test('may not be a standby, whichever URL it is', async () => {
    const slotName = 'checks';
    const source = openPgChangeSource(
      { url: standby.url, slotName, publicationName: 'p' },
      { clock: systemClock, log: silentLogger },
    );
    const refused = { code: 'SOURCE_MISCONFIGURED', details: { type: 'standby' } };
    await expect(source.open(ignore, never)).rejects.toMatchObject(refused);
    const message = expect.stringMatching(/server is a standby/) as string;
    for (const url of [primary.url, standby.url]) {
      await expect(snapshot(open(url, standby.url))).rejects.toMatchObject({ message });
    }
    await expect(snapshot(open(standby.url))).rejects.toMatchObject({ message });
  });

  test('must be the same one for both URLs, and the same database', async () => {
    const message = expect.stringMatching(/reaches another database than the direct URL/) as string;
    await expect(snapshot(open(primary.url, sharedPostgresUrl()))).rejects.toMatchObject({ message });
    const other = new URL(primary.url);
    other.pathname = '/other';
    await expect(snapshot(open(primary.url, other.href))).rejects.toMatchObject({ message });
    const log = warnings();
    const same = new URL(primary.url);
    same.hostname = 'localhost';
    expect((await snapshot(open(primary.url, same.href, log))).rows).toEqual([['a', '1']]);
    expect(log.types).toEqual([]);
  });

  test('is taken on trust where the role may not ask, with one warning', async () => {
    await onServer(
      primary.url,
      'revoke execute on function pg_control_system() from public',
      'create role asker login',
      'grant select on items to asker',
    );
    const url = new URL(primary.url);
    url.username = 'asker';
    const log = warnings();
    const database = open(primary.url, url.href, log);
    const twice = await Promise.all([snapshot(database), snapshot(database)]);
    expect(twice.map(({ rows }) => rows)).toEqual([[['a', '1']], [['a', '1']]]);
    expect(log.types).toEqual(['server_not_comparable']);
  });
});

describe('what is set up badly', () => {
  let world: PgWorld;
  let items: RelationInfo;
  let cleanUp: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    world = await openPgWorld();
    items = (await world.database.introspect('public', 'items', never)) as RelationInfo;
  });
  afterEach(async () => {
    for (const task of cleanUp.reverse()) await task();
    cleanUp = [];
    await world.close();
  });

  async function roleUrl(attributes = ''): Promise<string> {
    const role = `role_${randomBytes(6).toString('hex')}`;
    await world.sql(`create role ${role} login ${attributes}`);
    await world.sql(`grant select on items to ${role}`);
    cleanUp.push(async () => {
      await world.sql(`drop owned by ${role}`);
      await world.sql(`drop role ${role}`);
    });
    const url = new URL(world.url);
    url.username = role;
    return url.href;
  }

  function openAs(queryUrl: string, log: Logger): SourceDatabase {
    const options = { url: world.url, queryUrl, publicationName: world.publicationName };
    const database = openPgSourceDatabase(options, { clock: systemClock, log });
    cleanUp.push(() => database.close());
    return database;
  }

  test('policies that filter what a role reads of a table: one warning per table', async () => {
    await world.sql('alter table items enable row level security');
    const log = warnings();
    const database = openAs(await roleUrl(), log);
    for (let count = 0; count < 3; count += 1) await takeSnapshot(database, request(items));
    expect(log.messages).toEqual([expect.stringMatching(/^Row-level security filters .* "public.items"/)]);
    const exempt = warnings();
    await takeSnapshot(openAs(await roleUrl('bypassrls'), exempt), request(items));
    await takeSnapshot(openAs(world.url, exempt), request(items));
    expect(exempt.types).toEqual([]);
  });

  test('settings that make values print differently: one warning', async () => {
    const url = await roleUrl();
    const role = new URL(url).username;
    await world.sql(`alter role ${role} set xmlbinary = 'hex'`);
    await world.sql(`alter role ${role} set search_path = pg_catalog`);
    const log = warnings();
    const database = openAs(url, log);
    await Promise.all([1, 2].map(() => takeSnapshot(database, request(items))));
    expect(log.messages).toEqual([expect.stringMatching(/differ from the replicated ones in xmlbinary, search_path:/)]);
  });

  test('room for slots, and for WAL: told when a session begins, and only when there is something new', async () => {
    const log = warnings();
    const names = { slotName: world.slotName, publicationName: world.publicationName };
    const source = openPgChangeSource({ url: world.url, ...names }, { clock: systemClock, log });
    for (let count = 0; count < 2; count += 1) await (await source.open(ignore, never)).close();
    expect(log.types).toEqual(['unlimited_slot_wal']);
  });

  test.each<[string, Partial<ServerRoom>]>([
    ['no_free_replication_slot', { replicationSlots: 10 }],
    ['no_free_wal_sender', { walSenders: 10 }],
    ['unlimited_slot_wal', { maxSlotWalKeepSize: -1 }],
    ['wal_sender_timeout_off', { walSenderTimeout: 0 }],
    ['idle_slots_time_out', { idleReplicationSlotTimeout: 3_600 }],
  ])('is called %s', (type, change) => {
    const fine: ServerRoom = {
      maxReplicationSlots: 10,
      replicationSlots: 9,
      maxWalSenders: 10,
      walSenders: 9,
      maxSlotWalKeepSize: 10_240,
      walSenderTimeout: 60_000,
      idleReplicationSlotTimeout: 0,
    };
    expect(findingsOf(fine)).toEqual([]);
    expect(findingsOf({ ...fine, idleReplicationSlotTimeout: undefined })).toEqual([]);
    expect(findingsOf({ ...fine, ...change }).map((finding) => finding.type)).toEqual([type]);
  });
});

describe('A5 connection slots that are all taken', () => {
  test('at start and at run time: said so, tried again, and over as soon as some are free', async () => {
    const server = await startPostgres({ settings: { max_connections: '8', superuser_reserved_connections: '3' } });
    const held: pg.Client[] = [];
    const database = await createDatabase(server.url);
    await onServer(
      database.url,
      'create role app login replication',
      'create table items (id text primary key, value text)',
    );
    await onServer(database.url, 'alter table items owner to app', `alter database ${database.name} owner to app`);
    const url = new URL(database.url);
    url.username = 'app';
    const takeAll = async () => {
      for (;;) {
        const client = new pg.Client({ connectionString: url.href });
        client.on('error', ignore);
        try {
          await client.connect();
          held.push(client);
        } catch {
          return;
        }
      }
    };
    const giveBack = () => Promise.all(held.splice(0).map((client) => client.end()));
    const options = { url: url.href, publicationName: 'p' };
    const clocked = { clock: systemClock, log: silentLogger };
    const catalog = openPgSourceDatabase(options, clocked);
    try {
      const source = openPgChangeSource({ ...options, slotName: 'a5' }, clocked);
      const noSlots = { code: 'SOURCE_UNAVAILABLE', details: { type: 'insufficient_resources', code: '53300' } };
      await takeAll();
      await expect(source.open(ignore, never)).rejects.toMatchObject(noSlots);
      await expect(catalog.introspect('public', 'items', never)).rejects.toMatchObject(noSlots);
      await giveBack();
      const session = await waitFor(() => source.open(ignore, never).catch(() => undefined));
      const items = await waitFor(() => catalog.introspect('public', 'items', never).catch(ignore));
      expect(items).toMatchObject({ name: 'items' });
      const running = openPgSourceDatabase(options, clocked);
      await takeAll();
      await expect(running.introspect('public', 'items', never)).rejects.toMatchObject(noSlots);
      await expect(takeSnapshot(running, request(items as RelationInfo))).rejects.toMatchObject({
        code: 'SNAPSHOT_FAILED',
        details: { type: 'insufficient_resources' },
      });
      await giveBack();
      await waitFor(() => takeSnapshot(running, request(items as RelationInfo)).catch(ignore));
      await running.close();
      await session.close();
    } finally {
      await catalog.close();
      await giveBack();
      await server.stop();
    }
  });
});
