import { decodeRecord } from '@shapecast/log';
import { BUCKETS, type DurableRecord, type SourceRecord } from '@shapecast/messaging';
import { copyNatsStore, startNats, waitFor, type NatsStoreCopy, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { Replicator, ReplicatorSettings } from './replicator.ts';
import { openPgWorld, type PgWorld, type PgWorldOptions } from './testing/pg-world.contract.ts';
import type { StreamContent } from './testing/stream-check.ts';

let world: PgWorld;
let nats: TestServer;
const copies: NatsStoreCopy[] = [];
afterEach(async () => {
  await world.stop();
  await nats.stop();
  for (const copy of copies.splice(0)) await copy.drop();
});

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });

/** A replicator that leads, and a published table. */
async function start(settings: Partial<ReplicatorSettings> = {}, options: PgWorldOptions = {}) {
  nats = await startNats();
  world = await openPgWorld(nats.url, options);
  const { replicator, connection } = await world.start('a', settings);
  await active(replicator);
  await world.publish();
  return { replicator, connection };
}

async function save(): Promise<NatsStoreCopy> {
  const copy = await copyNatsStore([nats]);
  copies.push(copy);
  await waitFor(() => world.messaging.connected());
  return copy;
}

let nextId = 1;
async function insert(count: number): Promise<number[]> {
  const ids = Array.from({ length: count }, () => nextId++);
  for (const id of ids) await world.sql(`insert into items values (${id}, 'note')`);
  return ids;
}

const source = async (): Promise<SourceRecord | undefined> => {
  try {
    const sources = await world.messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
    return (await sources.get(world.source))?.value;
  } catch {
    return undefined;
  }
};

/** Until the stream of an incarnation has exactly these inserts, each once and in order. */
async function stored(ids: readonly number[], incarnation = 1): Promise<void> {
  await waitFor(
    async () => {
      const found = await world.insertedIds(incarnation).catch(() => []);
      return found.length >= ids.length && found.at(-1) === ids.at(-1);
    },
    { describe: () => `${ids.length} inserts in incarnation ${incarnation}` },
  );
  expect(await world.insertedIds(incarnation)).toEqual(ids);
}

const streamOf = async (incarnation = 1) => {
  const stream = await world.messaging.txStreams.open({ source: world.source, incarnation });
  if (!stream) throw new Error(`there is no stream ${incarnation}`);
  return stream;
};

/** Everything that shape logs are made of; relations also say when they were looked up. */
const rowsOf = ({ transactions }: StreamContent) =>
  transactions.map(({ lsn, changes }) => ({
    lsn,
    changes: changes.map((change) => (change.kind === 'insert' ? [change.op, change.new] : change)),
  }));

/** Nothing is confirmed while a test runs. */
const patient = { confirmDelayMs: 600_000 };

describe('NATS comes back without the end of the tx stream', () => {
  test('F113, R 9.3.7 Postgres sends again what was not confirmed yet, and the same bytes are stored again', async () => {
    await start(patient);
    const before = await insert(5);
    await stored(before);
    const copy = await save();
    const lost = await insert(20);
    await stored([...before, ...lost]);
    const complete = await world.content();
    await copy.restore();
    const after = await insert(5);
    await stored([...before, ...lost, ...after]);
    expect((await source())?.incarnation).toBe(1);
    const now = await world.content();
    expect(now.epochs.at(-1)).toBeGreaterThan(complete.epochs.at(-1) ?? 0);
    expect(rowsOf(now).slice(0, complete.transactions.length)).toEqual(rowsOf(complete));
  });

  test('F113 while nobody writes, it is noticed and refilled all the same', async () => {
    await start(patient);
    await stored(await insert(1));
    const copy = await save();
    const all = [nextId - 1, ...(await insert(10))];
    await stored(all);
    await copy.restore();
    await waitFor(() =>
      world.content().then(
        ({ epochs }) => epochs.length > 1,
        () => false,
      ),
    );
    await stored(all);
    expect((await source())?.incarnation).toBe(1);
  });

  test('F113 and the replicator was away meanwhile', async () => {
    const { replicator } = await start(patient);
    const before = await insert(3);
    await stored(before);
    const copy = await save();
    const lost = await insert(10);
    await stored([...before, ...lost]);
    await replicator.stop();
    await copy.restore();
    await waitFor(() => world.messaging.connected());
    await active((await world.start('b', patient)).replicator);
    const after = await insert(2);
    await stored([...before, ...lost, ...after]);
    expect((await source())?.incarnation).toBe(1);
  });

  test('F112 after Postgres was told to forget it, a new incarnation starts', async () => {
    const { replicator } = await start();
    await stored(await insert(3));
    const copy = await save();
    await active(replicator);
    await insert(10);
    await waitFor(async () => {
      const [row] = await world.ask(`select confirmed_flush_lsn = pg_current_wal_flush_lsn() as all_told
        from pg_replication_slots where slot_name = '${world.slotName}'`);
      return row?.['all_told'] === true || row?.['all_told'] === 't';
    });
    await copy.restore();
    await waitFor(async () => (await source())?.incarnation === 2);
    await stored(await insert(3), 2);
  });
});

describe('somebody', () => {
  test('F111 deletes the stream: a new incarnation starts, and no empty stream takes its place', async () => {
    await start(patient);
    const before = await insert(3);
    await stored(before);
    await world.messaging.txStreams.delete({ source: world.source, incarnation: 1 });
    await waitFor(async () => (await source())?.incarnation === 2);
    // What was not confirmed comes again.
    await stored([...before, ...(await insert(3))], 2);
    expect(await world.messaging.txStreams.incarnations(world.source)).toEqual([2]);
  });

  test('F110 purges the stream: the history goes on with the same incarnation and sequences', async () => {
    const { replicator } = await start();
    await stored(await insert(5));
    const stream = await streamOf();
    await stream.trim(Number.MAX_SAFE_INTEGER);
    const { lastSeq } = await stream.info();
    const after = await insert(3);
    await stored(after);
    expect((await stream.info()).lastSeq).toBeGreaterThanOrEqual(lastSeq + 1);
    expect(replicator.report()).toMatchObject({ status: 'active', incarnation: 1, epoch: 1 });
  });

  test('F110 purges it while nobody leads: the successor goes on from the second copy', async () => {
    const { replicator } = await start();
    await stored(await insert(5));
    await replicator.stop();
    await (await streamOf()).trim(Number.MAX_SAFE_INTEGER);
    await active((await world.start('b')).replicator);
    await stored(await insert(3));
    expect((await source())?.incarnation).toBe(1);
  });
});

describe('the registries', () => {
  test('F97 are lost while somebody leads: it writes again what it knows, and nothing rotates', async () => {
    const { replicator } = await start({ copyIntervalMs: 100 });
    await stored(await insert(3));
    const before = nextId - 3;
    for (const bucket of [BUCKETS.sources.name, 'shapecast_replicators']) {
      await (await world.messaging.registries.open(bucket)).delete(world.source);
    }
    await waitFor(async () => (await source())?.incarnation === 1);
    await insert(3);
    await stored(Array.from({ length: 6 }, (_, i) => before + i));
    expect(replicator.report()).toMatchObject({ status: 'active', incarnation: 1, epoch: 1 });
    await replicator.stop();
    await active((await world.start('b')).replicator);
    expect((await source())?.incarnation).toBe(1);
  });
});

describe('a full tx stream', () => {
  test('F109 holds Postgres up, loses nothing, and goes on as soon as its readers have read', async () => {
    const fast = { trimIntervalMs: 50, trimMarginMs: 3_600_000, shards: 2, maxFragmentBytes: 20_000 };
    const { replicator } = await start({ ...fast, windowBytes: 50_000 }, { streamMaxBytes: 400_000 });
    const cursors = await world.messaging.registries.open<DurableRecord>(BUCKETS.durable.name);
    // Text that does not compress: one transaction twice the size of the stream, and as much again in others.
    const noise = (rows: string) =>
      `insert into items select i, string_agg(md5(random()::text), '') ${rows} group by i order by i`;
    await world.sql(noise('from generate_series(1, 400) i, generate_series(1, 60)'));
    for (let i = 1_000; i < 1_020; i += 1)
      await world.sql(noise(`from generate_series(${i}, ${i}) i, generate_series(1, 600)`));
    await waitFor(() => (replicator.report()['publishWindow'] as { stalled?: boolean } | undefined)?.stalled, {
      describe: () => replicator.report(),
    });
    // Two shards that read, and say so.
    const seen: number[] = [];
    let begun = 0;
    const over = new AbortController();
    const stream = await streamOf();
    for await (const { seq, payload } of stream.read(1, { maxBufferedBytes: 1_000_000 }, over.signal)) {
      const record = decodeRecord(payload);
      if (record.kind !== 'data') continue;
      for (const part of record.parts) {
        for (const change of part.changes) if (change.kind === 'insert') seen.push(Number(change.new[0]));
        if (part.begin) begun = seq;
        const reached = part.commit
          ? { v: 1 as const, seq, lsn: String(part.lsn), at: 0 }
          : { v: 1 as const, seq: begun - 1, lsn: String(part.lsn - 1n), applied: seq, at: 0 };
        for (const shard of [0, 1]) await cursors.put(`${world.source}.1.${shard}`, reached);
      }
      if (seen.at(-1) === 1_019) break;
    }
    const wanted = [
      ...Array.from({ length: 400 }, (_, i) => i + 1),
      ...Array.from({ length: 20 }, (_, i) => 1_000 + i),
    ];
    expect(seen).toEqual(wanted);
    expect((await stream.info()).firstSeq).toBeGreaterThan(1);
    expect(replicator.report()).toMatchObject({ incarnation: 1, epoch: 1 });
  });
});
