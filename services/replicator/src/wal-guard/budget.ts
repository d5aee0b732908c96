import type { SlotReport } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import type { GuardRecord } from '@shapecast/messaging';

export interface WalBudget {
  /** WAL that may be kept for the slot; absent: three quarters of what Postgres allows, or 20 GiB. */
  readonly bytes?: bigint;
  /** For how long WAL may stay unconfirmed; 0: any time. */
  readonly ageMs: number;
}

/**
 * How much of the budget is used: `warn` from a third on, `high` from two thirds on, `exceeded` from all of it on. With the
 * default budget these are a quarter, a half and three quarters of `max_slot_wal_keep_size` (spec O 10).
 */
export type GuardStage = GuardRecord['stage'];

export interface GuardView {
  readonly stage: GuardStage;
  /** Bytes of WAL that Postgres keeps for the slot. */
  readonly retainedBytes: bigint;
  readonly budgetBytes: bigint;
  /** How long ago the oldest WAL that is not confirmed was written, or somewhat longer; 0 when all is confirmed. */
  readonly unconfirmedMs: number;
  /** What the stage is due to. */
  readonly cause: 'bytes' | 'age';
  /** WAL is kept for a transaction that is open in Postgres, and not for what we have not confirmed. */
  readonly heldByTransaction: boolean;
}

const DEFAULT_BYTES = 20n * 1024n ** 3n;
/** Positions are remembered so often, and at most so many of them: when there are more, half as often. */
const SAMPLE_MS = 5_000;
const MAX_SAMPLES = 1_024;

interface Sample {
  readonly at: number;
  readonly walLsn: Lsn;
}

/**
 * Measures a slot against its budget. Postgres does not say when WAL was written, so the age is taken from where the end of WAL
 * was at each look. The memory is bounded: a long history becomes a coarse one, which makes ages at most too large.
 */
export class WalMeter {
  readonly #budget: WalBudget;
  /** Oldest first; of WAL that is not confirmed, and the one before it. */
  #samples: Sample[] = [];
  #sampleMs = SAMPLE_MS;

  constructor(budget: WalBudget) {
    this.#budget = budget;
  }

  /** `now` in milliseconds of any clock that does not go back. */
  look(report: SlotReport, now: number): GuardView {
    this.#remember(report, now);
    const retainedBytes = nonNegative(report.walLsn - report.restartLsn);
    const unconfirmedBytes = nonNegative(report.walLsn - report.confirmedLsn);
    const budgetBytes = this.#budget.bytes ?? defaultBytes(report.keepBytes);
    const unconfirmedMs = this.#age(report, now);
    const byBytes = share(Number(retainedBytes), Number(budgetBytes));
    const byAge = share(unconfirmedMs, this.#budget.ageMs);
    return {
      stage: stageOf(Math.max(byBytes, byAge)),
      retainedBytes,
      budgetBytes,
      unconfirmedMs,
      cause: byAge > byBytes ? 'age' : 'bytes',
      heldByTransaction: unconfirmedBytes * 2n < retainedBytes,
    };
  }

  #remember({ walLsn, confirmedLsn }: SlotReport, now: number): void {
    const last = this.#samples.at(-1);
    // Another history: what was seen before says nothing about it.
    if (last && walLsn < last.walLsn) this.#samples = [];
    if (last === undefined || walLsn < last.walLsn || now - last.at >= this.#sampleMs)
      this.#samples.push({ at: now, walLsn });
    // One stays that is confirmed: what is not was written after it.
    const firstOpen = this.#samples.findIndex((sample) => sample.walLsn > confirmedLsn);
    if (firstOpen === -1) this.#samples.splice(0, this.#samples.length - 1);
    else if (firstOpen > 1) this.#samples.splice(0, firstOpen - 1);
    if (this.#samples.length <= 1) this.#sampleMs = SAMPLE_MS;
    if (this.#samples.length <= MAX_SAMPLES) return;
    this.#samples = this.#samples.filter((_, index) => index % 2 === 0);
    this.#sampleMs *= 2;
  }

  #age({ walLsn, confirmedLsn }: SlotReport, now: number): number {
    if (walLsn <= confirmedLsn) return 0;
    const confirmed = this.#samples.findLast((sample) => sample.walLsn <= confirmedLsn);
    const since = confirmed ?? this.#samples[0];
    return since === undefined ? 0 : now - since.at;
  }
}

function defaultBytes(keepBytes: bigint | undefined): bigint {
  return keepBytes === undefined ? DEFAULT_BYTES : (keepBytes * 3n) / 4n;
}

function share(used: number, budget: number): number {
  return budget > 0 ? used / budget : 0;
}

function stageOf(share: number): GuardStage {
  if (share >= 1) return 'exceeded';
  if (share >= 2 / 3) return 'high';
  return share >= 1 / 3 ? 'warn' : 'ok';
}

function nonNegative(bytes: bigint): bigint {
  return bytes > 0n ? bytes : 0n;
}
