import { cp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { redisCommand, waitFor, type Cluster, type ClusterServer } from '@shapecast/testkit';
import { pause, withClient } from '../writers/connection.ts';
import { always, type FaultKind, type NemesisContext } from './fault.ts';
import { end } from './postgres-faults.ts';

const part = 'redis';
const pair = (cluster: Cluster): boolean =>
  cluster.serversOf('redis').length === 2 && cluster.serversOf('sentinel').length === 0;

export const REDIS_FAULTS: readonly FaultKind[] = [
  {
    name: 'restart redis',
    part,
    loss: 'nothing',
    possible: always,
    async begin(context) {
      const server = primary(context);
      await end(server, 'SIGTERM');
      return {
        target: server.name,
        forMs: context.chance.int(3_000),
        heal: () => startPrimary(server, context.cluster),
      };
    },
  },
  {
    // What it had answered is in its file, which outlives the process.
    name: 'kill redis',
    part,
    loss: 'nothing',
    possible: always,
    async begin(context) {
      const server = primary(context);
      await server.kill();
      return {
        target: server.name,
        forMs: context.chance.int(3_000),
        heal: () => startPrimary(server, context.cluster),
      };
    },
  },
  {
    name: 'pause redis',
    part,
    loss: 'nothing',
    possible: always,
    async begin(context) {
      const server = primary(context);
      await server.pause();
      return { target: server.name, forMs: 1_000 + context.chance.int(5_000), heal: () => server.resume() };
    },
  },
  {
    name: 'lose the last second of redis',
    part,
    loss: 'store-tail',
    possible: always,
    async begin(context) {
      const server = primary(context);
      const { file, size } = await appendOnlyFile(server);
      await pause(1_000, context.signal);
      await server.kill();
      if ((await appendOnlyFile(server)).file === file) await truncate(file, size);
      return {
        target: server.name,
        forMs: context.chance.int(2_000),
        heal: () => startPrimary(server, context.cluster),
      };
    },
  },
  failover('fail over to the replica of redis', 0),
  failover('fail over to a replica that lags', 1_500),
  {
    name: 'empty redis',
    part,
    loss: 'store-tail',
    destructive: true,
    possible: always,
    async begin(context) {
      const server = primary(context);
      await redisCommand(server.port, 'FLUSHALL');
      return { target: server.name, forMs: 0, heal: async () => {} };
    },
  },
  {
    name: 'restore redis from a backup',
    part,
    loss: 'store-tail',
    destructive: true,
    possible: always,
    async begin(context) {
      const server = primary(context);
      const [kept, current] = [join(server.dataDir, 'backup'), join(server.dataDir, 'appendonlydir')];
      await cp(current, kept, { recursive: true });
      await pause(6_000, context.signal);
      await server.kill();
      await rm(current, { recursive: true });
      await cp(kept, current, { recursive: true });
      await rm(kept, { recursive: true });
      return { target: server.name, forMs: 0, heal: () => startPrimary(server, context.cluster) };
    },
  },
  {
    name: 'drop the slot',
    part: 'postgres',
    loss: 'nothing',
    destructive: true,
    possible: always,
    async begin({ cluster, signal }) {
      const slots = `from pg_replication_slots where slot_name like 'electric\\_slot\\_%'`;
      const drop = async (): Promise<boolean> =>
        withClient(cluster.databaseUrl, async (client) => {
          await client.query(`select pg_terminate_backend(active_pid) ${slots} and active_pid is not null`);
          const { rowCount } = await client.query(`select pg_drop_replication_slot(slot_name) ${slots}`);
          return (rowCount ?? 0) > 0;
        }).catch(() => false);
      await waitFor(async () => signal.aborted || drop());
      return { target: 'the slot', forMs: 0, heal: async () => {} };
    },
  },
];

/**
 * The replica becomes the primary and every process is led there, as a service address would. It has stopped following `lagMs`
 * before: what came since is lost. The old primary becomes the replica.
 */
function failover(name: string, lagMs: number): FaultKind {
  return {
    name,
    part,
    loss: 'store-tail',
    possible: pair,
    async begin(context) {
      const { cluster, signal } = context;
      const old = primary(context);
      const next = cluster.serversOf('redis').find((server) => server !== old) as ClusterServer;
      // One that has another past than the primary is not what anybody would make the primary.
      await waitFor(() => isReplica(next).catch(() => false));
      if (lagMs > 0) {
        await redisCommand(next.port, 'REPLICAOF', 'NO', 'ONE');
        await pause(lagMs, signal);
      }
      await old.kill();
      if (lagMs === 0) await redisCommand(next.port, 'REPLICAOF', 'NO', 'ONE');
      context.redisPrimary = next.name;
      for (const { name: process } of cluster.processes) {
        for (const proxy of cluster.link(process, 'redis')) proxy.retarget(next.port);
      }
      return {
        target: `${old.name} to ${next.name}`,
        forMs: 0,
        async heal() {
          await old.start();
          await redisCommand(old.port, 'REPLICAOF', '127.0.0.1', String(next.port));
          await waitFor(() => isReplica(old).catch(() => false));
        },
      };
    },
  };
}

/** It follows its primary and has what that has. */
async function isReplica({ port }: ClusterServer): Promise<boolean> {
  return ((await redisCommand(port, 'ROLE')) as readonly unknown[])[3] === 'connected';
}

/** It may have been started as a replica once, and would be one again. */
async function startPrimary(server: ClusterServer, cluster: Cluster): Promise<void> {
  await server.start();
  if (pair(cluster)) await redisCommand(server.port, 'REPLICAOF', 'NO', 'ONE');
}

/** The one that all write to; any of those that Sentinel or a Redis Cluster looks after. */
function primary({ cluster, redisPrimary, chance }: NemesisContext): ClusterServer {
  const servers = cluster.serversOf('redis');
  if (!pair(cluster) && servers.length > 1) return chance.pick(servers);
  return servers.find(({ name }) => name === redisPrimary) ?? cluster.server('redis');
}

async function appendOnlyFile(server: ClusterServer): Promise<{ readonly file: string; readonly size: number }> {
  const folder = join(server.dataDir, 'appendonlydir');
  const newest = (await readdir(folder))
    .filter((name) => name.endsWith('.incr.aof'))
    .sort((a, b) => Number(a.split('.').at(-3)) - Number(b.split('.').at(-3)))
    .at(-1) as string;
  const file = join(folder, newest);
  return { file, size: (await stat(file)).size };
}
