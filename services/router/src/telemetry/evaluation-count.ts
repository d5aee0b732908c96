import type { Evaluations } from '@shapecast/matching';
import type { SourceMetrics } from './source-metrics.ts';

/** The index of a table, which counts for itself and begins at nothing whenever it is made anew. */
interface CountingIndex {
  readonly evaluations: Evaluations;
}

const NONE: Evaluations = { indexed: 0, scanned: 0 };

/** Adds up what the indexes of all tables have evaluated, looked at now and then: an evaluation costs nothing more. */
export class EvaluationCount {
  readonly #metrics: SourceMetrics;
  readonly #seen = new WeakMap<CountingIndex, Evaluations>();

  constructor(metrics: SourceMetrics) {
    this.#metrics = metrics;
  }

  look(indexes: Iterable<CountingIndex>): void {
    let [indexed, scanned] = [0, 0];
    for (const index of indexes) {
      const now = index.evaluations;
      const before = this.#seen.get(index) ?? NONE;
      indexed += now.indexed - before.indexed;
      scanned += now.scanned - before.scanned;
      this.#seen.set(index, now);
    }
    if (indexed + scanned > 0) this.#metrics.evaluated(indexed, scanned);
  }
}
