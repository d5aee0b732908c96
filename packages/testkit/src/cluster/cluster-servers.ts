import type { LocalPostgresOptions } from '@shapecast/local-postgres';
import { startNatsCluster } from '../servers/nats-cluster.ts';
import { startNats } from '../servers/nats.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { startRedisSentinel } from '../servers/redis-sentinel.ts';
import { startRedis } from '../servers/redis.ts';
import type { TestServer } from '../servers/server-process.ts';

export const REDIS_KINDS = ['single', 'replica', 'sentinel', 'cluster'] as const;
/**
 * `replica`: one replica, and nothing that would make it the primary. `sentinel`: the same, watched by three sentinels.
 * `cluster`: three masters.
 */
export type RedisKind = (typeof REDIS_KINDS)[number];

export interface ServerChoice {
  readonly postgres?: LocalPostgresOptions;
  readonly nats?: 1 | 3;
  readonly redis?: RedisKind;
  /** Servers to use instead of starting our own. */
  readonly databaseUrl?: string;
  readonly natsUrl?: string;
  readonly redisUrl?: string;
}

/** A server the cluster started for itself. */
export interface ClusterServer extends TestServer {
  /** Its role, with a number where there are several: `nats-1`. An edge has the name of its program. */
  readonly name: string;
  readonly role: 'postgres' | 'nats' | 'redis' | 'sentinel' | 'edge';
}

export interface ServerUrls {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
}

/** The servers of a cluster, in the order in which they started. */
export class ClusterServers {
  readonly list: ClusterServer[] = [];
  readonly #onEvent: (event: string) => void;

  constructor(onEvent: (event: string) => void) {
    this.#onEvent = onEvent;
  }

  /** Starts those without a URL; rejects once all of them have started or failed, so that stop() finds all of them. */
  async start(choice: ServerChoice): Promise<ServerUrls> {
    const started = await Promise.allSettled([
      choice.databaseUrl ?? this.add('postgres', () => startPostgres(choice.postgres)),
      choice.natsUrl ?? this.#startNats(choice.nats ?? 1),
      choice.redisUrl ?? this.#startRedis(choice.redis ?? 'single'),
    ]);
    const urls = started.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    const [databaseUrl, natsUrl, redisUrl] = urls as [string, string, string];
    return { databaseUrl, natsUrl, redisUrl };
  }

  async add(role: ClusterServer['role'], start: () => Promise<TestServer>, name: string = role): Promise<string> {
    return this.#register(await start(), role, name).url;
  }

  of(role: ClusterServer['role']): readonly ClusterServer[] {
    return this.list.filter((server) => server.role === role);
  }

  /** The only one of its role, or the first. */
  first(role: ClusterServer['role']): ClusterServer {
    const [server] = this.of(role);
    if (server === undefined) throw new Error(`the cluster uses a ${role} server that it did not start`);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all(this.list.map((server) => server.stop()));
  }

  async #startNats(count: 1 | 3): Promise<string> {
    if (count === 1) return this.add('nats', startNats);
    const { servers, url } = await startNatsCluster({ servers: count });
    this.#registerAll(servers, 'nats');
    return url;
  }

  async #startRedis(kind: RedisKind): Promise<string> {
    switch (kind) {
      case 'single':
        return this.add('redis', startRedis);
      case 'replica':
      case 'sentinel': {
        const primary = await startRedis();
        this.#register(primary, 'redis', 'redis-1');
        await this.add('redis', () => startRedis({ replicaOf: primary.port }), 'redis-2');
        if (kind === 'replica') return primary.url;
        const sentinels = await startRedisSentinel({ primaryPort: primary.port });
        this.#registerAll(sentinels.servers, 'sentinel');
        return sentinels.url;
      }
      case 'cluster': {
        const { servers, url } = await startRedisCluster();
        this.#registerAll(servers, 'redis');
        return url;
      }
    }
  }

  #registerAll(servers: readonly TestServer[], role: ClusterServer['role']): void {
    for (const [i, server] of servers.entries()) this.#register(server, role, `${role}-${i + 1}`);
  }

  /** The handle's getters must stay live, so it is extended and not copied. */
  #register(server: TestServer, role: ClusterServer['role'], name: string): ClusterServer {
    const registered = Object.assign(server, { name, role });
    this.list.push(registered);
    this.#onEvent(`${name} runs at ${server.url}, pid ${server.pid}`);
    return registered;
  }
}

/** What the services must be told of the kind of their servers, beside URLs. */
export function serverSettings(choice: ServerChoice): Readonly<Record<string, string>> {
  return {
    ...(choice.nats === 3 ? { SHAPECAST_STREAM_REPLICAS: '3' } : {}),
    ...(choice.redis === 'cluster' ? { SHAPECAST_REDIS_CLUSTER: 'true' } : {}),
  };
}
