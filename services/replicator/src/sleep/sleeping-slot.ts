import type { GuardedSlot, SlotHold, SlotReport } from '@shapecast/change-source';
import type { SourceSleep } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import { WalMeter, type WalBudget } from '../wal-guard/budget.ts';

interface SleepingSlotDeps {
  readonly slot: GuardedSlot;
  /** Undefined until NATS was reached: nothing sleeps as far as anybody knows. */
  readonly sleep: () => SourceSleep | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A look opens a connection, and so may start a database that is stopped while nobody uses it. */
const LOOK_PERIOD_MS = 600_000;

/**
 * The slot for who guards it: while the source sleeps it is left alone, but for one short look now and then by one process of the
 * source (spec R 3.7.2). Where that finds that much WAL is kept, the source is woken: it reads and confirms, which is the cure.
 */
export class SleepingSlot implements GuardedSlot {
  readonly #deps: SleepingSlotDeps;
  readonly #budget: WalBudget;
  readonly #periodMs: number;

  constructor(deps: SleepingSlotDeps, options: { readonly budget: WalBudget; readonly periodMs?: number }) {
    this.#deps = deps;
    this.#budget = options.budget;
    this.#periodMs = options.periodMs ?? LOOK_PERIOD_MS;
  }

  async report(signal: AbortSignal): Promise<SlotReport | undefined> {
    const { slot, clock, log } = this.#deps;
    const sleep = this.#deps.sleep();
    if (!sleep?.asleep) return slot.report(signal);
    if (!(await sleep.claimLook(this.#periodMs))) return undefined;
    const report = await slot.report(signal);
    // A slot that is gone is found so by who wakes up next; until then no reader misses anything.
    const view = report && new WalMeter(this.#budget).look(report, clock.now());
    if (view === undefined || view.stage === 'ok') return undefined;
    log.warn({ retainedBytes: String(view.retainedBytes) }, 'Postgres keeps much WAL for a source that sleeps');
    await sleep.wake('wal');
    return undefined;
  }

  drop(patienceMs: number, signal: AbortSignal): Promise<SlotHold | undefined> {
    return this.#deps.slot.drop(patienceMs, signal);
  }
}
