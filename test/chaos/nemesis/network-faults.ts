import type { Cluster, LinkedService, TcpProxy } from '@shapecast/testkit';
import type { FaultKind } from './fault.ts';

const SERVICES: readonly LinkedService[] = ['postgres', 'nats', 'redis'];

type Disturbance = 'cut' | 'reset' | 'half-open' | 'delay';

/** Cuts, resets, silence and delays between processes and servers. */
export const NETWORK_FAULTS: readonly FaultKind[] = [
  ...SERVICES.flatMap((service) =>
    (['cut', 'reset', 'half-open', 'delay'] as const).map((how) => disturbing(service, how, 'one process')),
  ),
  ...SERVICES.map((service) => disturbing(service, 'cut', 'every process')),
];

function disturbing(service: LinkedService, how: Disturbance, whose: 'one process' | 'every process'): FaultKind {
  return {
    name: `${how} ${service} ${whose === 'one process' ? 'of a process' : 'of all'}`,
    part: 'network',
    loss: 'nothing',
    possible: (cluster) => linked(cluster, service),
    async begin({ cluster, chance }) {
      // An API has no business with Postgres.
      const candidates = cluster.processes.filter(({ role }) => service !== 'postgres' || role !== 'api');
      const chosen = whose === 'every process' ? candidates : [chance.pick(candidates)];
      const proxies = chosen.flatMap(({ name }) => cluster.link(name, service));
      const lagMs = 50 + chance.int(250);
      for (const proxy of proxies) disturb(proxy, how, lagMs);
      return {
        target: chosen.map(({ name }) => name).join(),
        forMs: how === 'reset' ? 0 : 1_000 + chance.int(how === 'half-open' ? 12_000 : 6_000),
        async heal() {
          for (const proxy of proxies) {
            proxy.delay(0);
            proxy.heal();
          }
        },
      };
    },
  };
}

function disturb(proxy: TcpProxy, how: Disturbance, lagMs: number): void {
  switch (how) {
    case 'cut':
      return proxy.cut();
    case 'reset':
      return proxy.reset();
    case 'half-open':
      return proxy.halfOpen();
    case 'delay':
      return proxy.delay(lagMs, lagMs / 4);
  }
}

function linked(cluster: Cluster, service: LinkedService): boolean {
  try {
    return cluster.link(cluster.processes[0]?.name ?? '', service).length > 0;
  } catch {
    return false;
  }
}
