import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SourceLoad } from '../support/source-load.ts';

interface RouterReport {
  readonly ready: boolean;
  readonly totals: { readonly sources: number; readonly owned: number };
  readonly sources: Readonly<Record<string, { readonly ready: boolean; readonly owned: number; readonly lag: number }>>;
}

/** Three sources that have nothing in common but the processes that work for them. */
let cluster: Cluster;
let admin: pg.Client;
const loads = new Map<string, SourceLoad>();

beforeAll(async () => {
  cluster = await startCluster({
    sources: { broken: {}, fine: {}, hammered: {} },
    ...{ replicators: 1, routers: 2, apis: 1 },
  });
  admin = new pg.Client(cluster.databaseUrl);
  await admin.connect();
  for (const source of cluster.sources) loads.set(source.id, await SourceLoad.start(cluster.url, source));
});
afterAll(async () => {
  await Promise.all([...loads.values()].map((load) => load.stop()));
  await admin.end();
  await cluster.stop();
});

const load = (id: string) => loads.get(id) as SourceLoad;

async function routers(): Promise<RouterReport[]> {
  const all = cluster.processes.filter(({ role }) => role === 'router');
  return Promise.all(
    all.map(async ({ healthUrl }) => (await (await fetch(`${healthUrl}/health`)).json()) as RouterReport),
  );
}

async function refuseConnections(refuse: boolean): Promise<void> {
  await admin.query(`alter database broken with allow_connections ${refuse ? 'false' : 'true'}`);
  if (refuse) await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'broken'`);
}

test('4.5 4.6 a source whose database is gone and one that is hammered cost a third one nothing', async () => {
  await waitFor(async () => (await routers()).every(({ totals }) => totals.sources === 3 && totals.owned === 12));
  await refuseConnections(true);
  const over = new AbortController();
  // Several thousand rows a second, beside ten.
  const hammering = load('hammered').write(3_000, over.signal, 300);
  const before = load('fine').writes;
  const writing = load('fine').write(10, over.signal);
  await waitFor(() => load('fine').writes - before >= 40 && load('hammered').writes > 5_000);
  const meanwhile = await routers();
  over.abort();
  await Promise.all([hammering, writing]);
  await load('fine').settled();
  await load('hammered').settled();
  for (const { ready, sources } of meanwhile) {
    expect(ready).toBe(true);
    expect(sources['fine']).toMatchObject({ ready: true, owned: 4 });
    // What a source has lost is no reason to move its shards about either.
    expect(sources['broken']).toMatchObject({ owned: 4 });
  }
  for (const id of ['fine', 'hammered']) {
    const { rotations, failures, foreign } = load(id);
    expect({ id, rotations, failures, foreign }).toEqual({ id, rotations: 0, failures: [], foreign: 0 });
  }
});

test('the source goes on where it was once its database is back', async () => {
  await refuseConnections(false);
  const again = await SourceLoad.start(cluster.url, {
    ...(cluster.sources.find(({ id }) => id === 'broken') as { id: string; databaseUrl: string; secret: string }),
  });
  const over = new AbortController();
  const writing = again.write(20, over.signal);
  await waitFor(() => again.writes >= 10);
  over.abort();
  await writing;
  await again.settled();
  expect([again.rotations, again.foreign, load('broken').rotations]).toEqual([0, 0, 0]);
  await again.stop();
});
