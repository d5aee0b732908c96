import type { RowChange } from '@shapecast/log';
import { RowValues } from '@shapecast/where';

/** Sets of the images of a change. */
export const OLD = 1;
export const NEW = 2;
export const BOTH = OLD | NEW;

/** The old or the new row of a change while it is matched. */
export interface RowImage {
  /** 0 old, 1 new: what is computed for an image is kept at this place. */
  readonly place: 0 | 1;
  readonly values: RowValues;
  /** Grows with every row, so that it tells what was computed for this one. */
  readonly version: number;
}

const NO_COLUMNS: readonly number[] = [];
/** Numbers of changes fit in 26 bits (`Candidates`); then they start again from 1. */
export const CHANGE_NUMBERS = 2 ** 26;

/** The change at hand: its rows, and which cells differ between them (spec W 6.3). */
export class ChangeImages {
  readonly #old = { place: 0 as const, values: new RowValues(), version: 0 };
  readonly #new = { place: 1 as const, values: new RowValues(), version: 0 };
  /** OLD, NEW or BOTH: an insert has no old image, a delete no new one. */
  present = 0;
  /** Number of the change, from 1 to below the limit. */
  number = 0;
  /** 1 for columns whose cells differ. */
  readonly #changed: Uint8Array;
  #changedColumns = NO_COLUMNS;
  readonly #numbers: number;

  constructor(columns: number, numbers: number) {
    this.#numbers = numbers;
    this.#changed = new Uint8Array(columns);
  }

  get old(): RowImage {
    return this.#old;
  }

  get new(): RowImage {
    return this.#new;
  }

  /** True when the numbers of changes start again: what was remembered by number has to be forgotten. */
  load(change: RowChange): boolean {
    for (const ordinal of this.#changedColumns) this.#changed[ordinal] = 0;
    this.#changedColumns = change.kind === 'update' ? change.changed : NO_COLUMNS;
    for (const ordinal of this.#changedColumns) this.#changed[ordinal] = 1;
    this.present = change.kind === 'insert' ? NEW : change.kind === 'delete' ? OLD : BOTH;
    if (change.kind !== 'insert') load(this.#old, change.old);
    if (change.kind !== 'delete') load(this.#new, change.new);
    this.number++;
    const startsAgain = this.number >= this.#numbers;
    if (startsAgain) this.number = 1;
    return startsAgain;
  }

  anyChanged(ordinals: readonly number[]): boolean {
    for (const ordinal of ordinals) if (this.#changed[ordinal] === 1) return true;
    return false;
  }
}

function load(image: { values: RowValues; version: number }, cells: Parameters<RowValues['load']>[0]): void {
  image.version++;
  image.values.load(cells);
}
