/** Most requests in progress of each kind (AD-1). */
export interface PermitLimits {
  readonly initial: number;
  readonly existing: number;
}

export type Kind = keyof PermitLimits;

const MAX_KNOWN = 100_000;

/** The right of one request to be in progress. */
export interface Permit {
  /** The request reads this handle and its answer begins: makes room for others that are new (AD-5). */
  begun(handle: string): void;
  /** May be called more than once. */
  release(): void;
}

/**
 * What all sources of a process have together. As long as there is room a source takes as much as it wants; once there is none, one that
 * has less than its share still gets a permit, so that a source with many readers cannot lock the others out. So at most twice the limit
 * is taken.
 */
export class PermitPool {
  readonly #limits: PermitLimits;
  readonly #used = { initial: 0, existing: 0 };
  /** Sources that have any. */
  readonly #sources = { initial: 0, existing: 0 };

  constructor(limits: PermitLimits) {
    this.#limits = limits;
  }

  get used(): PermitLimits {
    return { ...this.#used };
  }

  limit(kind: Kind): number {
    return this.#limits[kind];
  }

  /** Takes one for a source that has `own` of the kind; false when it cannot have it. */
  take(kind: Kind, own: number): boolean {
    const limit = this.#limits[kind];
    const sources = this.#sources[kind] + (own === 0 ? 1 : 0);
    if (this.#used[kind] >= limit && own >= Math.floor(limit / sources)) return false;
    this.#used[kind] += 1;
    this.#sources[kind] = sources;
    return true;
  }

  /** Gives one back; `own` is what the source has left. */
  release(kind: Kind, own: number): void {
    this.#used[kind] -= 1;
    if (own === 0) this.#sources[kind] -= 1;
  }
}

interface Account {
  readonly pool: PermitPool;
  readonly used: { initial: number; existing: number };
  /** Most that the source may have of a kind, whatever the others have. */
  readonly most: (kind: Kind) => number;
}

/**
 * Bounds the requests of one source in progress (spec H 22). Whether a request is new is decided by its handle alone, before anything is
 * parsed: a handle this pod has served is known.
 */
export class Permits {
  readonly #account: Account;
  readonly #known = new Set<string>();

  constructor(pool: PermitPool, most: (kind: Kind) => number = () => Infinity) {
    this.#account = { pool, used: { initial: 0, existing: 0 }, most };
  }

  get used(): PermitLimits {
    return { ...this.#account.used };
  }

  /** A permit, or the kind whose limit is reached, the limit, and whether it is the source's own. */
  take(handle: unknown): Permit | { readonly refused: Kind; readonly limit: number; readonly own: boolean } {
    const kind = typeof handle === 'string' && this.#known.has(handle) ? 'existing' : 'initial';
    const { pool, used, most } = this.#account;
    const limit = most(kind);
    if (used[kind] >= limit) return { refused: kind, limit, own: true };
    if (!take(this.#account, kind)) return { refused: kind, limit: pool.limit(kind), own: false };
    return new TakenPermit(kind, this.#account, this.#remember);
  }

  /** No handle is known any more. */
  forget(): void {
    this.#known.clear();
  }

  /** One function for all permits. */
  readonly #remember = (handle: string): void => {
    if (this.#known.has(handle)) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.values().next().value as string);
    this.#known.add(handle);
  };
}

function take({ pool, used, most }: Account, kind: Kind): boolean {
  if (used[kind] >= most(kind) || !pool.take(kind, used[kind])) return false;
  used[kind] += 1;
  return true;
}

function release({ pool, used }: Account, kind: Kind): void {
  used[kind] -= 1;
  pool.release(kind, used[kind]);
}

class TakenPermit implements Permit {
  #kind: Kind | 'released';
  readonly #account: Account;
  readonly #remember: (handle: string) => void;

  constructor(kind: Kind, account: Account, remember: (handle: string) => void) {
    this.#kind = kind;
    this.#account = account;
    this.#remember = remember;
  }

  begun(handle: string): void {
    this.#remember(handle);
    if (this.#kind !== 'initial' || !take(this.#account, 'existing')) return;
    release(this.#account, 'initial');
    this.#kind = 'existing';
  }

  release(): void {
    if (this.#kind === 'released') return;
    release(this.#account, this.#kind);
    this.#kind = 'released';
  }
}
