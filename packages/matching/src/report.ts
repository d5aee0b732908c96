import type { IndexKind } from './atom.ts';

/** Where the work of a table's index goes (spec W 9.11). */
export interface IndexReport {
  readonly shapes: number;
  readonly byKind: Readonly<Partial<Record<IndexKind, number>>>;
  /** Shapes that every row evaluates, and how many different clauses those are. */
  readonly scanned: { readonly shapes: number; readonly instances: number };
  readonly templates: number;
  /** Row images matched so far. */
  readonly rows: number;
  /** Instances looked at per row image, scanned ones not counted. */
  readonly candidatesPerRow: number;
  /** Evaluations per instance that held the row; the smaller, the better the index chose. */
  readonly evaluationsPerMatch: number;
  /** Part of the evaluations that was scanning. */
  readonly scanShare: number;
  /** Those that cost most evaluations. */
  readonly topTemplates: readonly TemplateReport[];
}

export interface TemplateReport {
  readonly text: string;
  readonly shapes: number;
  readonly kind: IndexKind;
  readonly evaluations: number;
}

/** How one clause would be indexed. */
export interface Explanation {
  readonly kind: IndexKind;
  /** What rows are looked up by, for people. */
  readonly atoms: readonly string[];
  /** Expected fraction of the rows that are looked at, plus what the entries cost; 1 for a scan. */
  readonly cost: number;
}
