import type { WhereClause } from '../clause.ts';
import type { ClauseColumn } from '../column.ts';
import { visit } from '../tree.ts';

/** Where the columns of a table are in its rows. */
export class Ordinals {
  readonly #columns: readonly ClauseColumn[];
  readonly #ordinals: ReadonlyMap<string, number>;

  constructor(columns: readonly ClauseColumn[]) {
    this.#columns = columns;
    this.#ordinals = new Map(columns.map((column, ordinal) => [column.name, ordinal]));
  }

  /** Ordinal of a column that `check` has found. */
  readonly ordinalOf = (name: string): number => {
    const ordinal = this.#ordinals.get(name);
    if (ordinal === undefined) throw new Error(`the rows have no column ${name}`);
    return ordinal;
  };

  /** Throws a plain Error when a column of the clause is missing or has another type than it was bound to. */
  check(clause: WhereClause): void {
    visit(clause.tree, (node) => {
      if (node.kind !== 'column') return;
      const column = this.#columns[this.ordinalOf(node.name)];
      if (column?.typeOid !== node.typeOid) throw new Error(`column ${node.name} has another type than the clause`);
    });
  }
}
