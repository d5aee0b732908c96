/** A router that shards are given to. */
interface Candidate {
  readonly id: string;
  /** Shards that it has room for; any number unless given. */
  readonly most?: number;
}

/**
 * Who owns which shard, computed alike by everybody from the same list of routers: each shard goes to the router that draws the
 * highest number for it, except that no router takes more than its even share. A router that comes or goes moves little more
 * than its own shards (spec R 13.1.2). What some have no room for goes to the others, unless nobody has. Each source draws for itself, so
 * that the first shards of many sources are not all with one router (spec O 4.7).
 */
export function assignShards(shards: number, candidates: readonly Candidate[], source = ''): string[] {
  if (candidates.length === 0) return [];
  const room = new Map(candidates.map(({ id, most = Infinity }) => [id, most]));
  const all = [...room.values()].reduce((sum, most) => sum + Math.min(most, shards), 0);
  const roomOf = (router: string) => (all < shards ? Infinity : (room.get(router) ?? 0));
  let share = Math.ceil(shards / room.size);
  const fits = () => [...room.keys()].reduce((sum, id) => sum + Math.min(share, roomOf(id)), 0) >= shards;
  while (!fits()) share += 1;
  const routers = [...room.keys()];
  const load = new Map<string, number>();
  return Array.from({ length: shards }, (_, shard) => {
    let best: string | undefined;
    let bestDraw = -1;
    for (const router of routers) {
      if ((load.get(router) ?? 0) >= Math.min(share, roomOf(router))) continue;
      const number = draw(`${source}/${router}/${shard}`);
      if (number > bestDraw || (number === bestDraw && best !== undefined && router < best)) {
        best = router;
        bestDraw = number;
      }
    }
    const owner = best as string;
    load.set(owner, (load.get(owner) ?? 0) + 1);
    return owner;
  });
}

/** FNV-1a with a final mix, so that neighbouring shards draw independently. 32 bits. */
function draw(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}
