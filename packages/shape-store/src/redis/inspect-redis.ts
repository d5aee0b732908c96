import { clockOffset, parseRedisUrl, withoutCredentials, type Clock } from '@shapecast/service-kit';
import { Redis } from 'ioredis';
import type { StoreInspection, StoreServer } from '../store-inspection.ts';
import { unavailable, type RedisAddress } from './connection.ts';
import { sentinelAddress, serverAddress, type RedisPlaceOptions } from './nodes/open-nodes.ts';

const TIMEOUT_MS = 5_000;

type Place = Pick<RedisPlaceOptions, 'url' | 'cluster' | 'caCertificate'>;

/** Looks at the server, or at the primaries of the cluster. Connects once to each and waits for nobody. Throws STORE_UNAVAILABLE. */
export async function inspectRedis(
  options: Place,
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<StoreInspection> {
  const place = parseRedisUrl(options.url);
  if ('problem' in place) throw new Error(`the URL of redis is wrong: ${place.problem}`);
  const { caCertificate } = options;
  const inspect = (address: RedisAddress, name: string) =>
    connected({ address, caCertificate, signal }, (redis) => inspectServer(redis, name, clock));
  if (place.kind === 'sentinel') {
    return { nodes: [await inspect(sentinelAddress(place, caCertificate), place.name)], cluster: undefined };
  }
  const seeds = place.urls.map(serverAddress);
  const [seed] = seeds;
  if (seed === undefined) throw new Error('a place of redis has a server');
  if (options.cluster !== true) return { nodes: [await inspect(seed, nameOf(seed))], cluster: undefined };
  const map = await firstOf(seeds, (address) => connected({ address, caCertificate, signal }, clusterMap));
  if (map.primaries.length === 0) {
    return { nodes: [await inspect(seed, nameOf(seed))], cluster: { state: map.state, servedSlots: map.servedSlots } };
  }
  const addresses = map.primaries.map(([host, port]): RedisAddress => ({ ...seed, host: host || seed.host, port }));
  const looks = await Promise.allSettled(addresses.map((address) => inspect(address, nameOf(address))));
  const nodes = looks.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = looks.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { nodes, cluster: { state: map.state, servedSlots: map.servedSlots } };
}

function nameOf({ host, port }: RedisAddress): string {
  return `${host}:${port}`;
}

interface ClusterMap {
  readonly state: string;
  readonly servedSlots: number;
  /** A node may not know its own address; then the host is empty. */
  readonly primaries: readonly (readonly [host: string, port: number])[];
}

async function clusterMap(redis: Redis): Promise<ClusterMap> {
  const info = fieldsOf(await readOrUndefined(() => redis.cluster('INFO')));
  // One that is in no cluster refuses the question.
  if (info.size === 0) return { state: 'disabled', servedSlots: 0, primaries: [] };
  const ranges = (await redis.cluster('SLOTS')) as unknown as [number, number, [string | null, number]][];
  const primaries = new Map(ranges.map(([, , [host, port]]) => [`${host}:${port}`, [host ?? '', port] as const]));
  return {
    state: info.get('cluster_state') ?? 'unknown',
    servedSlots: Number(info.get('cluster_slots_ok') ?? 0),
    primaries: [...primaries.values()],
  };
}

async function inspectServer(redis: Redis, name: string, clock: Clock): Promise<StoreServer> {
  const info = fieldsOf(await redis.info());
  const loading = info.get('loading') === '1';
  const appendOnly = info.get('aof_enabled') === '1';
  const minReplicas = loading ? undefined : await setting(redis, 'min-replicas-to-write');
  return {
    name,
    product: info.has('valkey_version') ? 'valkey' : 'redis',
    version: info.get('redis_version') ?? '',
    role: info.get('role') === 'slave' ? 'replica' : 'primary',
    inCluster: info.get('cluster_enabled') === '1',
    loading,
    usedBytes: Number(info.get('used_memory') ?? 0),
    maxBytes: Number(info.get('maxmemory') ?? 0),
    evictionPolicy: info.get('maxmemory_policy') ?? '',
    appendOnly,
    appendFailed: info.get('aof_last_write_status') === 'err',
    replicas: Number(info.get('connected_slaves') ?? 0),
    appendFsync: loading ? undefined : await setting(redis, 'appendfsync'),
    minReplicasToWrite: minReplicas === undefined ? undefined : Number(minReplicas),
    clock: loading ? undefined : await clockOffset(clock, () => timeOf(redis)),
  };
}

/** Undefined where the user may not ask (spec D R11). */
async function setting(redis: Redis, name: string): Promise<string | undefined> {
  const answer = await readOrUndefined(async () => (await redis.config('GET', name)) as (string | undefined)[]);
  return answer?.[1];
}

async function timeOf(redis: Redis): Promise<number | undefined> {
  const answer = await readOrUndefined(() => redis.time());
  return answer && Number(answer[0]) * 1_000 + Number(answer[1]) / 1_000;
}

/** Undefined when the server refuses; it is still there. */
async function readOrUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return undefined;
    throw error;
  }
}

function fieldsOf(info: string | undefined): ReadonlyMap<string, string> {
  const lines = (info ?? '').split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

async function firstOf<A, T>(all: readonly A[], ask: (one: A) => Promise<T>): Promise<T> {
  let failure: unknown;
  for (const one of all) {
    try {
      return await ask(one);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** Does something on a connection of its own, which is cut when `signal` aborts. Every failure is STORE_UNAVAILABLE. */
async function connected<T>(
  target: {
    readonly address: RedisAddress;
    readonly caCertificate: string | undefined;
    readonly signal: AbortSignal;
  },
  work: (redis: Redis) => Promise<T>,
): Promise<T> {
  const { address, caCertificate, signal } = target;
  signal.throwIfAborted();
  const redis = new Redis({
    ...address,
    ...(caCertificate === undefined ? {} : { tls: { ca: caCertificate } }),
    lazyConnect: true,
    connectionName: 'shapecast-doctor',
    // A server that reads its data answers what it is asked here.
    enableReadyCheck: false,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
  });
  // What goes wrong first says why: a password that is refused is an event, and then every command is.
  let first: Error | undefined;
  redis.on('error', (error: Error) => (first ??= error));
  const cut = () => redis.disconnect();
  signal.addEventListener('abort', cut, { once: true });
  try {
    await redis.connect();
    return await work(redis);
  } catch (error) {
    signal.throwIfAborted();
    throw refusal(first ?? error);
  } finally {
    signal.removeEventListener('abort', cut);
    redis.disconnect();
  }
}

function refusal(error: unknown): Error {
  const text = withoutCredentials(error instanceof Error ? error.message : String(error));
  const unauthorized = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH)/.test(text);
  const message = unauthorized ? `Redis rejected the user or password: ${text}` : `Redis did not answer: ${text}`;
  return unavailable(message, { reason: unauthorized ? 'unauthorized' : 'disconnected' }, error);
}
