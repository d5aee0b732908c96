import type { RouterRecord } from '@shapecast/messaging';
import { assignShards } from './rendezvous.ts';

/** What one router has to do, by what all of them say. */
interface ShardPlan {
  /** Shards that this router is to own. */
  readonly wanted: ReadonlySet<number>;
  /** Of those, the ones that another live router still has: their shapes are loaded meanwhile. */
  readonly prepare: readonly number[];
  /** Of those, the ones that nobody has. */
  readonly take: readonly number[];
  /** Shards of this router whose next owner is ready to go on with them. */
  readonly release: readonly number[];
}

/** Hand-overs that a router prepares at a time: each one loads all shapes of a shard. */
const PREPARED_AT_ONCE = 2;

/**
 * Computed alike by every router from what all of them say, so that they need no leader. A shard moves in three steps, each told by a
 * record: its next owner loads the shapes, its owner releases it, the next one acquires it and loads what changed since. Readers are
 * held up from the second step on only. What every router says may be out of date: the store decides who writes (spec R 13.2).
 */
export function planShards(
  shards: number,
  routers: readonly RouterRecord[],
  me: { readonly id: string; readonly holding: ReadonlySet<number>; readonly prepared: ReadonlySet<number> },
  source = '',
  pins: ReadonlyMap<number, string> = new Map(),
): ShardPlan {
  const able = candidates(routers);
  // What an operator has moved is beside the even share, so that nothing else moves with it.
  const owners = assignShards(shards, able, source).map((owner, shard) => {
    const pinned = pins.get(shard);
    return pinned !== undefined && able.some(({ id }) => id === pinned) ? pinned : owner;
  });
  const others = routers.filter(({ id }) => id !== me.id);
  const has = (shard: number) => others.some(({ owned }) => owned.includes(shard));
  const wanted = owners.flatMap((owner, shard) => (owner === me.id ? [shard] : []));
  const missing = wanted.filter((shard) => !me.holding.has(shard));
  // Those that are prepared stay so, also when others have come before them.
  const held = missing.filter(has).sort((a, b) => Number(me.prepared.has(b)) - Number(me.prepared.has(a)));
  const release = [...me.holding].filter((shard) => {
    const next = owners[shard];
    return next !== me.id && others.some(({ id, prepared }) => id === next && prepared?.includes(shard));
  });
  return {
    wanted: new Set(wanted),
    prepare: held.slice(0, PREPARED_AT_ONCE + held.filter((shard) => me.prepared.has(shard)).length),
    take: missing.filter((shard) => !has(shard)),
    release,
  };
}

/** Who is to have shards: with nobody better, those that would rather not. One that is leaving gets none. */
function candidates(routers: readonly RouterRecord[]): readonly RouterRecord[] {
  const staying = routers.filter(({ reluctant }) => reluctant !== 'leaving');
  const willing = staying.filter(({ reluctant }) => reluctant === undefined);
  if (willing.length > 0) return willing;
  const reachable = staying.filter(({ reluctant }) => reluctant !== 'store');
  return reachable.length > 0 ? reachable : staying;
}
