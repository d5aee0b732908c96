import type { Lsn } from '@shapecast/log';
import type { Progress } from '../progress.ts';

/** The end of the WAL and that of its last record need not be the same, and so much nobody misses. */
const SLACK_BYTES = 65_536n;

/**
 * Tells when a source may be left alone (spec R 3.7.1): nothing has happened for so long, and Postgres was told that it may forget
 * all that had been read when the last thing happened. Without the second part a source that sleeps sooner than confirmations age
 * would keep the same WAL through any number of nights.
 */
export class Idleness {
  readonly #timeoutMs: number;
  #since: number;
  /** What has to be confirmed by then. */
  #until: Lsn;

  /** `walLsn`: end of the WAL when the session began. */
  constructor(timeoutMs: number, start: { readonly now: number; readonly walLsn: Lsn }) {
    this.#timeoutMs = timeoutMs;
    this.#since = start.now;
    this.#until = start.walLsn;
  }

  /** A transaction came, or somebody needs the source. */
  happened(now: number, { received }: Progress): void {
    this.#since = now;
    if (received > this.#until) this.#until = received;
  }

  due(now: number, { confirmed }: Progress): boolean {
    return now - this.#since >= this.#timeoutMs && confirmed + SLACK_BYTES >= this.#until;
  }
}
