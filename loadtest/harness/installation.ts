import { startCluster, type Cluster } from '@shapecast/testkit';
import type { Plan } from '../lib/plan.ts';
import type { LoadtestArguments, Target } from './arguments.ts';
import type { WatchedProcess } from './process-samples.ts';

/** What is put under load. */
export interface Installation {
  readonly url: string;
  readonly edgeUrl: string | undefined;
  readonly targets: readonly Target[];
  processes(): readonly WatchedProcess[];
  stop(): Promise<void>;
}

/** The one that runs already, or one on this machine, with the sources, settings and edge that the plan wants. */
export async function openInstallation(
  { given, edge, processes }: LoadtestArguments,
  plan: Plan,
  signal: AbortSignal,
): Promise<Installation> {
  if (given !== undefined) {
    const { url, targets } = given;
    const edgeUrl = edge !== undefined || plan.edge ? given.edgeUrl : undefined;
    if ((edge !== undefined || plan.edge) && edgeUrl === undefined) throw new Error('--edge-url is missing');
    return { url, edgeUrl, targets, processes: () => [], stop: async () => {} };
  }
  const kind = edge ?? (plan.edge ? 'varnish' : undefined);
  const cluster = await startCluster({
    ...processes,
    ...(kind === undefined ? {} : { edge: kind }),
    ...(plan.writers.every(({ source }) => source === undefined) ? {} : { sources: sourcesOf(plan) }),
    env: { SHAPECAST_LOG_LEVEL: 'warning', ...plan.env },
    signal,
  });
  return {
    url: cluster.url,
    edgeUrl: cluster.edgeUrl,
    targets: targetsOf(cluster),
    processes: () => [...cluster.processes, ...cluster.servers].map(({ name, pid }) => ({ name, pid })),
    stop: () => cluster.stop(),
  };
}

function sourcesOf(plan: Plan): Readonly<Record<string, object>> {
  return Object.fromEntries(
    plan.writers.map(({ source = '', quota }) => [
      source,
      quota === undefined ? {} : { limits: { changesPerSecond: quota } },
    ]),
  );
}

function targetsOf(cluster: Cluster): readonly Target[] {
  if (cluster.sources.length === 0) return [{ source: '', databaseUrl: cluster.databaseUrl }];
  return cluster.sources.map(({ id, databaseUrl, secret }) => ({ source: id, databaseUrl, secret }));
}
