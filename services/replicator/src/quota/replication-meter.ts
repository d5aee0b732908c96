import type { Lsn, TransactionPart } from '@shapecast/log';
import type { SourceUsage } from '@shapecast/messaging';
import { emitEvent, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { endOf } from '../packing.ts';
import type { ReplicatorMetrics } from '../telemetry/replicator-metrics.ts';
import { TokenBucket } from './token-bucket.ts';

/** What one source may replicate in a second; undefined for no limit. */
export interface ReplicationLimits {
  readonly changesPerSecond?: number | undefined;
  readonly publishBytesPerSecond?: number | undefined;
}

type Axis = keyof ReplicationLimits;
export const AXES = ['changesPerSecond', 'publishBytesPerSecond'] as const satisfies readonly Axis[];
const UNITS: Readonly<Record<Axis, string>> = { changesPerSecond: 'row changes', publishBytesPerSecond: 'bytes' };

interface MeterDeps {
  readonly metrics?: ReplicatorMetrics | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Somebody who exceeds a limit all the time is told of now and then. */
const REMIND_MS = 60_000;
/** What was used is told as that of the last second that is complete. */
const SECOND_MS = 1_000;
/** A source counts as held back for so long after it was. */
const HELD_BACK_MS = 2_000;

/**
 * Counts what is replicated of a source, and holds it back when that is more than it may be: reading from Postgres pauses, which then
 * keeps the WAL (spec O 3). Outlives leaderships.
 */
export class ReplicationMeter {
  readonly #deps: MeterDeps;
  readonly #buckets: Readonly<Record<Axis, TokenBucket>>;
  readonly #held: Record<Axis, number> = { changesPerSecond: 0, publishBytesPerSecond: 0 };
  readonly #rates: Readonly<Record<Axis, Rate>>;
  #changes = 0;
  #bytes = 0;
  #lagMs: number | undefined;
  /** A transaction that was received and is not known to be stored; one at a time. */
  #sample: { readonly end: Lsn; readonly commitMs: number } | undefined;
  #heldBack: { readonly axis: Axis; readonly at: number } | undefined;
  #toldAt = -Infinity;

  constructor(deps: MeterDeps, limits: ReplicationLimits = {}) {
    this.#deps = deps;
    const { clock } = deps;
    this.#buckets = { changesPerSecond: new TokenBucket(clock), publishBytesPerSecond: new TokenBucket(clock) };
    this.#rates = { changesPerSecond: new Rate(clock), publishBytesPerSecond: new Rate(clock) };
    this.limit(limits);
  }

  limit(limits: ReplicationLimits): void {
    for (const axis of AXES) this.#buckets[axis].limit(limits[axis]);
  }

  /** Parts are about to be published. Resolves when they may be; false when `signal` aborted first, then they must not. */
  async pass(parts: readonly TransactionPart[], signal: AbortSignal): Promise<boolean> {
    for (const axis of AXES) {
      if (this.#buckets[axis].debtMs === 0) continue;
      this.#held[axis] += 1;
      this.#deps.metrics?.limited(axis);
      // Until it is over.
      this.#heldBack = { axis, at: Infinity };
      this.#tell(axis);
      const pause = this.#deps.metrics?.paused('limit');
      pause?.begin();
      const passed = await this.#buckets[axis].wait(signal).finally(() => pause?.end());
      if (!passed) return false;
      this.#heldBack = { axis, at: this.#deps.clock.now() };
    }
    const changes = parts.reduce((sum, part) => sum + part.changes.length, 0);
    this.#changes += changes;
    this.#spend('changesPerSecond', changes);
    const last = parts.findLast((part) => part.commit);
    if (last !== undefined) this.#sample ??= { end: endOf(last), commitMs: Number(last.commitTimeUs / 1_000n) };
    return true;
  }

  /** A record of so many bytes is in the tx stream, and with it all that commits below `held`. */
  stored(bytes: number, held: Lsn | undefined): void {
    this.#bytes += bytes;
    this.#spend('publishBytesPerSecond', bytes);
    if (this.#sample === undefined || held === undefined || held < this.#sample.end) return;
    // The clock of another machine: a difference below nothing is one of the clocks.
    this.#lagMs = Math.max(0, Math.round(wallTime(this.#deps.clock) - this.#sample.commitMs));
    this.#sample = undefined;
    this.#deps.metrics?.publishLag(this.#lagMs);
  }

  /** A leadership has ended; what was on its way is the business of the next one. */
  ended(): void {
    this.#heldBack = undefined;
    this.#sample = undefined;
    this.#lagMs = undefined;
  }

  /** One sentence, while the source is held back. */
  get complaint(): string | undefined {
    const { axis, at } = this.#heldBack ?? {};
    if (axis === undefined || at === undefined || this.#deps.clock.now() - at > HELD_BACK_MS) return undefined;
    return sentence(axis, this.#buckets[axis].perSecond);
  }

  get usage(): SourceUsage {
    const quotas: Record<string, { used: number; limit: number; refused: number }> = {};
    for (const axis of AXES) {
      const limit = this.#buckets[axis].perSecond;
      if (limit !== undefined) quotas[axis] = { used: this.#rates[axis].value, limit, refused: this.#held[axis] };
    }
    return {
      counters: { changes: this.#changes, publishedBytes: this.#bytes },
      ...(this.#lagMs === undefined ? {} : { gauges: { publishLagMs: this.#lagMs } }),
      ...(Object.keys(quotas).length === 0 ? {} : { quotas }),
    };
  }

  #spend(axis: Axis, amount: number): void {
    this.#buckets[axis].spend(amount);
    this.#rates[axis].add(amount);
  }

  #tell(axis: Axis): void {
    const { clock, log } = this.#deps;
    if (clock.now() - this.#toldAt < REMIND_MS) return;
    this.#toldAt = clock.now();
    const value = this.#buckets[axis].perSecond;
    emitEvent(log, 'tenant_limit_reached', { limit: axis, ...(value === undefined ? {} : { value }) });
  }
}

function sentence(axis: Axis, limit: number | undefined): string {
  return (
    `The source may replicate ${limit} ${UNITS[axis]} a second (limits.${axis}) and has more: its changes come late, ` +
    'and Postgres keeps the WAL.'
  );
}

/** Amount of the last whole second. */
class Rate {
  readonly #clock: Clock;
  #second = 0;
  #now = 0;
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(amount: number): void {
    this.#turn();
    this.#now += amount;
  }

  get value(): number {
    this.#turn();
    return Math.round(this.#last);
  }

  #turn(): void {
    const second = Math.floor(this.#clock.now() / SECOND_MS);
    if (second === this.#second) return;
    this.#last = second === this.#second + 1 ? this.#now : 0;
    this.#now = 0;
    this.#second = second;
  }
}
