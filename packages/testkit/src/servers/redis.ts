import { findServer } from '../install/find-server.ts';
import { greeting } from './greeting.ts';
import { startServer, type TestServer } from './server-process.ts';

export interface RedisOptions {
  /** Kept after stop(); a temporary folder when unset. */
  readonly dataDir?: string;
  /** Write-ahead file, synchronised every second. Default true, as production has it. */
  readonly appendonly?: boolean;
  /** Further settings by name, such as `maxmemory`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a Redis server that never evicts and keeps an append-only file, as the shape store demands. */
export async function startRedis(options: RedisOptions = {}): Promise<TestServer> {
  const settings = {
    bind: '127.0.0.1',
    'protected-mode': 'no',
    daemonize: 'no',
    save: '',
    appendonly: (options.appendonly ?? true) ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return startServer(
    {
      name: 'redis',
      command: await findServer('redis-server'),
      args: (port, dataDir) => ['--port', String(port), '--dir', dataDir, ...args],
      url: (port) => `redis://127.0.0.1:${port}`,
      // Answers -LOADING while it reads its file.
      probe: async (port) => (await greeting(port, 'PING\r\n')) === '+PONG',
    },
    options.dataDir,
  );
}
