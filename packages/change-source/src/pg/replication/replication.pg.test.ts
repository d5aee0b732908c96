import { afterEach, describe, expect, test } from 'vitest';
import { parseLsn, type Lsn } from '@shapecast/log';
import { systemClock } from '@shapecast/service-kit';
import { defaultPostgresMajor, startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { openPgWorld, type PgWorld, type PgWorldOptions } from '../../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../../contract/recording-handler.contract.ts';

const never = new AbortController().signal;
const ignore = () => {};

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

describe('replication from Postgres', () => {
  let world: PgWorld | undefined;
  let server: TestPostgres | undefined;

  afterEach(async () => {
    // A server of the test's own may be gone by now, and the database with it.
    await (server ? world?.close().catch(ignore) : world?.close());
    await server?.stop();
    world = server = undefined;
  });

  async function start(options: PgWorldOptions = {}) {
    world = await openPgWorld(options);
    return world;
  }

  async function publish(target: PgWorld, name: string) {
    const relation = await target.database.introspect('public', name, never);
    if (!relation) throw new Error(`no table ${name}`);
    await target.database.publish(relation, never);
  }

  /** A running session on a database whose `items` is published. */
  async function streaming(options: PgWorldOptions = {}) {
    const target = await start(options);
    const session = await target.source.open(ignore, never);
    await publish(target, 'items');
    const handler = new RecordingHandler();
    return { world: target, session, handler, stream: run(session, handler) };
  }

  async function slotLsn(target: PgWorld): Promise<Lsn> {
    const [row] = await target.sql('select confirmed_flush_lsn as lsn from pg_replication_slots where slot_name = $1', [
      target.slotName,
    ]);
    return parseLsn(row?.['lsn'] as string) as Lsn;
  }

  test('T1 loses nothing when it dies between receipt and confirmation, keepalives or not', async () => {
    const { world, session, handler, stream } = await streaming();
    handler.block();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await waitFor(() => handler.calls.length === 1);
    const received = handler.parts[0]?.lsn as Lsn;
    // Unpublished writes make the server send keepalives with a WAL end beyond the transaction; we answer them.
    await world.sql('create table noise (n int)');
    const written = await waitFor(async () => {
      await world.sql('insert into noise select generate_series(1, 100)');
      const [row] = await world.sql('select write_lsn as lsn from pg_stat_replication where pid = $1', [
        session.identity.walSenderPid,
      ]);
      const lsn = row?.['lsn'] ? parseLsn(row['lsn'] as string) : undefined;
      return lsn !== undefined && lsn > received && lsn;
    });
    expect(written).toBeGreaterThan(received);
    expect(await slotLsn(world)).toBeLessThanOrEqual(received);
    await world.sql('select pg_terminate_backend($1)', [session.identity.walSenderPid]);
    await expect(stream.done).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await session.close();
    const again = new RecordingHandler();
    const next = await world.source.open(ignore, never);
    const second = run(next, again);
    await again.waitForChanges(1);
    expect(next.slot.created).toBe(false);
    expect(again.parts.map((part) => part.lsn)).toEqual([received]);
    await second.stop();
  });

  test('A15, T5 outlives the walsender timeout while the handler is busy, and confirms nothing meanwhile', async () => {
    const { world, session, handler, stream } = await streaming({ source: { walSenderTimeoutMs: 1_000 } });
    handler.block();
    await world.sql(`insert into items select n, repeat('x', 1000) from generate_series(1, 30000) n`);
    await waitFor(() => handler.calls.length === 1);
    const before = await slotLsn(world);
    const replyAge = `select extract(epoch from reply_time) as at from pg_stat_replication where pid = $1`;
    const replyAt = async () => Number((await world.sql(replyAge, [session.identity.walSenderPid]))[0]?.['at']);
    const first = await waitFor(replyAt);
    await waitFor(async () => (await replyAt()) > first + 3);
    expect(handler.calls).toHaveLength(1);
    expect(await slotLsn(world)).toBe(before);
    handler.release();
    const changes = await handler.waitForChanges(30_000);
    expect(changes).toHaveLength(30_000);
    await stream.stop();
  });

  test('takes a transaction of 50,000 rows in order and in bounded parts', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql(`insert into items select n, 'value ' || n from generate_series(1, 50000) n`);
    const changes = await handler.waitForChanges(50_000);
    expect(changes.every((change, index) => change.op === 2 * index)).toBe(true);
    expect(changes.every((change, index) => change.kind === 'insert' && change.new[0] === String(index + 1))).toBe(
      true,
    );
    expect(Math.max(...handler.parts.map((part) => part.changes.length))).toBeLessThanOrEqual(500);
    expect(handler.parts.filter((part) => part.commit)).toHaveLength(1);
    expect(handler.maxPending).toBe(1);
    await stream.stop();
  });

  test('T3 moves the slot when told, up to the end of a silent WAL', async () => {
    const { world, session, handler, stream } = await streaming();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await handler.waitForChanges(1);
    const { lsn, endLsn } = handler.parts[0] ?? { lsn: 0n as Lsn, endLsn: 0n as Lsn };
    session.confirm(lsn);
    await waitFor(async () => (await slotLsn(world)) >= endLsn);
    await world.sql('create table noise (n int)');
    await world.sql('insert into noise select generate_series(1, 1000)');
    const quiet = parseLsn((await world.sql('select pg_current_wal_lsn() as lsn'))[0]?.['lsn'] as string) as Lsn;
    const walEnd = await waitFor(() => handler.idle.find((each) => each >= quiet));
    session.confirm(walEnd);
    await waitFor(async () => (await slotLsn(world)) >= quiet);
    expect(await slotLsn(world)).toBeLessThanOrEqual(walEnd);
    await stream.stop();
  });

  test('tells the server the last confirmed position while closing', async () => {
    const { world, session, handler, stream } = await streaming();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await handler.waitForChanges(1);
    session.confirm(handler.parts[0]?.lsn as Lsn);
    await stream.stop();
    expect(await slotLsn(world)).toBe(handler.parts[0]?.endLsn);
    const [row] = await world.sql('select count(*)::int as n from pg_stat_activity where pid = $1', [
      session.identity.walSenderPid,
    ]);
    expect(row?.['n']).toBe(0);
  });

  test('fills in unchanged TOAST values', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('alter table items alter column value set storage external, add column n int');
    await world.sql(`insert into items values ('1', repeat('large ', 20000), 1)`);
    await world.sql('update items set n = 2');
    const [, update] = await handler.waitForChanges(2);
    const large = 'large '.repeat(20_000);
    expect(update).toMatchObject({ kind: 'update', new: ['1', large, '2'], old: ['1', large, '1'], changed: [2] });
    await stream.stop();
  });

  test('names each truncated table, in one transaction', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('create table parts (id int primary key, item text references items)');
    await publish(world, 'parts');
    await world.sql('truncate items cascade');
    const changes = await handler.waitForChanges(2);
    expect(changes.map((change) => [change.kind, change.op])).toEqual([
      ['truncate', 0],
      ['truncate', 2],
    ]);
    expect(new Set(changes.map((change) => change.relation.name))).toEqual(new Set(['items', 'parts']));
    await stream.stop();
  });

  test('delivers what a transaction kept, not what its savepoints rolled back', async () => {
    const { world, handler, stream } = await streaming();
    const statements = [
      'begin',
      `insert into items values ('1', 'a')`,
      'savepoint s',
      `insert into items values ('2', 'b')`,
      'rollback to s',
      `insert into items values ('3', 'c')`,
      'commit',
    ];
    await world.sql(statements.join('; '));
    const changes = await handler.waitForChanges(2);
    expect(changes.map((change) => change.kind === 'insert' && change.new[0])).toEqual(['1', '3']);
    expect(handler.parts).toHaveLength(1);
    await stream.stop();
  });

  test('orders transactions by commit, however they interleave', async () => {
    const { world, handler, stream } = await streaming();
    const other = await world.connect();
    await world.sql('begin');
    await world.sql(`insert into items values ('first to write', null)`);
    await other.query('begin');
    await other.query(`insert into items values ('first to commit', null)`);
    await world.sql(`insert into items values ('last to write', null)`);
    await other.query('commit');
    await world.sql('commit');
    const changes = await handler.waitForChanges(3);
    expect(changes.map((change) => change.kind === 'insert' && change.new[0])).toEqual([
      'first to commit',
      'first to write',
      'last to write',
    ]);
    const [first, second] = handler.parts;
    expect(first && second && first.lsn < second.lsn && first.xid > second.xid).toBe(true);
    await stream.stop();
  });

  test('reads key columns from the catalog, in key order, and follows changes of the table', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('create table pairs (a int, b text, c int, primary key (c, a))');
    await world.sql('create table plain (a int, b text)');
    await publish(world, 'pairs');
    await publish(world, 'plain');
    await world.sql(`insert into pairs values (1, 'x', 2)`);
    await world.sql(`insert into plain values (1, 'x')`);
    // The catalog is read when the change is: what it says of the past is what it says now.
    await handler.waitForChanges(2);
    await world.sql('alter table pairs drop constraint pairs_pkey, add primary key (b), add column d int');
    await world.sql(`insert into pairs values (1, 'y', 2, 3)`);
    const changes = await handler.waitForChanges(3);
    expect(changes.map(({ relation }) => [relation.name, relation.keyColumns, relation.columns.length])).toEqual([
      ['pairs', [2, 0], 3],
      ['plain', [], 2],
      ['pairs', [1], 4],
    ]);
    await stream.stop();
  });

  test('tells the tables above a partition, how they order its columns, and since when', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql(`create table root (id int, r int, v text, primary key (r, id)) partition by list (r)`);
    await world.sql('create table middle partition of root for values in (1, 2) partition by list (r)');
    await world.sql('create table born partition of middle for values in (1)');
    await world.sql('create table come (gone int, v text, r int not null, id int not null)');
    await world.sql('alter table come drop column gone');
    const [before] = await world.sql('select pg_snapshot_xmax(pg_current_snapshot()) as xmax');
    await world.sql('alter table root attach partition come for values in (3)');
    await publish(world, 'root');
    await world.sql(`insert into root values (1, 1, 'a'), (2, 3, 'b')`);
    const changes = await handler.waitForChanges(2);
    const [oids] = await world.sql(`select 'root'::regclass::oid::int as root, 'middle'::regclass::oid::int as middle`);
    const root = Number(oids?.['root']);
    const middle = Number(oids?.['middle']);
    const joined = changes[1]?.relation.ancestors?.[0]?.joined;
    expect(changes.map(({ relation }) => [relation.name, relation.ancestors])).toEqual([
      [
        'born',
        [
          { oid: middle, keyColumns: [1, 0] },
          { oid: root, keyColumns: [1, 0] },
        ],
      ],
      ['come', [{ oid: root, columns: [2, 1, 0], keyColumns: [1, 0], joined }]],
    ]);
    // Other databases of the server may have assigned ids in between.
    expect(joined?.xid).toBeGreaterThanOrEqual(BigInt(before?.['xmax'] as string));
    expect(joined?.seenXmax).toBeGreaterThan(joined?.xid as bigint);
    // Detached, it is by itself.
    await world.sql('alter table root detach partition come');
    await publish(world, 'come');
    await world.sql(`insert into come (id, r, v) values (3, 3, 'c')`);
    expect((await handler.waitForChanges(3))[2]?.relation.ancestors).toBeUndefined();
    await stream.stop();
  });

  // 14 leaves it out until the publication is altered, which publishing the root again does (Publisher).
  const from15 = test.skipIf(defaultPostgresMajor() < 15);
  from15('tells a partition that the same transaction made, filled and attached', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('create table root (id int) partition by list (id)');
    await publish(world, 'root');
    await world.sql(`begin; create table made (id int); insert into made values (1);
      alter table root attach partition made for values in (1, 2); insert into root values (2); commit`);
    const [change] = await handler.waitForChanges(1);
    // The first row is older than the attachment, and nobody will ever tell it.
    expect(change).toMatchObject({ kind: 'insert', new: ['2'], relation: { ancestors: [{ joined: {} }] } });
    await stream.stop();
  });

  test('survives a table that is gone before its change is read', async () => {
    const { world, session, handler, stream } = await streaming();
    await stream.stop();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await world.sql('drop table items');
    const next = await world.source.open(ignore, never);
    const later = run(next, handler);
    const [change] = await handler.waitForChanges(1);
    expect(change).toMatchObject({ kind: 'insert', new: ['1', 'a'], relation: { name: 'items', keyColumns: [] } });
    expect(session.identity.systemId).toBe(next.identity.systemId);
    await later.stop();
  });

  test('calls changes of a table without full replica identity unusable and goes on', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('alter table items replica identity default');
    await world.sql(`insert into items values ('1', 'a')`);
    await world.sql(`update items set value = 'b'`);
    await world.sql('delete from items');
    await world.sql(`insert into items values ('2', 'c')`);
    const changes = await handler.waitForChanges(4);
    expect(changes.map((change) => change.kind)).toEqual(['insert', 'unusable', 'unusable', 'insert']);
    await stream.stop();
  });

  test('gives transactions the 64-bit id that snapshots show', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql('begin');
    await world.sql(`insert into items values ('1', 'a')`);
    const [row] = await world.sql('select pg_current_xact_id()::text as xid');
    await world.sql('commit');
    await handler.waitForChanges(1);
    expect(String(handler.parts[0]?.xid)).toBe(row?.['xid']);
    await stream.stop();
  });

  test('passes over logical messages', async () => {
    const { world, handler, stream } = await streaming();
    await world.sql(`select pg_logical_emit_message(true, 'prefix', 'content')`);
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    expect(await handler.waitForChanges(1)).toHaveLength(1);
    await stream.stop();
  });

  test('resolves when it is told to stop while the handler is busy', async () => {
    const { world, session, handler, stream } = await streaming();
    handler.block();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await waitFor(() => handler.calls.length === 1);
    await stream.stop();
    await world.transaction([{ kind: 'insert', id: '2', value: 'b' }]);
    expect(handler.calls).toHaveLength(1);
    const next = await world.source.open(ignore, never);
    expect(next.identity.walSenderPid).not.toBe(session.identity.walSenderPid);
    await next.close();
  });

  test('T33 asks for a new set-up when the publication is dropped under it', async () => {
    const { world, session, stream } = await streaming();
    await world.sql('drop publication "Pub ""quoted"""');
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await expect(stream.done).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { type: 'missing_publication' },
    });
    await session.close();
    const next = await world.source.open(ignore, never);
    expect(next.slot.created).toBe(true);
    expect(next.slot.confirmedLsn).toBeGreaterThan(session.slot.confirmedLsn);
    await next.close();
  });

  test('T33 starts the slot anew when the publication was missing for a while, though it is back', async () => {
    const { world, session, stream } = await streaming();
    await world.sql('drop publication "Pub ""quoted"""');
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await world.sql('create publication "Pub ""quoted""" for table items');
    await expect(stream.done).rejects.toMatchObject({ details: { type: 'missing_publication' } });
    await session.close();
    const next = await world.source.open(ignore, never);
    expect(next.slot.created).toBe(true);
    await next.close();
  });

  test('does not hold up a shutdown of the server, though nothing can be confirmed', async () => {
    server = await startPostgres();
    const { world, session, handler, stream } = await streaming({ adminUrl: server.url });
    handler.block();
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await waitFor(() => handler.calls.length === 1);
    // Not stop(), which loses patience and kills. A fast shutdown waits for walsenders for ever.
    const { pid } = server;
    process.kill(pid as number, 'SIGINT');
    const details = { type: 'database_server_shutting_down' };
    await expect(stream.done).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', details });
    await session.close();
    await waitFor(() => isGone(pid as number));
  });

  test('goes on after a crash of the server with what was not confirmed', async () => {
    server = await startPostgres();
    const { world, session, handler, stream } = await streaming({ adminUrl: server.url });
    await world.transaction([{ kind: 'insert', id: '1', value: 'a' }]);
    await handler.waitForChanges(1);
    await server.kill();
    await expect(stream.done).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await session.close();
    await expect(world.source.open(ignore, never)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await server.start();
    const next = await world.source.open(ignore, never);
    const again = new RecordingHandler();
    const later = run(next, again);
    await again.waitForChanges(1);
    expect(again.parts[0]?.lsn).toBe(handler.parts[0]?.lsn);
    expect(next.slot.created).toBe(false);
    await later.stop();
  });

  /** Twenty times as fast. */
  const fast = {
    ...systemClock,
    now: () => systemClock.now() * 20,
    after: (ms: number, callback: () => void) => systemClock.after(ms / 20, callback),
  };

  test('lets go of a server that never begins to stream', async () => {
    server = await startPostgres();
    const { source } = await start({ adminUrl: server.url, clock: fast });
    const session = await source.open(ignore, never);
    await server.pause();
    await expect(session.stream(new RecordingHandler(), never)).rejects.toMatchObject({
      details: { type: 'connection_timeout' },
    });
    await server.resume();
    await session.close();
  });

  test('lets go of a server that says nothing any more', async () => {
    server = await startPostgres();
    const clock = fast;
    const { session, stream } = await streaming({ adminUrl: server.url, clock });
    await server.pause();
    await expect(stream.done).rejects.toMatchObject({ details: { type: 'connection_timeout' } });
    await server.resume();
    await session.close();
  });
});
