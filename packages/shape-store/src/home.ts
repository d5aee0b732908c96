/** Which installation a store belongs to: a mark in the store, written and renewed by the routers of each source. */
export interface StoreHome {
  readonly installation: string;
  /** Names the store itself: two that were both marked by one installation differ in it. Random, made with the mark. */
  readonly store: string;
}

/** A wish to have the store, for one source. */
export interface HomeClaim {
  readonly installation: string;
  /** Of an earlier outcome: the mark of another installation that has not been renewed since, and is replaced. */
  readonly insteadOf?: string;
}

export type HomeOutcome =
  | { readonly kind: 'ours'; readonly store: string }
  /** `beat` changes whenever that installation renews its mark. */
  | { readonly kind: 'foreign'; readonly installation: string; readonly beat: string };
