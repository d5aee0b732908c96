import type { SourceUsage } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { SourceLimits } from '@shapecast/sources';
import type { Failure } from '../answers.ts';
import { RecentRate, TokenBucket } from './token-bucket.ts';

/** Those of a source's limits that API pods hold. */
type Amount = 'concurrentInitial' | 'concurrentExisting' | 'parkedReaders';
type Rate = 'requestsPerSecond' | 'egressBytesPerSecond' | 'newShapesPerSecond';
export type Axis = Amount | Rate;

interface QuotaDeps {
  /** Living API processes, this one included: each holds its share of a limit. */
  readonly processes: () => number;
  /** What counts against the amounts at the moment. */
  readonly used: () => Readonly<Record<Amount, number>>;
  /** Hears of everything that is refused. */
  readonly onRefused?: (axis: Axis) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const RATES = ['requestsPerSecond', 'egressBytesPerSecond', 'newShapesPerSecond'] as const;
const AMOUNTS = ['concurrentInitial', 'concurrentExisting', 'parkedReaders'] as const;

/** Everything that may have a limit here. */
export const AXES: readonly Axis[] = [...AMOUNTS, ...RATES];

const WHAT: Readonly<Record<Rate, string>> = {
  requestsPerSecond: 'requests in a second',
  egressBytesPerSecond: 'bytes of answers in a second',
  newShapesPerSecond: 'new shapes in a second',
};

const MAX_RETRY_S = 60;
/** An answer that was begun goes on after a pause of this length at most: one that stalls is cut by whatever is on the way. */
const MAX_PAUSE_MS = 5_000;
const EVENT_MS = 60_000;

/**
 * What a source may use of this process (spec O 3.1, 3.4, 4.6). What would exceed a rate is refused before it begins, with 429; what
 * exceeds an amount with 503. An answer that has begun is never cut short: it goes slower, and the next request is refused.
 */
export class SourceQuotas {
  readonly #deps: QuotaDeps;
  readonly #buckets = new Map<Rate, { readonly bucket: TokenBucket; readonly recent: RecentRate }>();
  readonly #refused = new Map<Axis, { count: number; toldAt: number }>();
  #limits: Partial<SourceLimits>;

  constructor(deps: QuotaDeps, limits: Partial<SourceLimits>) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** From now on these count. */
  set limits(limits: Partial<SourceLimits>) {
    this.#limits = limits;
  }

  /** This process's share of a limit; undefined when there is none. */
  share(axis: Axis): number | undefined {
    const limit = this.#limits[axis];
    return limit === undefined ? undefined : Math.ceil(limit / Math.max(1, this.#deps.processes()));
  }

  /** Counts a request; why it is refused. */
  request(): Failure | undefined {
    return this.#take('requestsPerSecond') ?? this.#inDebt();
  }

  /** Counts a shape that is about to be created; why it must not be. */
  newShape(): Failure | undefined {
    return this.#take('newShapesPerSecond');
  }

  /** It was there already. */
  notCreated(): void {
    this.#buckets.get('newShapesPerSecond')?.bucket.giveBack(1);
  }

  /** Why one more request cannot wait for news. */
  park(): Failure | undefined {
    const limit = this.share('parkedReaders');
    if (limit === undefined || this.#deps.used().parkedReaders < limit) return undefined;
    return this.overloaded('parkedReaders', `Parked readers limit exceeded (limit: ${limit}), please retry`);
  }

  /** Bytes of answers that were written. */
  sent(bytes: number): void {
    const rate = this.share('egressBytesPerSecond');
    if (rate === undefined) return;
    const now = this.#deps.clock.now();
    const { bucket, recent } = this.#rate('egressBytesPerSecond');
    bucket.use(now, rate, bytes);
    recent.add(now, bytes);
  }

  /** How long to wait before more of an answer is written. */
  pauseMs(): number {
    const rate = this.share('egressBytesPerSecond');
    if (rate === undefined) return 0;
    const { bucket } = this.#rate('egressBytesPerSecond');
    return Math.min(MAX_PAUSE_MS, bucket.waitMs(this.#deps.clock.now(), rate, 0));
  }

  /** 503 for something that this source has too much of at a time. */
  overloaded(axis: Amount, message: string): Failure {
    this.#count(axis);
    const body = JSON.stringify({ code: 'concurrent_request_limit_exceeded', axis, message });
    // Spread, so that the refused do not come back together (H AD-3).
    return { kind: 'failure', status: 503, body, retryAfter: 6 + this.#spread(), known: true };
  }

  /** Of the axes that have a limit. */
  report(): NonNullable<SourceUsage['quotas']> {
    const all: Record<string, { used: number; limit: number; refused: number }> = {};
    for (const axis of AXES) {
      const usage = this.usage(axis);
      if (usage !== undefined) all[axis] = { ...usage, refused: this.#refused.get(axis)?.count ?? 0 };
    }
    return all;
  }

  /** What counts against a limit in this process, and its share of it; undefined when there is no limit. */
  usage(axis: Axis): { readonly used: number; readonly limit: number } | undefined {
    const limit = this.share(axis);
    if (limit === undefined) return undefined;
    return { used: isAmount(axis) ? this.#deps.used()[axis] : this.#perSecond(axis), limit };
  }

  #perSecond(axis: Rate): number {
    return this.#buckets.get(axis)?.recent.perSecond(this.#deps.clock.now()) ?? 0;
  }

  #take(axis: Rate): Failure | undefined {
    const rate = this.share(axis);
    if (rate === undefined) return undefined;
    const now = this.#deps.clock.now();
    const { bucket, recent } = this.#rate(axis);
    if (!bucket.take(now, rate, 1)) return this.#limited(axis, bucket.waitMs(now, rate, 1));
    recent.add(now, 1);
    return undefined;
  }

  #inDebt(): Failure | undefined {
    const rate = this.share('egressBytesPerSecond');
    if (rate === undefined) return undefined;
    const waitMs = this.#rate('egressBytesPerSecond').bucket.waitMs(this.#deps.clock.now(), rate, 0);
    return waitMs === 0 ? undefined : this.#limited('egressBytesPerSecond', waitMs);
  }

  #limited(axis: Rate, waitMs: number): Failure {
    this.#count(axis);
    const limit = this.#limits[axis] as number;
    const message = `The source is limited to ${limit} ${WHAT[axis]}, please retry`;
    const body = JSON.stringify({ code: 'rate_limited', axis, message });
    const retryAfter = Math.min(MAX_RETRY_S, Math.max(1, Math.ceil(waitMs / 1_000))) + this.#spread();
    return { kind: 'failure', status: 429, body, retryAfter, known: true };
  }

  /** Told now and then, while it goes on. */
  #count(axis: Axis): void {
    const { clock, log } = this.#deps;
    const now = clock.now();
    const known = this.#refused.get(axis) ?? { count: 0, toldAt: -Infinity };
    known.count += 1;
    this.#deps.onRefused?.(axis);
    this.#refused.set(axis, known);
    if (now - known.toldAt < EVENT_MS) return;
    known.toldAt = now;
    const limit = this.#limits[axis];
    emitEvent(log, 'tenant_limit_reached', { limit: axis, ...(limit === undefined ? {} : { value: limit }) });
  }

  #rate(axis: Rate): { readonly bucket: TokenBucket; readonly recent: RecentRate } {
    let rate = this.#buckets.get(axis);
    if (rate === undefined) {
      rate = { bucket: new TokenBucket(), recent: new RecentRate() };
      this.#buckets.set(axis, rate);
    }
    return rate;
  }

  #spread(): number {
    return Math.floor(this.#deps.clock.random() * 5);
  }
}

function isAmount(axis: Axis): axis is Amount {
  return (AMOUNTS as readonly Axis[]).includes(axis);
}
