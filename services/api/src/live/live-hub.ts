import { formatOffset, compareOffsets, type LogOffset } from '@shapecast/log';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { LogRead, ShapeHead, ShardId } from '@shapecast/shape-store';
import type { Failure } from '../answers.ts';
import type { LogReader } from '../shapes/log-reader.ts';
import type { News } from '../telemetry/news.ts';
import type { SourceTelemetry, WaitEnd } from '../telemetry/source-telemetry.ts';
import { FanOut } from './fan-out.ts';
import type { HeadWatcher, Watch } from './head-watcher.ts';
import { noNews, type LogAnswer } from './log-answer.ts';

/** A last look that has not come back by then is given up. */
const LAST_LOOK_MS = 5_000;
const READ_RETRY_MS = 250;

/** Why a held request ends. */
export type LiveOutcome =
  /** Entries and what is measured of them, or at the timeout none. */
  | { readonly kind: 'answer'; readonly answer: LogAnswer; readonly news?: News }
  /** The handle died, or its log went backwards. */
  | { readonly kind: 'rotated' }
  /** The offset lies beyond the tail (OF-8). */
  | { readonly kind: 'beyond' }
  /** The shape cannot be read. */
  | { readonly kind: 'unreadable' }
  /** The source is not served any more. */
  | { readonly kind: 'ended'; readonly failure: Failure };

/** What lets go of a request: its client left, or it has waited for as long as it may, which is not for long enough. */
type Release = (end?: 'aborted' | 'timeout') => void;

interface Waiter {
  readonly group: Group;
  /** When it came, in milliseconds since 1970. */
  readonly since: number;
  /** Milliseconds since 1970; for an overdue waiter when to give up. */
  deadline: number;
  overdue: boolean;
  readonly settle: (outcome: LiveOutcome) => void;
}

/** All requests held at one offset of one handle: one look, one read and one body serve them all. */
interface Group {
  readonly key: string;
  readonly shard: ShardId;
  readonly handle: string;
  readonly digest: string;
  readonly offset: LogOffset;
  readonly waiters: Set<Waiter>;
  /** The tail was seen at the offset. */
  parked: boolean;
  reading: boolean;
  watch: Watch;
}

interface HubDeps {
  readonly logs: LogReader;
  readonly watcher: HeadWatcher;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shared by the sources of a process; one for itself when absent. */
  readonly fanOut?: FanOut | undefined;
  readonly telemetry: SourceTelemetry;
  /** Hears for how many milliseconds each request was held. */
  readonly onHeld?: ((ms: number) => void) | undefined;
}

interface HubOptions {
  readonly timeoutMs: number;
  readonly source?: string;
}

/**
 * Holds live requests until there is news (spec H 11). A held request costs one small object: there is no timer, no
 * subscription and no read per request, and the deadlines of all are checked in one pass over those that are due.
 */
export class LiveHub {
  readonly #deps: HubDeps;
  readonly #timeoutMs: number;
  readonly #source: string;
  readonly #fanOut: FanOut;
  readonly #groups = new Map<string, Group>();
  /** Waiters in order of arrival, which with one timeout for all is the order of their deadlines. */
  readonly #waiting = new Set<Waiter>();
  readonly #overdue = new Set<Waiter>();
  /** When the last of those that are held has its answer, in milliseconds since 1970; undefined until the end is near. */
  #drainEnd: number | undefined;
  #ended: LiveOutcome | undefined;

  constructor(deps: HubDeps, options: HubOptions) {
    this.#deps = deps;
    this.#timeoutMs = options.timeoutMs;
    this.#source = options.source ?? '';
    this.#fanOut = deps.fanOut ?? new FanOut();
    deps.watcher.onTick((now) => this.#expire(now));
  }

  /** Nothing is held for its whole time any more, because the process is about to stop. */
  get draining(): boolean {
    return this.#drainEnd !== undefined;
  }

  /** Requests held at the moment. */
  get held(): number {
    return this.#waiting.size + this.#overdue.size;
  }

  /** How many wait at each handle, most first. */
  readers(most: number): readonly (readonly [handle: string, waiting: number])[] {
    const counts = new Map<string, number>();
    for (const { handle, waiters } of this.#groups.values()) {
      counts.set(handle, (counts.get(handle) ?? 0) + waiters.size);
    }
    return [...counts].sort(([, a], [, b]) => b - a).slice(0, most);
  }

  /** The shapes that requests wait for; one that is waited for at several places comes for each. */
  *waitedFor(): Generator<{ readonly shard: ShardId; readonly handle: string }> {
    for (const group of this.#groups.values()) yield group;
  }

  /**
   * Whether requests for `digest` wait here at that place of `handle`, with the shape known to be alive: then the handle
   * need not be looked up again, since its end would wake them.
   */
  isParked(handle: string, digest: string, offset: LogOffset): boolean {
    const group = this.#groups.get(groupKey(handle, offset));
    return group !== undefined && group.parked && group.digest === digest;
  }

  /**
   * Holds a request. `onGone` takes a function to call when the client leaves; the promise then never settles. `head`, if
   * the caller has one, is used when it shows news already.
   */
  wait(
    target: { readonly shard: ShardId; readonly handle: string; readonly digest: string; readonly offset: LogOffset },
    onGone: (release: Release) => void,
    head?: ShapeHead,
  ): Promise<LiveOutcome> {
    if (this.#ended !== undefined) return Promise.resolve(this.#ended);
    const group = this.#groups.get(groupKey(target.handle, target.offset)) ?? this.#open(target);
    return new Promise((resolve) => {
      const now = this.#deps.clock.now();
      const deadline = Math.min(now + this.#timeoutMs, this.#drainEnd ?? Infinity);
      const waiter: Waiter = { group, since: now, deadline, overdue: false, settle: resolve };
      group.waiters.add(waiter);
      this.#waiting.add(waiter);
      onGone((end = 'aborted') => this.#release(waiter, end));
      if (head !== undefined && compareOffsets(head.tail, target.offset) > 0) this.#look(group, head, 0);
      else if (deadline <= now) this.#lastLook(waiter, now);
    });
  }

  /** The entries of an answer, as fast as they are taken; throws when the rest is lost. */
  parts(shard: ShardId, answer: LogAnswer): AsyncIterable<LogRead> {
    return this.#deps.logs.parts(shard, answer);
  }

  /**
   * The process is about to stop (LV-9): answers what is held early, one after the other in the order in which they came and
   * evenly over `spreadMs`, so that those who come back do not do so all at once (deployment H30). Nobody who comes later
   * is held for longer.
   */
  drain(spreadMs: number): void {
    const now = this.#deps.clock.now();
    this.#drainEnd = now + spreadMs;
    let turn = 0;
    const step = spreadMs / this.#waiting.size;
    for (const waiter of [...this.#waiting]) {
      turn += 1;
      // Both only grow from one to the next, so their order stays that of their deadlines.
      waiter.deadline = Math.min(waiter.deadline, now + Math.floor(step * turn));
    }
    this.#expire(now);
  }

  /** The source is not served any more: answers all that are held, and whoever comes later, with `failure`. */
  end(failure: Failure): void {
    this.#ended = { kind: 'ended', failure };
    for (const group of [...this.#groups.values()]) this.#settleAll(group, this.#ended, 'ended');
  }

  #open(target: Pick<Group, 'shard' | 'handle' | 'digest' | 'offset'>): Group {
    const key = groupKey(target.handle, target.offset);
    const group: Group = {
      key,
      shard: target.shard,
      handle: target.handle,
      digest: target.digest,
      offset: target.offset,
      waiters: new Set(),
      parked: false,
      reading: false,
      watch: this.#deps.watcher.watch(target.shard, target.handle, (head, announcedAt) => {
        this.#look(group, head, announcedAt);
      }),
    };
    this.#groups.set(key, group);
    return group;
  }

  #look(group: Group, head: ShapeHead | undefined, announcedAt: number): void {
    if (group.reading) return;
    if (head === undefined || head.state === 'dead') return this.#settleAll(group, { kind: 'rotated' }, 'ended');
    const order = compareOffsets(head.tail, group.offset);
    if (order > 0) return void this.#read(group, head, announcedAt);
    // Also when it was not so before: a store that went back is applied to again, with the same offsets (spec R 12.5.1, 14.6).
    if (order < 0) return this.#settleAll(group, { kind: 'beyond' }, 'ended');
    group.parked = true;
    if (this.#overdue.size === 0) return;
    const due = [...group.waiters].filter((waiter) => waiter.overdue);
    if (due.length === 0) return;
    this.#deps.telemetry.wakeups.timeout.add(due.length);
    this.#settle(group, due, { kind: 'answer', answer: noNews(head) }, this.draining ? 'drain' : 'timeout');
  }

  async #read(group: Group, head: ShapeHead, announcedAt: number): Promise<void> {
    group.reading = true;
    try {
      const answer = await this.#deps.logs.answer(group.shard, head, group.offset, true);
      if (answer.entries) {
        const news = this.#measured(group, answer, announcedAt);
        this.#settleAll(group, { kind: 'answer', answer, news }, 'data');
        return;
      }
      // The tail moved and yet there is nothing: the shape is being taken down. The next look will tell.
      group.watch.recheck();
    } catch (err) {
      this.#deps.log.warn({ err, handle: group.handle }, 'log cannot be read');
      if (group.parked) this.#deps.clock.after(READ_RETRY_MS, () => group.watch.recheck());
      else this.#settleAll(group, { kind: 'unreadable' }, 'ended');
    } finally {
      group.reading = false;
    }
  }

  /** Once for all requests that the answer is for. */
  #measured(group: Group, answer: LogAnswer, announcedAt: number): News {
    const { telemetry, clock } = this.#deps;
    const { parked: awaited, waiters } = group;
    const news = { note: answer.upToDate ? answer.head.note : undefined, announcedAt, awaited };
    telemetry.coalesced.add(Math.max(0, waiters.size - 1));
    // News that were there when the request came have woken nobody.
    if (!awaited) return news;
    telemetry.visible(news, wallTime(clock));
    telemetry.wakeups[announcedAt > 0 ? 'notification' : 'poll'].add(waiters.size);
    if (announcedAt === 0) telemetry.pollRecovered.add();
    return news;
  }

  #settleAll(group: Group, outcome: LiveOutcome, end: WaitEnd): void {
    this.#settle(group, [...group.waiters], outcome, end);
  }

  #settle(group: Group, waiters: readonly Waiter[], outcome: LiveOutcome, end: WaitEnd): void {
    const now = this.#deps.clock.now();
    // Taken out first: whoever comes from now on makes a new group.
    for (const waiter of waiters) this.#forget(waiter, now, end);
    if (group.waiters.size === 0) this.#close(group);
    this.#fanOut.deliver(this.#source, waiters, outcome);
  }

  #expire(now: number): void {
    for (const waiter of this.#waiting) {
      if (waiter.deadline > now) break;
      this.#lastLook(waiter, now);
    }
    for (const waiter of this.#overdue) {
      if (waiter.deadline > now) break;
      this.#settle(waiter.group, [waiter], { kind: 'unreadable' }, 'ended');
    }
  }

  /** The time is up: what the log shows now is the answer (spec R 14.3). */
  #lastLook(waiter: Waiter, now: number): void {
    this.#waiting.delete(waiter);
    waiter.overdue = true;
    waiter.deadline = now + LAST_LOOK_MS;
    this.#overdue.add(waiter);
    waiter.group.watch.recheck();
  }

  #release(waiter: Waiter, end: WaitEnd): void {
    this.#forget(waiter, this.#deps.clock.now(), end);
    if (waiter.group.waiters.size === 0) this.#close(waiter.group);
  }

  #forget(waiter: Waiter, now: number, end: WaitEnd): void {
    this.#waiting.delete(waiter);
    this.#overdue.delete(waiter);
    if (!waiter.group.waiters.delete(waiter)) return;
    const ms = now - waiter.since;
    this.#deps.telemetry.waits[end].record(ms);
    this.#deps.onHeld?.(ms);
  }

  #close(group: Group): void {
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key);
    group.watch.close();
  }
}

function groupKey(handle: string, offset: LogOffset): string {
  return `${handle}:${formatOffset(offset)}`;
}
