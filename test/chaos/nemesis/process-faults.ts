import { waitFor, type Cluster, type ClusterProcess, type ServiceRole } from '@shapecast/testkit';
import type { Chance } from '../../support/chance.ts';
import { pause } from '../writers/connection.ts';
import { always, type FaultKind, type NemesisContext } from './fault.ts';

const ROLES: readonly ServiceRole[] = ['replicator', 'router', 'api'];

const PAUSE_MS = { min: 1_000, max: 20_000 };

/** Kills, ends and pauses of the processes of each role, and more or fewer of them. */
export const PROCESS_FAULTS: readonly FaultKind[] = [
  ...ROLES.flatMap((role) => [ending(role, 'SIGKILL'), ending(role, 'SIGTERM'), pausing(role)]),
  {
    name: 'kill every process',
    part: 'processes',
    loss: 'nothing',
    possible: always,
    async begin({ cluster }) {
      const before = new Map(cluster.processes.map((process) => [process, process.pid]));
      await Promise.all(cluster.processes.map((process) => process.kill()));
      const back = (): boolean => cluster.processes.every((process) => process.pid !== before.get(process));
      return { target: 'all', forMs: 0, heal: async () => void (await waitFor(back)) };
    },
  },
  ...(['router', 'api'] as const).map((role): FaultKind => ({
    name: `one more ${role}`,
    part: 'size',
    loss: 'nothing',
    possible: always,
    async begin(context) {
      const { cluster, chance, signal } = context;
      const name = await addProcess(context, role);
      await pause(3_000 + chance.int(5_000), signal);
      // Whichever goes, the number is what it was.
      const leaving = chance.chance(0.5) ? name : pick(cluster, chance, role).name;
      return { target: `${name} came, ${leaving} goes`, forMs: 0, heal: () => cluster.remove(leaving) };
    },
  })),
];

function ending(role: ServiceRole, signal: 'SIGKILL' | 'SIGTERM'): FaultKind {
  return {
    name: `${signal} ${role}`,
    part: 'processes',
    loss: 'nothing',
    possible: always,
    async begin({ cluster, chance }) {
      const process = pick(cluster, chance, role);
      const { pid } = process;
      await process.kill(signal);
      return {
        target: process.name,
        forMs: 0,
        heal: async () => void (await waitFor(() => process.pid !== pid)),
      };
    },
  };
}

function pausing(role: ServiceRole): FaultKind {
  return {
    name: `pause ${role}`,
    part: 'processes',
    loss: 'nothing',
    possible: always,
    async begin({ cluster, chance }) {
      const process = pick(cluster, chance, role);
      await process.pause();
      const forMs = PAUSE_MS.min + chance.int(chance.chance(0.3) ? PAUSE_MS.max - PAUSE_MS.min : 5_000);
      return { target: process.name, forMs, heal: () => process.resume() };
    },
  };
}

/** The new one has to be led to the Redis that is the primary by now before it can become ready. */
async function addProcess({ cluster, redisPrimary }: NemesisContext, role: ServiceRole): Promise<string> {
  const before = new Set(cluster.processes.map(({ name }) => name));
  const adding = cluster.add(role);
  const primary = cluster.serversOf('redis').find(({ name }) => name === redisPrimary);
  if (primary !== undefined && primary !== cluster.server('redis')) {
    const added = await Promise.race([waitFor(() => cluster.processes.find(({ name }) => !before.has(name))), adding]);
    for (const proxy of cluster.link(added.name, 'redis')) proxy.retarget(primary.port);
  }
  return (await adding).name;
}

function pick(cluster: Cluster, chance: Chance, role: ServiceRole): ClusterProcess {
  return chance.pick(cluster.processes.filter((process) => process.role === role));
}
