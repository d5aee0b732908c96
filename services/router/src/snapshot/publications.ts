import type { TableToPublish } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { publishTableSubject, type Rpc } from '@shapecast/messaging';
import { Backoff, type Clock } from '@shapecast/service-kit';
import type { ShapeRecord } from '@shapecast/shape-store';

interface PublicationsDeps {
  readonly rpc: Rpc;
  readonly clock: Clock;
}

/** How long a shape waits for a replicator that can publish its table. */
const PUBLISH_TIMEOUT_MS = 30_000;
/** An attempt waits 2 s for the lock of a table, and all of them end within 5 s (spec R 10.8). */
const PUBLISH_LOCK_RETRY_MS = 3_000;
/** A table that was published a moment ago is not asked for again: a burst of shapes on one table costs one call. */
const PUBLISHED_MS = 5_000;

/** Asks the replicator to publish tables; concurrent and recent questions for one table are one. */
export class Publications {
  readonly #deps: PublicationsDeps;
  readonly #source: string;
  readonly #signal: AbortSignal;
  readonly #published = new Map<number, { readonly promise: Promise<string | undefined>; readonly at: number }>();

  /** `signal` ends every question. */
  constructor(deps: PublicationsDeps, source: string, signal: AbortSignal) {
    this.#deps = deps;
    this.#source = source;
    this.#signal = signal;
  }

  /** Shapes of a table ended: it may not be published any more as it was. */
  forget(oid: number): void {
    this.#published.delete(oid);
  }

  /**
   * Returns once the table of a shape is published, unless `signal` aborts first: by what it is, as `SnapshotInfo.published`;
   * undefined when an older replicator does not say.
   */
  async ensure({ definition }: ShapeRecord, signal: AbortSignal): Promise<string | undefined> {
    const { clock } = this.#deps;
    const { oid, schema, table: name } = definition;
    const known = this.#published.get(oid);
    if (known && clock.now() - known.at < PUBLISHED_MS) return known.promise;
    const promise = this.publish({ oid, schema, name });
    this.#published.set(oid, { promise, at: Infinity });
    promise.then(
      () => this.#published.set(oid, { promise, at: clock.now() }),
      () => this.#published.delete(oid),
    );
    const published = await promise;
    signal.throwIfAborted();
    return published;
  }

  /** Has the replicator publish a table, whether or not it was asked before. */
  async publish(table: TableToPublish): Promise<string | undefined> {
    const { rpc, clock } = this.#deps;
    const began = clock.now();
    const deadline = began + PUBLISH_TIMEOUT_MS;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    const signal = this.#signal;
    for (;;) {
      try {
        const left = Math.max(1, deadline - clock.now());
        const answer = await rpc.call(publishTableSubject(this.#source), table, { timeoutMs: left, signal });
        const { published } = (answer ?? {}) as { readonly published?: unknown };
        return typeof published === 'string' ? published : undefined;
      } catch (err) {
        if (!isShapecastError(err, 'NOT_READY') || signal.aborted || clock.now() >= deadline) throw err;
        const locked = err.details['type'] === 'table_lock_timeout';
        if (locked && clock.now() - began >= PUBLISH_LOCK_RETRY_MS) throw err;
        await backoff.wait(signal);
      }
    }
  }
}
