import type { GuardedSlot, SlotHold, SlotReport } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { BUCKETS, type GuardRecord, type Registries, type SourceRecord } from '@shapecast/messaging';
import { emitEvent, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { SessionGate } from '../session-gate.ts';
import { WalMeter, type GuardStage, type GuardView, type WalBudget } from './budget.ts';
import { Recovery } from './recovery.ts';

/**
 * What may be given up to keep Postgres from filling its disk. `alarm`: nothing, people are told. `shed`: from `high` on, new
 * shapes and subsets. `drop`: also the slot, when the budget is used up; every shape rotates once the source goes on.
 */
export type GuardPolicy = 'alarm' | 'shed' | 'drop';

export interface WalGuardOptions {
  readonly sourceId: string;
  readonly policy: GuardPolicy;
  readonly budget: WalBudget;
  readonly intervalMs: number;
  /** How long a source whose slot was dropped waits at least before it sets up another one. */
  readonly pauseMs: number;
  /** For how long a leader that catches up may show no progress. */
  readonly patienceMs: number;
}

/** What the health port says of it. */
export interface GuardReport {
  readonly policy: GuardPolicy;
  readonly stage?: GuardStage;
  readonly retainedBytes?: string;
  readonly budgetBytes?: string;
  readonly unconfirmedMs?: number;
  /** ISO time at which the slot was dropped; until the source goes on. */
  readonly staleSince?: string;
  readonly reason?: string;
}

interface WalGuardDeps {
  readonly slot: GuardedSlot;
  readonly gate: SessionGate;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The same stage is told of again so often while it lasts, and the record written. */
const REMIND_MS = 60_000;
/** Looks in a row that have to find the budget used up: one of them may be a burst that is confirmed a moment later. */
const LOOKS_BEFORE_DROP = 2;
/** While nobody leads: who does in a moment may be able to catch up. */
const LOOKS_WITHOUT_LEADER = 6;
/** A standby asks for the lock every second or so. */
const LOCK_PATIENCE_MS = 10_000;
/** After so many failures the source may go on: one that cannot drop its slot should at least replicate. */
const DROP_ATTEMPTS = 5;
const RETRY_MS = 1_000;

/**
 * Watches the WAL that Postgres keeps for a source (spec R 6.3.3, O 10). Runs in every replicator process from its start,
 * whether or not NATS can be reached: mostly it is needed when that cannot. The process that holds the lock of the source acts;
 * while nobody does, all of them do, and who drops the slot takes the lock first.
 */
export class WalGuard {
  readonly #deps: WalGuardDeps;
  readonly #log: Logger;
  readonly #options: WalGuardOptions;
  readonly #recovery: Recovery;
  #meter: WalMeter;
  #registries: Registries | undefined;
  #view: GuardView | undefined;
  #slot: SlotReport | undefined;
  #told: { readonly stage: GuardStage; readonly at: number } = { stage: 'ok', at: -Infinity };
  #written: { readonly news: string; readonly at: number } | undefined;
  #exceeded = 0;
  #acts = false;
  #failing = false;
  #stale: { readonly since: number; readonly reason: string } | undefined;

  constructor(deps: WalGuardDeps, options: WalGuardOptions) {
    this.#deps = deps;
    this.#log = deps.log.child({ component: 'wal-guard', source: options.sourceId });
    this.#options = options;
    this.#meter = new WalMeter(options.budget);
    this.#recovery = new Recovery(options.patienceMs);
  }

  /** There is somebody to tell from now on. */
  connect(registries: Registries): void {
    this.#registries = registries;
  }

  /** As of the last look; undefined when there was none, or nothing is kept. */
  get slot(): SlotReport | undefined {
    return this.#slot;
  }

  get report(): GuardReport {
    const { policy } = this.#options;
    if (this.#stale) {
      const { since, reason } = this.#stale;
      return { policy, staleSince: new Date(since).toISOString(), reason };
    }
    if (this.#view === undefined) return { policy };
    const { stage, retainedBytes, budgetBytes, unconfirmedMs } = this.#view;
    const reason = stage === 'ok' ? {} : { reason: describe(this.#view) };
    return {
      policy,
      stage,
      retainedBytes: String(retainedBytes),
      budgetBytes: String(budgetBytes),
      unconfirmedMs,
      ...reason,
    };
  }

  /** Until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look(signal);
      const needed = this.#deps.gate.standing() === 'leading' ? LOOKS_BEFORE_DROP : LOOKS_WITHOUT_LEADER;
      const due = this.#acts && this.#exceeded >= needed && this.#options.policy === 'drop';
      if (due && this.#view !== undefined) {
        this.#exceeded = 0;
        await this.#giveUpSlot(describe(this.#view), signal);
      }
      await this.#sleep(this.#options.intervalMs, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { slot, gate, clock } = this.#deps;
    try {
      const report = await slot.report(signal);
      this.#failing = false;
      this.#slot = report;
      this.#view = report && this.#meter.look(report, clock.now());
      if (report === undefined || this.#view === undefined) {
        this.#exceeded = 0;
        this.#acts = false;
        // While there is no slot, or nobody looks because the source sleeps, no WAL grows older.
        this.#meter = new WalMeter(this.#options.budget);
        return;
      }
      const recovers = this.#recovery.look(report, this.#view, gate.storedLsn(), clock.now());
      this.#exceeded = this.#view.stage === 'exceeded' && !recovers ? this.#exceeded + 1 : 0;
      // While another process holds the lock, what is to be done is its to do.
      this.#acts = gate.standing() !== 'none' || !report.locked;
      if (this.#acts) this.#tell(this.#view);
    } catch (err) {
      this.#acts = false;
      // What it was is no answer to how much WAL there is by now.
      this.#slot = undefined;
      if (signal.aborted) return;
      // That the source is away others say as well; that nobody looks after its WAL meanwhile is said once.
      this.#log[this.#failing ? 'debug' : 'warn']({ err }, 'the WAL kept for the slot cannot be looked at');
      this.#failing = true;
      return;
    }
    if (gate.standing() === 'leading') await this.#record(this.#view);
  }

  #tell(view: GuardView): void {
    const now = this.#deps.clock.now();
    const changed = view.stage !== this.#told.stage;
    if (!changed && (view.stage === 'ok' || now - this.#told.at < REMIND_MS)) return;
    this.#told = { stage: view.stage, at: now };
    if (view.stage === 'ok') return this.#log.info({}, 'WAL kept for the slot is within its budget again');
    emitEvent(this.#log, 'warning', { type: `wal_budget_${view.stage}`, message: describe(view) });
  }

  async #record(view: GuardView): Promise<void> {
    const { stage } = view;
    const shedding = this.#options.policy !== 'alarm' && (stage === 'high' || stage === 'exceeded');
    try {
      await this.#write({ stage, shedding, reason: describe(view) });
    } catch (err) {
      this.#log.debug({ err }, 'the stage of the WAL budget could not be told');
    }
  }

  /**
   * Ends the session of this process, drops the slot and says that the source is stale. Then waits until setting up another slot
   * makes sense: a while has passed, and NATS stores. The lock is held meanwhile, so that no other process tries.
   */
  async #giveUpSlot(reason: string, signal: AbortSignal): Promise<void> {
    const open = await this.#deps.gate.close('The source is paused, because Postgres kept too much WAL for it.');
    let hold: SlotHold | undefined;
    try {
      hold = await this.#drop(signal);
      if (hold === undefined) return;
      this.#view = undefined;
      const since = wallTime(this.#deps.clock);
      const began = this.#deps.clock.now();
      this.#stale = { since, reason };
      const message = `The replication slot was dropped. ${reason} Shapes are stale until the source starts anew.`;
      emitEvent(this.#log, 'warning', { type: 'source_stale', message });
      const held = AbortSignal.any([signal, hold.lost]);
      await this.#untilStale(since, reason, held);
      await this.#sleep(began + this.#options.pauseMs - this.#deps.clock.now(), held);
      // It may have gone away again.
      await this.#untilStale(since, reason, held);
      this.#log.info({ pausedMs: this.#deps.clock.now() - began }, 'the source starts anew');
    } finally {
      await hold?.release();
      this.#stale = undefined;
      open();
    }
  }

  /** Undefined when the slot stays: another process has the lock, or Postgres does not do it. */
  async #drop(signal: AbortSignal): Promise<SlotHold | undefined> {
    for (let attempt = 1; attempt <= DROP_ATTEMPTS && !signal.aborted; attempt += 1) {
      try {
        return await this.#deps.slot.drop(LOCK_PATIENCE_MS, signal);
      } catch (err) {
        if (!signal.aborted) this.#log.error({ err }, 'the slot could not be dropped');
      }
      await this.#sleep(RETRY_MS, signal);
    }
    return undefined;
  }

  /** Says that the incarnation is stale, until that is stored. */
  async #untilStale(since: number, reason: string, signal: AbortSignal): Promise<void> {
    let complained = false;
    while (!signal.aborted) {
      try {
        const sources = await this.#open<SourceRecord>(BUCKETS.sources.name);
        const current = await sources.get(this.#options.sourceId);
        // Somebody else may have the lock by now, and a new incarnation.
        if (current === undefined || signal.aborted) return;
        const { incarnation } = current.value;
        return await this.#write({ stage: 'exceeded', shedding: false, stale: { incarnation, since }, reason }, true);
      } catch (err) {
        if (!complained && !signal.aborted) this.#log.warn({ err }, 'NATS does not store, the source stays paused');
        complained = true;
      }
      await this.#sleep(RETRY_MS, signal);
    }
  }

  /** News, and now and then what is known: sizes change with every look and are in the report. */
  async #write(record: GuardRecord, always = false): Promise<void> {
    const news = `${record.stage} ${record.shedding} ${record.stale?.since}`;
    const now = this.#deps.clock.now();
    if (!always && news === this.#written?.news && now - this.#written.at < REMIND_MS) return;
    const guards = await this.#open<GuardRecord>(BUCKETS.guards.name);
    await guards.put(this.#options.sourceId, record);
    this.#written = { news, at: now };
  }

  async #open<T>(bucket: string) {
    if (this.#registries === undefined) {
      throw new ShapecastError('STREAM_UNAVAILABLE', 'NATS was not reached yet.');
    }
    return this.#registries.open<T>(bucket);
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 0) await this.#deps.clock.sleep(ms, signal).catch(() => undefined);
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
