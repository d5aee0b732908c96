import { clauseSql, decide, type Clause } from './clause.ts';
import type { Row } from './cells.ts';

/** A shape that readers follow and the checker can compute by itself. */
export class TrackedShape {
  readonly table: string;
  readonly clause: Clause | undefined;
  /** All when undefined. */
  readonly columns: readonly string[] | undefined;
  /** `replica=full`. */
  readonly full: boolean;

  constructor(table: string, clause?: Clause, columns?: readonly string[], full = false) {
    this.table = table;
    this.clause = clause;
    this.columns = columns;
    this.full = full;
  }

  get params(): Readonly<Record<string, string>> {
    return {
      table: this.table,
      ...(this.clause && { where: clauseSql(this.clause) }),
      ...(this.columns && { columns: this.columns.join() }),
      ...(this.full && { replica: 'full' }),
    };
  }

  get name(): string {
    return new URLSearchParams(this.params).toString();
  }

  /** The row as the shape shows it; undefined when it is not in the shape. */
  show(row: Row | undefined): Row | undefined {
    if (row === undefined) return undefined;
    if (this.clause !== undefined && decide(this.clause, row) !== true) return undefined;
    if (this.columns === undefined) return row;
    return Object.fromEntries(this.columns.map((column) => [column, row[column] ?? null]));
  }
}
