import type { TestProject } from 'vitest/node';
import { startNats } from '../servers/nats.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { SharedServer, SharedServers } from './shared-servers.ts';

/**
 * Starts one Postgres, one NATS and one Redis server for the whole run. A server that cannot be had fails the tests that ask
 * for it and no others; SHAPECAST_TEST_SERVERS=none starts none at all, for runs of pure tests.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.env['SHAPECAST_TEST_SERVERS'] === 'none') {
    const server = { missing: 'SHAPECAST_TEST_SERVERS is none' };
    project.provide('shapecastServers', { postgres: server, nats: server, redis: server } satisfies SharedServers);
    return async () => {};
  }
  const running: { stop(): Promise<void> }[] = [];
  const share = async (start: () => Promise<{ url: string; stop(): Promise<void> }>): Promise<SharedServer> => {
    try {
      const server = await start();
      running.push(server);
      return { url: server.url };
    } catch (error) {
      return { missing: error instanceof Error ? error.message : String(error) };
    }
  };
  const [postgres, nats, redis] = await Promise.all([share(startPostgres), share(startNats), share(startRedis)]);
  project.provide('shapecastServers', { postgres, nats, redis } satisfies SharedServers);
  return async () => {
    await Promise.all(running.map((server) => server.stop()));
  };
}
