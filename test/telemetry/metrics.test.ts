import { METRICS, prometheusName, type LabelName, type MetricName } from '@shapecast/telemetry';
import { startCollector, type Collector } from '@shapecast/telemetry/testing';
import { redisCommand, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';
import { missingRows, scrapeAll, total, type Scrape } from './scrape.ts';

const SECRET = 'a-secret-nobody-may-see';
/** In a clause, in a column and in a row: nothing of it may be told. */
const PRIVATE = 'tenant-of-somebody';
const WRITES = 20;

let cluster: Cluster;
let client: Client;
let collector: Collector;
let scrapes: readonly Scrape[];
const handles = new Set<string>();
const stop = new AbortController();
const following: Promise<void>[] = [];

const url = (params: Readonly<Record<string, string>>): string =>
  `${cluster.url}/v1/shape?${new URLSearchParams({ secret: SECRET, ...params }).toString()}`;

async function get(params: Readonly<Record<string, string>>): Promise<Response> {
  const response = await fetch(url(params));
  const handle = response.headers.get('electric-handle');
  if (handle !== null) handles.add(handle);
  await response.arrayBuffer();
  return response;
}

/** A bit of everything that is measured. */
beforeAll(async () => {
  collector = await startCollector();
  cluster = await startCluster({
    postgres: { settings: { max_slot_wal_keep_size: '1GB' } },
    redis: 'replica',
    env: {
      ELECTRIC_SECRET: SECRET,
      ELECTRIC_ENABLE_INTEGRATION_TESTING: 'true',
      ELECTRIC_LONG_POLL_TIMEOUT: '2s',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRIC_EXPORT_INTERVAL: '2s',
      OTEL_TRACES_SAMPLER_ARG: '1',
      OTEL_RESOURCE_ATTRIBUTES: 'region=here',
    },
  });
  for (const { port } of cluster.serversOf('redis')) await redisCommand(port, 'CONFIG', 'SET', 'maxmemory', '1gb');
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table measured (id int primary key, tenant text, v text)');
  await client.query('create table rewritten (id int primary key)');
  await client.query(`insert into measured values (0, '${PRIVATE}', 'before')`);

  for (const where of [`tenant = '${PRIVATE}'`, `v like '%${PRIVATE}%'`, 'id > 10']) {
    const reader = new StrictReader(cluster.url, { table: 'measured', where, secret: SECRET });
    following.push(reader.follow(stop.signal));
    await waitFor(() => reader.handle !== undefined);
    handles.add(reader.handle as string);
  }
  await get({ table: 'rewritten', offset: '-1' });
  const reader = new StrictReader(cluster.url, { table: 'measured', secret: SECRET });
  following.push(reader.follow(stop.signal));
  for (let id = 1; id <= WRITES; id += 1) {
    await client.query(`insert into measured values ($1, $2, $3)`, [id, PRIVATE, `value ${PRIVATE}`]);
    await waitFor(() => reader.rows.size === id + 1);
  }
  handles.add(reader.handle as string);
  await get({ table: 'measured', offset: 'now', log: 'changes_only', subset__limit: '3' });
  await get({ table: 'measured', log: 'changes_only', offset: '-1', subset__where: 'id < 5' });
  await get({ table: 'measured', offset: '-1', where: 'no_such_column = 1' });
  await fetch(`${cluster.url}/v1/shape?table=measured&offset=-1&secret=wrong`);
  await client.query('alter table rewritten add column more text');
  await client.query('insert into rewritten values (1)');
  await client.query('alter table rewritten drop column more');
  await client.query('insert into rewritten values (2)');
  await get({ table: 'rewritten', where: 'id > 1', offset: '-1' });
  await waitFor(async () => (await fetch(url({ table: 'rewritten', where: 'id > 1' }), { method: 'DELETE' })).ok);
  // What is looked at every few seconds is told by all of them then; what is of the last seconds needs something to happen in them.
  let last = WRITES;
  await waitFor(
    async () => {
      last += 1;
      await client.query('insert into measured values ($1, $2)', [last, PRIVATE]);
      scrapes = await scrapeAll(cluster);
      return (
        unexpected().length === 0 && (total(scrapes, 'shapecast.api.poll.duration', { outcome: 'timeout' }) ?? 0) > 0
      );
    },
    { intervalMs: 500, timeoutMs: 30_000 },
  ).catch(() => undefined);
});

afterAll(async () => {
  stop.abort();
  await Promise.allSettled(following);
  await client?.end();
  await cluster?.stop();
  await collector?.stop();
});

/** Rows that are told once something happens that has not happened here, and what that is. */
const LATER: Readonly<Record<string, string>> = {
  'replicator shapecast.source.problem': 'the source is not set up as it must be',
  'replicator shapecast.publication.errors.count': 'Postgres refuses a change of the publication',
  'replicator shapecast.config.last_reload.successful': 'there is a file of sources',
  'replicator shapecast.config.last_reload.success_timestamp': 'there is a file of sources',
  'replicator shapecast.tenant.usage': 'the source has a limit that the replicator keeps',
  'replicator shapecast.tenant.limit': 'the source has a limit that the replicator keeps',
  'replicator shapecast.tenant.refused.count': 'the source has a limit that the replicator keeps',
  'router electric.flush_tracker.writer_down.count': 'a shard changes hands',
  'api electric.admission_control.reject.limit': 'too many requests are in progress',
  'api shapecast.state_events.count': 'something changes that concerns an API pod',
  'api shapecast.tenant.usage': 'the source has a limit that the API keeps',
  'api shapecast.tenant.limit': 'the source has a limit that the API keeps',
  'api shapecast.tenant.refused.count': 'the source has a limit that the API keeps',
};

function unexpected(): readonly string[] {
  return missingRows(scrapes).filter((row) => !Object.hasOwn(LATER, row));
}

describe('every process', () => {
  test('tells what the table says that its role tells', () => {
    expect(unexpected()).toEqual([]);
  });

  test('tells nothing that is not in the table, with the labels that are there', () => {
    const known = new Map((Object.keys(METRICS) as MetricName[]).map((name) => [prometheusName(name), METRICS[name]]));
    for (const { process, metrics } of scrapes) {
      for (const [shown, { type, series }] of metrics) {
        const definition = known.get(shown);
        expect(definition, `${process.name} ${shown}`).toBeDefined();
        expect(definition?.roles, `${process.name} ${shown}`).toContain(process.role);
        expect(type, shown).toBe(definition?.type);
        const labels: readonly LabelName[] = definition?.labels ?? [];
        for (const one of series) {
          expect(
            Object.keys(one.labels).filter((label) => label !== 'le'),
            shown,
          ).toEqual(labels);
          expect(Object.values(one.labels), shown).not.toContain('');
          expect(Number.isNaN(one.value), shown).toBe(false);
        }
      }
    }
  });

  test('tells no handle, no secret and nothing of clauses and rows', () => {
    expect(handles.size).toBeGreaterThanOrEqual(5);
    const told = [...scrapes.map(({ text }) => text), ...collector.requests.map(({ body }) => body.toString())];
    for (const text of told)
      for (const hidden of [SECRET, PRIVATE, 'no_such_column']) expect(text).not.toContain(hidden);
    const metrics = collector.requests.filter(({ path }) => path === '/v1/metrics').map(({ body }) => body.toString());
    for (const text of [...scrapes.map((one) => one.text), ...metrics]) {
      for (const handle of handles) expect(text).not.toContain(handle);
    }
  });
});

describe('what was done is what is told', () => {
  const sum = (name: MetricName, labels: Readonly<Record<string, string>> = {}) =>
    total(scrapes, name, labels) ?? Number.NaN;

  test('of replication', () => {
    const source = { source: 'single_stack' };
    expect(sum('shapecast.replicator.leader', source)).toBe(1);
    expect(sum('electric.postgres.replication.transaction_received.count', source)).toBeGreaterThanOrEqual(WRITES);
    expect(sum('shapecast.replicator.changes.count', source)).toBeGreaterThanOrEqual(WRITES);
    expect(sum('electric.postgres.replication.transaction_received.receive_lag')).toBeGreaterThanOrEqual(WRITES);
    expect(sum('shapecast.replicator.publish.latency')).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.slot.safe_wal_size', source)).toBeGreaterThan(1e6);
    expect(sum('electric.postgres.info_looked_up.pg_version')).toBeGreaterThanOrEqual(140_000);
    expect(sum('shapecast.stream.messages', source)).toBeGreaterThanOrEqual(1);
  });

  test('of routing and snapshots', () => {
    expect(sum('electric.storage.transaction_stored.operations')).toBeGreaterThanOrEqual(WRITES);
    expect(sum('electric.storage.transaction_stored.replication_lag')).toBeGreaterThanOrEqual(1);
    expect(sum('electric.storage.snapshot_stored.count')).toBeGreaterThanOrEqual(5);
    expect(sum('electric.subqueries.subset_result.count')).toBeGreaterThanOrEqual(1);
    expect(sum('electric.shapes.total_shapes.count')).toBeGreaterThanOrEqual(4);
    expect(sum('shapecast.shapes.created.count')).toBeGreaterThanOrEqual(5);
    expect(sum('shapecast.shapes.rotated.count')).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.router.shards')).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.redis.memory_ratio')).toBeGreaterThanOrEqual(0);
  });

  test('of requests', () => {
    const requests = (status: string) => sum('electric.plug.serve_shape.requests.count', { status });
    expect(requests('200')).toBeGreaterThanOrEqual(WRITES);
    expect(requests('400')).toBeGreaterThanOrEqual(1);
    expect(sum('electric.plug.serve_shape.duration')).toBeGreaterThanOrEqual(5);
    expect(sum('shapecast.api.waiting_requests')).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.api.denied.count')).toBeGreaterThanOrEqual(1);
  });

  test('of the way from a commit to a client, in three stages', () => {
    for (const stage of ['publish', 'apply', 'serve'])
      expect(sum('shapecast.e2e.stage', { stage })).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.e2e.commit_to_visible')).toBeGreaterThanOrEqual(1);
    expect(sum('shapecast.api.delivery.latency')).toBeGreaterThanOrEqual(1);
  });
});

test('the same is pushed, with what tells the processes apart', async () => {
  const processes = () => new Set(collector.metrics.map(({ resource }) => resource['instance.id']));
  await waitFor(() => processes().size === cluster.processes.length);
  const pushed = new Set(collector.metrics.map(({ name }) => name));
  // What is pushed is older or newer than what was scraped; what began in between may be in one only.
  const told = new Set(scrapes.flatMap(({ metrics }) => [...metrics.keys()]));
  await waitFor(() => {
    const names = new Set(collector.metrics.map(({ name }) => prometheusName(name as MetricName)));
    return [...told].every((name) => names.has(name));
  });
  expect([...pushed].filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
  for (const { resource } of collector.metrics) {
    expect(resource).toMatchObject({ region: 'here', 'service.version': '0.1.0', source_id: 'single_stack' });
    expect(['replicator', 'router', 'api']).toContain(resource['role']);
  }
});
