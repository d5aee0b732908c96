/** Reads records of one source ahead: a `RecordWindow`. */
export interface PrefetchUser {
  /** It has no room for what comes next. */
  readonly full: boolean;
  /** From now on it may hold so many bytes. */
  resize(bytes: number): void;
}

/** Of the memory that is divided: half evenly, whoever needs it, and half among those that are full. */
const EVENLY = 0.5;

/**
 * The memory for records that were read ahead, shared by all sources of a process (spec O 3.3, 4.6). Each source has a part that is its
 * own; the rest is divided evenly among those whose part is full, so that one that is behind gets much while the others are idle, and no
 * more than they do while they are behind as well. One source alone has all of it.
 */
export class PrefetchPool {
  readonly #maxBytes: number;
  readonly #users = new Set<PrefetchUser>();
  #share = 1;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The returned function takes it out again. */
  join(user: PrefetchUser): () => void {
    this.#users.add(user);
    this.divide();
    return () => {
      if (this.#users.delete(user)) this.divide();
    };
  }

  /** From now on no more than a `share` (at most 1) of the memory is used. */
  limit(share: number): void {
    if (share === this.#share) return;
    this.#share = share;
    this.divide();
  }

  /** Somebody has become full, or is so no longer. */
  divide(): void {
    const bytes = this.#maxBytes * this.#share;
    const users = [...this.#users];
    if (users.length === 1) return users[0]?.resize(bytes);
    const full = users.filter((user) => user.full);
    const own = (bytes * EVENLY) / users.length;
    const more = full.length > 0 ? (bytes * (1 - EVENLY)) / full.length : 0;
    // Those that give come first: at no time is it more than there is.
    for (const user of users) if (!full.includes(user)) user.resize(own);
    for (const user of full) user.resize(own + more);
  }
}
