import { BEFORE_ALL, SNAPSHOT_END, ZERO_LSN, compareOffsets, snapshotChunkEnd, type LogOffset } from '@shapecast/log';
import { entityTag, matchesTag, type ShapeRequest } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeHead } from '@shapecast/shape-store';
import { invalid, unavailable, type Answer, type Failure, type ShapeTarget } from '../answers.ts';
import type { HeadWatcher } from '../live/head-watcher.ts';
import { noNews, type LogAnswer } from '../live/log-answer.ts';
import type { ReadTimes } from '../expiry/read-times.ts';
import type { LiveHub } from '../live/live-hub.ts';
import type { SourceState } from '../source-state.ts';
import { withoutPromise } from '../stale-source.ts';
import type { SubsetReader } from '../subset/subset-reader.ts';
import type { News } from '../telemetry/news.ts';
import type { Body } from './body.ts';
import type { LogReader } from './log-reader.ts';
import type { SchemaHeaders } from './schema-headers.ts';
import type { Cancellable, ShapeResolver } from './shape-resolver.ts';
import type { ShapeStart } from './shape-start.ts';
import { EMPTY_BODY, type SnapshotReader } from './snapshot-reader.ts';
import type { StreamEnd } from './stream-end.ts';

/** Said where the store went back behind what clients have, and the changes are there to be applied again. */
const CATCHING_UP = 'The shape is catching up with what was served before. Please retry.';
const CATCH_UP_S = 5;

interface ShapeReaderDeps {
  readonly source: SourceState;
  readonly resolver: ShapeResolver;
  readonly start: ShapeStart;
  readonly snapshots: SnapshotReader;
  readonly logs: LogReader;
  readonly subsets: SubsetReader;
  readonly schemas: SchemaHeaders;
  readonly watcher: HeadWatcher;
  readonly hub: LiveHub;
  readonly reads: Pick<ReadTimes, 'read'>;
  readonly streamEnd: Pick<StreamEnd, 'reaches'>;
  /** Why one more request cannot wait for news. */
  readonly park: () => Failure | undefined;
  readonly clock: Clock;
}

interface ShapeReaderOptions {
  readonly longPollTimeoutMs: number;
  readonly readyTimeoutMs: number;
  /** For the next chunk of a running snapshot. */
  readonly chunkWaitMs: number;
}

/** The request's side of a read. */
export interface ReadContext extends Cancellable {
  readonly ifNoneMatch: string | undefined;
  /** Takes what to call when the client leaves. */
  onGone(release: () => void): void;
  /** The request turned out to be about this handle, and the answer can begin (AD-5). */
  onHandle(handle: string): void;
}

/** Reads shapes: from a typed request to the answer (spec H 2.1, steps 5 to 10). */
export class ShapeReader {
  readonly #deps: ShapeReaderDeps;
  readonly #options: ShapeReaderOptions;

  constructor(deps: ShapeReaderDeps, options: ShapeReaderOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Whatever was waited for meanwhile: the answer is what may be said now. */
  async read(request: ShapeRequest, context: ReadContext): Promise<Answer> {
    const { source, reads } = this.#deps;
    const answer = await this.#read(request, context);
    if ('target' in answer) reads.read(answer.target.shard, answer.target.handle);
    return source.stale === undefined ? answer : withoutPromise(answer);
  }

  async #read(request: ShapeRequest, context: ReadContext): Promise<Answer> {
    const { source, resolver, hub } = this.#deps;
    if (source.record === undefined) {
      await source.waitFor(() => source.record !== undefined, this.#options.readyTimeoutMs, context.signal);
    }
    // Nothing new comes while the source sleeps. The request waits for news as ever.
    if (request.live && source.asleep) void source.wake('a live request');
    if (request.subset !== undefined) return this.#deps.subsets.read(request, request.subset, context);
    if (request.handle === undefined || request.offset === 'now') return this.#fromTheTop(request, context);

    const placed = await resolver.place(request.definition, request.live ? 'known' : 'current');
    if ('answer' in placed) return placed.answer;
    const { handle, offset } = request;
    if (request.live && !request.sse && hub.isParked(handle, placed.shape.digest, offset)) {
      context.onHandle(handle);
      return this.#held({ ...placed, handle }, request, offset, context);
    }
    const resolution = await resolver.existing(placed, request.definition, handle, context);
    if (resolution.kind === 'answer') return resolution.answer;
    const { target, head } = resolution;
    if (head === undefined) return resolver.successor(target);
    context.onHandle(handle);
    const described = request.live ? target : await this.#deps.schemas.describe(target);
    return this.#from(described, head, request, offset, context);
  }

  /** `offset=-1` and `offset=now`: the current handle, made if need be, once its snapshot delivers. */
  async #fromTheTop(request: ShapeRequest, context: ReadContext): Promise<Answer> {
    const begun = await this.#deps.start.current(request.definition, context, request.expiredHandle);
    if ('answer' in begun) return begun.answer;
    const { head } = begun;
    context.onHandle(begun.target.handle);
    const target = await this.#deps.schemas.describe(begun.target);
    if (request.offset !== 'now') return this.#chunk(target, 0, BEFORE_ALL, context);
    const answer = noNews(head);
    return this.#withoutNews(target, 'now', answer);
  }

  /** A concrete offset of a shape that exists (CH-2). */
  async #from(
    target: ShapeTarget,
    head: ShapeHead,
    request: ShapeRequest,
    offset: LogOffset,
    context: ReadContext,
  ): Promise<Answer> {
    if (offset.tx === ZERO_LSN && offset.op !== Infinity) {
      const next = offset.op + 1;
      if (next < head.closedChunks) return this.#chunk(target, next, offset, context);
      if (!head.snapshotComplete) return this.#chunkToCome(target, next, offset, context);
      return this.#log(target, head, request, SNAPSHOT_END, context);
    }
    return this.#log(target, head, request, offset, context);
  }

  async #chunk(target: ShapeTarget, chunk: number, requested: LogOffset, context: ReadContext): Promise<Answer> {
    const end = snapshotChunkEnd(chunk);
    const etag = entityTag(target.handle, requested, end);
    if (matchesTag(context.ifNoneMatch, etag)) return { kind: 'not-modified', target, end, upToDate: false, etag };
    const id = { shard: target.shard, handle: target.handle, chunk };
    const body = await this.#deps.snapshots.open(id, context);
    if (body === undefined) return this.#deps.resolver.successor(target);
    return { kind: 'snapshot', target, end, etag, body };
  }

  /** A chunk of a snapshot that is still being written (CH-8). */
  async #chunkToCome(target: ShapeTarget, chunk: number, requested: LogOffset, context: ReadContext): Promise<Answer> {
    const id = { shard: target.shard, handle: target.handle, chunk };
    const state = await this.#deps.snapshots.chunkBegun(id, this.#options.chunkWaitMs, context.signal);
    switch (state) {
      case 'begun':
        return this.#chunk(target, chunk, requested, context);
      case 'none': {
        const end = snapshotChunkEnd(chunk);
        return { kind: 'snapshot', target, end, etag: entityTag(target.handle, requested, end), body: EMPTY_BODY };
      }
      case 'gone':
        return this.#deps.resolver.successor(target);
      case undefined:
        return unavailable('Timeout waiting for shape data to be loaded', 5);
    }
  }

  /** Entries after `after`; `request.offset` is what the client wrote, and the same place. */
  async #log(
    target: ShapeTarget,
    head: ShapeHead,
    request: ShapeRequest,
    after: LogOffset,
    context: ReadContext,
  ): Promise<Answer> {
    if (compareOffsets(after, head.tail) > 0) return this.#beyond(target, request, after, context);
    if (request.sse) {
      const full = this.#deps.park();
      if (full !== undefined) return full;
      return { kind: 'events', target, offset: after, upToDate: compareOffsets(after, head.tail) === 0 };
    }
    const { logs } = this.#deps;
    const kept = logs.keptEnd(head, after);
    if (kept !== undefined) {
      const found = { end: kept, upToDate: false };
      return this.#withEntries(target, request, found, context, () => logs.keptBody(head, after) as Body);
    }
    if (request.live) return this.#held(target, request, after, context, head);

    const settled = head.state === 'live' ? head : await this.#promoted(target, context);
    if (settled === 'gone') return this.#deps.resolver.successor(target);
    const current = settled ?? head;
    const answer = await logs.answer(target.shard, current, after, false);
    // Nothing, where the head had said that there is something: the shape ended and its data went (spec R 14.8).
    if (!answer.entries && !answer.upToDate) return this.#deps.resolver.successor(target);
    return this.#withEntries(target, request, answer, context, () => logs.body(target.shard, after, answer));
  }

  /** An answer that caches may keep; a client that has it already gets a 304. */
  #withEntries(
    target: ShapeTarget,
    request: ShapeRequest,
    { end, upToDate }: Pick<LogAnswer, 'end' | 'upToDate'>,
    context: ReadContext,
    open: () => Body,
    news?: News,
  ): Answer {
    const etag = entityTag(target.handle, request.offset, end);
    if (matchesTag(context.ifNoneMatch, etag)) return { kind: 'not-modified', target, end, upToDate, etag };
    return { kind: 'log', target, end, upToDate, etag, hasData: true, body: open(), news };
  }

  /** Nothing but `up-to-date`, which is never the same twice (CA-3). */
  #withoutNews(target: ShapeTarget, requested: ShapeRequest['offset'], answer: LogAnswer): Answer {
    const { end, upToDate } = answer;
    const etag = entityTag(target.handle, requested, end, this.#unique());
    const body = this.#deps.logs.body(target.shard, end, answer);
    return { kind: 'log', target, end, upToDate, etag, hasData: false, body };
  }

  /** Between the end of a snapshot and live the log catches up; that takes moments, so a reader of the log waits for it. */
  async #promoted(target: ShapeTarget, context: ReadContext): Promise<ShapeHead | 'gone' | undefined> {
    const accept = (head: ShapeHead | undefined): ShapeHead | 'gone' | undefined => {
      if (head === undefined || head.state === 'dead') return 'gone';
      return head.state === 'live' ? head : undefined;
    };
    const wait = { timeoutMs: this.#options.readyTimeoutMs, signal: context.signal, pollMs: 100 };
    return this.#deps.watcher.waitFor(target.shard, target.handle, accept, wait);
  }

  async #held(
    target: ShapeTarget,
    request: ShapeRequest,
    after: LogOffset,
    context: ReadContext,
    head?: ShapeHead,
  ): Promise<Answer> {
    this.#deps.reads.read(target.shard, target.handle);
    const news = head !== undefined && compareOffsets(head.tail, after) > 0;
    const full = news ? undefined : this.#deps.park();
    if (full !== undefined) return full;
    const place = { shard: target.shard, handle: target.handle, digest: target.shape.digest, offset: after };
    const outcome = await this.#deps.hub.wait(place, (release) => context.onGone(release), head);
    switch (outcome.kind) {
      case 'answer': {
        const { answer, news } = outcome;
        if (!answer.entries) return this.#withoutNews(target, request.offset, answer);
        const open = () => this.#deps.logs.body(target.shard, after, answer);
        return this.#withEntries(target, request, answer, context, open, news);
      }
      case 'rotated':
        return this.#deps.resolver.successor(target);
      case 'beyond':
        return this.#beyond(target, request, after, context);
      case 'unreadable':
        return unavailable('Timeout waiting for shape data to be loaded', 10);
      case 'ended':
        return outcome.failure;
    }
  }

  /** An offset that another instance may have given out already: wait for this view to catch up (OF-8, R 14.6). */
  async #beyond(target: ShapeTarget, request: ShapeRequest, after: LogOffset, context: ReadContext): Promise<Answer> {
    const accept = (head: ShapeHead | undefined): ShapeHead | 'gone' | undefined => {
      if (head === undefined || head.state === 'dead') return 'gone';
      return compareOffsets(after, head.tail) <= 0 ? head : undefined;
    };
    const wait = { timeoutMs: this.#options.longPollTimeoutMs / 2, signal: context.signal };
    const head = await this.#deps.watcher.waitFor(target.shard, target.handle, accept, wait);
    if (head === 'gone') return this.#deps.resolver.successor(target);
    if (head === undefined) {
      const { shard } = target;
      if (await this.#deps.streamEnd.reaches(after.tx, shard.incarnation)) return unavailable(CATCHING_UP, CATCH_UP_S);
      return invalid({ offset: ['out of bounds for this shape'] });
    }
    return this.#log(target, head, request, after, context);
  }

  /** The fourth part of a tag that never repeats (CA-3). */
  #unique(): string {
    return `${this.#deps.clock.now().toString(36)}${Math.floor(this.#deps.clock.random() * 2 ** 48).toString(36)}`;
  }
}
