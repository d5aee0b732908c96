import type { Tuple } from '@shapecast/log';
import { columnType, type ClauseColumn } from '../column.ts';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import type { ScalarType } from '../types/scalar-type.ts';
import type { Value } from '../types/value.ts';

/**
 * One row image while clauses look at it. Values are decoded on first use and kept until the next row, so a thousand
 * clauses on a column decode it once.
 */
export class RowValues {
  readonly #types: readonly (ScalarType | undefined)[];
  readonly #values: (Value | null)[];
  /** Number of the row each value belongs to. */
  readonly #loaded: Float64Array;
  #row = 0;
  #cells: Tuple = [];

  constructor(columns: readonly ClauseColumn[]) {
    this.#types = columns.map(columnType);
    this.#values = columns.map(() => null);
    this.#loaded = new Float64Array(columns.length);
  }

  load(cells: Tuple): void {
    this.#cells = cells;
    this.#row++;
  }

  /** Wire text of a cell. */
  cell(ordinal: number): string | null {
    const cell = this.#cells[ordinal];
    if (cell === undefined) throw new ClauseEvaluationError('undecided', 'the row has fewer columns than the table');
    return cell;
  }

  value(ordinal: number): Value | null {
    if (this.#loaded[ordinal] === this.#row) return this.#values[ordinal] as Value | null;
    const value = this.#decode(ordinal);
    this.#values[ordinal] = value;
    this.#loaded[ordinal] = this.#row;
    return value;
  }

  #decode(ordinal: number): Value | null {
    const cell = this.cell(ordinal);
    if (cell === null) return null;
    const type = this.#types[ordinal];
    if (type === undefined) throw new Error(`column ${ordinal} has no type to decode`);
    try {
      return type.decode(cell);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new ClauseEvaluationError('undecided', `a value of type ${type.name} cannot be read`);
    }
  }
}
