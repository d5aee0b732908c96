import { ZERO_LSN, lsn, snapshotChunkEnd, type LogOffset } from '@shapecast/log';
import type { SubsetQuery } from '@shapecast/messaging';
import { resolveSubset, type Params, type ShapeRequest, type SubsetSelection } from '@shapecast/protocol';
import { Backoff, type Clock } from '@shapecast/service-kit';
import { isVisible, type SafetyRing, type ShapeHead, type ShapeStore } from '@shapecast/shape-store';
import { invalid, unavailable, type Answer, type ShapeTarget } from '../answers.ts';
import type { SchemaHeaders } from '../shapes/schema-headers.ts';
import type { Cancellable, Placed, ShapeResolver } from '../shapes/shape-resolver.ts';
import type { Begun, ShapeStart } from '../shapes/shape-start.ts';
import type { SourceState } from '../source-state.ts';
import { SHEDDING, STALE } from '../stale-source.ts';
import { subsetFailure } from './subset-failure.ts';
import type { OpenSubset, SubsetSource } from './subset-source.ts';

interface SubsetReaderDeps {
  readonly store: ShapeStore;
  readonly source: SourceState;
  readonly resolver: ShapeResolver;
  readonly start: ShapeStart;
  readonly subsets: SubsetSource;
  readonly schemas: SchemaHeaders;
  readonly clock: Clock;
}

interface SubsetReaderOptions {
  readonly readyTimeoutMs: number;
}

/** The request's side of a read. */
interface SubsetContext extends Cancellable {
  readonly onHandle: (handle: string) => void;
}

/** A shape, and the rows of it that are wanted. */
interface Wanted {
  readonly target: ShapeTarget;
  readonly head: ShapeHead;
  readonly selection: SubsetSelection;
}

/** Answers requests for subset snapshots (spec H 13): rows that a router reads from Postgres now, outside the shape's log. */
export class SubsetReader {
  readonly #deps: SubsetReaderDeps;
  readonly #options: SubsetReaderOptions;

  constructor(deps: SubsetReaderDeps, options: SubsetReaderOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async read(request: ShapeRequest, subset: Params, context: SubsetContext): Promise<Answer> {
    const { store, resolver, source } = this.#deps;
    // Rows that are newer than all that the shape's log will ever have could never be put together with it.
    if (source.stale !== undefined) return STALE;
    if (source.shedding !== undefined) return SHEDDING;
    await source.wake('a subset');
    const wanted = await this.#wanted(request, subset, context);
    if ('answer' in wanted) return wanted.answer;
    const { head } = wanted;
    context.onHandle(wanted.target.handle);
    const target = request.live ? wanted.target : await this.#deps.schemas.describe(wanted.target);
    const { tail } = head;
    // No transaction that a client of this shape can have seen is later than the tail.
    const seen = tail.tx > ZERO_LSN ? (await store.readRing(target.shard, lsn(tail.tx))).entries : [];
    let opened: OpenSubset | undefined;
    try {
      opened = await this.#open(wanted, seen, context);
    } catch (err) {
      const failure = subsetFailure(err, source.missing ?? source.missingSnapshots);
      return failure.kind === 'refetch' ? resolver.successor(target) : failure;
    }
    if (opened === undefined) return unavailable('Timeout waiting for a snapshot with the latest changes', 5);
    return { kind: 'subset', target, offset: answerOffset(request, tail), subset: opened };
  }

  /** Parameters first, then the handle, so that an invalid request creates no shape (spec H 2.1). */
  async #wanted(
    request: ShapeRequest,
    subset: Params,
    context: SubsetContext,
  ): Promise<Wanted | { readonly answer: Answer }> {
    const { resolver, start } = this.#deps;
    const { definition, handle } = request;
    let placed = await resolver.place(definition, 'current');
    if ('answer' in placed) return placed;
    let selection = resolveSubset(subset, definition, placed.shape.relation);
    if (!selection.ok) {
      // Perhaps the table changed a moment ago: a refusal is final for clients, so look again before giving one.
      const { relation } = placed.shape;
      placed = await resolver.place(definition, 'verified');
      if ('answer' in placed) return placed;
      if (placed.shape.relation !== relation) selection = resolveSubset(subset, definition, placed.shape.relation);
      if (!selection.ok) return { answer: invalid(selection.errors) };
    }
    // The log has what the shape's own snapshot does not show. A subset that was read before that snapshot would leave out
    // what came between the two, and no client could tell: so also this request waits for a shape that was just made.
    const begun =
      handle === undefined
        ? await start.current(definition, context, request.expiredHandle)
        : await this.#existing(placed, request, context);
    if ('answer' in begun) return begun;
    const { target, head } = begun;
    if (target.shape.relation !== placed.shape.relation) {
      selection = resolveSubset(subset, definition, target.shape.relation);
      if (!selection.ok) return { answer: invalid(selection.errors) };
    }
    return { target, head, selection: selection.value };
  }

  async #existing(placed: Placed, request: ShapeRequest, context: SubsetContext): Promise<Begun> {
    const { resolver, start } = this.#deps;
    const resolution = await resolver.existing(placed, request.definition, request.handle as string, context);
    if (resolution.kind === 'answer') return resolution;
    return start.begun(resolution.target, resolution.head, context);
  }

  /**
   * A subset that shows all of `seen`: a commit can be streamed before other sessions see it (spec R 10.6.7), and rows without
   * it would take a client that has followed the log back. Undefined when there is none in time.
   */
  async #open(
    { target, selection }: Wanted,
    seen: SafetyRing['entries'],
    context: SubsetContext,
  ): Promise<OpenSubset | undefined> {
    const { subsets, clock } = this.#deps;
    const query = subsetQuery(target, selection);
    const deadline = clock.now() + this.#options.readyTimeoutMs;
    const backoff = new Backoff(clock, { minMs: 10, maxMs: 500 });
    for (;;) {
      const opened = await subsets.open(query, context.signal);
      if (seen.every(({ xid }) => isVisible(opened.visibility, xid))) return opened;
      await opened.close();
      if (clock.now() >= deadline) return undefined;
      await backoff.wait(context.signal);
    }
  }
}

/** `electric-offset`: never past what the client has read (SU-10). */
function answerOffset(request: ShapeRequest, tail: LogOffset): LogOffset {
  if (request.offset === 'now') return tail;
  return request.handle === undefined ? snapshotChunkEnd(0) : request.offset;
}

function subsetQuery({ shape }: ShapeTarget, selection: SubsetSelection): SubsetQuery {
  const { schema, table, oid, columns, keyColumns, hasPrimaryKey, where } = shape.definition;
  const { where: subsetWhere, ...rest } = selection;
  return { schema, table, oid, columns, keyColumns, hasPrimaryKey, shapeWhere: where, subsetWhere, ...rest };
}
