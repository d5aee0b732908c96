import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findServer } from '../install/find-server.ts';
import { greeting } from './greeting.ts';
import { startServer, type TestServer } from './server-process.ts';

export interface NatsOptions {
  /** Kept after stop(); a temporary folder when unset. */
  readonly dataDir?: string;
  /** Text of a configuration file, for what has no command line option. */
  readonly config?: string;
}

/**
 * Streams reserve what they may grow to, and a server has three quarters of the free disk to give unless it is told: a hundred streams
 * of a test run would be refused on a disk that they never fill.
 */
const RESERVABLE = 'jetstream { max_file_store: 10TB }';

/** Starts a NATS server with JetStream that stores below its data folder. */
export async function startNats(options: NatsOptions = {}): Promise<TestServer> {
  const command = await findServer('nats-server');
  const { config } = options;
  return startServer(
    {
      name: 'nats',
      command,
      args: (port, dataDir) => {
        const file = join(dataDir, 'nats.conf');
        writeFileSync(file, `${RESERVABLE}\n${config ?? ''}`);
        return ['-c', file, '-js', '-sd', dataDir, '-a', '127.0.0.1', '-p', String(port)];
      },
      url: (port) => `nats://127.0.0.1:${port}`,
      probe: async (port) => (await greeting(port)).startsWith('INFO '),
    },
    options.dataDir,
  );
}
