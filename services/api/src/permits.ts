/** Most requests in progress of each kind (AD-1). */
export interface PermitLimits {
  readonly initial: number;
  readonly existing: number;
}

const MAX_KNOWN = 100_000;

/** The right of one request to be in progress. */
export interface Permit {
  /** The request reads this handle and its answer begins: makes room for others that are new (AD-5). */
  begun(handle: string): void;
  /** May be called more than once. */
  release(): void;
}

/**
 * Bounds the requests in progress (spec H 22). Whether a request is new is decided by its handle alone, before anything is
 * parsed: a handle this pod has served is known.
 */
export class Permits {
  readonly #limits: PermitLimits;
  readonly #used = { initial: 0, existing: 0 };
  readonly #known = new Set<string>();

  constructor(limits: PermitLimits) {
    this.#limits = limits;
  }

  get used(): PermitLimits {
    return { ...this.#used };
  }

  /** A permit, or the kind whose limit is reached and the limit. */
  take(handle: unknown): Permit | { readonly refused: 'initial' | 'existing'; readonly limit: number } {
    const used = this.#used;
    const limits = this.#limits;
    const kind = typeof handle === 'string' && this.#known.has(handle) ? 'existing' : 'initial';
    if (used[kind] >= limits[kind]) return { refused: kind, limit: limits[kind] };
    used[kind] += 1;
    return new TakenPermit(kind, used, limits, this.#remember);
  }

  /** One function for all permits. */
  readonly #remember = (handle: string): void => {
    if (this.#known.has(handle)) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.values().next().value as string);
    this.#known.add(handle);
  };
}

class TakenPermit implements Permit {
  #kind: 'initial' | 'existing' | 'released';
  readonly #used: { initial: number; existing: number };
  readonly #limits: PermitLimits;
  readonly #remember: (handle: string) => void;

  constructor(
    kind: 'initial' | 'existing',
    used: { initial: number; existing: number },
    limits: PermitLimits,
    remember: (handle: string) => void,
  ) {
    this.#kind = kind;
    this.#used = used;
    this.#limits = limits;
    this.#remember = remember;
  }

  begun(handle: string): void {
    this.#remember(handle);
    const used = this.#used;
    if (this.#kind !== 'initial' || used.existing >= this.#limits.existing) return;
    used.initial -= 1;
    used.existing += 1;
    this.#kind = 'existing';
  }

  release(): void {
    if (this.#kind === 'released') return;
    this.#used[this.#kind] -= 1;
    this.#kind = 'released';
  }
}
