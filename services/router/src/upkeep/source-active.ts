import { BUCKETS, readLiveRouters, type LeaderRecord, type Registries } from '@shapecast/messaging';

/** A replicator streams and every shard has an owner: what API pods call active (spec O 1.2). */
export async function isSourceActive(registries: Registries, source: string, shards: number): Promise<boolean> {
  const leaders = await registries.open<LeaderRecord>(BUCKETS.leaders.name, BUCKETS.leaders);
  const leader = await leaders.get(source);
  if (leader?.value.streaming !== true) return false;
  const owned = new Set((await readLiveRouters(registries, source)).flatMap((router) => router.owned));
  return owned.size >= shards;
}
