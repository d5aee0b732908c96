import { chainAfter, decodeRecord, encodeRecord } from '@shapecast/log';
import { openMemoryMessaging, type StoredMessage } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { Metrics, type MetricName } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createReplicator, type Replicator, type ReplicatorSettings } from '../replicator.ts';
import { FaultyConnection } from '../testing/faulty-stream.ts';
import { RecordedTracing } from '../testing/recorded-tracing.ts';
import { testDatabase, TestWal } from '../testing/test-wal.ts';
import { ReplicatorMetrics } from './replicator-metrics.ts';

const source = 'test';
const settings: ReplicatorSettings = {
  ...{ sourceId: source, holder: 'a', slotName: 'slot', confirmDelayMs: 0, drainMs: 200 },
  ...{ progressIntervalMs: 10, progressMaxIntervalMs: 40, heartbeatMs: 20, retryMinMs: 5, retryMaxMs: 20 },
};

let wal: TestWal;
let metrics: Metrics;
let tracing: RecordedTracing;
let messaging: ReturnType<typeof openMemoryMessaging>;
const started: Replicator[] = [];

beforeEach(() => {
  wal = new TestWal();
  metrics = new Metrics();
  tracing = new RecordedTracing();
  messaging = openMemoryMessaging(systemClock);
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((replicator) => replicator.stop()));
  await messaging.close();
});

async function start(more: Partial<ReplicatorSettings> = {}) {
  const connection = new FaultyConnection(messaging);
  const replicator = createReplicator(
    {
      ...{ source: wal, database: testDatabase(wal), messaging: connection.messaging },
      ...{ clock: systemClock, log: silentLogger },
      metrics: new ReplicatorMetrics({ metrics, tracing }, systemClock, source),
    },
    { ...settings, ...more },
  );
  started.push(replicator);
  await replicator.start(new AbortController().signal);
  await waitFor(() => replicator.report().status === 'active');
  return { replicator, connection };
}

/** Value of a series, or how often a histogram was told something; of all series of the metric. */
function read(name: MetricName, ...labels: string[]): number | undefined {
  const found = metrics
    .collect()
    .filter((sample) => sample.name === name && labels.every((l) => sample.labels.includes(l)));
  if (found.length === 0) return undefined;
  return found.reduce((sum, { value, counts = [] }) => sum + (value ?? counts.reduce((all, one) => all + one, 0)), 0);
}

const stored = (transactions: number) =>
  waitFor(() => read('electric.postgres.replication.transaction_received.count') === transactions && allHeld());
const allHeld = () => started.every((replicator) => replicator.report()['durable'] === replicator.report()['received']);

/** Data messages of the stream. */
async function messages(count: number): Promise<StoredMessage[]> {
  const stream = await messaging.txStreams.open({ source, incarnation: 1 });
  const found: StoredMessage[] = [];
  for await (const message of stream!.read(1, { maxBufferedBytes: 1e6 }, AbortSignal.timeout(10_000))) {
    found.push(message);
    if (found.length === count) break;
  }
  return found;
}

describe('metrics of a replicator', () => {
  test('what comes from Postgres and goes into the tx stream is counted', async () => {
    await start();
    for (let i = 1; i <= 10; i += 1) wal.commit(i);
    await stored(10);
    expect(read('shapecast.replicator.changes.count')).toBe(55);
    expect(read('electric.postgres.replication.transaction_received.operations')).toBe(10);
    expect(read('electric.postgres.replication.transaction_received.receive_lag')).toBe(10);
    expect(read('shapecast.replicator.published.bytes')).toBeGreaterThan(100);
    expect(read('shapecast.replicator.publish.latency')).toBeGreaterThan(0);
    expect(read('shapecast.replicator.leader', source)).toBe(1);
    expect(read('shapecast.replicator.epoch', source)).toBe(1);
    expect(read('shapecast.source.incarnation', source)).toBe(1);
    expect(read('shapecast.postgres.connected', source)).toBe(1);
    expect(read('shapecast.replicator.takeover.duration', 'start')).toBe(1);
  });

  test('publishes that get no answer are counted as they are repeated, and operations that come again as dropped', async () => {
    const { connection } = await start({ confirmDelayMs: 3_600_000 });
    let lose = 1;
    connection.fate = () => ((lose -= 1) === 0 ? 'lost' : 'ok');
    wal.commit(4);
    await stored(1);
    expect(read('shapecast.replicator.publish.retries.count', 'unavailable')).toBeGreaterThan(0);
    wal.holder?.break();
    await waitFor(() => read('shapecast.replicator.resent_dropped.count') === 4);
    await waitFor(() => read('shapecast.replicator.reconnects.count', 'postgres') === 1);
    expect(read('shapecast.replicator.takeover.duration', 'again')).toBe(1);
  });

  test('a leader that is fenced is counted, and says that it does not lead', async () => {
    const { replicator, connection } = await start();
    connection.fate = () => 'lost';
    wal.commit(1);
    await waitFor(() => read('shapecast.source.problem', 'stream_unavailable') === 1);
    const stream = await messaging.txStreams.open({ source, incarnation: 1 });
    const { lastSeq } = await stream!.info();
    const last = await stream!.last();
    const before = decodeRecord(last!.payload);
    if (before.kind === 'slice') throw new Error('nothing here is so large that it is sliced');
    const prev = chainAfter(before);
    const payload = encodeRecord({ kind: 'leader', incarnation: 1, epoch: 9, prev, holder: 'b' });
    await stream!.publish(payload, { expectedLastSeq: lastSeq, msgId: 'other' });
    connection.fate = () => 'ok';
    await waitFor(() => read('shapecast.replicator.fenced.count') === 1);
    await replicator.stop();
    expect(read('shapecast.replicator.leader', source)).toBeUndefined();
  });

  test('while the stream takes nothing reading stands still, which shows before it is over', async () => {
    const { connection } = await start({ windowMessages: 1, windowBytes: 1 });
    let held = true;
    connection.fate = () => (held ? 'lost' : 'ok');
    wal.commit(3);
    await waitFor(() => (read('shapecast.replicator.paused.duration', 'publish_window') ?? 0) > 20);
    held = false;
    await stored(1);
  });
});

describe('traces of a replicator', () => {
  test('a transaction that is sampled has one span from its commit to its end in the stream, and one for each record', async () => {
    await start({ maxFragmentChanges: 4 });
    const { commitTimeUs, xid } = wal.commit(10);
    await stored(1);
    await waitFor(() =>
      tracing.named('pg_txn.replication_client.transaction_received').every(({ ends }) => ends === 1),
    );
    const [root, ...others] = tracing.named('pg_txn.replication_client.transaction_received');
    expect(others).toEqual([]);
    expect(root).toMatchObject({
      start: { startMs: Number(commitTimeUs) / 1_000 },
      attributes: { num_changes: 10, num_relations: 1, xid: String(xid), 'txn.is_dropped': false, source_id: source },
      error: undefined,
    });
    const publishes = tracing.named('replicator.publish');
    expect(publishes.length).toBeGreaterThan(1);
    for (const { start: given, attributes, ends } of publishes) {
      expect(given.parent).toMatchObject({ traceparent: root?.traceparent });
      expect(attributes).toMatchObject({ retries: 0, bytes: expect.any(Number) as number });
      expect(ends).toBe(1);
    }
    const { lastSeq } = await (await messaging.txStreams.open({ source, incarnation: 1 }))!.info();
    const traced = (await messages(lastSeq)).filter(({ traceparent }) => traceparent !== undefined);
    expect(traced.map(({ seq }) => seq)).toEqual(publishes.map(({ attributes }) => attributes['sequence']));
    expect(new Set(traced.map(({ traceparent }) => traceparent))).toEqual(new Set([root?.traceparent]));
  });

  test('one that is not sampled leaves no trace, and is asked about once', async () => {
    tracing.sampled = () => false;
    await start({ maxFragmentChanges: 4 });
    const before = tracing.starts;
    wal.commit(10);
    await stored(1);
    const relations = 1;
    expect(tracing.starts - before).toBeLessThanOrEqual(1 + relations);
    expect(tracing.spans).toEqual([]);
    const { lastSeq } = await (await messaging.txStreams.open({ source, incarnation: 1 }))!.info();
    expect((await messages(lastSeq)).filter(({ traceparent }) => traceparent !== undefined)).toEqual([]);
  });

  test('nothing is asked where nothing is traced', async () => {
    tracing.enabled = false;
    await start();
    wal.commit(3);
    await stored(1);
    expect(tracing.starts).toBe(0);
  });

  test('one that is sent again is told to be dropped, and every span is ended once when the leadership ends', async () => {
    const { connection, replicator } = await start({ confirmDelayMs: 3_600_000 });
    wal.commit(2);
    await stored(1);
    wal.holder?.break();
    await waitFor(() => tracing.spans.some(({ attributes }) => attributes['txn.is_dropped'] === true));
    await waitFor(() => replicator.report().status === 'active');
    connection.fate = () => 'answer_withheld';
    wal.commit(2);
    await waitFor(() => tracing.named('replicator.publish').some(({ ends }) => ends === 0));
    await replicator.stop();
    expect(tracing.spans.filter(({ ends }) => ends !== 1)).toEqual([]);
    expect(tracing.spans.some(({ error }) => error !== undefined)).toBe(true);
  });
});
