import type { MetricName } from '@shapecast/telemetry';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';
import { scrapeAll, total, type Scrape } from './scrape.ts';

const TOLD_APART = 2;
const SOURCES = ['alpha', 'beta', 'gamma', 'delta'];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    sources: Object.fromEntries(SOURCES.map((id) => [id, {}])),
    replicators: 1,
    routers: 1,
    apis: 1,
    env: { SHAPECAST_METRICS_MAX_SOURCES: String(TOLD_APART) },
  });
  for (const { databaseUrl, id, secret } of cluster.sources) {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query('create table items (id int primary key)');
    const stop = new AbortController();
    const reader = new StrictReader(cluster.url, { table: 'items', source_id: id, secret: secret as string });
    const following = reader.follow(stop.signal);
    await waitFor(() => reader.handle !== undefined);
    await client.query('insert into items values (1)');
    await waitFor(() => reader.rows.size === 1);
    stop.abort();
    await following;
    await client.end();
  }
});

afterAll(async () => {
  await cluster?.stop();
});

const sourcesOf = ({ metrics }: Scrape): ReadonlySet<string> =>
  new Set(
    [...metrics.values()].flatMap(({ series }) => series.flatMap(({ labels: { source } }) => (source ? [source] : []))),
  );

test('sources beyond those that are told apart share one value, in every process', async () => {
  const scrapes = await scrapeAll(cluster);
  for (const scrape of scrapes) {
    const sources = sourcesOf(scrape);
    expect([scrape.process.name, sources.size]).toEqual([scrape.process.name, TOLD_APART + 1]);
    expect(sources).toContain('other');
  }
});

test('what worker threads measure is told by their process, of all sources', async () => {
  const name: MetricName = 'shapecast.replicator.leader';
  await waitFor(async () => total(await scrapeAll(cluster), name) === SOURCES.length);
  const received = () =>
    scrapeAll(cluster).then((all) => total(all, 'electric.postgres.replication.transaction_received.count'));
  await waitFor(async () => ((await received()) ?? 0) >= SOURCES.length);
});
