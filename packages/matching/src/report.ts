import type { IndexKind } from './atom.ts';

/** Where the work of a table's index goes (spec W 9.11). */
export interface IndexReport extends MatchRatios {
  readonly shapes: number;
  readonly byKind: Readonly<Partial<Record<IndexKind, number>>>;
  /** Shapes that every row evaluates, and how many different clauses those are. */
  readonly scanned: { readonly shapes: number; readonly instances: number };
  readonly templates: number;
  readonly counts: MatchCounts;
  /** Those that cost most evaluations. */
  readonly topTemplates: readonly TemplateReport[];
}

/** What matching took so far. */
export interface MatchCounts {
  /** Row images. */
  readonly rows: number;
  /** Instances that the index found, by image. */
  readonly candidates: number;
  /** Instances evaluated, those that are scanned included. */
  readonly evaluations: number;
  readonly scanEvaluations: number;
  /** Instances that held the row. */
  readonly matches: number;
}

/** Clauses evaluated, by whether the index led there. */
export interface Evaluations {
  readonly indexed: number;
  readonly scanned: number;
}

export interface MatchRatios {
  /** Instances looked at per row image, scanned ones not counted. */
  readonly candidatesPerRow: number;
  /** Evaluations per instance that held the row; the smaller, the better the index chose. */
  readonly evaluationsPerMatch: number;
  /** Part of the evaluations that was scanning. */
  readonly scanShare: number;
}

export function ratiosOf({ rows, candidates, evaluations, scanEvaluations, matches }: MatchCounts): MatchRatios {
  return {
    candidatesPerRow: rows === 0 ? 0 : candidates / rows,
    evaluationsPerMatch: evaluations / Math.max(1, matches),
    scanShare: evaluations === 0 ? 0 : scanEvaluations / evaluations,
  };
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
