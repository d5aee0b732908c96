import { startCluster } from '@shapecast/testkit';
import { Load } from '../support/load.ts';
import { rollAll, scaleTo } from '../support/rolling-restart.ts';

export interface RollingRestartOptions {
  readonly clients: number;
  /** Shapes that the clients follow, the same number of clients each. */
  readonly rollingShapes: number;
  readonly writesPerSecond: number;
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
}

/**
 * A rolling update of every role, one process at a time with one too many, while clients wait at nginx and rows are written.
 * Then the API pods go from their number to twice that and to one. Counts what clients must not notice, and for each role how
 * long after its commit a row arrived. `balancer` is what the API itself answered, seen from the load balancer before it.
 */
export async function rollingRestart(options: RollingRestartOptions): Promise<Readonly<Record<string, unknown>>> {
  const { routers, apis, replicators, clients, rollingShapes: shapes, writesPerSecond } = options;
  const cluster = await startCluster({
    routers,
    apis,
    replicators,
    edge: 'nginx',
    env: { SHAPECAST_LOG_LEVEL: 'warning', SHAPECAST_PRESTOP_DELAY: '2s', SHAPECAST_DRAIN_SPREAD: '5s' },
  });
  let load: Load | undefined;
  try {
    const readersPerShape = Math.max(1, Math.round(clients / shapes));
    load = await Load.start(cluster, { shapes, readersPerShape, writesPerSecond, urls: [cluster.edgeUrl as string] });
    await load.settled();
    await rollAll(cluster, load);
    load.begin('api scaled up and down');
    await scaleTo(cluster, 'api', 2 * apis);
    await scaleTo(cluster, 'api', 1);
    await load.settled();
    const { phases, violations, ...result } = await load.finish();
    const failures = phases.flatMap((phase) => phase.failures);
    return {
      clients: shapes * readersPerShape,
      shapes,
      writesPerSecond,
      ...result,
      violations: violations.length,
      failures: failures.length,
      firstFailures: [...new Set(failures)].slice(0, 5),
      balancer: cluster.traffic,
      phases: phases.map((phase) => ({ ...phase, failures: phase.failures.length })),
    };
  } finally {
    await load?.stop();
    await cluster.stop();
  }
}
