export {
  ScanBudgetError,
  TableIndex,
  type EmitMatch,
  type ReportUndecided,
  type TableIndexOptions,
} from './table-index.ts';
export type { IndexKind } from './atom.ts';
export {
  ratiosOf,
  type Evaluations,
  type Explanation,
  type IndexReport,
  type MatchCounts,
  type TemplateReport,
} from './report.ts';
export type { ColumnStatistics, OneColumnStatistics } from './statistics.ts';
