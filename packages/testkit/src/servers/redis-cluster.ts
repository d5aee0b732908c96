import { freePort } from '@shapecast/local-postgres';
import { waitFor } from '../wait-for.ts';
import { redisRole, startRedis, type RedisOptions } from './redis.ts';
import { redisCommand } from './resp.ts';
import { orStop, startAll, stopAll, type ServerGroup } from './server-group.ts';

export interface RedisClusterOptions {
  /** Default 3. */
  readonly masters?: number;
  /** Of each master. Default 0. */
  readonly replicas?: 0 | 1;
  /** Further settings of each server by name. */
  readonly settings?: RedisOptions['settings'];
}

/** Masters first, then the replicas in the same order. Its URL is that of all of them, with commas. */
export type RedisCluster = ServerGroup;

const SLOTS = 16_384;

/** Starts a Redis Cluster; resolves once every server knows all of it and serves. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, replicas = 0 } = options;
  const busPorts = await Promise.all(Array.from({ length: masters * (1 + replicas) }, freePort));
  const starts = busPorts.map((bus) => {
    const settings = {
      'cluster-enabled': 'yes',
      // The default one is 10,000 beyond the port, which may be too much.
      'cluster-port': String(bus),
      'cluster-node-timeout': '2000',
      ...options.settings,
    };
    return () => startRedis({ settings });
  });
  const servers = await startAll(starts);
  await orStop(servers, async () => {
    const ports = servers.map(({ port }) => port);
    const first = ports[0] as number;
    const ids = await Promise.all(ports.map(async (port) => String(await redisCommand(port, 'CLUSTER', 'MYID'))));
    await Promise.all(
      ports.slice(0, masters).map((port, i) => {
        const from = Math.floor((SLOTS * i) / masters);
        const to = Math.floor((SLOTS * (i + 1)) / masters) - 1;
        return redisCommand(port, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      }),
    );
    // Each its own, or the first exchange would find two of the same epoch and have to settle it.
    for (const [i, port] of ports.entries()) await redisCommand(port, 'CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
    for (const [i, port] of ports.entries()) {
      if (i > 0) await redisCommand(first, 'CLUSTER', 'MEET', '127.0.0.1', String(port), String(busPorts[i]));
    }
    const knowsAll = async (port: number): Promise<boolean> => {
      const nodes = String(await redisCommand(port, 'CLUSTER', 'NODES'));
      return ids.every((id) => nodes.includes(id)) && !nodes.includes('handshake');
    };
    await all(ports, knowsAll, 'a server does not know the others');
    for (const [i, port] of ports.entries()) {
      if (i >= masters) await redisCommand(port, 'CLUSTER', 'REPLICATE', ids[i - masters] as string);
    }
    await all(ports, serves, 'the cluster is not ok');
    await all(ports.slice(masters), async (port) => (await redisRole(port))[3] === 'connected', 'a replica is empty');
  });
  return { servers, url: servers.map(({ url }) => url).join(','), stop: () => stopAll(servers) };
}

async function serves(port: number): Promise<boolean> {
  const info = String(await redisCommand(port, 'CLUSTER', 'INFO'));
  return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`);
}

async function all(
  ports: readonly number[],
  condition: (port: number) => Promise<boolean>,
  problem: string,
): Promise<void> {
  const met = async (): Promise<boolean> => (await Promise.all(ports.map(condition))).every(Boolean);
  await waitFor(met, { describe: () => problem, intervalMs: 50 });
}
