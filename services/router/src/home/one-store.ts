/** Looks that others are given to learn of a store that was replaced, before a router takes itself for the one that is wrong. */
export const APART_LOOKS = 3;

export interface StoreSight {
  /** Name of the store that this router reaches. */
  readonly mine: string;
  /** Those that the other live routers reach; undefined for one that has not said so yet. */
  readonly others: readonly (string | undefined)[];
  /** This router has shards, or could have had them. */
  readonly settled: boolean;
  /** Looks before this one, in a row, that found it apart. */
  readonly apart: number;
}

/** None of the routers that say which store they reach reaches this one. */
export function isApart({ mine, others }: Pick<StoreSight, 'mine' | 'others'>): boolean {
  const told = others.filter((store) => store !== undefined);
  return told.length > 0 && !told.includes(mine);
}

/**
 * Whether this router must leave the shards to the others, because it reaches another store than they do. One that comes to others gives
 * way at once. Of those that came together, the ones whose store has the smallest name stay: somebody has to.
 */
export function mustGiveWay(sight: StoreSight): boolean {
  if (!isApart(sight)) return false;
  if (!sight.settled) return true;
  return sight.apart >= APART_LOOKS && sight.others.some((store) => store !== undefined && store < sight.mine);
}
