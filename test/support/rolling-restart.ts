import type { Cluster, ServiceRole } from '@shapecast/testkit';
import type { Load } from './load.ts';

export const ROLES: readonly ServiceRole[] = ['replicator', 'router', 'api'];

/**
 * Replaces every process of a role, one after the other, as a rolling update does that may have one too many and none too few
 * (spec O 2.6): the next starts and is ready, then the old one gets SIGTERM.
 */
export async function replaceAll(cluster: Cluster, role: ServiceRole): Promise<void> {
  for (const old of cluster.processes.filter((process) => process.role === role)) {
    await cluster.add(role);
    await cluster.remove(old.name);
    await cluster.waitReady();
  }
}

/** A rolling update of every role under load, one phase each; resolves once everybody has what was written meanwhile. */
export async function rollAll(cluster: Cluster, load: Load): Promise<void> {
  for (const role of ROLES) {
    load.begin(role);
    await replaceAll(cluster, role);
    await load.settled();
  }
}

/** Brings a role to so many processes, one after the other; those that started first go first. */
export async function scaleTo(cluster: Cluster, role: ServiceRole, count: number): Promise<void> {
  const running = () => cluster.processes.filter((process) => process.role === role);
  while (running().length < count) await cluster.add(role);
  while (running().length > count) await cluster.remove((running()[0] as { readonly name: string }).name);
  await cluster.waitReady();
}
