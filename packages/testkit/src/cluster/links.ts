import { startTcpProxy, type TcpProxy } from '../network/tcp-proxy.ts';
import type { ServerUrls } from './cluster-servers.ts';

export type LinkedService = 'postgres' | 'nats' | 'redis';

/** The network between each process of a cluster and its servers: one proxy per process and address of a server. */
export class Links {
  readonly #links = new Map<string, Readonly<Record<LinkedService, readonly TcpProxy[]>>>();

  /**
   * Starts the proxies of one process and resolves with the URLs it has to use. `direct` has URLs of servers that hand
   * out addresses of their own, so that a proxy could not stay between.
   */
  async open(process: string, urls: ServerUrls, direct: readonly LinkedService[]): Promise<ServerUrls> {
    const link = async (service: LinkedService, url: string): Promise<{ proxies: TcpProxy[]; url: string }> => {
      if (direct.includes(service)) return { proxies: [], url };
      const links = await Promise.all(url.split(',').map(through));
      return { proxies: links.map(({ proxy }) => proxy), url: links.map((each) => each.url).join(',') };
    };
    const [postgres, nats, redis] = await Promise.all([
      link('postgres', urls.databaseUrl),
      link('nats', urls.natsUrl),
      link('redis', urls.redisUrl),
    ]);
    this.#links.set(process, { postgres: postgres.proxies, nats: nats.proxies, redis: redis.proxies });
    return { databaseUrl: postgres.url, natsUrl: nats.url, redisUrl: redis.url };
  }

  /** In the order of the servers. */
  of(process: string, service: LinkedService): readonly TcpProxy[] {
    const proxies = this.#links.get(process)?.[service];
    if (proxies === undefined) throw new Error(`no link of ${process}: the cluster was started without proxies`);
    if (proxies.length === 0) throw new Error(`${service} hands out addresses of its own: no proxy can stay before it`);
    return proxies;
  }

  async close(process: string): Promise<void> {
    const links = this.#links.get(process);
    this.#links.delete(process);
    await Promise.all(Object.values(links ?? {}).flatMap((proxies) => proxies.map((proxy) => proxy.stop())));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#links.keys()].map((process) => this.close(process)));
  }
}

async function through(url: string): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
  const linked = new URL(url);
  const proxy = await startTcpProxy({ targetPort: Number(linked.port) });
  linked.port = String(proxy.port);
  return { proxy, url: linked.href };
}
