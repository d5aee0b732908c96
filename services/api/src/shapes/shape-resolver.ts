import { encodeShardHint, shardHintSubject, type Hints, type SourceRecord } from '@shapecast/messaging';
import type { DefinitionParams } from '@shapecast/protocol';
import { shardOf } from '@shapecast/shape';
import type { ShapeHead, ShapeStore, ShardId } from '@shapecast/shape-store';
import { catalogFailure, invalid, unavailable, type Answer, type Failure, type ShapeTarget } from '../answers.ts';
import type { SourceState } from '../source-state.ts';
import { SHEDDING, STALE } from '../stale-source.ts';
import type { DefinitionOutcome, Definitions, Freshness, RequestedShape } from './definitions.ts';
import { JoinedCalls } from './joined-calls.ts';

const NOT_READY_RETRY_S = 5;

/** Whether shapes may be created, and what came of it. */
export interface Creations {
  /** Why none may be created now; otherwise one is counted. */
  begin(): Failure | undefined;
  /** `created`: false when it was there already. */
  done(created: boolean): void;
}

interface ResolverDeps {
  readonly store: ShapeStore;
  readonly creations: Creations;
  readonly hints: Hints;
  readonly definitions: Definitions;
  readonly source: SourceState;
}

interface ResolverOptions {
  readonly source: string;
  readonly chunkBytes: number;
  readonly readyTimeoutMs: number;
}

/** A shape to read, or the answer that ends the request. The head is absent when the shape was just created. */
export type Resolution =
  | { readonly kind: 'target'; readonly target: ShapeTarget; readonly head?: ShapeHead }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** A signal that is only made when something waits with it: most requests never wait. */
export interface Cancellable {
  readonly signal: AbortSignal;
  /** A shape is about to be made for it: the trace that the snapshot becomes a part of, if there is one. */
  onCreate?(): string | undefined;
}

/** A shape that a request means, and the shard it belongs to. */
export type Placed = { readonly shape: RequestedShape; readonly shard: ShardId };

/** The handle a definition has now, and the head of the handle that was asked for (without one: of that handle). */
interface Found {
  readonly current: string | undefined;
  readonly head: ShapeHead | undefined;
}

/** Finds or creates the handle that a request is about (spec H 8.1). */
export class ShapeResolver {
  readonly #deps: ResolverDeps;
  readonly #options: ResolverOptions;
  /** Requests for one shape come in crowds. */
  readonly #finds = new JoinedCalls<Found>();
  /** Shards and digests of shapes that are being created: who wants the same meanwhile creates nothing. */
  readonly #creating = new Set<string>();

  constructor(deps: ResolverDeps, options: ResolverOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** A request at the beginning of a log, or at `now`: the current handle, whatever the request named. */
  async current(params: DefinitionParams, waiting: Cancellable): Promise<Resolution> {
    const placed = await this.place(params, 'current');
    if ('answer' in placed) return { kind: 'answer', answer: placed.answer };
    const { current: handle, head } = await this.#find(placed);
    if (handle !== undefined && head !== undefined && head.state !== 'dead') {
      return { kind: 'target', target: { ...placed, handle }, head };
    }
    return this.#create(params, waiting);
  }

  /**
   * A request at a concrete offset: its handle must be the current one, else a 409 names that (HD-5). As this pod may remember
   * the table as it was before DDL that another one knows of, it looks again (`fresh`) before it turns a handle away: pods that
   * send clients back and forth between the old shape and the new one drive them to give up (CL-7).
   */
  async existing(
    placed: Placed,
    params: DefinitionParams,
    handle: string,
    waiting: Cancellable,
    fresh = false,
  ): Promise<Resolution> {
    const { store } = this.#deps;
    const { current, head } = await this.#find(placed, handle);
    if (current === handle && head !== undefined && head.state !== 'dead') {
      return { kind: 'target', target: { ...placed, handle }, head };
    }
    if (!fresh) {
      this.distrust(placed);
      const now = await this.place(params, 'current');
      return 'answer' in now
        ? { kind: 'answer', answer: now.answer }
        : this.existing(now, params, handle, waiting, true);
    }
    if (current !== undefined && current !== handle) return redirect(current, handle);
    const created = await this.#create(params, waiting);
    if (created.kind === 'answer') return created;
    if (created.target.handle !== handle) return redirect(created.target.handle, handle);
    const again = await store.readHead(created.target.shard, handle);
    if (again === undefined || again.state === 'dead') return { kind: 'answer', answer: { kind: 'refetch' } };
    return { ...created, head: again };
  }

  /** The 409 for a handle that ended while a request was reading it. */
  async successor(target: ShapeTarget): Promise<Answer> {
    const record = this.#deps.source.record;
    if (record === undefined) return { kind: 'refetch' };
    const shard = this.#shard(record, target.shape.digest);
    const current = await this.#deps.store.find(shard, target.shape.digest);
    return current === undefined || current === target.handle
      ? { kind: 'refetch' }
      : { kind: 'refetch', handle: current };
  }

  /** Somebody knows, or has reason to think, that the table is no longer as it was when we took the shape for current. */
  distrust({ shape }: Placed): void {
    const { schema, table } = shape.definition;
    this.#deps.definitions.distrust({ schema, name: table });
  }

  /** Which shape the parameters mean, and the shard it belongs to. */
  async place(params: DefinitionParams, freshness: Freshness): Promise<Placed | { readonly answer: Answer }> {
    const record = this.#deps.source.record;
    if (record === undefined) return { answer: this.#notReady() };
    const outcome = await this.#resolve(params, freshness);
    switch (outcome.kind) {
      case 'shape':
        return { shape: outcome.shape, shard: this.#shard(record, outcome.shape.digest) };
      case 'refused':
        return { answer: invalid(outcome.errors) };
      case 'unavailable':
        return { answer: catalogFailure(outcome.cause) };
    }
  }

  async #resolve(params: DefinitionParams, freshness: Freshness): Promise<DefinitionOutcome> {
    const { definitions, source } = this.#deps;
    const outcome = await definitions.resolve(params, freshness);
    if (outcome.kind !== 'unavailable' || !source.asleep) return outcome;
    // What this pod remembers of the table does not do, so the database has to be asked.
    await source.wake('a table is looked up');
    return definitions.resolve(params, freshness);
  }

  #find({ shape: { digest }, shard }: Placed, handle?: string): Promise<Found> {
    const { store } = this.#deps;
    return this.#finds.run(`${shard.incarnation} ${digest} ${handle ?? ''}`, async () => {
      if (handle !== undefined) {
        const [current, head] = await Promise.all([store.find(shard, digest), store.readHead(shard, handle)]);
        return { current, head };
      }
      const current = await store.find(shard, digest);
      return { current, head: current === undefined ? undefined : await store.readHead(shard, current) };
    });
  }

  /** The handle for the definition as the table is now; made unless somebody was faster. */
  async #create(params: DefinitionParams, waiting: Cancellable): Promise<Resolution> {
    const { hints, source } = this.#deps;
    // Neither is over within the time that a request waits.
    if (source.stale !== undefined) return { kind: 'answer', answer: STALE };
    if (source.shedding !== undefined) return { kind: 'answer', answer: SHEDDING };
    if (!(await source.untilActive('a new shape', this.#options.readyTimeoutMs, waiting.signal))) {
      return { kind: 'answer', answer: this.#notReady() };
    }
    const placed = await this.place(params, 'verified');
    if ('answer' in placed) return { kind: 'answer', answer: placed.answer };
    const { shard } = placed;
    const made = await this.#getOrCreate(placed, params.compaction, waiting);
    if ('kind' in made) return { kind: 'answer', answer: made };
    const { handle, created } = made;
    // The owner of the shard would notice by itself, only later.
    if (created) {
      hints.publish(shardHintSubject(shard.source, shard.incarnation, shard.shard), encodeShardHint([handle]));
    }
    return { kind: 'target', target: { ...placed, handle } };
  }

  async #getOrCreate(
    { shape, shard }: Placed,
    compaction: boolean,
    waiting: Cancellable,
  ): Promise<{ readonly handle: string; readonly created: boolean } | Failure> {
    const { store, creations } = this.#deps;
    const { digest, definition, fingerprint } = shape;
    const key = `${shard.incarnation} ${digest}`;
    const request = { digest, definition, fingerprint, chunkBytes: this.#options.chunkBytes, compaction };
    if (this.#creating.has(key)) return store.getOrCreate(shard, request);
    const refused = creations.begin();
    if (refused !== undefined) return refused;
    this.#creating.add(key);
    let created = false;
    try {
      const made = await store.getOrCreate(shard, { ...request, traceparent: waiting.onCreate?.() });
      created = made.created;
      return made;
    } finally {
      this.#creating.delete(key);
      creations.done(created);
    }
  }

  #notReady(): Answer {
    return unavailable(this.#deps.source.missing ?? 'Timeout waiting for stack restart', NOT_READY_RETRY_S);
  }

  #shard(record: SourceRecord, digest: string): ShardId {
    return {
      source: this.#options.source,
      incarnation: record.incarnation,
      shard: shardOf(digest, record.shards),
    };
  }
}

/** Never the handle that was asked for: clients would go round in a circle (HD-8). */
function redirect(current: string, asked: string): Resolution {
  return { kind: 'answer', answer: current === asked ? { kind: 'refetch' } : { kind: 'refetch', handle: current } };
}
