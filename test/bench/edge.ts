import { Client } from 'pg';
import { startCluster, startEdge, waitFor, type EdgeKind } from '@shapecast/testkit';
import { forwardTo, startOrigin } from '../edge/support/origin.ts';
import { Follower, followerAgent } from '../support/follower.ts';

export interface EdgeOptions {
  readonly edge: EdgeKind;
  readonly clients: number;
  readonly updates: number;
}

/**
 * N clients follow one live shape through a caching proxy, and a row is updated so many times, each time once everybody has
 * the one before. Counts the requests that get through to the load balancer between one update and the next, and how long
 * after the commit the clients have it. In the end all must hold what the table holds.
 */
export async function edge(options: EdgeOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({ env: { SHAPECAST_LOG_LEVEL: 'warning' } });
  const origin = await startOrigin(forwardTo(cluster.url));
  const proxy = await startEdge({ kind: options.edge, origin: origin.url });
  const client = new Client({ connectionString: cluster.databaseUrl });
  const stopping = new AbortController();
  const agent = followerAgent();
  try {
    await client.connect();
    await client.query('create table bench (id int primary key, n int not null)');
    await client.query('insert into bench select i, 0 from generate_series(1, 100) i');
    let committedAt = 0;
    let arrived = 0;
    const delaysMs: number[] = [];
    const followers = Array.from(
      { length: options.clients },
      () =>
        new Follower(proxy.url, { table: 'bench' }, agent, () => {
          arrived += 1;
          if (committedAt > 0) delaysMs.push(performance.now() - committedAt);
        }),
    );
    const following = followers.map((follower) => follower.follow(stopping.signal));
    const timeoutMs = 300_000;
    await waitFor(() => followers.every(({ live }) => live), { timeoutMs });
    const toStart = origin.seen.length;

    const perUpdate: number[] = [];
    const requestsBefore = sum(followers.map(({ requests }) => requests));
    for (let n = 1; n <= options.updates; n += 1) {
      const before = origin.seen.length;
      arrived = 0;
      await client.query('update bench set n = $1 where id = $2', [n, (n % 100) + 1]);
      committedAt = performance.now();
      await waitFor(() => arrived === options.clients, { timeoutMs, describe: () => `${arrived} clients have it` });
      // The next poll of the first to have it has begun by now, or begins in the next round.
      perUpdate.push(origin.seen.length - before);
    }
    const requests = sum(followers.map(({ requests: made }) => made)) - requestsBefore;
    stopping.abort();
    await Promise.all(following);
    const { rows } = await client.query<{ id: number; n: number }>('select id, n from bench order by id');
    for (const follower of followers) {
      const held = new Map([...follower.rows.values()].map((row) => [row['id'], row['n']]));
      const wrong = rows.find(({ id, n }) => held.get(String(id)) !== String(n));
      if (wrong !== undefined)
        throw new Error(`a client has n = ${held.get(String(wrong.id))} where Postgres has ${wrong.n}`);
    }
    const total = sum(perUpdate);
    return {
      edge: options.edge,
      clients: options.clients,
      updates: options.updates,
      originRequestsToStart: toStart,
      originRequestsPerUpdate: { mean: total / options.updates, most: Math.max(...perUpdate) },
      clientRequests: requests,
      collapseRatio: Math.round(requests / total),
      deliveryMs: percentiles(delaysMs),
    };
  } finally {
    stopping.abort();
    agent.destroy();
    await client.end();
    await proxy.stop();
    await origin.stop();
    await cluster.stop();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function percentiles(values: number[]): Readonly<Record<string, number>> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
