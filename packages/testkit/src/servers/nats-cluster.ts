import { freePort } from '@shapecast/local-postgres';
import { waitFor } from '../wait-for.ts';
import { startNats } from './nats.ts';
import { orStop, startAll, stopAll, type ServerGroup } from './server-group.ts';
import type { TestServer } from './server-process.ts';

export interface NatsClusterOptions {
  /** Default 3. */
  readonly servers?: number;
  /** On top of the configuration of each server. */
  readonly config?: string;
}

/** Servers are named `nats-1` and so on, in the order of `servers`. Clients learn of no other address than those they are given. */
export interface NatsCluster extends ServerGroup {
  /** The server that leads a stream, or with no name the one that places streams; undefined while there is none. */
  leader(stream?: string): Promise<TestServer | undefined>;
}

/** Starts NATS servers that replicate to each other; resolves once one of them leads and the others follow. */
export async function startNatsCluster(options: NatsClusterOptions = {}): Promise<NatsCluster> {
  const size = options.servers ?? 3;
  const ports = async (): Promise<number[]> => Promise.all(Array.from({ length: size }, freePort));
  const [routes, monitors] = [await ports(), await ports()];
  const servers = await startAll(
    routes.map((route, i) => async () => startNats({ config: serverConfig(i, route, monitors[i] as number) })),
  );
  function serverConfig(i: number, route: number, monitor: number): string {
    const urls = routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
    return [
      `server_name: nats-${i + 1}`,
      `http: "127.0.0.1:${monitor}"`,
      // The addresses of the others would lead clients around the proxies before them.
      `cluster { name: test, listen: "127.0.0.1:${route}", no_advertise: true, routes: [${urls}] }`,
      options.config ?? '',
    ].join('\n');
  }
  /** What those that live say of the group that places streams. */
  const reports = async (query = ''): Promise<readonly JetStreamReport[]> => {
    const alive = monitors.filter((_port, i) => servers[i]?.pid !== undefined);
    const answers = await Promise.allSettled(alive.map((port) => report(port, query)));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  };
  const named = (name: string | undefined): TestServer | undefined =>
    // The others go on naming one that is gone until they have elected another.
    servers.find(({ pid }, i) => pid !== undefined && `nats-${i + 1}` === name);
  const leader = async (stream?: string): Promise<TestServer | undefined> => {
    const said = await reports(stream === undefined ? '' : '?streams=true');
    // Each believes something; a leader that lost its servers believes in itself for a while.
    const names = said.map((each) => (stream === undefined ? each.meta_cluster?.leader : streamLeader(each, stream)));
    const most = names.filter(Boolean).toSorted((a, b) => times(names, b) - times(names, a))[0];
    return most !== undefined && times(names, most) * 2 > size ? named(most) : undefined;
  };
  await orStop(servers, async () => {
    const formed = async (): Promise<boolean> => {
      // Only the one that leads knows how far the others are.
      const current = (await reports()).some(({ meta_cluster: group }) => {
        const others = group?.replicas ?? [];
        return others.length === size - 1 && others.every((replica) => replica.current === true);
      });
      return current && (await leader()) !== undefined;
    };
    await waitFor(formed, { intervalMs: 50, describe: () => 'the NATS servers have no leader' });
  });
  return { servers, url: servers.map(({ url }) => url).join(','), leader, stop: () => stopAll(servers) };
}

/** Of the server's `/jsz`: what is used here. */
interface JetStreamReport {
  readonly meta_cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current?: boolean }[];
  };
  readonly account_details?: readonly {
    readonly stream_detail?: readonly { readonly name: string; readonly cluster?: { readonly leader?: string } }[];
  }[];
}

async function report(port: number, query: string): Promise<JetStreamReport> {
  const answer = await fetch(`http://127.0.0.1:${port}/jsz${query}`, { signal: AbortSignal.timeout(2_000) });
  return (await answer.json()) as JetStreamReport;
}

function streamLeader(said: JetStreamReport, stream: string): string | undefined {
  const streams = said.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [];
  return streams.find((each) => each.name === stream)?.cluster?.leader;
}

function times(names: readonly (string | undefined)[], name: string | undefined): number {
  return names.filter((each) => each === name).length;
}
