import { startCollector, type Collector, type ReceivedSpan } from '@shapecast/telemetry/testing';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';
import { scrapeAll, total } from './scrape.ts';

let cluster: Cluster;
let client: Client;
let collector: Collector;

beforeAll(async () => {
  collector = await startCollector();
  cluster = await startCluster({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRIC_EXPORT_INTERVAL: '2s',
      OTEL_TRACES_SAMPLER_ARG: '1',
    },
  });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table traced (id int primary key, v text)');
});

afterAll(async () => {
  await client?.end();
  await cluster?.stop();
  await collector?.stop();
});

/** Follows a shape while `work` is done. */
async function reading(
  params: Readonly<Record<string, string>>,
  work: (reader: StrictReader) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const reader = new StrictReader(cluster.url, params);
  const following = reader.follow(stop.signal);
  try {
    await work(reader);
  } finally {
    stop.abort();
    await following;
  }
  expect(reader.violations).toEqual([]);
}

const of = (spans: readonly ReceivedSpan[], role: string) => spans.filter(({ resource }) => resource['role'] === role);

test('one trace goes from the commit over publish and apply to the answer', async () => {
  let row = 0;
  await reading({ table: 'traced' }, async (reader) => {
    await waitFor(() => reader.handle !== undefined);
    const whole = (): readonly ReceivedSpan[] | undefined => {
      const answers = collector.spans.filter(({ name, links }) => name === 'Plug_shape_get' && links.length > 0);
      for (const answer of answers) {
        const ids = new Set(answer.links.map(({ traceId }) => traceId));
        const trace = collector.spans.filter(({ traceId }) => ids.has(traceId));
        if (of(trace, 'replicator').length > 0 && of(trace, 'router').length > 0) return [...trace, answer];
      }
      return undefined;
    };
    // A change may be told before anybody waits for it; then the next one is.
    await waitFor(
      async () => {
        if (whole() !== undefined) return true;
        row += 1;
        await client.query('insert into traced values ($1, $2)', [row, 'a value of a row']);
        await waitFor(() => reader.rows.size === row);
        return whole() !== undefined;
      },
      { intervalMs: 300, describe: () => JSON.stringify([...new Set(collector.spans.map(({ name }) => name))]) },
    );
    const trace = whole() as readonly ReceivedSpan[];
    const [root] = trace.filter(({ name }) => name === 'pg_txn.replication_client.transaction_received');
    expect(root?.parentSpanId).toBeUndefined();
    const applied = of(trace, 'router');
    expect(applied.map(({ traceId }) => traceId)).toEqual(applied.map(() => root?.traceId));
    const byId = new Map(trace.map((span) => [span.spanId, span]));
    for (const span of applied) expect(byId.has(span.parentSpanId as string), span.name).toBe(true);
    const answer = trace.at(-1) as ReceivedSpan;
    expect(answer.resource['role']).toBe('api');
    expect(answer.kind).toBe(2);
    // One clock: the machine's. What was received first was answered last.
    const write = applied.find(({ name }) => name === 'router.apply');
    expect(write?.startMs).toBeGreaterThanOrEqual(root?.startMs as number);
    expect(write?.endMs).toBeLessThanOrEqual(answer.endMs);
    expect(answer.endMs).toBeGreaterThan(root?.startMs as number);
  });
  expect(collector.requests.map(({ body }) => body.toString()).join()).not.toContain('a value of a row');
});

test('a snapshot hangs on the request that asked for it', async () => {
  await reading({ table: 'traced', where: 'id >= 0' }, async (reader) => {
    await waitFor(() => reader.handle !== undefined);
    await waitFor(
      () => {
        const snapshots = of(collector.spans, 'router').filter(({ name }) => name.startsWith('shape_snapshot.'));
        const requests = of(collector.spans, 'api').filter(({ name }) => name === 'Plug_shape_get');
        return snapshots.some(({ traceId }) => requests.some((request) => request.traceId === traceId));
      },
      { describe: () => JSON.stringify([...new Set(collector.spans.map(({ name }) => name))]) },
    );
  });
});

test('a collector that hangs makes no answer wait', async () => {
  await reading({ table: 'traced' }, async (reader) => {
    const before = await delivery(reader);
    collector.mode = 'hang';
    try {
      // Long enough for requests to the collector to be given up.
      await waitFor(async () => {
        await delivery(reader);
        return (total(await scrapeAll(cluster), 'shapecast.telemetry.dropped.count') ?? 0) > 0;
      });
      const during = await delivery(reader);
      // Where answers waited for the collector, it would be ten seconds; a busy machine is slower, but not by so much.
      expect(during).toBeLessThan(Math.max(1_000, before * 10));
    } finally {
      collector.mode = 'take';
    }
  });
});

/** Median of how long it took until a reader had a row, in milliseconds. */
async function delivery(reader: StrictReader): Promise<number> {
  await waitFor(() => reader.handle !== undefined);
  const tries: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    const { rows } = await client.query<{ id: number }>(
      'insert into traced select coalesce(max(id), 0) + 1 from traced returning id',
    );
    const since = performance.now();
    await waitFor(() => [...reader.rows.values()].some(({ id }) => id === String(rows[0]?.id)), { intervalMs: 5 });
    tries.push(performance.now() - since);
  }
  return tries.sort((a, b) => a - b)[4] as number;
}
