import type { RowChange } from '@shapecast/log';
import { cellKey } from '@shapecast/where';
import { columnType, type ClauseColumn } from '@shapecast/where';
import { compileTest, type Test } from '@shapecast/where';
import { ClauseEvaluationError, InputError } from '@shapecast/where';
import type { WhereClause } from '@shapecast/where';
import { Ordinals } from '@shapecast/where';
import { RowValues } from '@shapecast/where';
import { columnsOf } from '@shapecast/where';
import { coverOf, type Atom } from './cover.ts';
import type { Entry } from './entry.ts';
import { ColumnPostings, type Registration } from './posting.ts';

/** Called once per shape that a change concerns: whether its clause is TRUE on the old and on the new row. */
export type EmitMatch<K> = (key: K, old: boolean, next: boolean) => void;
/** Called once per shape whose clause cannot be decided for a change; the shape has to rotate. */
export type ReportUndecided<K> = (key: K, error: unknown) => void;

const NO_COLUMNS: readonly number[] = [];
const NO_REGISTRATIONS: readonly never[] = [];

/**
 * The shapes of one table, arranged so that a change costs what it matches and not what exists (spec W 9, R 13.4).
 *
 * Shapes are filed by what their clause demands of single cells: `column = constant`, lists, `IS NULL`, and what
 * conjunctions and disjunctions of those give (`coverOf`). The key is the cell's wire text, so a row is looked up without
 * being decoded. Shapes without clause are in a list that always matches; the rest is scanned, with cells decoded once.
 * The answer is exactly that of evaluating every clause.
 *
 * Errors: where Postgres itself would raise an error for a row image, that image is not in the shape (W 6.2: with O failing
 * and N TRUE the change is an insert) and `evaluationErrors` counts it; the snapshot query would have failed as well, so
 * nothing the client has can be wrong. Where the engine cannot tell what Postgres would say, on either image, the shape is
 * reported instead of emitted, also when the other image is TRUE: what it holds can no longer be trusted (R 13.4.2).
 *
 * The columns are fixed: when the table's columns change, make a new index. Shapes may not be added or removed from
 * inside the callbacks of `match`.
 */
export class TableIndex<K> {
  readonly #columns: readonly ClauseColumn[];
  readonly #ordinals: Ordinals;
  readonly #entries = new Map<K, Entry<K>>();
  readonly #unconditional: Entry<K>[] = [];
  readonly #scanned: Entry<K>[] = [];
  /** By ordinal; those in use are in `#indexed` too. */
  readonly #postings: (ColumnPostings<K> | undefined)[];
  #indexed: ColumnPostings<K>[] = [];
  readonly #oldRow: RowValues;
  readonly #newRow: RowValues;
  /** 1 for columns whose cells differ in the update at hand. */
  readonly #changed: Uint8Array;
  /** Keyed shapes that the change at hand hit; the first `#hitCount` places are in use. */
  readonly #hits: Entry<K>[] = [];
  #hitCount = 0;
  #change = 0;
  #evaluationErrors = 0;

  constructor(columns: readonly ClauseColumn[]) {
    this.#columns = columns;
    this.#ordinals = new Ordinals(columns);
    this.#postings = columns.map(() => undefined);
    this.#oldRow = new RowValues(columns);
    this.#newRow = new RowValues(columns);
    this.#changed = new Uint8Array(columns.length);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Shapes that every change of the table has to evaluate. */
  get scannedSize(): number {
    return this.#scanned.length;
  }

  /** Row images on which Postgres would have raised an error, counted per shape, since the index was made. */
  get evaluationErrors(): number {
    return this.#evaluationErrors;
  }

  /**
   * Adds a shape; undefined is a shape of the whole table. A key that is there already is replaced. Throws a plain Error
   * when the clause was bound to other columns.
   */
  add(key: K, clause: WhereClause | undefined): void {
    if (clause !== undefined) this.#ordinals.check(clause);
    this.remove(key);
    const always = clause === undefined || (clause.tree.kind === 'const' && clause.tree.value === true);
    this.#entries.set(key, always ? this.#addUnconditional(key) : this.#addClause(key, clause));
  }

  /** False when there is no such shape. */
  remove(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    if (entry.filed === 'unconditional') removeAt(this.#unconditional, entry.place);
    if (entry.filed === 'scanned') removeAt(this.#scanned, entry.place);
    for (const registration of entry.registrations) this.#withdraw(registration);
    return true;
  }

  /** Emits every shape that holds the old row or the new one. For inserts `old` is false, for deletes `next` is. */
  match(change: RowChange, emit: EmitMatch<K>, onError: ReportUndecided<K>): void {
    const hasOld = change.kind !== 'insert';
    const hasNew = change.kind !== 'delete';
    for (const entry of this.#unconditional) emit(entry.key, hasOld, hasNew);
    if (this.#indexed.length === 0 && this.#scanned.length === 0) return;
    this.#change++;
    this.#hitCount = 0;
    if (hasOld) this.#oldRow.load(change.old);
    if (hasNew) this.#newRow.load(change.new);
    const changed = change.kind === 'update' ? change.changed : NO_COLUMNS;
    for (const ordinal of changed) this.#changed[ordinal] = 1;
    try {
      for (const postings of this.#indexed) this.#probe(postings, hasOld, hasNew);
      for (let i = 0; i < this.#hitCount; i++) report(this.#hits[i] as Entry<K>, emit, onError);
      for (const entry of this.#scanned) this.#scan(entry, hasOld, hasNew, emit, onError);
    } finally {
      for (const ordinal of changed) this.#changed[ordinal] = 0;
    }
  }

  #addUnconditional(key: K): Entry<K> {
    const entry = newEntry(key, 'unconditional', undefined, NO_COLUMNS);
    entry.place = this.#unconditional.push(entry) - 1;
    return entry;
  }

  #addClause(key: K, clause: WhereClause): Entry<K> {
    const { ordinalOf } = this.#ordinals;
    const atoms = coverOf(clause.tree, (column, cell) => this.#postings[ordinalOf(column)]?.count(cell, 16) ?? 0);
    if (atoms === undefined) {
      const entry = newEntry(key, 'scanned', compileTest(clause.tree, ordinalOf), clause.columns.map(ordinalOf));
      entry.place = this.#scanned.push(entry) - 1;
      return entry;
    }
    const entry = newEntry(key, 'keyed', undefined, NO_COLUMNS);
    entry.registrations = atoms.map((atom) => this.#register(entry, atom));
    return entry;
  }

  #register(entry: Entry<K>, { column, key, residual }: Atom): Registration<K> {
    const { ordinalOf } = this.#ordinals;
    const registration: Registration<K> = {
      entry,
      column: this.#postingsOf(ordinalOf(column)),
      key,
      residual: residual === undefined ? undefined : compileTest(residual, ordinalOf),
      reads: residual === undefined ? NO_COLUMNS : columnsOf(residual).map(ordinalOf),
      previous: undefined,
      next: undefined,
    };
    registration.column.add(registration);
    return registration;
  }

  #postingsOf(ordinal: number): ColumnPostings<K> {
    const existing = this.#postings[ordinal];
    if (existing !== undefined) return existing;
    const postings = new ColumnPostings<K>(ordinal, cellKey(columnType(this.#columns[ordinal] as ClauseColumn)));
    this.#postings[ordinal] = postings;
    this.#indexed.push(postings);
    return postings;
  }

  #withdraw(registration: Registration<K>): void {
    const { column } = registration;
    column.remove(registration);
    if (!column.isEmpty) return;
    this.#postings[column.ordinal] = undefined;
    this.#indexed = this.#indexed.filter((other) => other !== column);
  }

  /** Looks the cells of one column up; once for both images when they agree in it. */
  #probe(postings: ColumnPostings<K>, hasOld: boolean, hasNew: boolean): void {
    if (hasOld && hasNew && this.#changed[postings.ordinal] === 0) {
      this.#lookUp(postings, this.#newRow, true, true);
      return;
    }
    if (hasOld) this.#lookUp(postings, this.#oldRow, true, false);
    if (hasNew) this.#lookUp(postings, this.#newRow, false, true);
  }

  #lookUp(postings: ColumnPostings<K>, row: RowValues, old: boolean, next: boolean): void {
    let first: Registration<K> | undefined;
    try {
      first = postings.find(row.cell(postings.ordinal));
    } catch (error) {
      this.#unreadable(postings, error);
      return;
    }
    for (let one = first; one !== undefined; one = one.next) this.#hit(one, old, next);
  }

  #hit(registration: Registration<K>, old: boolean, next: boolean): void {
    const { entry, residual } = registration;
    this.#touch(entry);
    if (residual === undefined) {
      if (old) entry.old = true;
      if (next) entry.next = true;
      return;
    }
    if (old && next && !this.#anyChanged(registration.reads)) {
      if (entry.old && entry.next) return;
      const holds = this.#holds(entry, residual, this.#newRow);
      entry.old ||= holds;
      entry.next ||= holds;
      return;
    }
    if (old && !entry.old) entry.old = this.#holds(entry, residual, this.#oldRow);
    if (next && !entry.next) entry.next = this.#holds(entry, residual, this.#newRow);
  }

  /** A cell that cannot even be looked up leaves every shape filed under its column undecided. */
  #unreadable(postings: ColumnPostings<K>, error: unknown): void {
    if (!(error instanceof InputError || error instanceof ClauseEvaluationError)) throw error;
    for (const { entry } of postings.everything()) {
      this.#touch(entry);
      entry.error ??= new ClauseEvaluationError('undecided', 'a value cannot be read');
    }
  }

  #touch(entry: Entry<K>): void {
    if (entry.touched === this.#change) return;
    clear(entry);
    entry.touched = this.#change;
    this.#hits[this.#hitCount++] = entry;
  }

  #scan(entry: Entry<K>, hasOld: boolean, hasNew: boolean, emit: EmitMatch<K>, onError: ReportUndecided<K>): void {
    const test = entry.test as Test;
    clear(entry);
    if (hasOld && hasNew && !this.#anyChanged(entry.reads)) {
      entry.old = entry.next = this.#holds(entry, test, this.#newRow);
    } else {
      if (hasOld) entry.old = this.#holds(entry, test, this.#oldRow);
      if (hasNew) entry.next = this.#holds(entry, test, this.#newRow);
    }
    report(entry, emit, onError);
  }

  #holds(entry: Entry<K>, test: Test, row: RowValues): boolean {
    try {
      return test(row) === true;
    } catch (error) {
      if (error instanceof ClauseEvaluationError && error.reason === 'postgres') this.#evaluationErrors++;
      else entry.error ??= error;
      return false;
    }
  }

  #anyChanged(ordinals: readonly number[]): boolean {
    for (const ordinal of ordinals) if (this.#changed[ordinal] === 1) return true;
    return false;
  }
}

function newEntry<K>(key: K, filed: Entry<K>['filed'], test: Test | undefined, reads: readonly number[]): Entry<K> {
  const result = { touched: 0, old: false, next: false, error: undefined };
  return { key, filed, test, reads, registrations: NO_REGISTRATIONS, place: -1, ...result };
}

function clear<K>(entry: Entry<K>): void {
  entry.old = entry.next = false;
  entry.error = undefined;
}

function report<K>(entry: Entry<K>, emit: EmitMatch<K>, onError: ReportUndecided<K>): void {
  if (entry.error !== undefined) onError(entry.key, entry.error);
  else if (entry.old || entry.next) emit(entry.key, entry.old, entry.next);
}

/** Fills the gap with the last entry, so that removing costs the same however many there are. */
function removeAt<K>(entries: Entry<K>[], place: number): void {
  const last = entries.pop() as Entry<K>;
  if (last.place === place) return;
  entries[place] = last;
  last.place = place;
}
