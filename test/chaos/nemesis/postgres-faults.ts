import { waitFor, type ClusterServer } from '@shapecast/testkit';
import { withClient } from '../writers/connection.ts';
import { always, type FaultKind } from './fault.ts';

const part = 'postgres';
const loss = 'nothing';

export const POSTGRES_FAULTS: readonly FaultKind[] = [
  ...(['SIGINT', 'SIGQUIT'] as const).map((signal): FaultKind => ({
    name: `restart postgres ${signal === 'SIGINT' ? 'fast' : 'immediate'}`,
    part,
    loss,
    possible: always,
    async begin({ cluster, chance }) {
      const server = cluster.server('postgres');
      await end(server, signal);
      return { target: server.name, forMs: chance.int(3_000), heal: () => server.start() };
    },
  })),
  {
    name: 'kill postgres',
    part,
    loss,
    possible: always,
    async begin({ cluster, chance }) {
      const server = cluster.server('postgres');
      await server.kill();
      return { target: server.name, forMs: chance.int(3_000), heal: () => server.start() };
    },
  },
  {
    name: 'pause postgres',
    part,
    loss,
    possible: always,
    async begin({ cluster, chance }) {
      const server = cluster.server('postgres');
      await server.pause();
      return { target: server.name, forMs: 1_000 + chance.int(5_000), heal: () => server.resume() };
    },
  },
  ending('end walsenders', `backend_type = 'walsender'`),
  ending('end all sessions', 'true'),
  ending('end some sessions', 'random() < 0.5'),
];

function ending(name: string, which: string): FaultKind {
  return {
    name,
    part,
    loss,
    possible: always,
    async begin({ cluster }) {
      const sql = `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and ${which}`;
      await withClient(cluster.databaseUrl, (client) => client.query(sql));
      return { target: 'postgres', forMs: 0, heal: async () => {} };
    },
  };
}

/** By a signal to the server itself, which ends its children in its own way. */
export async function end(server: ClusterServer, signal: NodeJS.Signals): Promise<void> {
  if (server.pid === undefined) return;
  process.kill(server.pid, signal);
  await waitFor(() => server.pid === undefined, { describe: () => `${server.name} does not end at ${signal}` });
}
