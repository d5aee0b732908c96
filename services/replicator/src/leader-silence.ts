import type { LeaderRecord, RegistryEntry } from '@shapecast/messaging';

/** By then the walsender of a silent leader was ended, if it had the lock. */
const GONE = 3;

/**
 * Tells a leader that is not heard of any more from one that cannot be heard: what counts are readings in a row that worked and
 * brought nothing new. Not time: a clock that jumps, or a standby that slept itself, must not cost a leader its place.
 */
export class LeaderSilence {
  readonly #readings: number;
  #last: { readonly revision: number; readonly walSenderPid: number } | undefined;
  #quiet = 0;

  /** After so many quiet readings a leader counts as silent. */
  constructor(readings: number) {
    this.#readings = readings;
  }

  /** The leader record was read. One that has expired is as quiet as one that does not change. */
  seen(entry: RegistryEntry<LeaderRecord> | undefined): void {
    if (entry !== undefined && entry.revision !== this.#last?.revision) {
      this.#last = { revision: entry.revision, walSenderPid: entry.value.walSenderPid };
      this.#quiet = 0;
    } else {
      this.#quiet += 1;
    }
  }

  /** It could not be read, so perhaps the leader cannot renew it either. */
  unreadable(): void {
    this.#quiet = 0;
  }

  /** Whoever holds the lock is not a leader that writes this record, and not one either that has just stopped doing so. */
  get unheard(): boolean {
    return this.#quiet >= this.#readings * (this.#last === undefined ? 1 : GONE);
  }

  /** The walsender of a silent leader. */
  get walSenderPid(): number | undefined {
    if (this.#last === undefined || this.#last.walSenderPid === 0) return undefined;
    return this.#quiet >= this.#readings ? this.#last.walSenderPid : undefined;
  }
}
