import { RecentHighest, type Counter, type Histogram, type Metrics } from '@shapecast/telemetry';
import type { Kind } from '../permits.ts';
import type { Axis } from '../quotas/source-quotas.ts';
import type { Lag, News } from './news.ts';
import { ABORTED, RequestCells, type RequestOutcome } from './request-cells.ts';

/** What a request left behind, once it is over. */
export interface EndedRequest extends RequestOutcome {
  /** When it came, in milliseconds on the clock of the process. */
  readonly began: number;
  readonly bodyBytes: number;
}

/** How a wait for news ended. `ended`: its shape or its source did, or the log could not be read. */
export type WaitEnd = 'data' | 'timeout' | 'drain' | 'aborted' | 'ended';

/** Why somebody was turned away: wrong secret, token that is not taken, keys that cannot be loaded, grant that does not allow it. */
export type Denial = 'secret' | 'token' | 'keys' | 'grant';

/** What can be asked of a source at any time. Undefined: nothing to say at the moment. */
interface SourceState {
  readonly waiting: () => number;
  readonly activeShapes: () => number | undefined;
  readonly stale: () => boolean | undefined;
  readonly quota: (axis: Axis) => { readonly used: number; readonly limit: number } | undefined;
}

/**
 * The cells of one source: asked for once, so that counting costs an addition. What other parts count already for their own work, such
 * as held requests and quotas, is read from them when somebody looks.
 */
export class SourceTelemetry {
  readonly #metrics: Metrics;
  readonly source: string;
  readonly #now: () => number;
  readonly #requests: RequestCells;
  readonly #count: Counter;
  readonly #bytes: Counter;
  readonly #duration: Histogram;
  readonly #size: { readonly live: Histogram; readonly other: Histogram };
  readonly #mustRefetch: Counter;
  readonly #rejected: Readonly<Record<Kind, Counter>>;
  readonly #notifyToResponse: Histogram;
  readonly #commitToVisible: Histogram;
  readonly #delivery: Histogram;
  readonly #serve: Histogram;
  readonly #recentServe = new RecentHighest();
  readonly #recentTotal = new RecentHighest();
  readonly #stops: (() => void)[] = [];
  /** For the hub, which takes the one that it needs for a whole group of requests. */
  readonly waits: Readonly<Record<WaitEnd, Histogram>>;
  readonly wakeups: { readonly notification: Counter; readonly poll: Counter; readonly timeout: Counter };
  readonly pollRecovered: Counter;
  /** Requests that another one's work answered. */
  readonly coalesced: Counter;
  /** Event streams that are open. */
  streams = 0;

  /** `now` is the clock of the process. */
  constructor(metrics: Metrics, source: string, now: () => number) {
    this.#metrics = metrics;
    this.source = source;
    this.#now = now;
    const own = { source };
    const wait = (outcome: WaitEnd) => metrics.histogram('shapecast.api.poll.duration', { source, outcome });
    const wakeup = (cause: string) => metrics.counter('shapecast.api.wakeups.count', { source, cause });
    const size = (live: string) => metrics.histogram('electric.shape.response_size.bytes', { source, live });
    const rejected = (kind: Kind) => metrics.counter('electric.admission_control.reject.count', { source, kind });
    this.#requests = new RequestCells(metrics, source);
    this.#count = metrics.counter('electric.plug.serve_shape.count', own);
    this.#bytes = metrics.counter('electric.plug.serve_shape.bytes', own);
    this.#duration = metrics.histogram('electric.plug.serve_shape.duration', own);
    this.#size = { live: size('true'), other: size('false') };
    this.#mustRefetch = metrics.counter('shapecast.api.must_refetch.count', own);
    this.#rejected = { initial: rejected('initial'), existing: rejected('existing') };
    this.#notifyToResponse = metrics.histogram('shapecast.api.notify_to_response', own);
    this.#commitToVisible = metrics.histogram('shapecast.e2e.commit_to_visible', own);
    this.#delivery = metrics.histogram('shapecast.api.delivery.latency', own);
    this.#serve = metrics.histogram('shapecast.e2e.stage', { source, stage: 'serve' });
    this.waits = {
      ...{ data: wait('data'), timeout: wait('timeout'), drain: wait('drain') },
      ...{ aborted: wait('aborted'), ended: wait('ended') },
    };
    this.wakeups = { notification: wakeup('notification'), poll: wakeup('poll'), timeout: wakeup('timeout') };
    this.pollRecovered = metrics.counter('shapecast.api.poll_recovered.count', own);
    this.coalesced = metrics.counter('shapecast.api.coalesced.count', own);
  }

  /** From now on `state` is asked when somebody looks. */
  watch(state: SourceState, axes: readonly Axis[]): void {
    const metrics = this.#metrics;
    const { source } = this;
    const own = { source };
    this.#stops.push(
      metrics.gauge('shapecast.api.waiting_requests', own, state.waiting),
      metrics.gauge('shapecast.api.active_streams', own, () => this.streams),
      metrics.gauge('electric.shapes.active_shapes.count', own, state.activeShapes),
      metrics.gauge('shapecast.api.stale_sources', own, () => flag(state.stale())),
      metrics.gauge('shapecast.e2e.lag', { source, stage: 'serve' }, () => this.serveLagMs),
      metrics.gauge('shapecast.e2e.lag', { source, stage: 'total' }, () => this.deliveryLagMs),
      ...axes.flatMap((axis) => [
        metrics.gauge('shapecast.tenant.usage', { source, axis }, () => state.quota(axis)?.used),
        metrics.gauge('shapecast.tenant.limit', { source, axis }, () => state.quota(axis)?.limit),
      ]),
    );
  }

  /** The source is no more. Requests that are under way may still be counted, for nobody. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#metrics.forgetSource(this.source);
  }

  /** A request is over, whatever came of it. */
  ended(request: EndedRequest, now: number): void {
    this.#requests.count(request);
    if (request.status === ABORTED) return;
    this.#count.add();
    this.#bytes.add(request.bodyBytes);
    if (request.status === 409) this.#mustRefetch.add();
    if (request.live) {
      this.#size.live.record(request.bodyBytes);
    } else {
      this.#size.other.record(request.bodyBytes);
      this.#duration.record(now - request.began);
    }
  }

  /** Rare enough for its cell to be looked up. */
  denied(reason: Denial): void {
    this.#metrics.counter('shapecast.api.denied.count', { source: this.source, reason }).add();
  }

  /** Too many requests were in progress. */
  rejected(kind: Kind): void {
    this.#rejected[kind].add();
  }

  /** The source has used up what it may. Rare enough for its cell to be looked up. */
  refused(axis: Axis): void {
    this.#metrics.counter('shapecast.tenant.refused.count', { source: this.source, axis }).add();
  }

  /** A new entry can be served; told once for each. */
  visible({ note }: News, wall: number): void {
    if (note !== undefined) this.#commitToVisible.record(wall - note.committedMs);
  }

  /** News were written to a reader that came at `since`; see `lagOf`. */
  told(news: News, lag: Lag | undefined, now: number): void {
    if (news.announcedAt > 0) this.#notifyToResponse.record(now - news.announcedAt);
    if (lag === undefined) return;
    this.#serve.record(lag.serve);
    this.#delivery.record(lag.total);
    this.#recentServe.note(lag.serve, now);
    this.#recentTotal.note(lag.total, now);
  }

  /** The highest of the last seconds; undefined when no news were written. */
  get serveLagMs(): number | undefined {
    return this.#recentServe.at(this.#now());
  }

  get deliveryLagMs(): number | undefined {
    return this.#recentTotal.at(this.#now());
  }
}

function flag(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
