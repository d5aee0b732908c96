import { once } from 'node:events';
import { connect } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

const MAX_SHAPES = 3;
const signal = new AbortController().signal;
let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({
    routers: 2,
    apis: 2,
    replicators: 1,
    env: {
      ELECTRIC_MAX_SHAPES: String(MAX_SHAPES),
      SHAPECAST_EXPIRY_INTERVAL: '1s',
      SHAPECAST_READ_TIMES_INTERVAL: '400ms',
    },
  });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  await client.query('create table used (id int primary key, v text)');
  await client.query(`insert into used select i, 'v' from generate_series(1, 20) i`);
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

const readerOf = (name: string) => new StrictReader(cluster.url, { table: 'used', where: `id > 0 and v <> '${name}'` });

/** Shapes that the routers have. */
async function shapes(): Promise<number> {
  const counts = await Promise.all(
    cluster.processes
      .filter(({ role }) => role === 'router')
      .map(async ({ url }) => {
        const response = await fetch(`${url}/health`).catch(() => undefined);
        const report = (await response?.json().catch(() => undefined)) as { readonly shapes?: number } | undefined;
        return report?.shapes ?? NaN;
      }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

const downTo = (count: number) =>
  waitFor(async () => (await shapes()) === count, { describe: async () => `${await shapes()} shapes` });

/** A command to Redis; its answer up to the first line break. */
async function redis(text: string): Promise<string> {
  const socket = connect(cluster.server('redis').port, '127.0.0.1');
  socket.write(`${text}\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}

test('T29 the shape read longest ago expires, also when every process was restarted since; its client goes on with a 409', async () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(readerOf) as [StrictReader, StrictReader, StrictReader, StrictReader];
  for (const reader of [c, a, b]) {
    await reader.catchUp(signal);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const handles = [a, b, c].map(({ handle }) => handle);
  await downTo(MAX_SHAPES);
  // Pods that stop say what they know; the others may go as they like.
  for (const process of cluster.processes) await process.kill(process.role === 'api' ? 'SIGTERM' : 'SIGKILL');
  await cluster.waitReady();
  expect(await shapes()).toBe(MAX_SHAPES);

  await d.catchUp(signal);
  await downTo(MAX_SHAPES);
  await a.catchUp(signal);
  await b.catchUp(signal);
  expect([a.handle, b.handle]).toEqual(handles.slice(0, 2));
  await client.query(`insert into used values (21, 'v')`);
  await c.catchUp(signal);
  await waitFor(async () => {
    await c.catchUp(signal);
    return c.rows.size === 21;
  });
  expect([c.rotations, c.handle === handles[2]]).toEqual([1, false]);
  expect([a, b, c, d].flatMap(({ violations }) => violations)).toEqual([]);
});

test('a shape that somebody waits for does not expire, whatever else is read', async () => {
  const waiting = readerOf('waiting');
  const stop = new AbortController();
  const following = waiting.follow(stop.signal);
  onTestFinished(() => stop.abort());
  await waitFor(() => waiting.rows.size === 21);
  const { handle } = waiting;
  const others = Array.from({ length: 2 * MAX_SHAPES }, (_, i) => readerOf(`other ${i}`));
  for (const other of others) {
    await other.catchUp(signal);
    await downTo(MAX_SHAPES);
  }
  await client.query(`insert into used values (22, 'v')`);
  await waitFor(() => waiting.rows.size === 22);
  stop.abort();
  await following;
  expect([waiting.handle, waiting.rotations, waiting.violations]).toEqual([handle, 0, []]);
  // The others went, in the order in which they were read.
  const [first] = others as [StrictReader];
  await first.catchUp(signal);
  expect(first.rotations).toBe(1);
});

test('F145 above the high-water mark of Redis new shapes get 503, and those that exist get their changes', async () => {
  // Somebody waits for it, or the new ones would push it out.
  const reader = readerOf('existing');
  const stop = new AbortController();
  const following = reader.follow(stop.signal);
  onTestFinished(() => stop.abort());
  await waitFor(() => reader.rows.size === 22);
  const used = Number(/used_memory:(\d+)/.exec(await redis('INFO memory'))?.[1]);
  // Pods look once a second.
  await redis(`CONFIG SET maxmemory ${Math.round(used / 0.9)}`);
  const ask = (where: string) =>
    fetch(`${cluster.url}/v1/shape?table=used&offset=-1&where=${encodeURIComponent(where)}`);
  let n = 0;
  const refused = await waitFor(
    async () => {
      const answer = await ask(`id > ${(n += 1000)}`);
      await answer.text();
      return answer.status === 503 ? answer : undefined;
    },
    { describe: () => 'new shapes are still created' },
  );
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  await client.query(`insert into used values (23, 'v')`);
  await waitFor(() => reader.rows.size === 23);
  await redis('CONFIG SET maxmemory 0');
  await waitFor(
    async () => {
      const answer = await ask(`id > ${(n += 1000)}`);
      await answer.text();
      return answer.status === 200;
    },
    { describe: () => 'new shapes are still refused' },
  );
  stop.abort();
  await following;
  expect([reader.rotations, reader.violations]).toEqual([0, []]);
});
