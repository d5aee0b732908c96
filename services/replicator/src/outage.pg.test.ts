import type { SourceRecord } from '@shapecast/messaging';
import {
  sharedNatsUrl,
  startNats,
  startPostgres,
  waitFor,
  type TestPostgres,
  type TestServer,
} from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { Replicator } from './replicator.ts';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

let world: PgWorld;
let server: TestPostgres;
let nats: TestServer | undefined;
let over = new AbortController();
afterEach(async () => {
  over.abort();
  over = new AbortController();
  await world.stop();
  await server.stop();
  await nats?.stop();
  nats = undefined;
});

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
const insert = (id: number): string => `insert into items values (${id}, 'note')`;
const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

async function incarnation(): Promise<number | undefined> {
  const sources = await world.messaging.registries.open<SourceRecord>('shapecast_sources');
  return (await sources.get(world.source))?.value.incarnation;
}

/** Asks the server to stop, and does no more than wait. `TestPostgres.stop` would lose patience and kill it. */
async function shutDown(how: NodeJS.Signals): Promise<void> {
  const pid = server.pid as number;
  process.kill(pid, how);
  await waitFor(() => isGone(pid), { describe: () => 'Postgres does not stop' });
  await waitFor(() => server.pid === undefined);
}

/** Writes rows one by one, whatever becomes of the server; answers those whose commit was reported. */
async function write(from: number, signal: AbortSignal): Promise<number[]> {
  const written: number[] = [];
  for (let id = from; !signal.aborted; id += 1) {
    await world.sql(insert(id)).then(
      () => written.push(id),
      () => undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return written;
}

describe('Postgres', () => {
  test.each<[string, NodeJS.Signals]>([
    ['fast', 'SIGINT'],
    ['immediate', 'SIGQUIT'],
    ['smart', 'SIGTERM'],
  ])('A13 stops (%s) and starts again during traffic: no rotation, every write once', async (_, how) => {
    server = await startPostgres();
    // A smart shutdown is noticed by who connects anew, so within this time.
    const database = { connectionMaxAgeMs: 500 };
    world = await openPgWorld(sharedNatsUrl(), { adminUrl: server.url, database });
    const { replicator } = await world.start('a');
    await active(replicator);
    await world.publish();
    const stop = over;
    const writing = write(1, stop.signal);
    await waitFor(async () => (await world.insertedIds()).length > 20);
    await shutDown(how);
    await server.start();
    const before = (await world.insertedIds()).length;
    await waitFor(async () => (await world.insertedIds()).length > before + 20, {
      describe: () => replicator.report(),
    });
    stop.abort();
    const written = await writing;
    const last = written.at(-1) as number;
    await waitFor(async () => (await world.insertedIds()).includes(last));
    const stored = await world.insertedIds();
    expect(new Set(stored).size).toBe(stored.length);
    // A commit that was not reported may have happened all the same.
    expect(written.filter((id) => !stored.includes(id))).toEqual([]);
    expect(await incarnation()).toBe(1);
  });

  test('stops though NATS is down, the publish window full and nothing read any more', async () => {
    server = await startPostgres();
    nats = await startNats();
    world = await openPgWorld(nats.url, { adminUrl: server.url });
    const { replicator } = await world.start('a', { windowMessages: 2, windowBytes: 50_000 });
    await active(replicator);
    await world.publish();
    await nats.kill();
    await waitFor(() => !world.messaging.connected());
    await world.sql(`insert into items select i, repeat('x', 1000) from generate_series(1, 20000) i`);
    await waitFor(() => (replicator.report()['publishWindow'] as { stalled?: boolean } | undefined)?.stalled);
    await shutDown('SIGINT');
    await Promise.all([server.start(), nats.start()]);
    await waitFor(async () => (await world.insertedIds().catch(() => [])).length >= 20_000, {
      describe: () => replicator.report(),
    });
    const stored = await world.insertedIds();
    expect(new Set(stored).size).toBe(20_000);
    expect(await incarnation()).toBe(1);
  });
});

describe('while the replicator is stopped', () => {
  async function stopped(settings: Record<string, string> = {}): Promise<void> {
    server = await startPostgres({ settings });
    world = await openPgWorld(sharedNatsUrl(), { adminUrl: server.url });
    const { replicator } = await world.start('a');
    await active(replicator);
    await world.publish();
    await world.sql(insert(1));
    await waitFor(async () => (await world.insertedIds()).includes(1));
    await replicator.stop();
  }

  /** A second replicator, whose incarnation starts with what is written from now on. */
  async function startsAnew(id: number): Promise<void> {
    await active((await world.start('b')).replicator);
    expect(await incarnation()).toBe(2);
    await world.publish();
    await world.sql(insert(id));
    await waitFor(async () => (await world.insertedIds(2)).length > 0);
    expect(await world.insertedIds(2)).toEqual([id]);
  }

  test('A7 the slot is lost for its size: a new incarnation starts by itself', async () => {
    await stopped({ max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' });
    await world.sql('create table noise (n int)');
    const lost = async () =>
      (await world.ask(`select 1 from pg_replication_slots where wal_status = 'lost'`)).length > 0;
    await waitFor(async () => {
      await world.sql('insert into noise select generate_series(1, 100)', 'select pg_switch_wal()', 'checkpoint');
      return lost();
    });
    await startsAnew(2);
  });

  test('A14 the slot is dropped and made again by hand: a new incarnation starts', async () => {
    await stopped();
    await world.sql(
      `select pg_drop_replication_slot('${world.slotName}')`,
      insert(2),
      `select pg_create_logical_replication_slot('${world.slotName}', 'pgoutput')`,
    );
    await startsAnew(3);
  });

  test('T33 the publication is dropped and made again by hand: a new incarnation starts', async () => {
    await stopped();
    const name = world.publicationName;
    await world.sql(`drop publication ${name}`, `create publication ${name} for table items`);
    await startsAnew(2);
  });

  test('T8 a table changes its columns and the slot is dropped: the new incarnation has the table as it is now', async () => {
    await stopped();
    await world.sql(
      `select pg_drop_replication_slot('${world.slotName}')`,
      'alter table items drop column note',
      `alter table items add column label text default 'new'`,
    );
    await active((await world.start('b')).replicator);
    await world.publish();
    await world.sql('insert into items values (2)');
    await waitFor(async () => (await world.insertedIds(2)).length > 0);
    const { transactions } = await world.content(2);
    const change = transactions.flatMap((transaction) => transaction.changes)[0];
    expect(change).toMatchObject({ kind: 'insert', new: ['2', 'new'] });
    expect(change?.relation.columns.map((column) => column.name)).toEqual(['id', 'label']);
  });
});
