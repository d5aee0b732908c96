import type { Cluster } from '@shapecast/testkit';
import type { Chance } from '../support/chance.ts';
import { pause, withClient } from './tables.ts';

/** Does harm now and then until the signal aborts, and mends all of it before it returns. Tells each by name. */
export async function harmUntil(
  cluster: Cluster,
  chance: Chance,
  onFault: (name: string) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(300 + chance.int(1_500), signal);
    if (signal.aborted) return;
    await harm(cluster, chance, onFault, signal);
  }
}

async function harm(
  cluster: Cluster,
  chance: Chance,
  onFault: (name: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const process = chance.pick(cluster.processes);
  const server = chance.pick(cluster.servers);
  switch (chance.int(6)) {
    case 0:
      onFault(`kill ${process.name}`);
      return process.kill();
    case 1:
      onFault(`stop ${process.name}`);
      return process.kill('SIGTERM');
    case 2: {
      onFault(`pause ${process.name}`);
      await process.pause();
      await pause(chance.int(6_000), signal);
      return process.resume();
    }
    case 3: {
      onFault(`kill ${server.name}`);
      await server.kill();
      await pause(chance.int(2_000), signal);
      return server.start();
    }
    case 4: {
      onFault(`pause ${server.name}`);
      await server.pause();
      await pause(chance.int(4_000), signal);
      return server.resume();
    }
    default: {
      onFault('end sessions');
      const some = `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and random() < 0.5`;
      await withClient(cluster.databaseUrl, (client) => client.query(some)).catch(() => undefined);
    }
  }
}
