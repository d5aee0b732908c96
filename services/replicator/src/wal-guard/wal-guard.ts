import type { Registry } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { WalMeter, type GuardStage, type GuardView, type SlotReport, type WalBudget } from './budget.ts';

/** What is known of a slot, and how to get rid of it. */
export interface GuardedSlot {
  /** Undefined when there is none: nothing is kept. Throws while Postgres is away. */
  report(signal: AbortSignal): Promise<SlotReport | undefined>;
  /** Ends the walsender that uses it and drops it; does nothing when there is none. */
  drop(signal: AbortSignal): Promise<void>;
}

/**
 * What may be given up to keep Postgres from filling its disk. `alarm`: nothing, people are told. `shed`: from `high` on, new
 * shapes and subsets. `drop`: also the slot, when the budget is used up; every shape rotates once the source goes on.
 */
export type GuardPolicy = 'alarm' | 'shed' | 'drop';

/** Registry record of what the guard of a source thinks, for API pods and people. */
export interface GuardRecord {
  readonly stage: GuardStage;
  /** New shapes and subsets are refused. */
  readonly shedding: boolean;
  /** The slot was dropped: shapes no longer follow the source. Milliseconds since 1970. */
  readonly staleSince?: number;
  /** One sentence for people. */
  readonly reason: string;
}

export interface WalGuardOptions {
  readonly sourceId: string;
  readonly policy: GuardPolicy;
  readonly budget: WalBudget;
  readonly intervalMs: number;
  /** How long a source whose slot was dropped waits at least before it sets up another one. */
  readonly pauseMs: number;
}

/** The same stage is told of again so often while it lasts. */
const REMIND_MS = 60_000;
/** Looks in a row that have to find the budget used up: one of them may be a burst that is confirmed a moment later. */
const LOOKS_BEFORE_DROP = 2;

/**
 * Watches the WAL that Postgres keeps for a source. Runs in the process that holds the lock of the source or tries to
 * get it, whatever else works: mostly it is needed when NATS does not.
 */
export class WalGuard {
  readonly #slot: GuardedSlot;
  readonly #records: Pick<Registry<GuardRecord>, 'put'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #options: WalGuardOptions;
  readonly #meter: WalMeter;
  #view: GuardView | undefined;
  #told: { readonly stage: GuardStage; readonly at: number } = { stage: 'ok', at: -Infinity };
  #written: string | undefined;
  #exceeded = 0;

  constructor(
    deps: {
      readonly slot: GuardedSlot;
      readonly records: Pick<Registry<GuardRecord>, 'put'>;
      readonly clock: Clock;
      readonly log: Logger;
    },
    options: WalGuardOptions,
  ) {
    this.#slot = deps.slot;
    this.#records = deps.records;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#options = options;
    this.#meter = new WalMeter(options.budget);
  }

  /** The last look; undefined before the first and while there is no slot. */
  get view(): GuardView | undefined {
    return this.#view;
  }

  /** Looks now and then until the slot has to go (then resolves with why) or `signal` aborts (undefined). */
  async untilExceeded(signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted) {
      try {
        await this.#look(signal);
      } catch (err) {
        if (!signal.aborted) this.#log.debug({ err }, 'the slot could not be looked at');
      }
      if (this.#exceeded >= LOOKS_BEFORE_DROP && this.#options.policy === 'drop' && this.#view) {
        this.#exceeded = 0;
        return describe(this.#view);
      }
      await this.#clock.sleep(this.#options.intervalMs, signal).catch(() => undefined);
    }
    return undefined;
  }

  /**
   * Drops the slot and tells that the source is stale, then waits until setting up another one makes sense: a while has
   * passed and NATS stores again. Both are tried until they succeed or `signal` aborts.
   */
  async drop(reason: string, signal: AbortSignal): Promise<void> {
    const staleSince = this.#clock.now();
    emitEvent(this.#log, 'warning', { type: 'source_stale', message: `The slot is dropped: ${reason}` });
    await this.#insist('the slot could not be dropped, trying again', () => this.#slot.drop(signal), signal);
    this.#view = undefined;
    const stale: GuardRecord = { stage: 'exceeded', shedding: true, staleSince, reason };
    await this.#insist('NATS does not store', () => this.#write(stale), signal);
    const left = staleSince + this.#options.pauseMs - this.#clock.now();
    if (left > 0) await this.#clock.sleep(left, signal).catch(() => undefined);
    const over: GuardRecord = { stage: 'ok', shedding: false, reason: 'A new slot is being set up.' };
    await this.#insist('NATS does not store', () => this.#write(over), signal);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const report = await this.#slot.report(signal);
    if (report === undefined) {
      this.#view = undefined;
      this.#exceeded = 0;
      return;
    }
    const view = this.#meter.look(report, this.#clock.now());
    this.#view = view;
    this.#exceeded = view.stage === 'exceeded' ? this.#exceeded + 1 : 0;
    this.#tell(view);
    const shedding = this.#options.policy !== 'alarm' && (view.stage === 'high' || view.stage === 'exceeded');
    await this.#write({ stage: view.stage, shedding, reason: describe(view) });
  }

  #tell(view: GuardView): void {
    const now = this.#clock.now();
    const changed = view.stage !== this.#told.stage;
    if (!changed && (view.stage === 'ok' || now - this.#told.at < REMIND_MS)) return;
    this.#told = { stage: view.stage, at: now };
    if (view.stage === 'ok') return this.#log.info({}, 'WAL kept for the slot is within its budget again');
    emitEvent(this.#log, 'warning', { type: `wal_budget_${view.stage}`, message: describe(view) });
  }

  /** Once for each news; throws while NATS is away. Sizes change with every look and are in the metrics. */
  async #write(record: GuardRecord): Promise<void> {
    const news = `${record.stage} ${record.shedding} ${record.staleSince}`;
    if (news === this.#written) return;
    await this.#records.put(this.#options.sourceId, record);
    this.#written = news;
  }

  async #insist(complaint: string, attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await attempt();
      } catch (err) {
        if (!signal.aborted) this.#log.warn({ err }, complaint);
      }
      await this.#clock.sleep(this.#options.intervalMs, signal).catch(() => undefined);
    }
  }
}

function describe(view: GuardView): string {
  const kept = `${mebibytes(view.retainedBytes)} of ${mebibytes(view.budgetBytes)} MiB of WAL`;
  const minutes = Math.round(view.unconfirmedMs / 60_000);
  const amount =
    view.cause === 'bytes'
      ? `Postgres keeps ${kept} for the replication slot`
      : `WAL has been waiting for ${minutes} min to be confirmed`;
  return view.heldByTransaction
    ? `${amount}, mostly for a transaction that is open in the database: end it.`
    : `${amount}: look whether NATS stores and the replicator keeps up.`;
}

function mebibytes(bytes: bigint): string {
  return String(bytes / 1_048_576n);
}
