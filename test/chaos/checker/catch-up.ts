import type { Truth } from '../truth/truth.ts';
import type { ReaderTrack } from './reader-track.ts';

export interface CaughtUp {
  /** From the moment everything was healed until each reader had all that was committed by then, in milliseconds. */
  readonly ms: number;
  /** Who was last. */
  readonly reader: string;
  /** Another fault began before all were there. */
  readonly disturbed: boolean;
  /** The faults that were healed. */
  readonly after: readonly string[];
}

interface Watch {
  readonly healedAt: number;
  readonly lsn: bigint;
  readonly tracks: readonly ReaderTrack[];
  readonly after: readonly string[];
  disturbed: boolean;
}

/**
 * How long readers take to catch up after all is healed. A reader is there once it has an up-to-date at or above the last
 * transaction that changed its shape and had been committed by the moment of healing. When other faults followed it is enough to have
 * been given that transaction.
 */
export class CatchUp {
  readonly measured: CaughtUp[] = [];
  readonly #truth: Truth;
  readonly #watches: Watch[] = [];

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** All is healed. `lsn` is what is committed, `tracks` who reads at the moment. */
  healed(healedAt: number, lsn: bigint, tracks: readonly ReaderTrack[], after: readonly string[]): void {
    this.#watches.push({ healedAt, lsn, tracks, after, disturbed: false });
  }

  disturbed(): void {
    for (const watch of this.#watches) watch.disturbed = true;
  }

  /** Readers that leave are not waited for. `present` says who still reads. Returns who is behind for longer than `boundMs`. */
  settle(now: number, boundMs: number, present: (track: ReaderTrack) => boolean): string | undefined {
    for (const watch of [...this.#watches]) {
      if (this.#truth.position < watch.lsn) continue;
      let last = { at: watch.healedAt, reader: 'nobody' };
      let behind: string | undefined;
      for (const track of watch.tracks) {
        const need = this.#truth.lastChange(track.kind.shape, watch.lsn);
        const there = track.firstAt(need) ?? track.lastWithAll(watch.lsn);
        if (there === undefined) {
          // Who reads a log that grows as fast gets to no up-to-date, and is stuck only when he gets nowhere.
          if (present(track) && !(watch.disturbed && track.passed(need)))
            behind = `${track.kind.name} is at ${track.watermark} and lacks ${need}`;
        } else if (there.at > last.at) last = { at: there.at, reader: track.kind.name };
      }
      if (behind === undefined) {
        this.#watches.splice(this.#watches.indexOf(watch), 1);
        const { after, disturbed } = watch;
        this.measured.push({ ms: last.at - watch.healedAt, reader: last.reader, disturbed, after });
      } else if (now - watch.healedAt > (watch.disturbed ? DISTURBED * boundMs : boundMs)) {
        this.#watches.splice(this.#watches.indexOf(watch), 1);
        return `${Math.round(now - watch.healedAt)} ms after ${watch.after.join(', ')} was healed ${behind}`;
      }
    }
    return undefined;
  }

  get waiting(): number {
    return this.#watches.length;
  }
}

/** Where one fault follows the other, readers have more time. */
const DISTURBED = 3;

/** The smallest value that `share` of the values do not exceed. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
