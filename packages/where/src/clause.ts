import type { Node } from './tree.ts';

/** A clause that the engine evaluates exactly as Postgres does. */
export interface WhereClause {
  /**
   * Canonical SQL with parameters substituted as typed literals; what is sent to Postgres and what identifies the shape.
   * Reads back, with `parseStoredWhere`, as the same clause.
   */
  readonly sql: string;
  /** Columns it refers to, sorted by name. */
  readonly columns: readonly string[];
  /** For the engine only: the clause with its constants folded. */
  readonly tree: Node;
}
