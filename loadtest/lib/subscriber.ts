import { check } from 'k6';
import http from 'k6/http';
import { setTimeout } from 'k6/timers';
import { readAnswer, type ShapeAnswer } from './answer.ts';
import { Backoff } from './backoff.ts';
import * as metrics from './metrics.ts';
import type { ShapeReader } from './shape-reader.ts';

/** Longer than any live request waits (20 s), and than a first read of a large shape. */
const REQUEST_TIMEOUT_MS = 90_000;
/** 0 is a request that we broke off or whose connection broke; each is counted by hand where it is not wanted. */
const EXPECTED = http.expectedStatuses(200, 204, 304, 409, 429, 503);
const EXPECTED_WHEN_CUT = http.expectedStatuses(0, 200, 204, 304, 409, 429, 503);

export interface SubscriberOptions {
  readonly base: string;
  readonly table: string;
  readonly where: string;
  readonly source: string | undefined;
  readonly secret: string | undefined;
  readonly edge: boolean;
  /** On all metrics of this reader. */
  readonly tags: Readonly<Record<string, string>>;
  /** What a refusal counts under, asked at that moment. */
  readonly phase?: () => string;
  /** When its request is to be broken off; undefined for never. */
  readonly cutAtMs?: () => number | undefined;
}

type Outcome = 'ok' | 'refused' | 'failed';

/** One client of one shape: sends what its reader wants to know next, and waits before it tries again. Many share a virtual user. */
export class Subscriber {
  readonly reader: ShapeReader;
  readonly #options: SubscriberOptions;
  readonly #url: string;
  readonly #fixed: string;
  readonly #backoff = new Backoff();
  #left = false;

  constructor(reader: ShapeReader, options: SubscriberOptions) {
    this.reader = reader;
    this.#options = options;
    this.#url = `${options.base}/v1/shape?`;
    const fixed: Record<string, string | undefined> = {
      secret: options.secret,
      source_id: options.source,
      table: options.table,
      where: options.where,
    };
    this.#fixed = Object.entries(fixed)
      .flatMap(([name, value]) => (value === undefined ? [] : [`&${name}=${encodeURIComponent(value)}`]))
      .join('');
  }

  /** Reads until up to date, however often the service has no room; false when `deadlineMs` has passed before. */
  async sync(deadlineMs: number): Promise<boolean> {
    do await this.#retrying(false);
    while (!this.reader.upToDate && Date.now() < deadlineMs);
    return this.reader.upToDate;
  }

  /** Reads until up to date and gives up at the first refusal, as a client that has not begun yet. */
  async attempt(): Promise<Outcome> {
    for (;;) {
      const outcome = await this.#step(false, undefined);
      if (typeof outcome === 'object') return 'refused';
      if (outcome !== 'ok' || this.reader.upToDate) return outcome;
    }
  }

  /** Waits for changes and reads them until the writer has ended the channel, or `deadlineMs` has passed. */
  async follow(deadlineMs: number): Promise<void> {
    while (!this.#left && !this.reader.ended && Date.now() < deadlineMs) await this.#retrying(this.reader.upToDate);
  }

  /** Follows no more after the answer that it waits for. */
  leave(): void {
    this.#left = true;
  }

  async #retrying(live: boolean): Promise<void> {
    const outcome = await this.#step(live, this.#options.cutAtMs?.());
    if (outcome === 'ok') return this.#backoff.succeeded();
    const retryAfter = typeof outcome === 'object' ? outcome.retryAfter : undefined;
    await pause(this.#backoff.next(retryAfter));
  }

  async #step(
    live: boolean,
    cutAtMs: number | undefined,
  ): Promise<'ok' | 'failed' | { retryAfter: number | undefined }> {
    const { tags, edge } = this.#options;
    const now = Date.now();
    const cut = cutAtMs !== undefined && cutAtMs > now;
    const response = await http.asyncRequest('GET', `${this.#url}${this.reader.query(live)}${this.#fixed}`, null, {
      timeout: cut ? Math.min(cutAtMs - now, REQUEST_TIMEOUT_MS) : REQUEST_TIMEOUT_MS,
      responseType: 'text',
      responseCallback: cut ? EXPECTED_WHEN_CUT : EXPECTED,
      tags: { ...tags, name: live ? 'GET /v1/shape live' : 'GET /v1/shape' },
    });
    const { status } = response;
    if (status === 0 && cut) {
      metrics.cut.add(1, tags);
      return 'failed';
    }
    const body = response.body as string | null;
    metrics.bytesReceived.add(body?.length ?? 0, tags);
    if (edge) metrics.edgeMiss.add(response.headers['X-Cache-Status'] !== 'HIT', tags);
    const answer = readAnswer(status, response.headers, body);
    if (status === 503 || status === 429) return this.#refused(answer, response.timings.duration);
    const rows = isShapeAnswer(status) ? this.#take(answer) : undefined;
    check(rows, { 'the answer is one of a shape': (value) => value !== undefined }, { ...tags });
    if (rows === undefined) return 'failed';
    if (live) {
      metrics.pollWait.add(response.timings.duration, tags);
      metrics.pollEmpty.add(rows === 0, tags);
    }
    metrics.changes.add(rows, tags);
    return 'ok';
  }

  /** Counts what the reader finds wrong in it; undefined where it is no answer of a shape at all. */
  #take(answer: ShapeAnswer): number | undefined {
    const { reader } = this;
    const { tags } = this.#options;
    const before = counts(reader);
    const rows = reader.take(answer);
    const after = counts(reader);
    for (const name of Object.keys(after) as (keyof typeof after)[]) {
      const found = after[name] - before[name];
      if (found > 0) metrics[name].add(found, tags);
    }
    return rows;
  }

  #refused({ retryAfter }: ShapeAnswer, durationMs: number): { retryAfter: number | undefined } {
    const tags = { ...this.#options.tags, phase: this.#options.phase?.() ?? '' };
    metrics.refused.add(1, tags);
    metrics.refusalTime.add(durationMs, tags);
    const usable = retryAfter !== undefined && retryAfter >= 1;
    check(usable, { 'a refusal says when to come again': (value) => value }, tags);
    if (!usable) metrics.refusedWithoutRetryAfter.add(1, tags);
    return { retryAfter };
  }
}

function isShapeAnswer(status: number): boolean {
  return status === 200 || status === 204 || status === 304 || status === 409;
}

/** What is wrong with what a reader was given; the metrics have the same names. */
export function counts({ tracker, mustRefetch, outOfOrder, foreign }: ShapeReader) {
  return { gaps: tracker.gaps, duplicates: tracker.duplicates, mustRefetch, outOfOrder, foreign };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(), Math.max(0, ms));
  });
}
