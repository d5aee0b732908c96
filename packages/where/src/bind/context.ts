import type { ColumnCollation } from '../column.ts';
import type { Syntax } from '../syntax/syntax.ts';
import type { Node } from '../tree.ts';
import type { Type } from '../types/type.ts';
import type { Bound, FixParameter } from './operand.ts';

/** The table a clause is about. */
export interface ClauseTable {
  /** Lets a clause write `table.column`. */
  readonly schema: string;
  readonly name: string;
  /** Collation of text that no column gave one. Absent: not known, and what depends on it is refused. */
  readonly databaseCollation?: ColumnCollation | undefined;
}

/** What the parts of the binder need of each other. */
export interface BindContext {
  /** Binds an expression of any type. */
  operand(syntax: Syntax): Bound;
  /** Binds an operand of AND, OR, NOT, a condition. */
  bool(syntax: Syntax): Node;
  readonly fix: FixParameter;
  /** An explicit cast. Throws ClauseRefusal when there is none. */
  cast(bound: Bound, to: Type, at: number): Bound;
  /** A type as a cast names it; undefined when it is none we know. */
  namedType(path: readonly string[]): Type | undefined;
  /** Canonical SQL is being read back: what needs catalog facts was checked when it was made. */
  readonly stored: boolean;
  readonly databaseCollation: ColumnCollation | undefined;
  /** The clause runs in Postgres alone: collations we cannot reproduce are no obstacle, and columns keep their own. */
  readonly postgresOnly: boolean;
}

/** A second look at an operand whose first use may have given it a type. */
export function again(context: BindContext, bound: Bound, syntax: Syntax): Bound {
  return bound.node.kind === 'unknown' ? context.operand(syntax) : bound;
}
