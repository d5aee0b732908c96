import type { ServerProgress } from '../truth/truth-slot.ts';
import type { Truth } from '../truth/truth.ts';
import { CatchUp } from './catch-up.ts';
import { EntryBytes } from './entry-bytes.ts';
import type { Delivered, Refused, RuleName, Violation } from './events.ts';
import { FaultLedger, type Loss, type RecordedFault } from './faults.ts';
import { Handles } from './handles.ts';
import { ReaderTrack, type ReaderKind } from './reader-track.ts';

export interface CheckerOptions {
  /** A reader that lacks something for longer than this after the last fault is stuck. A hang detector. */
  readonly staleMs: number;
  /** False where faults end shapes, and the history that is stored, by design: then silence and wrong data are violations. */
  readonly rotationsNeedReasons: boolean;
  /** Of the wall clock, at `performance.now()` 0, in milliseconds. */
  readonly epoch: number;
  readonly onViolation: (violation: Violation) => void;
}

/** What the tx stream stores; undefined when it cannot be asked. */
export type StoredUpTo = () => Promise<bigint | undefined>;

/** Holds everything that readers are given against what Postgres had, and against what the spec promises (R 1, 18.2.1). */
export class Checker {
  readonly truth: Truth;
  readonly faults = new FaultLedger();
  readonly catchUp: CatchUp;
  readonly bytes = new EntryBytes();
  readonly handles: Handles;
  readonly violations: Violation[] = [];
  readonly #options: CheckerOptions;
  readonly #tracks: ReaderTrack[] = [];
  readonly #present = new Set<ReaderTrack>();
  readonly #retiring = new Set<ReaderTrack>();
  /** What is confirmed and may not be stored; judged when the truth is known that far. */
  readonly #confirmed: { readonly confirmed: bigint; readonly stored: bigint; readonly at: number }[] = [];
  #storedFrom: bigint | undefined;
  readonly #retired = { compared: 0, uncompared: 0, entries: 0, rotations: 0, cachedStepsBack: 0 };
  readonly #reasons = new Map<string, number>();

  constructor(truth: Truth, options: CheckerOptions) {
    this.truth = truth;
    this.#options = options;
    this.catchUp = new CatchUp(truth);
    this.handles = new Handles(truth, this.faults, options.epoch);
  }

  /** A reader comes. It stays until it is told to have gone, and may come back. */
  reader(kind: ReaderKind): ReaderTrack {
    const track = new ReaderTrack(kind, {
      truth: this.truth,
      bytes: this.bytes,
      handles: this.handles,
      violation: (rule, text) => this.#violation(rule, text, kind.name),
      mayGoBack: (from, to) => this.faults.during(from - GO_BACK_MS, to, 'store-tail').length > 0,
    });
    this.#tracks.push(track);
    this.#present.add(track);
    return track;
  }

  leaves(track: ReaderTrack): void {
    this.#present.delete(track);
  }

  returns(track: ReaderTrack): void {
    this.#present.add(track);
  }

  /** It leaves for good; its counts stay. */
  retire(track: ReaderTrack): void {
    this.#present.delete(track);
    this.#retiring.add(track);
  }

  delivered(track: ReaderTrack, event: Delivered): void {
    track.delivered(event);
    track.settle();
  }

  refused(track: ReaderTrack, event: Refused): void {
    track.refused(event);
    track.settle();
  }

  /** An answer that no fault explains. */
  unexpected(track: ReaderTrack, text: string): void {
    this.#violation('answer', text, track.kind.name);
  }

  /** The store may have lost something that readers were shown lately. */
  mayHaveGoneBack(now: number): boolean {
    return this.faults.during(now - AFTER_LOSS_MS, now, 'store-tail').length > 0;
  }

  /** Somebody who is not tracked does not have what Postgres has. */
  differs(text: string): void {
    this.#violation('state', text, undefined);
  }

  /** A request for a dead handle was answered with its data. */
  resurrected(text: string): void {
    this.#violation('resurrection', text, undefined);
  }

  faultBegins(kind: string, loss: Loss, at: number): RecordedFault {
    this.catchUp.disturbed();
    return this.faults.begin(kind, loss, at);
  }

  faultHealed(fault: RecordedFault, at: number): void {
    this.faults.heal(fault, at);
  }

  /** All is healed, and `lsn` is committed. */
  allHealed(at: number, lsn: bigint, after: readonly string[]): void {
    this.catchUp.healed(at, lsn, [...this.#present], after);
  }

  /** All tables are published: every transaction that commits above has to be stored before it is confirmed. */
  storedFrom(lsn: bigint): void {
    this.#storedFrom = lsn;
  }

  /**
   * Postgres may recycle what commits below `confirmed`. What the stream holds is asked afterwards, so that a transaction
   * between the two was confirmed before it was stored (I5).
   */
  async confirmed({ confirmed, askedAt }: ServerProgress, stored: StoredUpTo): Promise<void> {
    if (confirmed === undefined || this.#storedFrom === undefined) return;
    const upTo = await stored();
    if (upTo !== undefined && upTo < confirmed) this.#confirmed.push({ confirmed, stored: upTo, at: askedAt });
  }

  /** Judges all that can be judged by now. */
  settle(now: number): void {
    for (const track of this.#tracks) track.settle();
    for (const track of this.#retiring) if (track.open === 0) this.#retire(track);
    for (let next = this.#confirmed[0]; next !== undefined; next = this.#confirmed[0]) {
      if (this.truth.position < next.confirmed) break;
      this.#confirmed.shift();
      const from = next.stored > (this.#storedFrom ?? 0n) ? next.stored : (this.#storedFrom ?? 0n);
      const lost = this.truth.between(from, next.confirmed - 1n).find(({ changes }) => changes.length > 0);
      if (lost !== undefined) {
        const text = `${next.confirmed} was confirmed, the stream ends at ${next.stored}, and ${lost.lsn} is between`;
        this.#violation('confirmed', text, undefined);
      }
    }
    const stuck = this.catchUp.settle(now, this.#options.staleMs, (track) => this.#present.has(track));
    if (stuck !== undefined) this.#violation('stale', stuck, undefined);
  }

  /** Comparisons that wait for the truth. */
  get open(): number {
    return this.#tracks.reduce((sum, track) => sum + track.open, 0);
  }

  get tracks(): readonly ReaderTrack[] {
    return this.#tracks;
  }

  counts() {
    const sum = { ...this.#retired };
    const reasons = new Map(this.#reasons);
    for (const track of this.#tracks) {
      sum.compared += track.compared;
      sum.uncompared += track.uncompared;
      sum.entries += track.entries;
      sum.rotations += track.rotations;
      sum.cachedStepsBack += track.cachedStepsBack;
      for (const reason of track.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    return { ...sum, explained: Object.fromEntries(reasons) };
  }

  #retire(track: ReaderTrack): void {
    this.#retiring.delete(track);
    this.#tracks.splice(this.#tracks.indexOf(track), 1);
    this.#retired.compared += track.compared;
    this.#retired.uncompared += track.uncompared;
    this.#retired.entries += track.entries;
    this.#retired.rotations += track.rotations;
    this.#retired.cachedStepsBack += track.cachedStepsBack;
    for (const reason of track.reasons) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }

  #violation(rule: RuleName, text: string, reader: string | undefined): void {
    // What is stored begins anew, as the shapes do.
    const ofContinuity = rule === 'rotation' || rule === 'confirmed';
    if (ofContinuity && !this.#options.rotationsNeedReasons) return;
    const violation = { rule, at: performance.now(), reader, text };
    this.violations.push(violation);
    this.#options.onViolation(violation);
  }
}

const AFTER_LOSS_MS = 30_000;

/** A watermark that readers were shown may be lost this long after the fault: until the store is asked again. */
const GO_BACK_MS = 5_000;
