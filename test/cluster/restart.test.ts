import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startCluster, waitFor, type Cluster, type ClusterProcess, type ServiceRole } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ routers: 2, apis: 2, replicators: 2 });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table kept (id int primary key, v text)');
  await client.query(`insert into kept select i, 'v' from generate_series(1, 10) i`);
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

/** A client of all rows, and what went wrong for it in the end. */
function follow() {
  const reader = new StrictReader(cluster.url, { table: 'kept' });
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  return {
    reader,
    caughtUp: async (): Promise<void> => {
      const { rows } = await client.query<{ n: number }>('select count(*)::int as n from kept');
      const all = rows[0]?.n ?? 0;
      await waitFor(() => reader.rows.size === all, { describe: () => `${reader.rows.size} of ${all} rows` });
    },
    end: async (): Promise<{ rotations: number; violations: readonly string[] }> => {
      stop.abort();
      await following;
      return { rotations: reader.rotations, violations: reader.violations };
    },
  };
}

const write = (v: string) => client.query('insert into kept select max(id) + 1, $1 from kept', [v]);
const untouched = { rotations: 0, violations: [] };

test.each<[string, readonly ServiceRole[]]>([
  ['the replicators die', ['replicator']],
  ['the routers die', ['router']],
  ['the API pods die', ['api']],
  ['replicators and routers die', ['replicator', 'router']],
  ['replicators and API pods die', ['replicator', 'api']],
  ['routers and API pods die', ['router', 'api']],
  ['every process dies', ['replicator', 'router', 'api']],
])(
  'A1 a shape survives that %s at once: same handle, and what was written meanwhile arrives once',
  async (_, roles) => {
    const { reader, caughtUp, end } = follow();
    await caughtUp();
    const handle = reader.handle;
    const victims = cluster.processes.filter((process) => roles.includes(process.role));
    const before = victims.map((process) => process.pid);

    await Promise.all(victims.map((process) => process.kill()));
    await write('while they were dead');
    await cluster.waitReady();
    await write('after');

    await caughtUp();
    expect(victims.map((process) => process.pid)).not.toEqual(before);
    expect(reader.handle).toBe(handle);
    expect(await end()).toEqual(untouched);
  },
);

test('A18 a rolling deploy of every process under writes interrupts no reader and costs no change', async () => {
  const { caughtUp, end } = follow();
  await caughtUp();
  const { repeated, broken, statuses } = structuredClone(cluster.traffic);
  let rolling = true;
  const writing = (async () => {
    while (rolling) {
      await write('rolling');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  // Whatever becomes of the test, the writer ends with it.
  onTestFinished(() => void (rolling = false));
  for (const process of cluster.processes) {
    await process.kill('SIGTERM');
    // Its successor does its job, which may be to stand by, before the next one goes.
    await cluster.waitReady();
    await waitFor(() => isReady(process), { describe: () => `${process.name} is not ready` });
  }
  rolling = false;
  await writing;
  await caughtUp();
  expect(await end()).toEqual(untouched);
  // Nobody was refused or dropped (O 2.3), whether the reader got over it or not.
  expect(cluster.traffic).toEqual({ repeated, broken, statuses: { ...statuses, 200: cluster.traffic.statuses[200] } });
});

test('A13 Postgres stops and starts again during traffic: no rotation, and long polls go on', async () => {
  const { reader, caughtUp, end } = follow();
  await caughtUp();
  const server = cluster.server('postgres');
  const polled = poll(reader);
  await client.end();
  await server.kill();
  // Shapes that exist are served without the database.
  const meanwhile = await fetch(`${cluster.url}/v1/shape?table=kept&offset=-1&handle=${reader.handle ?? ''}`);
  expect(meanwhile.status).toBe(200);
  await meanwhile.text();
  await server.start();
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await write('after the crash of Postgres');
  expect((await polled).status).toBe(200);
  await caughtUp();
  expect(await end()).toEqual(untouched);
});

async function isReady({ url, role }: ClusterProcess): Promise<boolean> {
  const answer = await fetch(`${url}${role === 'api' ? '/v1/health' : '/ready'}`).catch(() => undefined);
  await answer?.text();
  return answer?.status === 200;
}

/** A long poll at the reader's position. */
async function poll(reader: StrictReader): Promise<{ status: number; body: string }> {
  const query = `table=kept&offset=${reader.offset}&handle=${reader.handle ?? ''}&live=true`;
  const response = await fetch(`${cluster.url}/v1/shape?${query}`);
  return { status: response.status, body: await response.text() };
}
