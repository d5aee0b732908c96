import type { Cluster, ClusterServer } from '@shapecast/testkit';
import type { Chance } from '../../support/chance.ts';
import { always, type FaultKind } from './fault.ts';
import { natsRequest } from './raw-nats.ts';
import { streamLeader, txStream } from './tx-stream.ts';

const part = 'nats';
const loss = 'nothing';
const three = (cluster: Cluster): boolean => cluster.serversOf('nats').length === 3;

export const NATS_FAULTS: readonly FaultKind[] = [
  killing('kill one nats', three, async (servers, chance) => [chance.pick(servers)]),
  killing('kill the leader of the stream', three, async (servers, _, urls) => {
    const leader = await streamLeader(urls);
    return servers.filter(({ name }) => name === leader);
  }),
  killing('kill two nats', three, async (servers, chance) => chance.shuffle(servers).slice(0, 2)),
  killing('kill every nats', always, async (servers) => servers),
  {
    name: 'pause one nats',
    part,
    loss,
    possible: always,
    async begin({ cluster, chance }) {
      const server = chance.pick(cluster.serversOf('nats'));
      await server.pause();
      return { target: server.name, forMs: 1_000 + chance.int(7_000), heal: () => server.resume() };
    },
  },
  {
    name: 'delete the stream',
    part,
    loss,
    destructive: true,
    possible: always,
    async begin({ cluster }) {
      const stream = await txStream(cluster.natsUrl);
      await natsRequest(cluster.natsUrl, `$JS.API.STREAM.DELETE.${stream}`, undefined);
      return { target: stream ?? 'none', forMs: 0, heal: async () => {} };
    },
  },
  {
    name: 'purge the stream',
    part,
    loss,
    destructive: true,
    possible: always,
    async begin({ cluster }) {
      const stream = await txStream(cluster.natsUrl);
      await natsRequest(cluster.natsUrl, `$JS.API.STREAM.PURGE.${stream}`, undefined);
      return { target: stream ?? 'none', forMs: 0, heal: async () => {} };
    },
  },
];

function killing(
  name: string,
  possible: (cluster: Cluster) => boolean,
  choose: (servers: readonly ClusterServer[], chance: Chance, urls: string) => Promise<readonly ClusterServer[]>,
): FaultKind {
  return {
    name,
    part,
    loss,
    possible,
    async begin({ cluster, chance }) {
      const chosen = await choose(cluster.serversOf('nats'), chance, cluster.natsUrl);
      if (chosen.length === 0) throw new Error('the stream has no leader');
      await Promise.all(chosen.map((server) => server.kill()));
      return {
        target: chosen.map((server) => server.name).join(),
        forMs: chance.int(4_000),
        heal: async () => void (await Promise.all(chosen.map((server) => server.start()))),
      };
    },
  };
}
