import type { ShapeStore, ShardId, ShardUse } from '@shapecast/shape-store';

export interface UsedShape {
  readonly shard: ShardId;
  readonly handle: string;
  readonly heldBytes: number;
}

/** All shards of a source. Their owners may be different routers; the store is one. */
export function shardsOf({ source, incarnation }: ShardId, shards: number): ShardId[] {
  return Array.from({ length: shards }, (_, shard) => ({ source, incarnation, shard }));
}

/** What each shard has, at most `limit` shapes of each: never all of them in memory (spec R 17 T29). */
export async function readUses(
  store: Pick<ShapeStore, 'leastRead'>,
  shards: readonly ShardId[],
  limit: number,
  waiting: 'skip' | 'include',
): Promise<(readonly [ShardId, ShardUse])[]> {
  return Promise.all(shards.map(async (shard) => [shard, await store.leastRead(shard, limit, waiting)] as const));
}

/** The shapes of all shards, the one read longest ago first, then by handle. */
export function inOrderOfUse(uses: readonly (readonly [ShardId, ShardUse])[]): UsedShape[] {
  return uses
    .flatMap(([shard, { shapes }]) => shapes.map((shape) => ({ shard, ...shape })))
    .sort((a, b) => a.readAt - b.readAt || (a.handle < b.handle ? -1 : 1));
}

/**
 * Which shapes are too many: the least recently used ones (spec R 15.5.1). Two routers that both believe that it is for them to
 * say do not end more than is too many together: what one has ended meanwhile, the other has either not counted, or names first.
 */
export function excessOf(uses: readonly (readonly [ShardId, ShardUse])[], most: number): UsedShape[] {
  const alive = uses.reduce((sum, [, use]) => sum + use.alive, 0);
  return inOrderOfUse(uses).slice(0, Math.max(0, alive - most));
}

/** Bytes of a shape beside its data; and what its data takes for each byte that is counted. */
export const SHAPE_BYTES = 2_048;
export const BYTE_WEIGHT = 1.2;

export function weightOf({ heldBytes }: UsedShape): number {
  return heldBytes * BYTE_WEIGHT + SHAPE_BYTES;
}

/** From the first on, as many as weigh that much; `most` at most. */
export function enough(shapes: readonly UsedShape[], bytes: number, most: number): UsedShape[] {
  const taken: UsedShape[] = [];
  let weight = 0;
  for (const shape of shapes) {
    if (weight >= bytes || taken.length === most) break;
    taken.push(shape);
    weight += weightOf(shape);
  }
  return taken;
}

/** By shard. */
export function grouped(shapes: readonly UsedShape[]): (readonly [ShardId, string[]])[] {
  const groups = new Map<number, readonly [ShardId, string[]]>();
  for (const { shard, handle } of shapes) {
    const group = groups.get(shard.shard);
    if (group) group[1].push(handle);
    else groups.set(shard.shard, [shard, [handle]]);
  }
  return [...groups.values()];
}
