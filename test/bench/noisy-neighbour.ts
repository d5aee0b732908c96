import { startCluster } from '@shapecast/testkit';
import { delaysOf, SourceLoad } from '../support/source-load.ts';

export interface NoisyNeighbourOptions {
  /** Quiet sources, beside the loud one. */
  readonly sources: number;
  /** Rows per second of each quiet source. */
  readonly writesPerSource: number;
  readonly seconds: number;
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
}

/** Row changes per second that the loud source may have replicated. */
const QUOTA = 50;
const TIMES = 20;

/**
 * What a source that writes 20 times what it may does to the others: their delays from commit to client before and meanwhile. Before,
 * it writes what it may.
 */
export async function noisyNeighbour(options: NoisyNeighbourOptions): Promise<Readonly<Record<string, unknown>>> {
  const { sources, writesPerSource, seconds, routers, apis, replicators } = options;
  const quiet = Object.fromEntries(Array.from({ length: sources }, (_, i) => [`quiet-${i}`, {}]));
  const cluster = await startCluster({
    ...{ routers, apis, replicators },
    sources: { ...quiet, loud: { limits: { changesPerSecond: QUOTA } } },
    env: { SHAPECAST_LOG_LEVEL: 'warning' },
  });
  const loads: SourceLoad[] = [];
  try {
    loads.push(...(await Promise.all(cluster.sources.map((source) => SourceLoad.start(cluster.url, source)))));
    const loud = loads.find(({ id }) => id === 'loud') as SourceLoad;
    const others = loads.filter((load) => load !== loud);
    const done = new AbortController();
    const writers = others.map((load) => load.write(writesPerSource, done.signal));
    const phase = async (perSecond: number, together: number) => {
      const over = new AbortController();
      const writing = loud.write(perSecond, over.signal, together);
      await pause(3_000);
      for (const load of loads) load.take();
      const writtenBefore = loud.writes;
      await pause(seconds * 1_000);
      const result = {
        loudWrites: loud.writes - writtenBefore,
        loudDelaysMs: delaysOf(loud.take()),
        othersDelaysMs: delaysOf(others.flatMap((load) => load.take())),
      };
      over.abort();
      await writing;
      return result;
    };
    // Fifty sources have just started; what that takes is no measure for either phase.
    await pause(10_000);
    const before = await phase(QUOTA / 2, 1);
    const meanwhile = await phase(TIMES * QUOTA, 10);
    done.abort();
    await Promise.all(writers);
    await Promise.all(others.map((load) => load.settled()));
    return {
      ...{ sources, writesPerSource, seconds, routers, apis, replicators, quota: QUOTA, times: TIMES },
      before,
      meanwhile,
      p99Ratio: Math.round((100 * meanwhile.othersDelaysMs.p99) / before.othersDelaysMs.p99) / 100,
      rowsOfOthers: loads.reduce((sum, load) => sum + load.foreign, 0),
      failures: others.flatMap((load) => load.failures).length,
    };
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
    await cluster.stop();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
