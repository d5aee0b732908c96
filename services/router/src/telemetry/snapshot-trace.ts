import { NO_SPAN, type Span, type SpanAttributes, type Tracing } from '@shapecast/telemetry';

/** A part of a trace, and what its own parts are begun with. */
export interface TracePlace {
  readonly tracing: Tracing;
  readonly parent: Span;
}

/** Does `work` as one step of a trace; what it fails with is told there too. */
export async function traced<T>(
  { tracing, parent }: TracePlace,
  name: string,
  work: () => Promise<T>,
  attributes: SpanAttributes = {},
): Promise<T> {
  if (!parent.recorded) return work();
  const span = tracing.start(name, { parent, attributes });
  try {
    return await work();
  } catch (err) {
    span.fail(err);
    throw err;
  } finally {
    span.end();
  }
}

const REASON = { 'shape.query_reason': 'initial_snapshot' } as const;

/** The rows of one snapshot, from when it is fixed what they are until all of them are stored. */
export class SnapshotReading {
  readonly #place: TracePlace;
  readonly #now: () => number;
  #since: number | undefined;
  #query: Span = NO_SPAN;
  #store: Span = NO_SPAN;

  constructor(place: TracePlace, now: () => number) {
    this.#place = place;
    this.#now = now;
  }

  begin(): void {
    const { tracing, parent } = this.#place;
    this.#since = this.#now();
    if (!parent.recorded) return;
    this.#query = tracing.start('shape_snapshot.query_fn', { parent, attributes: REASON });
    this.#store = tracing.start('storage.make_new_snapshot', { parent });
  }

  /** Postgres has given all of them. */
  read(rows: number): void {
    this.#query.set({ rows });
    this.#query.end();
    this.#query = NO_SPAN;
  }

  /** Returns how long it took, in milliseconds. */
  stored(bytes: number): number {
    this.#store.set({ bytes });
    this.#store.end();
    return this.#since === undefined ? 0 : this.#now() - this.#since;
  }

  failed(err: unknown): void {
    for (const span of [this.#query, this.#store]) {
      span.fail(err);
      span.end();
    }
  }
}
