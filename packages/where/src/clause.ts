import type { TypeFact } from './column.ts';
import type { Node } from './tree.ts';

/** A clause that the engine evaluates exactly as Postgres does. */
export interface WhereClause {
  /**
   * Canonical SQL with parameters substituted as typed literals; what is sent to Postgres and what identifies the shape.
   * Reads back, with `parseStoredWhere` and the facts, as the same clause.
   */
  readonly sql: string;
  /** What the clause depends on of types that are not built in; sorted by oid. */
  readonly types: readonly TypeFact[];
  /** Columns it refers to, sorted by name. */
  readonly columns: readonly string[];
  /** For the engine only: the clause with its constants folded. Its value is that of the clause in a SELECT list. */
  readonly tree: Node;
  /** For the engine only: as `tree`, but TRUE on the rows for which Postgres takes it as a WHERE; other values say no more. */
  readonly condition: Node;
}
