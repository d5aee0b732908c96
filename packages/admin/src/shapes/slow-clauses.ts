import type { UsageBoard } from '@shapecast/messaging';

/** Where matching spends its time, one table over all routers. */
export interface TableClauses {
  readonly table: string;
  readonly shapes: number;
  /** Shapes that every change evaluates, and how many different clauses those are. */
  readonly scanned: { readonly shapes: number; readonly clauses: number };
  readonly byKind: Readonly<Record<string, number>>;
  /** Those that cost most evaluations; without constants. */
  readonly clauses: readonly {
    readonly text: string;
    readonly kind: string;
    readonly shapes: number;
    readonly evaluations: number;
  }[];
}

const MAX_CLAUSES = 10;

/** What routers say of the clauses of a source, put together. A table is there once a change of it came by. */
export async function slowClauses(board: UsageBoard, source: string): Promise<readonly TableClauses[]> {
  const tables = new Map<string, TableClauses>();
  for (const { value } of await board.ask(source, 'matching', 0)) {
    for (const table of list(map(value)['tables'])) {
      const sight = readTable(map(table));
      const before = tables.get(sight.table);
      tables.set(sight.table, before === undefined ? sight : together(before, sight));
    }
  }
  return [...tables.values()]
    .map((table) => ({ ...table, clauses: mostCostly(table.clauses) }))
    .sort((a, b) => b.scanned.clauses - a.scanned.clauses || evaluations(b) - evaluations(a));
}

/** A router of another version may say it in another way: what is missing counts as nothing. */
function readTable(table: Readonly<Record<string, unknown>>): TableClauses {
  const scanned = map(table['scanned']);
  return {
    table: text(table['table']),
    shapes: number(table['shapes']),
    scanned: { shapes: number(scanned['shapes']), clauses: number(scanned['clauses']) },
    byKind: Object.fromEntries(Object.entries(map(table['byKind'])).map(([kind, count]) => [kind, number(count)])),
    clauses: list(table['topTemplates'])
      .map(map)
      .map((one) => ({
        text: text(one['text']),
        kind: text(one['kind']),
        shapes: number(one['shapes']),
        evaluations: number(one['evaluations']),
      })),
  };
}

function together(a: TableClauses, b: TableClauses): TableClauses {
  const byKind: Record<string, number> = { ...a.byKind };
  for (const [kind, count] of Object.entries(b.byKind)) byKind[kind] = (byKind[kind] ?? 0) + count;
  return {
    table: a.table,
    shapes: a.shapes + b.shapes,
    scanned: {
      shapes: a.scanned.shapes + b.scanned.shapes,
      clauses: a.scanned.clauses + b.scanned.clauses,
    },
    byKind,
    clauses: [...a.clauses, ...b.clauses],
  };
}

/** A template has shapes in every shard. */
function mostCostly(clauses: TableClauses['clauses']): TableClauses['clauses'] {
  const byText = new Map<string, TableClauses['clauses'][number]>();
  for (const clause of clauses) {
    const { shapes = 0, evaluations: times = 0 } = byText.get(clause.text) ?? {};
    byText.set(clause.text, { ...clause, shapes: clause.shapes + shapes, evaluations: clause.evaluations + times });
  }
  return [...byText.values()]
    .sort((a, b) => b.evaluations - a.evaluations || b.shapes - a.shapes)
    .slice(0, MAX_CLAUSES);
}

function evaluations({ clauses }: TableClauses): number {
  return clauses.reduce((sum, clause) => sum + clause.evaluations, 0);
}

function map(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
