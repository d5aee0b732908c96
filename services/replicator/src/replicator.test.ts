import type { Lsn } from '@shapecast/log';
import { openMemoryMessaging, publishTableSubject, type Messaging, type SourceRecord } from '@shapecast/messaging';
import type { LeaderRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { createReplicator, type Replicator, type ReplicatorSettings } from './replicator.ts';
import { FaultyConnection } from './testing/faulty-stream.ts';
import { readContent, type StreamContent } from './testing/stream-check.ts';
import { testDatabase, TestWal, type TestTransaction } from './testing/test-wal.ts';

const source = 'test';
const settings: ReplicatorSettings = {
  sourceId: source,
  holder: 'a',
  slotName: 'slot',
  confirmDelayMs: 0,
  progressIntervalMs: 10,
  progressMaxIntervalMs: 40,
  heartbeatMs: 20,
  retryMinMs: 5,
  retryMaxMs: 20,
  drainMs: 200,
};

interface World {
  /** Readers of streams wait for it, those of replicators that are started from now on. */
  beforeRead: Promise<void>;
  /** Of the streams of replicators that are started from now on, when it is not what they say. */
  fencesPipelines: boolean | undefined;
  readonly wal: TestWal;
  readonly messaging: Messaging;
  start(
    name: string,
    more?: Partial<ReplicatorSettings>,
  ): Promise<{ replicator: Replicator; connection: FaultyConnection }>;
  content(incarnation?: number): Promise<StreamContent>;
  stop(): Promise<void>;
}

function createWorld(): World {
  const wal = new TestWal();
  const messaging = openMemoryMessaging(systemClock);
  const started: Replicator[] = [];
  return {
    wal,
    messaging,
    beforeRead: Promise.resolve(),
    fencesPipelines: undefined,
    async start(name, more = {}) {
      const connection = new FaultyConnection(messaging);
      connection.beforeRead = this.beforeRead;
      connection.fencesPipelines = this.fencesPipelines;
      const replicator = createReplicator(
        {
          source: wal,
          database: testDatabase(wal),
          messaging: connection.messaging,
          clock: systemClock,
          log: silentLogger,
        },
        { ...settings, holder: name, ...more },
      );
      started.push(replicator);
      await replicator.start(new AbortController().signal);
      return { replicator, connection };
    },
    async content(incarnation = 1) {
      const stream = await messaging.txStreams.open({ source, incarnation });
      if (!stream) throw new Error(`there is no stream of incarnation ${incarnation}`);
      return readContent(stream);
    },
    async stop() {
      await Promise.all(started.map((replicator) => replicator.stop()));
      await messaging.close();
    },
  };
}

let world: World;
afterEach(() => world.stop());

const active = (replicator: Replicator) => waitFor(() => replicator.report().status === 'active');
const sourceRecord = async () =>
  (await (await world.messaging.registries.open<SourceRecord>('shapecast_sources')).get(source))?.value;

/** Until the stream holds every transaction of the WAL, each once and whole. */
async function allStored(incarnation = 1): Promise<StreamContent> {
  const wanted = world.wal.transactions.length;
  await waitFor(
    async () => {
      const record = await sourceRecord();
      if (record?.incarnation !== incarnation) return false;
      return (await world.content(incarnation)).transactions.filter((t) => t.complete).length >= wanted;
    },
    { describe: () => `${wanted} transactions in incarnation ${incarnation}` },
  );
  const content = await world.content(incarnation);
  expect(content.transactions.map(({ lsn, changes }) => ({ lsn, changes }))).toEqual(
    world.wal.transactions.map(({ lsn, changes }) => ({ lsn, changes })),
  );
  return content;
}

describe('replicator', () => {
  test('the first one starts incarnation 1 and stores every transaction once, in order', async () => {
    world = createWorld();
    const { replicator } = await world.start('a');
    await active(replicator);
    for (let i = 1; i <= 30; i++) world.wal.commit(i);
    const content = await allStored();
    expect(content.epochs).toEqual([1]);
    expect(await sourceRecord()).toEqual({
      incarnation: 1,
      shards: 8,
      systemId: 'system-1',
      database: 'test',
      timeline: 1,
      slotName: 'slot',
    });
    expect(replicator.report()).toMatchObject({ ready: true, status: 'active', epoch: 1, incarnation: 1 });
  });

  test('T3 Postgres is told to forget everything once it is stored, also WAL without transactions', async () => {
    world = createWorld();
    const { replicator } = await world.start('a');
    await active(replicator);
    world.wal.commit(2);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    world.wal.advance(5_000n);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    const content = await allStored();
    expect(content.chain?.progressLsn).toBe(world.wal.end);
  });

  test('progress records carry the oldest transaction and come even when nothing happens', async () => {
    world = createWorld();
    await world.start('a');
    world.wal.commit(1);
    const progress = await waitFor(async () => {
      if (!(await sourceRecord())) return undefined;
      const records = (await world.content()).records.filter((record) => record.kind === 'progress');
      return records.length >= 4 ? records : undefined;
    });
    expect(progress.at(-1)).toMatchObject({ xmin: 701n, lsn: world.wal.end });
    expect(progress.at(-2)).toMatchObject({ lsn: world.wal.end });
  });

  test('a second one waits, is ready, and goes on where the first stopped', async () => {
    world = createWorld();
    const first = await world.start('a');
    await active(first.replicator);
    const second = await world.start('b');
    await waitFor(() => second.replicator.report().status === 'waiting');
    expect(second.replicator.report()).toMatchObject({ ready: true, status: 'waiting' });
    for (let i = 0; i < 10; i++) world.wal.commit(3);
    await first.replicator.stop();
    await active(second.replicator);
    for (let i = 0; i < 10; i++) world.wal.commit(3);
    const content = await allStored();
    expect(content.epochs).toEqual([1, 2]);
  });

  test('a lost connection to Postgres costs an epoch and nothing else', async () => {
    world = createWorld();
    const { replicator } = await world.start('a');
    await active(replicator);
    world.wal.commit(3);
    world.wal.holder?.break();
    world.wal.commit(4);
    const content = await allStored();
    expect(content.epochs).toEqual([1, 2]);
  });

  test('publishes are repeated in order while answers get lost, and nothing is stored twice', async () => {
    world = createWorld();
    const { connection, replicator } = await world.start('a', { maxFragmentChanges: 2 });
    await active(replicator);
    let n = 0;
    connection.fate = () => (['ok', 'lost', 'answer_lost', 'ok', 'ok'] as const)[n++ % 5] ?? 'ok';
    for (let i = 0; i < 20; i++) world.wal.commit(5);
    const content = await allStored();
    expect(content.epochs).toEqual([1]);
    expect(replicator.report()).toMatchObject({ status: 'active' });
  });

  test('nothing is confirmed while NATS stores nothing, and reading stops at the window', async () => {
    world = createWorld();
    const { connection, replicator } = await world.start('a', { windowMessages: 3, maxFragmentChanges: 2 });
    await active(replicator);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    const before = world.wal.confirmed;
    connection.fate = () => 'lost';
    for (let i = 0; i < 50; i++) world.wal.commit(5);
    await waitFor(() => (replicator.report()['publishWindow'] as { stalled: boolean } | undefined)?.stalled);
    expect(replicator.report().lastError).toMatch(/NATS does not store records/);
    expect(world.wal.confirmed).toBe(before);
    connection.fate = () => 'ok';
    await allStored();
    await waitFor(() => world.wal.confirmed === world.wal.end);
  });

  test('R 9.3.8 Postgres is told of no 16 MiB of WAL that the second copy does not know of', async () => {
    world = createWorld();
    const replicators = await world.messaging.registries.open<{ copy?: { held: string } }>('shapecast_replicators');
    let copied = 0n;
    await replicators.watch(source, (_key, entry) => (copied = BigInt(entry?.value.copy?.held ?? copied)));
    const ahead: bigint[] = [];
    world.wal.onConfirm = (lsn) => ahead.push(lsn - copied);
    await active((await world.start('a', { copyIntervalMs: 3_600_000 })).replicator);
    for (const mib of [5n, 20n, 1n, 40n]) {
      world.wal.advance(mib * 1024n * 1024n);
      await waitFor(() => world.wal.confirmed === world.wal.end);
    }
    expect(ahead.length).toBeGreaterThan(3);
    expect(ahead.filter((bytes) => bytes >= 16n * 1024n * 1024n)).toEqual([]);
  });

  test.each([
    [true, 8],
    [false, 1],
  ])('where pipelines are fenced (%s) a new leader has at most %i records in flight', async (fenced, most) => {
    world = createWorld();
    world.fencesPipelines = fenced;
    const { connection, replicator } = await world.start('a', {
      ...{ windowMessages: 8, maxFragmentChanges: 2, progressIntervalMs: 60_000, progressMaxIntervalMs: 60_000 },
    });
    await active(replicator);
    const before = connection.published;
    let held = true;
    connection.fate = () => (held ? 'answer_withheld' : 'ok');
    for (let i = 0; i < 30; i++) world.wal.commit(4);
    await waitFor(() => connection.published - before >= most);
    await waitFor(() => BigInt(String(replicator.report()['received'])) > (world.wal.transactions[3]?.lsn ?? 0n));
    expect(connection.published - before).toBe(most);
    held = false;
  });

  test('F115 a server that takes smaller messages than before gets smaller ones, and nothing is lost or doubled', async () => {
    world = createWorld();
    const { connection, replicator } = await world.start('a');
    await active(replicator);
    connection.fate = () => 'lost';
    for (let i = 0; i < 10; i++) world.wal.commit(3, () => 'x'.repeat(1_500));
    await waitFor(() => connection.published > 3);
    connection.maxPayloadBytes = 2_000;
    connection.fate = () => 'ok';
    await allStored();
    expect(await sourceRecord()).toMatchObject({ incarnation: 1 });
  });

  test('F105 one that does not reach NATS makes room for one that may, and is a standby when NATS is back', async () => {
    world = createWorld();
    const one = await world.start('a', { natsPatienceMs: 400 });
    await active(one.replicator);
    const other = await world.start('b');
    await waitFor(() => other.replicator.report().status === 'waiting');
    const conditions = await world.messaging.registries.open('shapecast_conditions', { ttlMs: 10_000 });
    await waitFor(async () => (await conditions.list(`${source}.replicator-`)).length === 2);
    await systemClock.sleep(100); // the leader looks every 20 ms
    one.connection.cut = true;
    for (let i = 0; i < 5; i++) world.wal.commit(3);
    await active(other.replicator);
    await allStored();
    expect(one.replicator.report()).toMatchObject({ ready: false });
    one.connection.cut = false;
    await waitFor(() => one.replicator.report().status === 'waiting');
    expect((await allStored()).epochs).toEqual([1, 2]);
  });

  test('8.2.1 a stream with fewer copies than it must have is not written to', async () => {
    world = createWorld();
    const { replicator } = await world.start('a', { minStreamReplicas: 3 });
    await waitFor(() => String(replicator.report().lastError).includes('has 1 copy and must have 3'));
    expect(replicator.report()).toMatchObject({ ready: false });
    expect(await sourceRecord()).toBeUndefined();
  });

  test('a graceful stop ends with everything read stored', async () => {
    world = createWorld();
    const { replicator } = await world.start('a');
    await active(replicator);
    for (let i = 0; i < 5; i++) world.wal.commit(400);
    await waitFor(() => BigInt(String(replicator.report()['received'])) >= (world.wal.transactions[2]?.lsn ?? 0n));
    await replicator.stop();
    expect((await world.content()).transactions.length).toBeGreaterThanOrEqual(3);
    expect(world.wal.holder).toBeUndefined();
  });

  test('serves the publish subject while it leads', async () => {
    world = createWorld();
    const { replicator } = await world.start('a');
    await active(replicator);
    const call = (request: unknown) =>
      world.messaging.rpc.call(publishTableSubject(source), request, {
        timeoutMs: 5_000,
        signal: new AbortController().signal,
      });
    expect(await call({ oid: 7, schema: 'public', name: 'items' })).toEqual({ published: 'rel:1' });
    await expect(call({ oid: 'seven' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await replicator.stop();
    await expect(call({ oid: 7, schema: 'public', name: 'items' })).rejects.toMatchObject({ code: 'NOT_READY' });
  });

  test('keeps a leader record and takes it down when it leaves', async () => {
    world = createWorld();
    const leaders = await world.messaging.registries.open<LeaderRecord>('shapecast_leaders', { ttlMs: 10_000 });
    const { replicator } = await world.start('a');
    const entry = await waitFor(() => leaders.get(source));
    const record = { holder: 'a', epoch: 1, incarnation: 1, walSenderPid: 0, systemId: 'system-1', streaming: true };
    expect(entry.value).toEqual(record);
    await waitFor(async () => ((await leaders.get(source))?.revision ?? 0) > entry.revision);
    await replicator.stop();
    expect(await leaders.get(source)).toBeUndefined();
  });

  test('one change larger than a message arrives whole', async () => {
    world = createWorld();
    await world.start('a', { maxFragmentBytes: 2_000 });
    world.wal.commit(3, (i) => (i === 1 ? 'x'.repeat(20_000) : 'short'));
    world.wal.commit(1);
    await allStored();
  });

  test('a change larger than allowed is stored as unusable and the stream goes on', async () => {
    world = createWorld();
    await world.start('a', { maxFragmentBytes: 2_000, maxChangeBytes: 10_000 });
    world.wal.commit(3, (i) => (i === 1 ? 'x'.repeat(20_000) : 'short'));
    world.wal.commit(1);
    const content = await waitFor(async () => {
      if (!(await sourceRecord())) return undefined;
      const read = await world.content();
      return read.transactions.length === 2 && read.transactions[1]?.complete ? read : undefined;
    });
    expect(content.transactions[0]?.changes.map((change) => change.kind)).toEqual(['insert', 'unusable', 'insert']);
  });
});

describe('a replicator that is killed', () => {
  test('between receipt and acknowledgement loses nothing, however many keepalives come', async () => {
    world = createWorld();
    const first = await world.start('a');
    await active(first.replicator);
    world.wal.commit(2);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    const confirmed = world.wal.confirmed;
    first.connection.fate = () => 'late';
    world.wal.commit(3);
    for (let i = 0; i < 50; i++) world.wal.advance(1_000n);
    await waitFor(() => BigInt(String(first.replicator.report()['received'])) >= world.wal.end - 1n);
    await waitFor(() => first.connection.published > 2);
    expect(world.wal.confirmed).toBe(confirmed);
    first.connection.kill();
    world.wal.cutOff();
    await active((await world.start('b')).replicator);
    const content = await allStored();
    expect(content.epochs).toEqual([1, 2]);
  });

  test('inside a large transaction leaves a half that its successor continues', async () => {
    world = createWorld();
    const first = await world.start('a', { maxFragmentChanges: 4 });
    await active(first.replicator);
    let stored = 0;
    first.connection.fate = () => (++stored > 10 ? 'late' : 'ok');
    world.wal.commit(100);
    world.wal.commit(2);
    await waitFor(() => stored > 10);
    first.connection.kill();
    world.wal.cutOff();
    expect((await world.content()).transactions[0]).toMatchObject({ complete: false });
    world.wal.fragmentChanges = () => 7;
    await world.start('b', { maxFragmentChanges: 9 });
    const content = await allStored();
    expect(content.epochs).toEqual([1, 2]);
  });

  test('between the slices of one change leaves slices that nobody takes', async () => {
    world = createWorld();
    const first = await world.start('a', { maxFragmentBytes: 1_000 });
    await active(first.replicator);
    let slices = 0;
    first.connection.fate = (payload) => (Buffer.from(payload).includes('"slice"') && ++slices > 3 ? 'late' : 'ok');
    world.wal.commit(3, () => 'x'.repeat(10_000));
    await waitFor(() => slices > 3);
    first.connection.kill();
    world.wal.cutOff();
    await world.start('b', { maxFragmentBytes: 1_000 });
    await allStored();
  });

  test('and comes back as a zombie gets nothing into the stream', async () => {
    world = createWorld();
    const first = await world.start('a', { maxFragmentChanges: 3 });
    await active(first.replicator);
    world.wal.commit(2);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    first.connection.fate = () => 'late';
    for (let i = 0; i < 10; i++) world.wal.commit(4);
    await waitFor(() => first.connection.published > 5);
    first.connection.kill();
    world.wal.cutOff();
    const second = await world.start('b', { maxFragmentChanges: 3 });
    await active(second.replicator);
    const before = await allStored();
    const outcomes = await first.connection.letLoose();
    expect(outcomes.length).toBeGreaterThan(3);
    expect(new Set(outcomes.map((outcome) => outcome.kind))).toEqual(new Set(['conflict']));
    expect((await allStored()).epochs).toEqual(before.epochs);
  });

  test('a zombie that hears of the conflict steps down and stands by', async () => {
    world = createWorld();
    const first = await world.start('a');
    await active(first.replicator);
    const zombie = world.wal.holder;
    world.wal.release(zombie);
    const second = await world.start('b');
    await active(second.replicator);
    await waitFor(() => first.replicator.report().status === 'waiting');
    world.wal.commit(3);
    expect((await allStored()).epochs).toEqual([1, 2]);
  });
});

describe('continuity', () => {
  async function restarted(change: () => void, more: Partial<ReplicatorSettings> = {}): Promise<number | undefined> {
    world = createWorld();
    const first = await world.start('a');
    await active(first.replicator);
    world.wal.commit(2);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    await first.replicator.stop();
    change();
    await active((await world.start('b', more)).replicator);
    return (await sourceRecord())?.incarnation;
  }

  test('a restart keeps the incarnation', async () => {
    expect(await restarted(() => undefined)).toBe(1);
    world.wal.commit(1);
    await allStored();
  });

  test.each([
    ['another system identifier', () => void (world.wal.systemId = 'system-2')],
    ['another timeline', () => void (world.wal.timeline = 2)],
    ['a slot that had to be created', () => world.wal.dropSlot()],
    [
      'a slot that somebody else moved',
      () => {
        world.wal.advance(1_000n);
        world.wal.confirmed = world.wal.end;
      },
    ],
  ])('%s starts a new incarnation', async (_, change) => {
    expect(await restarted(change)).toBe(2);
    const { lsn } = world.wal.commit(1);
    await waitFor(async () => (await world.content(2)).transactions.some((t) => t.lsn === lsn && t.complete));
    const { records } = await world.content(2);
    expect(records[0]).toMatchObject({ kind: 'leader', incarnation: 2, epoch: 1 });
  });

  test('a promotion after all that was stored keeps the incarnation', async () => {
    const promoted = (): void => {
      const { wal } = world;
      Object.assign(wal, { timeline: 2, history: [{ timeline: 1, endLsn: wal.end }] });
    };
    expect(await restarted(promoted)).toBe(1);
    expect(await sourceRecord()).toMatchObject({ incarnation: 1, timeline: 2 });
    world.wal.commit(1);
    await allStored();
  });

  /** Stops the first replicator before anything was confirmed; a second one starts after `change`. */
  async function resent(change: (wal: TestWal) => void): Promise<void> {
    world = createWorld();
    const first = await world.start('a', { confirmDelayMs: 60_000 });
    await active(first.replicator);
    for (let i = 1; i <= 20; i += 1) world.wal.commit(i);
    await allStored();
    await first.replicator.stop();
    change(world.wal);
    await world.start('b', { confirmDelayMs: 0 });
  }

  test('transactions that come again as they are stored keep the incarnation, and are confirmed once they are compared', async () => {
    const compare = Promise.withResolvers<void>();
    const confirmed: Lsn[] = [];
    await resent((wal) => {
      world.beforeRead = compare.promise;
      wal.onConfirm = (lsn) => confirmed.push(lsn);
    });
    await waitFor(async () => (await world.content()).epochs.length === 2);
    await systemClock.sleep(300); // as much as three confirmations take
    const early = [...confirmed];
    compare.resolve();
    expect(early).toEqual([]);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    expect(await sourceRecord()).toMatchObject({ incarnation: 1 });
    world.wal.commit(1);
    await allStored();
  });

  test.each<[string, (transaction: TestTransaction) => Partial<TestTransaction>]>([
    ['another transaction id', ({ xid }) => ({ xid: xid + 1n })],
    ['another commit time', ({ commitTimeUs }) => ({ commitTimeUs: commitTimeUs + 1n })],
    ['fewer operations', ({ changes }) => ({ changes: changes.slice(0, -1) })],
    ['another position', ({ lsn }) => ({ lsn: (lsn - 1n) as Lsn })],
  ])(
    'a transaction that comes again with %s starts a new incarnation, and nothing is confirmed before',
    async (_, other) => {
      await resent((wal) => {
        const one = wal.transactions[12] as TestTransaction;
        wal.transactions[12] = { ...one, ...other(one) };
        const before = wal.confirmed;
        wal.onConfirm = () => void (incarnationAtConfirm ??= before === wal.confirmed ? incarnation : 0);
      });
      let incarnationAtConfirm: number | undefined;
      let incarnation: number | undefined;
      await waitFor(async () => (incarnation = (await sourceRecord())?.incarnation) === 2);
      await waitFor(() => world.wal.confirmed === world.wal.end);
      expect(incarnationAtConfirm).toBe(2);
      const { lsn } = world.wal.commit(1);
      await waitFor(async () => (await world.content(2)).transactions.some((t) => t.lsn === lsn && t.complete));
    },
  );

  test('another number of shards or another slot starts a new incarnation', async () => {
    expect(await restarted(() => undefined, { shards: 16 })).toBe(2);
    expect((await sourceRecord())?.shards).toBe(16);
    await world.stop();
    expect(await restarted(() => undefined, { slotName: 'other' })).toBe(2);
  });

  test('the stream of an earlier incarnation is deleted once nobody reads it any more', async () => {
    expect(await restarted(() => world.wal.dropSlot(), { oldStreamsAfterMs: 100 })).toBe(2);
    await waitFor(async () => !(await world.messaging.txStreams.open({ source, incarnation: 1 })));
    expect(await world.messaging.txStreams.open({ source, incarnation: 2 })).toBeDefined();
  });

  test('a deleted stream starts a new incarnation and is not made again', async () => {
    const incarnation = await restarted(() => void world.messaging.txStreams.delete({ source, incarnation: 1 }));
    expect(incarnation).toBe(2);
    expect(await world.messaging.txStreams.open({ source, incarnation: 1 })).toBeUndefined();
  });

  test('a stream whose records have all expired goes on from the second copy', async () => {
    world = createWorld();
    const first = await world.start('a');
    await active(first.replicator);
    const stream = await world.messaging.txStreams.open({ source, incarnation: 1 });
    world.wal.commit(2);
    await waitFor(() => world.wal.confirmed === world.wal.end);
    await first.replicator.stop();
    const info = await stream?.info();
    await stream?.trim((info?.lastSeq ?? 0) + 1);
    await active((await world.start('b')).replicator);
    expect(await sourceRecord()).toMatchObject({ incarnation: 1 });
    const { lsn } = world.wal.commit(3);
    await waitFor(async () => (await world.content()).transactions.some((t) => t.lsn === lsn && t.complete));
    expect((await world.content()).epochs).toEqual([2]);
  });

  test('an incarnation whose number is taken already is passed over', async () => {
    world = createWorld();
    const taken = await world.messaging.txStreams.create({ source, incarnation: 1 });
    await taken.publish(Buffer.from('{}'), { expectedLastSeq: 0, msgId: 'x' });
    await active((await world.start('a')).replicator);
    expect(await sourceRecord()).toMatchObject({ incarnation: 2 });
  });
});

describe('start', () => {
  test('does not wait for Postgres, says what is wrong, and recovers by itself', async () => {
    const { ShapecastError } = await import('@shapecast/errors');
    world = createWorld();
    const open = world.wal.open.bind(world.wal);
    let attempts = 0;
    world.wal.open = (report, signal) =>
      ++attempts < 3
        ? Promise.reject(new ShapecastError('SOURCE_UNAVAILABLE', 'Postgres does not answer.'))
        : open(report, signal);
    const { replicator } = await world.start('a', { retryMinMs: 60, retryMaxMs: 60 });
    await waitFor(() => replicator.report().lastError === 'Postgres does not answer.');
    expect(replicator.report()).toMatchObject({ ready: false, status: 'starting' });
    await active(replicator);
    expect(replicator.report().lastError).toBeUndefined();
  });

  test('a source that is not set up is tried again after the long wait', async () => {
    const { ShapecastError } = await import('@shapecast/errors');
    world = createWorld();
    const sentence = 'Set wal_level = logical and restart Postgres.';
    let attempts = 0;
    world.wal.open = () => {
      attempts += 1;
      return Promise.reject(new ShapecastError('SOURCE_MISCONFIGURED', sentence));
    };
    const { replicator } = await world.start('a', { retryMinMs: 1, retryMaxMs: 1, misconfiguredRetryMs: 40 });
    await waitFor(() => attempts >= 2);
    expect(replicator.report()).toMatchObject({ status: 'starting', lastError: sentence });
  });
});
