import type { Clock, Logger } from '@shapecast/service-kit';
import { ClauseEvaluationError } from '@shapecast/where';
import type { RoutedShape } from './routed-shape.ts';

/** A table with a value that a million clauses fail on must not fill the log. */
const MAX_LINES = 20;
const WINDOW_MS = 60_000;

/** Writes which shapes have clauses that fail on rows (spec W 4), a bounded number of lines per minute. */
export class EvaluationLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  #windowStart = -Infinity;
  #lines = 0;
  #left = 0;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** To be called once per shape. Nothing of the row is written, and of the clause only at debug (spec O 6.5.2). */
  failed({ record }: RoutedShape, error: unknown): void {
    const now = this.#clock.now();
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#lines = 0;
    }
    if (this.#lines >= MAX_LINES) {
      this.#left += 1;
      return;
    }
    this.#lines += 1;
    const { handle, definition } = record;
    const fields = {
      handle,
      table: `${definition.schema}.${definition.table}`,
      // The texts of other errors may quote the value.
      reason: error instanceof ClauseEvaluationError ? error.message : 'a value cannot be read',
      ...(this.#left === 0 ? {} : { leftOut: this.#left }),
    };
    this.#left = 0;
    if (error instanceof ClauseEvaluationError && error.reason === 'postgres') {
      this.#log.warn(fields, 'where clause raises an error on a row, which counts as not in the shape');
    } else {
      this.#log.warn(fields, 'where clause cannot be evaluated on a row, the shape ends');
    }
    this.#log.debug({ handle, where: definition.where }, 'where clause that failed');
  }
}
