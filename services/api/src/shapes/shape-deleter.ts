import { encodeShardHint, shardHintSubject, type Hints } from '@shapecast/messaging';
import type { Checked, DeleteRequest } from '@shapecast/protocol';
import type { ShapeStore, ShardId } from '@shapecast/shape-store';
import { invalid, unavailable, type Failure } from '../answers.ts';
import type { SourceState } from '../source-state.ts';
import type { ShapeResolver } from './shape-resolver.ts';

interface ShapeDeleterDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly source: SourceState;
  readonly resolver: ShapeResolver;
}

interface ShapeDeleterOptions {
  readonly allowed: boolean;
  readonly source: string;
  readonly readyTimeoutMs: number;
}

const NOT_ALLOWED: Failure = { kind: 'failure', status: 405, body: JSON.stringify({ message: 'DELETE not allowed' }) };
const NOT_FOUND: Failure = {
  kind: 'failure',
  status: 404,
  body: JSON.stringify({ message: 'No existing shape found' }),
};
const MISMATCH: Failure = {
  kind: 'failure',
  status: 400,
  body: JSON.stringify({
    message:
      'The specified shape definition and handle do not match. Please ensure the shape definition is correct or omit the shape handle from the request to obtain a new one.',
  }),
};
const REASON = { code: 'SCHEMA_CHANGED', message: 'The shape was deleted through the API.' };

/** DELETE /v1/shape (spec H 23): drops a shape, so that its readers start over. Meant for tests. */
export class ShapeDeleter {
  readonly #deps: ShapeDeleterDeps;
  readonly #options: ShapeDeleterOptions;

  constructor(deps: ShapeDeleterDeps, options: ShapeDeleterOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async delete(parse: () => Checked<DeleteRequest>, signal: AbortSignal): Promise<'deleted' | Failure> {
    const { source, store, resolver } = this.#deps;
    if (!(await source.waitFor(() => source.active, this.#options.readyTimeoutMs, signal))) {
      return unavailable(source.missing ?? 'Timeout waiting for stack restart', 5);
    }
    if (!this.#options.allowed) return NOT_ALLOWED;
    const request = parse();
    if (!request.ok) return invalid(request.errors);
    const { definition, handle } = request.value;
    if (definition.table === undefined) return handle === undefined ? NOT_FOUND : this.#byHandle(handle);

    const placed = await resolver.place(definition, 'verified');
    if ('answer' in placed) return placed.answer.kind === 'failure' ? placed.answer : NOT_FOUND;
    const current = await store.find(placed.shard, placed.shape.digest);
    if (current === undefined) return NOT_FOUND;
    if (handle !== undefined && handle !== current) return MISMATCH;
    return this.#rotate(placed.shard, current);
  }

  /** A handle does not tell its shard, so all are asked. */
  async #byHandle(handle: string): Promise<'deleted' | Failure> {
    const record = this.#deps.source.record;
    if (record === undefined) return NOT_FOUND;
    for (let shard = 0; shard < record.shards; shard += 1) {
      const id = { source: this.#options.source, incarnation: record.incarnation, shard };
      const head = await this.#deps.store.readHead(id, handle);
      if (head !== undefined && head.state !== 'dead') return this.#rotate(id, handle);
    }
    return NOT_FOUND;
  }

  async #rotate(shard: ShardId, handle: string): Promise<'deleted' | Failure> {
    if (!(await this.#deps.store.rotate(shard, handle, REASON))) return NOT_FOUND;
    const subject = shardHintSubject(shard.source, shard.incarnation, shard.shard);
    this.#deps.hints.publish(subject, encodeShardHint([handle]));
    return 'deleted';
  }
}
