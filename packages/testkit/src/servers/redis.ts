import { findServer } from '../install/find-server.ts';
import { waitFor } from '../wait-for.ts';
import { redisCommand } from './resp.ts';
import { orStop } from './server-group.ts';
import { startServer, type TestServer } from './server-process.ts';

export interface RedisOptions {
  /** Path of another server that speaks the protocol, such as Valkey. Default: `redis-server` of this machine. */
  readonly program?: string;
  /** Kept after stop(); a temporary folder when unset. */
  readonly dataDir?: string;
  /** Write-ahead file, synchronised every second. Default true, as production has it. */
  readonly appendonly?: boolean;
  /** Port of the server on loopback whose replica this one is; it has the data when the start resolves. */
  readonly replicaOf?: number;
  /** Further settings by name, such as `maxmemory`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a Redis server that never evicts and keeps an append-only file, as the shape store demands. */
export async function startRedis(options: RedisOptions = {}): Promise<TestServer> {
  const { replicaOf } = options;
  const settings = {
    bind: '127.0.0.1',
    'protected-mode': 'no',
    daemonize: 'no',
    save: '',
    appendonly: (options.appendonly ?? true) ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    // Otherwise a primary collects replicas for five seconds before it sends the first of them anything.
    'repl-diskless-sync-delay': '0',
    // And waits ten seconds at its end for replicas that may be gone.
    'shutdown-timeout': '0',
    ...(replicaOf === undefined ? {} : { replicaof: `127.0.0.1 ${replicaOf}` }),
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await startServer(
    {
      name: 'redis',
      command: options.program ?? (await findServer('redis-server')),
      args: (port, dataDir) => ['--port', String(port), '--dir', dataDir, ...args],
      url: (port) => `redis://127.0.0.1:${port}`,
      // Answers -LOADING while it reads its file.
      probe: async (port) => (await redisCommand(port, 'PING')) === 'PONG',
    },
    options.dataDir,
  );
  if (replicaOf !== undefined) await orStop([server], () => replicaInSync(server.port, replicaOf));
  return server;
}

/** Resolves once a replica has what its primary has, and the primary counts on it. */
async function replicaInSync(port: number, primaryPort: number): Promise<void> {
  const inSync = async (): Promise<boolean> => {
    const [replica, primary] = await Promise.all([redisRole(port), redisRole(primaryPort)]);
    return replica[3] === 'connected' && JSON.stringify(primary[2]).includes(`"${port}"`);
  };
  await waitFor(inSync, { describe: () => 'the replica has no data' });
}

/** `['master', offset, replicas]`, or `['slave', host, port, state, offset]`. */
export async function redisRole(port: number): Promise<readonly unknown[]> {
  return (await redisCommand(port, 'ROLE')) as readonly unknown[];
}
