import type { SlotReport } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import type { GuardView } from './budget.ts';

/**
 * Tells when WAL beyond the budget is on its way out, so that giving up the slot would be a waste: the source was away for long and
 * catches up, all of it is stored and only waits to be old enough to be confirmed, or it is confirmed and Postgres has yet to
 * notice. Hope lasts as long as there is progress now and then.
 */
export class Recovery {
  readonly #patienceMs: number;
  #best: { readonly backlog: bigint; readonly report: SlotReport; readonly at: number } | undefined;

  /** Longer than a stored record takes to be confirmed, and than the largest transaction takes to be stored. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** `storedLsn`: what the tx stream holds; undefined while this process does not lead. To be asked at every look. */
  look(report: SlotReport, view: GuardView, storedLsn: Lsn | undefined, now: number): boolean {
    if (storedLsn === undefined) {
      this.#best = undefined;
      return false;
    }
    const { walLsn, confirmedLsn, restartLsn } = report;
    const backlog = walLsn > storedLsn ? walLsn - storedLsn : 0n;
    const best = this.#best;
    // What is confirmed is no progress as long as more than that comes after it. Less than the first stage is no backlog.
    const confirms = backlog * 3n < view.budgetBytes && best?.report.confirmedLsn !== confirmedLsn;
    const progress = view.heldByTransaction
      ? best?.report.restartLsn !== restartLsn
      : best === undefined || backlog < best.backlog || confirms;
    if (progress) this.#best = { backlog, report, at: now };
    return now - (this.#best?.at ?? now) <= this.#patienceMs;
  }
}
