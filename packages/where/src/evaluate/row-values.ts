import type { Tuple } from '@shapecast/log';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/**
 * One row image while clauses look at it. Values are decoded on first use and kept until the next row, so a thousand
 * clauses on a column decode it once.
 */
export class RowValues {
  readonly #values: (Value | null)[] = [];
  /** Number of the row each value belongs to, and the type it was read as. */
  readonly #loaded: number[] = [];
  readonly #types: (Type | undefined)[] = [];
  #row = 0;
  #cells: Tuple = [];

  load(cells: Tuple): void {
    this.#cells = cells;
    this.#row++;
  }

  /** Counts rows; changes with every load. */
  get row(): number {
    return this.#row;
  }

  /** Wire text of a cell. */
  cell(ordinal: number): string | null {
    const cell = this.#cells[ordinal];
    if (cell === undefined) throw new ClauseEvaluationError('undecided', 'the row has fewer columns than the table');
    return cell;
  }

  /** Value of a cell as one of `type`. Throws ClauseEvaluationError for text that cannot be read as that. */
  value(ordinal: number, type: Type): Value | null {
    if (this.#loaded[ordinal] === this.#row && this.#types[ordinal] === type)
      return this.#values[ordinal] as Value | null;
    const value = this.#decode(ordinal, type);
    this.#values[ordinal] = value;
    this.#loaded[ordinal] = this.#row;
    this.#types[ordinal] = type;
    return value;
  }

  #decode(ordinal: number, type: Type): Value | null {
    const cell = this.cell(ordinal);
    if (cell === null) return null;
    try {
      return type.decode(cell);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new ClauseEvaluationError('undecided', `a value of type ${type.name} cannot be read`);
    }
  }
}
