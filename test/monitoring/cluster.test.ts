import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALERTS, DASHBOARDS, exprsOf, RECORDED, seriesIn, seriesNames } from '@shapecast/monitoring';
import { METRICS, prometheusName, type MetricName } from '@shapecast/telemetry';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { parseExposition, scrape, type Exposed, type Role } from './exposition.ts';
import { NOT_ALWAYS } from './not-always.ts';

/** Names of series that alerts and dashboards read, with who does. */
const wanted = new Map<string, string>();
for (const [user, expr] of [
  ...RECORDED,
  ...ALERTS.flatMap(({ name, stages }) => stages.map(({ expr }) => [name as string, expr] as const)),
  ...DASHBOARDS.flatMap(({ file, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap((panel) => exprsOf(panel).map((expr) => [`${file}: ${panel.title}`, expr] as const)),
    ),
  ),
]) {
  for (const series of seriesIn(expr)) if (!RECORDED.has(series)) wanted.set(series, user);
}

const known = seriesNames();

describe('what a running cluster exposes', () => {
  let cluster: Cluster;
  let roles: ReadonlyMap<Role, Exposed>;

  beforeAll(async () => {
    cluster = await startCluster({
      ...{ replicators: 1, routers: 1, apis: 1 },
      // Without a limit Postgres has no figures about it.
      postgres: { settings: { max_slot_wal_keep_size: '1GB' } },
    });
    await readAndWrite(cluster);
    // Some of it is looked at every ten seconds only.
    roles = await waitFor(
      async () => {
        const found = await scrape(cluster);
        return missing(found).length === 0 ? found : undefined;
      },
      { intervalMs: 1_000 },
    ).catch(() => scrape(cluster));
  });
  afterAll(() => cluster?.stop());

  function missing(found: ReadonlyMap<Role, Exposed>): readonly string[] {
    const shown = new Set([...found.values()].flatMap(({ series }) => [...series.keys()]));
    return [...wanted]
      .filter(([series]) => !shown.has(series) && !Object.hasOwn(NOT_ALWAYS, known.get(series) ?? ''))
      .map(([series, user]) => `${series} (${user})`);
  }

  test('has every series that alerts and dashboards read', () => {
    expect(missing(roles)).toEqual([]);
    expect(wanted.size).toBeGreaterThan(100);
  });

  test('has no series but those of the table, of the components and types that it says', () => {
    const wrong = [...roles].flatMap(([role, { series, types }]) => [
      ...[...series.keys()].filter((name) => {
        const metric = known.get(name);
        return metric === undefined || !(METRICS[metric].roles as readonly Role[]).includes(role);
      }),
      ...[...types].filter(([name, type]) => {
        const metric = (Object.keys(METRICS) as MetricName[]).find((one) => prometheusName(one) === name);
        return metric === undefined || METRICS[metric].type !== type;
      }),
    ]);
    expect(wrong).toEqual([]);
  });
});

test('what is said to be there at times only is read by somebody', () => {
  const read = new Set([...wanted.keys()].map((series) => known.get(series)));
  expect((Object.keys(NOT_ALWAYS) as MetricName[]).filter((name) => !read.has(name))).toEqual([]);
});

test('what cannot be read is noticed', () => {
  expect(() => parseExposition('shapecast_ready 1\nshapecast ready 1\n')).toThrow('not a series: shapecast ready 1');
  expect(parseExposition('# TYPE a gauge\na{b="c d"} 1\na{b="}"} +Inf\n').series.get('a')).toBe(2);
});

/** A shape with a snapshot, a reader that waits, changes, an end, and a subset: what makes most of the metrics move. */
async function readAndWrite({ url, databaseUrl }: Cluster): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    await client.query('create table if not exists measured (id int primary key, value text)');
    await client.query("insert into measured select i, 'x' from generate_series(1, 100) i on conflict do nothing");
    const get = (query: string) => fetch(`${url}/v1/shape?table=measured&${query}`);
    const first = await waitFor(async () => {
      const answer = await get('offset=-1');
      await answer.arrayBuffer();
      return answer.status === 200 ? answer : undefined;
    });
    let place = `handle=${first.headers.get('electric-handle')}&offset=${first.headers.get('electric-offset')}`;
    for (let round = 0; round < 3; round += 1) {
      const waiting = get(`${place}&live=true`);
      await client.query(`update measured set value = 'round ${round}' where id <= 10`);
      const answer = await waiting;
      await answer.arrayBuffer();
      expect(answer.status).toBe(200);
      place = `handle=${answer.headers.get('electric-handle')}&offset=${answer.headers.get('electric-offset')}`;
    }
    const subset = await get(`${place}&subset__where=${encodeURIComponent('id < 5')}`);
    await subset.arrayBuffer();
    await client.query('truncate measured');
    await waitFor(async () => {
      const answer = await get(place);
      await answer.arrayBuffer();
      return answer.status === 409 ? true : undefined;
    });
  } finally {
    await client.end();
  }
}
