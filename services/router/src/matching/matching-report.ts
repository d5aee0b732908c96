import { ratiosOf, type IndexKind, type IndexReport, type MatchCounts, type TemplateReport } from '@shapecast/matching';
import type { ShardIndex } from './shard-index.ts';
import type { TableShapes } from './table-shapes.ts';

/** How the shapes of this process are found, table by table (spec W 9.11). Plain data of bounded size. */
export interface MatchingReport {
  /** Those with most clauses that no index serves first, then those with most shapes. */
  readonly tables: readonly TableMatching[];
  /** Tables that are not listed. */
  readonly tablesLeftOut: number;
}

/** One table, its shards in this process taken together. Counts are since the shards were loaded. */
interface TableMatching {
  readonly table: string;
  readonly shapes: number;
  readonly byKind: Readonly<Partial<Record<IndexKind, number>>>;
  /** Shapes that every change evaluates, and how many different clauses those are. */
  readonly scanned: { readonly shapes: number; readonly clauses: number };
  /** Part of the evaluations that was scanning. */
  readonly scanShare: number;
  /** Clauses that differ in more than their constants; the largest of the shards. */
  readonly templates: number;
  /** Clauses looked at per row image, scanned ones not counted. */
  readonly candidatesPerRow: number;
  /** Evaluations per clause that held the row. */
  readonly evaluationsPerMatch: number;
  /** Rows that count as not in a shape because its clause raises an error on them. */
  readonly evaluationErrors: number;
  /** Shapes that ended because their clause could not be evaluated. */
  readonly undecided: number;
  /** Those that cost most evaluations; `$n` and `?` stand for constants. */
  readonly topTemplates: readonly TemplateReport[];
}

const MAX_TABLES = 20;
const MAX_TEMPLATES = 10;
const MAX_TEXT = 300;

export function reportMatching(shards: Iterable<ShardIndex>): MatchingReport {
  const byTable = new Map<number, TableShapes[]>();
  for (const shard of shards) {
    for (const table of shard.tables()) {
      const known = byTable.get(table.relation.oid);
      if (known) known.push(table);
      else byTable.set(table.relation.oid, [table]);
    }
  }
  // Chosen by what costs nothing to know: the reports go over every template.
  const chosen = [...byTable.values()]
    .map((parts) => ({ parts, scanned: sum(parts, scannedSize), size: sum(parts, size) }))
    .sort((a, b) => b.scanned - a.scanned || b.size - a.size)
    .slice(0, MAX_TABLES);
  return { tables: chosen.map(({ parts }) => reportTable(parts)), tablesLeftOut: byTable.size - chosen.length };
}

/** Different clauses that no index serves, of the table that has most of them. Costs next to nothing. */
export function mostScannedClauses(shards: Iterable<ShardIndex>): number {
  const byTable = new Map<number, number>();
  for (const shard of shards) {
    for (const table of shard.tables()) {
      const { oid } = table.relation;
      byTable.set(oid, (byTable.get(oid) ?? 0) + scannedSize(table));
    }
  }
  return Math.max(0, ...byTable.values());
}

function reportTable(parts: readonly TableShapes[]): TableMatching {
  const { schema, name } = (parts[0] as TableShapes).relation;
  const reports = parts.map(({ matcher }) => matcher.report());
  return {
    table: `${schema}.${name}`,
    shapes: sum(parts, size),
    byKind: sumKinds(reports),
    scanned: {
      shapes: sum(reports, ({ scanned }) => scanned.shapes),
      clauses: sum(reports, ({ scanned }) => scanned.instances),
    },
    templates: Math.max(...reports.map(({ templates }) => templates)),
    ...ratiosOf(sumCounts(reports)),
    evaluationErrors: sum(parts, ({ matcher }) => matcher.evaluationErrors),
    undecided: sum(parts, ({ undecided }) => undecided),
    topTemplates: topTemplates(reports),
  };
}

/** Every shard looks at every row, so rows are counted once. */
function sumCounts(reports: readonly IndexReport[]): MatchCounts {
  const total = (of: (counts: MatchCounts) => number): number => sum(reports, ({ counts }) => of(counts));
  return {
    rows: Math.max(...reports.map(({ counts }) => counts.rows)),
    candidates: total(({ candidates }) => candidates),
    evaluations: total(({ evaluations }) => evaluations),
    scanEvaluations: total(({ scanEvaluations }) => scanEvaluations),
    matches: total(({ matches }) => matches),
  };
}

function sumKinds(reports: readonly IndexReport[]): Partial<Record<IndexKind, number>> {
  const total: Partial<Record<IndexKind, number>> = {};
  for (const { byKind } of reports) {
    for (const [kind, shapes] of Object.entries(byKind) as [IndexKind, number][]) {
      total[kind] = (total[kind] ?? 0) + shapes;
    }
  }
  return total;
}

/** A template has shapes in every shard. */
function topTemplates(reports: readonly IndexReport[]): TemplateReport[] {
  const byText = new Map<string, TemplateReport>();
  for (const template of reports.flatMap((report) => report.topTemplates)) {
    const text = withoutConstants(template.text);
    const known = byText.get(text) ?? { ...template, text, shapes: 0, evaluations: 0 };
    const shapes = known.shapes + template.shapes;
    byText.set(text, { ...known, shapes, evaluations: known.evaluations + template.evaluations });
  }
  return [...byText.values()]
    .sort((a, b) => b.evaluations - a.evaluations || b.shapes - a.shapes)
    .slice(0, MAX_TEMPLATES);
}

/** Constants that a template does not leave open are in its text, quoted as in SQL. */
function withoutConstants(text: string): string {
  const hidden = text.replace(/"[^"]*"|'[^']*'/g, (quoted) => (quoted.startsWith("'") ? '?' : quoted));
  return hidden.length <= MAX_TEXT ? hidden : `${hidden.slice(0, MAX_TEXT)}…`;
}

function size({ matcher }: TableShapes): number {
  return matcher.size;
}

function scannedSize({ matcher }: TableShapes): number {
  return matcher.scannedSize;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
