import { TableIndex, type Explanation } from '@shapecast/matching';
import type { RelationInfo, ShapeDefinition } from '@shapecast/shape';
import { parseStoredWhere, type WhereClause } from '@shapecast/where';

/** Of how many tables the empty index is kept that explains clauses. */
const MAX_TABLES = 200;

/** Says how routers find the shapes of a clause (spec W 9.11). */
export class ClauseReader {
  readonly #indexes = new Map<string, TableIndex<never>>();

  explain(clause: WhereClause, relation: RelationInfo): Explanation {
    return this.#index(relation).explain(clause);
  }

  /** `unknown` where the table is not as it was when the shape was made, or of a version that this one does not read. */
  kindOf({ where, types }: ShapeDefinition, relation: RelationInfo | undefined): string {
    if (where === '') return 'all';
    if (relation === undefined) return 'unknown';
    try {
      return this.explain(parseStoredWhere(where, relation.columns, types), relation).kind;
    } catch {
      return 'unknown';
    }
  }

  #index(relation: RelationInfo): TableIndex<never> {
    const key = JSON.stringify(relation);
    const known = this.#indexes.get(key);
    if (known) return known;
    const index = new TableIndex<never>(relation.columns);
    if (this.#indexes.size >= MAX_TABLES) this.#indexes.delete(this.#indexes.keys().next().value as string);
    this.#indexes.set(key, index);
    return index;
  }
}
