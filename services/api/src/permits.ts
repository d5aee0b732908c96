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
    let kind: 'initial' | 'existing' = typeof handle === 'string' && this.#known.has(handle) ? 'existing' : 'initial';
    if (used[kind] >= limits[kind]) return { refused: kind, limit: limits[kind] };
    used[kind] += 1;
    let held = true;
    return {
      begun: (known) => {
        this.#remember(known);
        if (!held || kind === 'existing' || used.existing >= limits.existing) return;
        used.initial -= 1;
        used.existing += 1;
        kind = 'existing';
      },
      release: () => {
        if (!held) return;
        held = false;
        used[kind] -= 1;
      },
    };
  }

  #remember(handle: string): void {
    if (this.#known.has(handle)) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.values().next().value as string);
    this.#known.add(handle);
  }
}
