import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisCommand, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';

interface SourceReport {
  readonly status: string;
  readonly lastError?: string;
  readonly epoch?: number;
  readonly incarnation?: number;
  readonly quotas?: object;
}
interface ReplicatorReport {
  readonly sources: Readonly<Record<string, SourceReport>>;
  readonly sourcesFile: { readonly ok: boolean; readonly problems?: readonly string[] };
}

/** An installation with sources that come, change and go while `alpha` goes on. */
let cluster: Cluster;
let folder: string;
const stop = new AbortController();
const clients = new Map<string, pg.Client>();
const following: Promise<void>[] = [];
let alpha: StrictReader;
/** What the sources file says. */
let declared: Record<string, Record<string, unknown>> = { alpha: {}, beta: {} };
let written = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shapecast-sources-test-'));
  cluster = await startCluster({
    sources: declared,
    replicators: 2,
    routers: 1,
    apis: 1,
  });
  // From now on the file says all of it, so that what changes is what a test changes.
  for (const { id, databaseUrl, secret } of cluster.sources) declared[id] = { databaseUrl, secrets: [secret] };
  await makeItems('alpha');
  alpha = follow('alpha');
  await write('alpha', 1);
  await waitFor(() => alpha.rows.size === 1);
});
afterAll(async () => {
  stop.abort();
  await Promise.all(following);
  await Promise.all([...clients.values()].map((client) => client.end()));
  await cluster.stop();
  rmSync(folder, { recursive: true });
});

/** Nothing that became of the others was any business of this one. */
async function expectAlphaUnharmed(): Promise<void> {
  written += 1;
  await write('alpha', 1_000 + written);
  await waitFor(() => [...alpha.rows.values()].some(({ id }) => id === String(1_000 + written)));
  expect(alpha.rotations).toBe(0);
  expect(alpha.violations).toEqual([]);
}

async function declare(changes: Record<string, Record<string, unknown> | undefined>): Promise<void> {
  const all = Object.entries({ ...declared, ...changes }).filter(([, source]) => source !== undefined);
  declared = Object.fromEntries(all) as typeof declared;
  await cluster.writeSources(declared);
}

async function clientOf(id: string): Promise<pg.Client> {
  const found = clients.get(id);
  if (found) return found;
  const url = cluster.sources.find((source) => source.id === id)?.databaseUrl ?? '';
  const client = new pg.Client({ connectionString: url });
  clients.set(id, client);
  await client.connect();
  return client;
}

async function makeItems(id: string): Promise<void> {
  await (await clientOf(id)).query('create table items (id int primary key, source text not null)');
}

async function write(id: string, row: number): Promise<void> {
  await (await clientOf(id)).query('insert into items values ($1, $2)', [row, id]);
}

/** Reads until the test is over, or `signal` aborts. */
function follow(id: string, signal = stop.signal): StrictReader {
  const secret = cluster.sources.find((source) => source.id === id)?.secret ?? '';
  const reader = new StrictReader(cluster.url, { source_id: id, secret, table: 'items' });
  following.push(reader.follow(AbortSignal.any([stop.signal, signal])));
  return reader;
}

function ask(id: string): Promise<Response> {
  const secret = cluster.sources.find((source) => source.id === id)?.secret ?? '';
  return fetch(`${cluster.url}/v1/shape?source_id=${id}&secret=${secret}&table=items&offset=-1`);
}

async function reports(): Promise<ReplicatorReport[]> {
  const replicators = cluster.processes.filter(({ role }) => role === 'replicator');
  return Promise.all(
    replicators.map(async ({ healthUrl }) => (await (await fetch(`${healthUrl}/health`)).json()) as ReplicatorReport),
  );
}

/** What the replicator says that has the source. */
async function reportOf(id: string): Promise<SourceReport | undefined> {
  const all = (await reports()).map(({ sources }) => sources[id]);
  return all.find((report) => report !== undefined && report.status !== 'elsewhere');
}

async function slotOf(id: string): Promise<{ slot_name: string; active: boolean } | undefined> {
  const { rows } = await (
    await clientOf(id)
  ).query('select slot_name, active from pg_replication_slots where database = current_database()');
  return rows[0] as { slot_name: string; active: boolean } | undefined;
}

test('F185 a source that is added while all runs gives its first row within seconds', async () => {
  const admin = await clientOf('alpha');
  await admin.query('create database delta');
  const url = new URL(cluster.databaseUrl);
  url.pathname = '/delta';
  const client = new pg.Client({ connectionString: url.href });
  clients.set('delta', client);
  await client.connect();
  await makeItems('delta');
  await write('delta', 1);
  const began = performance.now();
  await declare({ delta: { databaseUrl: url.href, secrets: ['the secret of delta'] } });
  const answer = await waitFor(async () => {
    const response = await ask('delta');
    return response.status === 200 ? ((await response.json()) as object[]) : undefined;
  });
  process.stdout.write(`source added to first row: ${Math.round(performance.now() - began)} ms\n`);
  expect(JSON.stringify(answer)).toContain('"source":"delta"');
  await expectAlphaUnharmed();
});

test('a file with a bad entry, an id twice or one database twice keeps the last good version, and says where it is wrong', async () => {
  const before = { ...declared };
  const entry = (id: string, more: object) => JSON.stringify({ ...before[id], ...more });
  const path = join(folder, 'bad.yaml');
  for (const [lines, problem] of [
    [`  alpha: ${entry('alpha', { partitions: 3 })}`, 'sources.alpha.partitions: '],
    [`  alpha: ${entry('alpha', {})}\n  alpha: {}`, 'line 3: this id'],
    [`  alpha: ${entry('alpha', {})}\n  another: ${entry('alpha', {})}`, 'is the database of source alpha'],
  ] as const) {
    writeFileSync(path, `sources:\n${lines}\n`);
    await cluster.writeSources(path);
    const said = ({ sourcesFile }: ReplicatorReport) =>
      !sourcesFile.ok && sourcesFile.problems?.some((each) => each.includes(problem));
    await waitFor(async () => (await reports()).every(said), { describe: () => problem });
  }
  const states = (await reports()).flatMap(({ sources }) => Object.keys(sources));
  expect([...new Set(states)].toSorted()).toEqual(['alpha', 'beta', 'delta']);
  await expectAlphaUnharmed();
  await declare({});
  await waitFor(async () => (await reports()).every(({ sourcesFile }) => sourcesFile.ok));
});

test('a second source on a database, under another host name, says whose it is and leaves the first alone', async () => {
  const url = new URL(cluster.sources.find(({ id }) => id === 'alpha')?.databaseUrl ?? '');
  url.hostname = 'localhost';
  await declare({ mirror: { databaseUrl: url.href, secrets: ['a secret'], replicationStreamId: 'mirror' } });
  const report = await waitFor(async () => {
    const found = await reportOf('mirror');
    return found?.lastError?.includes('database of source alpha') ? found : undefined;
  });
  expect(report.status).not.toBe('active');
  const { rows } = await (
    await clientOf('alpha')
  ).query("select 1 from pg_replication_slots where slot_name like '%mirror'");
  expect(rows).toEqual([]);
  await expectAlphaUnharmed();
  await declare({ mirror: undefined });
});

test('other credentials are taken while the source runs, without a rotation', async () => {
  const client = await clientOf('delta');
  const enough = new AbortController();
  const reader = follow('delta', enough.signal);
  await waitFor(() => reader.rows.size === 1);
  await client.query("create role second login superuser replication password 'other'");
  const url = new URL(String(declared['delta']?.['databaseUrl']));
  url.username = 'second';
  url.password = 'other';
  await declare({ delta: { ...declared['delta'], databaseUrl: url.href } });
  await waitFor(async () => {
    const { rows } = await client.query(
      "select 1 from pg_stat_replication where usename = 'second' and application_name like 'shapecast%'",
    );
    return rows.length > 0;
  });
  await write('delta', 2);
  await waitFor(() => reader.rows.size === 2);
  expect(reader.rotations).toBe(0);
  expect(reader.violations).toEqual([]);
  enough.abort();
});

test('a source that is paused keeps its slot and answers 503, and loses nothing', async () => {
  const enough = new AbortController();
  const reader = follow('delta', enough.signal);
  await waitFor(() => reader.rows.size === 2);
  await declare({ delta: { ...declared['delta'], state: 'paused' } });
  const refused = await waitFor(async () => {
    const response = await ask('delta');
    return response.status === 503 ? response : undefined;
  });
  expect(await refused.json()).toMatchObject({ code: 'source_paused' });
  expect(refused.headers.get('retry-after')).not.toBeNull();
  await waitFor(async () => (await slotOf('delta'))?.active === false);
  await waitFor(async () => (await reportOf('delta'))?.status === 'paused');
  for (let row = 3; row <= 20; row += 1) await write('delta', row);
  await declare({ delta: { ...declared['delta'], state: 'active' } });
  await waitFor(() => reader.rows.size === 20);
  expect(reader.rotations).toBe(0);
  expect(reader.violations).toEqual([]);
  enough.abort();
  await expectAlphaUnharmed();
});

test('a source that is removed leaves no slot, no publication, no stream and nothing in Redis', async () => {
  const streams = (id: string): readonly string[] => {
    const path = join(cluster.server('nats').dataDir, 'jetstream', '$G', 'streams');
    return existsSync(path) ? readdirSync(path).filter((name) => name.includes(id)) : [];
  };
  const keys = async (id: string) => {
    const port = Number(new URL(cluster.redisUrl).port);
    return (await redisCommand(port, 'KEYS', `*${id}*`)) as readonly string[];
  };
  expect(streams('delta').length).toBe(1);
  expect((await keys('delta')).length).toBeGreaterThan(0);
  await declare({ delta: { ...declared['delta'], state: 'removed' } });
  await waitFor(async () => (await reportOf('delta')) === undefined);
  expect(await slotOf('delta')).toBeUndefined();
  const { rows } = await (await clientOf('delta')).query('select pubname from pg_publication');
  expect(rows).toEqual([]);
  expect(streams('delta')).toEqual([]);
  await waitFor(async () => (await keys('delta')).length === 0);
  expect((await ask('delta')).status).toBe(401);
  // The file still says that it is removed, which it is.
  await expectAlphaUnharmed();
  expect(await reportOf('delta')).toBeUndefined();
});

test('a source with more changes than its quota is held back and says so, no other is, and a higher limit holds at once', async () => {
  await makeItems('beta');
  const limited = (changesPerSecond: number) =>
    declare({ beta: { ...declared['beta'], limits: { changesPerSecond } } });
  const enough = new AbortController();
  const reader = follow('beta', enough.signal);
  const client = await clientOf('beta');
  await write('beta', 0);
  await waitFor(() => reader.rows.size === 1);
  await limited(1);
  await waitFor(async () => (await reportOf('beta'))?.quotas !== undefined);
  // A burst of five, one transaction each.
  for (let row = 1; row <= 200; row += 1) await write('beta', row);
  const report = await waitFor(async () => {
    const found = await reportOf('beta');
    return found?.lastError?.includes('limits.changesPerSecond') ? found : undefined;
  });
  expect(report.status).toBe('active');
  await expectAlphaUnharmed();
  expect(reader.rows.size).toBeLessThan(201);
  const { rows } = await client.query('select count(*)::int as count from items');
  expect(rows).toEqual([{ count: 201 }]);
  await limited(100_000);
  await waitFor(() => reader.rows.size === 201);
  expect(reader.rotations).toBe(0);
  // It was the same session all the time.
  expect((await reportOf('beta'))?.epoch).toBe(report.epoch);
  enough.abort();
});

test('wrong settings of a source are said in a sentence, and it goes on with those before', async () => {
  const before = declared['beta'] ?? {};
  await declare({ beta: { ...before, settings: { SHAPECAST_UNPUBLISH_LINGER: '1s' } } });
  const report = await waitFor(async () => {
    const found = await reportOf('beta');
    return found?.lastError?.includes('SHAPECAST_UNPUBLISH_LINGER: expected at least 30s') ? found : undefined;
  });
  expect(report.status).toBe('active');
  await expectAlphaUnharmed();
  await declare({ beta: before });
  await waitFor(async () => (await reportOf('beta'))?.lastError === undefined);
  expect((await reportOf('beta'))?.epoch).toBe(report.epoch);
});

test('the admin API of a replicator answers whoever has the token, and nobody else', async () => {
  const get = (token: string) =>
    fetch(`${cluster.adminUrl}/admin/sources`, { headers: { authorization: `Bearer ${token}` } });
  expect((await get('another token of sixteen')).status).toBe(401);
  const answer = await get(cluster.adminToken ?? '');
  expect(answer.status).toBe(200);
  const text = await answer.text();
  for (const id of ['alpha', 'beta']) expect(text).toContain(`"${id}"`);
  for (const { databaseUrl, secret = '' } of cluster.sources) {
    expect(text).not.toContain(databaseUrl);
    expect(text).not.toContain(secret);
  }
});

test('F90 sources of a replicator that is killed are taken over, and come back one at a time', async () => {
  const leader = await cluster.leader('alpha');
  const before = (await reportOf('alpha'))?.epoch ?? 0;
  const began = performance.now();
  await cluster.process(leader).kill();
  written += 1;
  await write('alpha', 1_000 + written);
  await waitFor(() => [...alpha.rows.values()].some(({ id }) => id === String(1_000 + written)));
  process.stdout.write(`replicator killed to first row: ${Math.round(performance.now() - began)} ms\n`);
  await cluster.leader('alpha');
  expect((await reportOf('alpha'))?.epoch).toBeGreaterThan(before);
  await expectAlphaUnharmed();
});

test('a replicator that is stopped in good order hands its sources over before it goes', async () => {
  const leader = await cluster.leader('alpha');
  const began = performance.now();
  await cluster.remove(leader);
  // Nobody had to notice that it was gone.
  expect(await cluster.leader('alpha')).not.toBe(leader);
  process.stdout.write(`replicator stopped, and led elsewhere: ${Math.round(performance.now() - began)} ms\n`);
  await expectAlphaUnharmed();
});
