import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore, StoreNodeHealth } from '@shapecast/shape-store';
import type { Metrics } from '@shapecast/telemetry';

interface StoreGaugesDeps {
  readonly store: Pick<ShapeStore, 'health' | 'connected'>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 10_000;
/** A node that cannot say how it is doing is not shown as it once was. */
const KNOWN_MS = 30_000;

/** How the servers of the store are doing, looked at now and then by each router process until `signal` aborts. Never rejects. */
export async function watchStore(deps: StoreGaugesDeps, signal: AbortSignal, lookMs = LOOK_MS): Promise<void> {
  const { store, metrics, clock, log } = deps;
  const nodes = new Map<string, ShownNode>();
  const stop = metrics.gauge('shapecast.redis.connected', {}, () => (store.connected() ? 1 : 0));
  while (!signal.aborted) {
    try {
      for (const health of await store.health()) {
        const shown = nodes.get(health.node) ?? new ShownNode(metrics, clock, health.node);
        nodes.set(health.node, shown);
        if (shown.tell(health)) {
          log.warn({ node: health.node, wrong: health.wrongSettings }, 'the store is not set as shapes need it');
        }
      }
    } catch (err) {
      log.debug({ err }, 'the servers of the store did not say how they are doing');
    }
    for (const [name, shown] of nodes) {
      if (shown.known) continue;
      shown.end();
      nodes.delete(name);
    }
    await clock.sleep(lookMs, signal).catch(() => undefined);
  }
  stop();
  for (const shown of nodes.values()) shown.end();
}

class ShownNode {
  readonly #clock: Clock;
  readonly #ends: readonly (() => void)[];
  #health: StoreNodeHealth | undefined;
  #at = -Infinity;
  #wrong = '';

  constructor(metrics: Metrics, clock: Clock, name: string) {
    this.#clock = clock;
    const known = () => (this.known ? this.#health : undefined);
    this.#ends = [
      metrics.gauge('shapecast.redis.memory_ratio', { name }, () => {
        const health = known();
        return health === undefined || health.maxBytes === 0 ? undefined : health.usedBytes / health.maxBytes;
      }),
      metrics.gauge('shapecast.redis.evicted.count', { name }, () => known()?.evictedKeys),
      metrics.gauge('shapecast.redis.settings_wrong', { name }, () => {
        const health = known();
        return health === undefined ? undefined : health.wrongSettings.length > 0 ? 1 : 0;
      }),
      metrics.gauge('shapecast.redis.replication_lag', { name }, () => known()?.replicationLagS),
    ];
  }

  get known(): boolean {
    return this.#clock.now() - this.#at < KNOWN_MS;
  }

  /** True when something is set wrongly that was not before. */
  tell(health: StoreNodeHealth): boolean {
    this.#health = health;
    this.#at = this.#clock.now();
    const wrong = health.wrongSettings.join(' ');
    const isNews = wrong !== '' && wrong !== this.#wrong;
    this.#wrong = wrong;
    return isNews;
  }

  end(): void {
    for (const end of this.#ends) end();
  }
}
