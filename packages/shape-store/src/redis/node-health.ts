import { isShapecastError } from '@shapecast/errors';
import type { StoreNodeHealth } from '../store-health.ts';
import type { StoreContext } from './context.ts';
import type { StoreNode, StoreNodes } from './nodes/node.ts';

/** What each node that can be reached says of itself. */
export async function readHealth(nodes: StoreNodes): Promise<readonly StoreNodeHealth[]> {
  const all = await Promise.allSettled((await nodes.all()).map(healthOf));
  return all.flatMap((one) => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : []));
}

async function healthOf(node: StoreNode): Promise<StoreNodeHealth | undefined> {
  const context = node.lane('calls');
  const info = await allowed(() => context.redis.run('health', (client) => client.info('everything')));
  if (info === undefined) return undefined;
  const fsync = await appendFsync(context);
  return decodeHealth(node.name, info, fsync);
}

/** From the text of `INFO`, and how the append-only file is synchronised if that is known. */
export function decodeHealth(node: string, info: string, fsync: string | undefined): StoreNodeHealth {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const maxBytes = Number(field('maxmemory') ?? 0);
  const policy = field('maxmemory_policy') ?? 'noeviction';
  const wrongSettings = [
    ...(policy === 'noeviction' ? [] : [`maxmemory-policy is ${policy}, and has to be noeviction`]),
    ...(maxBytes > 0 ? [] : ['maxmemory is not set']),
    ...(field('aof_enabled') === '0' ? ['appendonly is off'] : []),
    ...(field('aof_last_write_status') === 'err' ? ['the append-only file cannot be written'] : []),
    ...(fsync === 'no' ? ['appendfsync is no, and has to be everysec or always'] : []),
  ];
  const lags = [...info.matchAll(/^slave\d+:.*?\blag=(\d+)/gm)].map(([, lag]) => Number(lag));
  return {
    node,
    usedBytes: Number(field('used_memory') ?? 0),
    maxBytes,
    evictedKeys: Number(field('evicted_keys') ?? 0),
    wrongSettings,
    replicationLagS: lags.length === 0 ? undefined : Math.max(...lags),
  };
}

async function appendFsync({ redis }: StoreContext): Promise<string | undefined> {
  const answer = await allowed(() => redis.run('health', (client) => client.config('GET', 'appendfsync')));
  return (answer as (string | undefined)[] | undefined)?.[1];
}

/** Undefined where the user may not ask, or the server does not know the question (spec D R11). */
async function allowed<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!isShapecastError(error, 'STORE_UNAVAILABLE') || error.details['reason'] === 'noperm') return undefined;
    throw error;
  }
}
