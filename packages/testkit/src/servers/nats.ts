import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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

/** Starts a NATS server with JetStream that stores below its data folder. */
export async function startNats(options: NatsOptions = {}): Promise<TestServer> {
  const command = await findServer('nats-server');
  const { config } = options;
  const configDir = config === undefined ? undefined : await mkdtemp(join(tmpdir(), 'shapecast-nats-config-'));
  const configFile = configDir === undefined ? undefined : join(configDir, 'nats.conf');
  if (config !== undefined && configFile !== undefined) await writeFile(configFile, config);
  const server = await startServer(
    {
      name: 'nats',
      command,
      args: (port, dataDir) => [
        ...(configFile === undefined ? [] : ['-c', configFile]),
        ...['-js', '-sd', dataDir, '-a', '127.0.0.1', '-p', String(port)],
      ],
      url: (port) => `nats://127.0.0.1:${port}`,
      probe: async (port) => (await greeting(port)).startsWith('INFO '),
    },
    options.dataDir,
  );
  if (configDir === undefined) return server;
  const stop = server.stop.bind(server);
  server.stop = async () => {
    await stop();
    await rm(configDir, { recursive: true, force: true });
  };
  return server;
}
