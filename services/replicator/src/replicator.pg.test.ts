import { publishTableSubject, type LeaderRecord, type SourceRecord } from '@shapecast/messaging';
import { sharedNatsUrl, startNats, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { Replicator } from './replicator.ts';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

let world: PgWorld;
afterEach(() => world.stop());

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const insert = (from: number, to: number): string =>
  `insert into items select i, 'note ' || i from generate_series(${from}, ${to}) i`;
const lsnOf = (replicator: Replicator, name: string): bigint =>
  BigInt((replicator.report()[name] as string | undefined) ?? '0');

/** Until the stream holds exactly the rows 1 to `last`, each once and in order. */
async function holdsAll(last: number): Promise<void> {
  await waitFor(async () => (await world.insertedIds()).length >= last, {
    describe: () => `waiting for ${last} rows`,
  });
  expect(await world.insertedIds()).toEqual(range(1, last));
}

describe('replicator on Postgres and NATS', () => {
  test('stores committed rows once, in order, and lets Postgres forget them', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const { replicator } = await world.start('a');
    await active(replicator);
    await world.publish();
    await world.sql(insert(1, 1), insert(2, 700), insert(701, 702));
    await holdsAll(702);
    const { chain } = await world.content();
    await waitFor(() => lsnOf(replicator, 'confirmed') >= (chain?.position.lsn ?? 0n));
    await waitFor(async () => ((await world.content()).chain?.progressLsn ?? 0n) > (chain?.position.lsn ?? 0n));
  });

  test('updates and deletes carry the old row, values of every length survive', async () => {
    world = await openPgWorld(sharedNatsUrl());
    await active((await world.start('a')).replicator);
    await world.publish();
    await world.sql(
      "insert into items values (1, repeat('ä\"\\', 100000))",
      'update items set id = 2',
      'delete from items',
      'truncate items',
    );
    const transactions = await waitFor(async () => {
      const content = await world.content();
      return content.transactions.length === 4 ? content.transactions : undefined;
    });
    const note = 'ä"\\'.repeat(100_000);
    expect(transactions.flatMap((transaction) => transaction.changes)).toMatchObject([
      { kind: 'insert', new: ['1', note] },
      { kind: 'update', old: ['1', note], new: ['2', note], changed: [0] },
      { kind: 'delete', old: ['2', note] },
      { kind: 'truncate' },
    ]);
  });

  test('a table is published through the leader', async () => {
    world = await openPgWorld(sharedNatsUrl());
    await active((await world.start('a')).replicator);
    await world.sql('create table other (id int primary key)');
    const signal = new AbortController().signal;
    const rpc = world.messaging.rpc;
    await expect(
      rpc.call(
        publishTableSubject(world.source),
        { oid: 1, schema: 'public', name: 'other' },
        { timeoutMs: 20_000, signal },
      ),
    ).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    await world.publish('other');
    await world.sql('insert into other values (7)');
    await waitFor(async () => (await world.insertedIds()).includes(7));
    expect(await world.insertedIds()).toEqual([7]);
  });

  test('a graceful stop hands over without an overlap or a hole', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a');
    await active(first.replicator);
    await world.publish();
    const second = await world.start('b');
    await waitFor(() => second.replicator.report().status === 'waiting');
    const writing = world.sql(...range(1, 300).map((i) => insert(i, i)));
    await waitFor(async () => (await world.insertedIds()).length > 50);
    await first.replicator.stop();
    await active(second.replicator);
    await writing;
    await holdsAll(300);
    expect((await world.content()).epochs).toEqual([1, 2]);
    const leaders = await world.messaging.registries.open<LeaderRecord>('shapecast_leaders', { ttlMs: 10_000 });
    await waitFor(async () => (await leaders.get(world.source))?.value.holder === 'b');
    const sources = await world.messaging.registries.open<SourceRecord>('shapecast_sources');
    expect((await sources.get(world.source))?.value).toMatchObject({ incarnation: 1, slotName: world.slotName });
  });
});

describe('a standby', () => {
  test('takes over when the leader says that it leaves, however rarely it looks', async () => {
    world = await openPgWorld(sharedNatsUrl(), { source: { lockPollMs: 3_600_000 } });
    const first = await world.start('a');
    await active(first.replicator);
    const second = await world.start('b');
    await waitFor(() => second.replicator.report().status === 'waiting');
    await first.replicator.stop();
    await active(second.replicator);
    expect((await world.content()).epochs).toEqual([1, 2]);
  });

  test('takes over from a leader that is connected to Postgres but not heard of any more', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a', { heartbeatMs: 3_600_000 });
    await active(first.replicator);
    await world.publish();
    await world.sql(insert(1, 5));
    await holdsAll(5);
    const second = await world.start('b', { heartbeatMs: 100 });
    await active(second.replicator);
    await waitFor(() => first.replicator.report().status === 'waiting');
    await world.sql(insert(6, 9));
    await holdsAll(9);
    expect((await world.content()).epochs).toEqual([1, 2]);
  });

  test('stops at once while it waits', async () => {
    world = await openPgWorld(sharedNatsUrl(), { source: { lockPollMs: 3_600_000 } });
    await active((await world.start('a')).replicator);
    const { replicator } = await world.start('b', { drainMs: 3_600_000 });
    await waitFor(() => replicator.report().status === 'waiting');
    await replicator.stop();
    expect(replicator.report().status).toBe('starting');
  });
});

describe('a replicator that is killed', () => {
  test('T1 between receipt and acknowledgement, while keepalives arrive, loses nothing', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a');
    await active(first.replicator);
    await world.publish();
    await world.sql(insert(1, 5));
    await holdsAll(5);
    await waitFor(() => lsnOf(first.replicator, 'confirmed') >= lsnOf(first.replicator, 'durable'));
    // From here on nothing is acknowledged, and nothing even stored.
    first.connection.fate = () => 'late';
    await world.sql(insert(6, 10));
    const beforeKeepalives = await waitFor(() => {
      const received = lsnOf(first.replicator, 'received');
      return received > lsnOf(first.replicator, 'durable') ? received : undefined;
    });
    // WAL of tables nobody replicates: Postgres tells its position, again and again.
    await world.sql('create table unrelated (id int)');
    await waitFor(async () => {
      await world.sql('insert into unrelated values (1)');
      return lsnOf(first.replicator, 'received') > beforeKeepalives + 1_000n;
    });
    expect(lsnOf(first.replicator, 'confirmed')).toBeLessThan(beforeKeepalives);
    await first.kill();
    const second = await world.start('b');
    await active(second.replicator);
    await world.sql(insert(11, 12));
    await holdsAll(12);
    expect((await world.content()).epochs).toEqual([1, 2]);
  });

  test('after publishing, before the acknowledgement arrived, doubles nothing', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a', { maxFragmentChanges: 10 });
    await active(first.replicator);
    await world.publish();
    first.connection.fate = () => 'answer_withheld';
    await world.sql(insert(1, 25));
    await waitFor(async () => (await world.content()).transactions.length > 0);
    await first.kill();
    await active((await world.start('b')).replicator);
    await world.sql(insert(26, 30));
    await holdsAll(30);
  });

  test('inside a large transaction leaves a half that its successor continues', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a', { maxFragmentChanges: 100 });
    await active(first.replicator);
    await world.publish();
    let data = 0;
    first.connection.fate = (payload) => (Buffer.from(payload).includes('"data"') && ++data > 7 ? 'late' : 'ok');
    await world.sql(insert(1, 5_000));
    await waitFor(() => data > 7);
    await waitFor(async () => (await world.content()).transactions[0]?.changes.length === 700);
    await first.kill();
    await world.start('b', { maxFragmentChanges: 333 });
    await world.sql(insert(5_001, 5_002));
    await holdsAll(5_002);
    expect((await world.content()).epochs).toEqual([1, 2]);
  });

  test('18.2.3 and comes back as a zombie gets nothing into the stream', async () => {
    world = await openPgWorld(sharedNatsUrl());
    const first = await world.start('a', { maxFragmentChanges: 10 });
    await active(first.replicator);
    await world.publish();
    first.connection.fate = () => 'late';
    await world.sql(insert(1, 100));
    await waitFor(() => first.connection.published >= 10);
    await first.kill();
    await active((await world.start('b', { maxFragmentChanges: 10 })).replicator);
    await holdsAll(100);
    const outcomes = await first.connection.letLoose();
    expect(outcomes.length).toBeGreaterThanOrEqual(10);
    expect(outcomes.filter((outcome) => outcome.kind === 'stored')).toEqual([]);
    await world.sql(insert(101, 103));
    await holdsAll(103);
    expect((await world.content()).epochs).toEqual([1, 2]);
  });
});

describe('a NATS server that restarts', () => {
  let nats: TestServer;
  afterEach(() => nats.stop());

  test('under load costs neither the epoch nor a row', async () => {
    nats = await startNats();
    world = await openPgWorld(nats.url);
    const { replicator } = await world.start('a');
    await active(replicator);
    await world.publish();
    const writing = world.sql(...range(1, 1_500).map((i) => insert(i, i)));
    for (const rows of [100, 500]) {
      await waitFor(async () => (await world.insertedIds()).length > rows);
      await nats.kill();
      await waitFor(() => !world.messaging.connected());
      await nats.start();
      await waitFor(() => world.messaging.connected());
    }
    await writing;
    await holdsAll(1_500);
    expect((await world.content()).epochs).toEqual([1]);
    await waitFor(() => lsnOf(replicator, 'confirmed') >= lsnOf(replicator, 'durable'));
  });

  test('holds up a stop for no longer than the drain', async () => {
    nats = await startNats();
    world = await openPgWorld(nats.url);
    const { replicator } = await world.start('a');
    await active(replicator);
    await world.publish();
    await nats.kill();
    await world.sql(insert(1, 10));
    await waitFor(() => (replicator.report()['publishWindow'] as { stalled?: boolean } | undefined)?.stalled);
    const confirmed = lsnOf(replicator, 'confirmed');
    await replicator.stop();
    await nats.start();
    const second = await world.start('b');
    await active(second.replicator);
    await waitFor(() => world.messaging.connected());
    await holdsAll(10);
    expect(lsnOf(second.replicator, 'confirmed')).toBeGreaterThanOrEqual(confirmed);
  });
});
