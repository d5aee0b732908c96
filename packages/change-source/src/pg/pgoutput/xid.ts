const CYCLE = 1n << 32n;
const HALF_CYCLE = 1n << 31n;
/** Ids below are permanent ones of Postgres, never given to transactions. */
const FIRST_NORMAL_XID = 3n;

/**
 * Widens the 32-bit transaction ids of the wire: the 64-bit value congruent to it that is nearest to the newest id known of
 * that server (spec R 10.6.5). Ids that are seen move the reference on by themselves; `observe` does so when none are.
 */
export class XidWidener {
  #newest: bigint;

  constructor(newest: bigint) {
    this.#newest = newest;
  }

  observe(newest: bigint): void {
    if (newest > this.#newest) this.#newest = newest;
  }

  widen(xid: number): bigint {
    const base = this.#newest - (this.#newest % CYCLE) + BigInt(xid);
    const wide = nearest(base, this.#newest);
    if (wide > this.#newest) this.#newest = wide;
    return wide;
  }
}

function nearest(candidate: bigint, reference: bigint): bigint {
  if (candidate - reference > HALF_CYCLE && candidate - CYCLE >= FIRST_NORMAL_XID) return candidate - CYCLE;
  return reference - candidate > HALF_CYCLE ? candidate + CYCLE : candidate;
}
