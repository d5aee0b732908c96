import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findServer } from '../install/find-server.ts';
import { waitFor } from '../wait-for.ts';
import { redisRole } from './redis.ts';
import { redisCommand } from './resp.ts';
import { orStop, startAll, stopAll, type ServerGroup } from './server-group.ts';
import { startServer, type TestServer } from './server-process.ts';

export interface RedisSentinelOptions {
  /** Loopback port of the primary to watch. */
  readonly primaryPort: number;
  /** Default 3. */
  readonly sentinels?: number;
  /** How many must agree that the primary is gone. Default: more than half of them. */
  readonly quorum?: number;
  /** Name of the primary. Default `shapecast`. */
  readonly name?: string;
  /** How long the primary may be silent. Default 1000. */
  readonly downAfterMs?: number;
}

/** Sentinels that watch one primary. Its URL is `redis+sentinel://host:port,.../name`. */
export interface RedisSentinel extends ServerGroup {
  readonly name: string;
  /** Loopback port of the server that is the primary, as most of the living sentinels have it. */
  primary(): Promise<number>;
}

/** Starts sentinels; resolves once each knows the primary, its replicas and the other sentinels. */
export async function startRedisSentinel(options: RedisSentinelOptions): Promise<RedisSentinel> {
  const { primaryPort, sentinels = 3, name = 'shapecast', downAfterMs = 1_000 } = options;
  const quorum = options.quorum ?? Math.floor(sentinels / 2) + 1;
  const command = await findServer('redis-server');
  // They keep what they learn in this file, so it is made once.
  const config = (port: number, dataDir: string): string[] => [
    `port ${port}`,
    'bind 127.0.0.1',
    'protected-mode no',
    `dir ${dataDir}`,
    `sentinel monitor ${name} 127.0.0.1 ${primaryPort} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} ${downAfterMs * 5}`,
    '',
  ];
  const start = (): Promise<TestServer> =>
    startServer({
      name: 'sentinel',
      command,
      args: (port, dataDir) => {
        const file = join(dataDir, 'sentinel.conf');
        // A folder whose first start failed has a file with another port.
        if (!existsSync(file)) writeFileSync(file, config(port, dataDir).join('\n'));
        return [file, '--sentinel', '--port', String(port)];
      },
      url: (port) => `redis://127.0.0.1:${port}`,
      probe: async (port) => (await redisCommand(port, 'PING')) === 'PONG',
    });
  const servers = await startAll(Array.from({ length: sentinels }, () => start));
  await orStop(servers, async () => {
    const [, , replicas] = await redisRole(primaryPort);
    const expected = { others: String(sentinels - 1), replicas: String((replicas as readonly unknown[]).length) };
    for (const { port } of servers) {
      await waitFor(
        async () => {
          const known = await knowledge(port, name);
          return known.get('num-other-sentinels') === expected.others && known.get('num-slaves') === expected.replicas;
        },
        { intervalMs: 50, describe: () => `a sentinel does not know ${JSON.stringify(expected)}` },
      );
    }
  });
  return {
    name,
    servers,
    url: `redis+sentinel://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${name}`,
    primary: async () => {
      const votes = await Promise.allSettled(
        servers.map(async ({ port }) => Number((await knowledge(port, name)).get('port'))),
      );
      const ports = votes.flatMap((vote) => (vote.status === 'fulfilled' ? [vote.value] : []));
      const most = ports.toSorted((a, b) => count(ports, b) - count(ports, a))[0];
      if (most === undefined) throw new Error('no sentinel answers');
      return most;
    },
    stop: () => stopAll(servers),
  };
}

async function knowledge(port: number, name: string): Promise<ReadonlyMap<string, string>> {
  const fields = (await redisCommand(port, 'SENTINEL', 'MASTER', name)) as readonly string[];
  const pairs = fields.flatMap((field, i) => (i % 2 === 0 ? [[field, fields[i + 1] ?? ''] as const] : []));
  return new Map(pairs);
}

function count(ports: readonly number[], port: number): number {
  return ports.filter((each) => each === port).length;
}
