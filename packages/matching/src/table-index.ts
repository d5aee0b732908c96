import type { RowChange } from '@shapecast/log';
import { Ordinals, type ClauseColumn, type WhereClause } from '@shapecast/where';
import { describeAtom, type IndexKind } from './atom.ts';
import { Candidates } from './candidates.ts';
import { BOTH, CHANGE_NUMBERS, ChangeImages, NEW, OLD } from './change-images.ts';
import { coverOf, kindOf } from './cover.ts';
import { Evaluation, type Decide } from './evaluation.ts';
import { Filing } from './filing.ts';
import { lift, type Lifted } from './lift.ts';
import { normalise } from './normalise.ts';
import { ratiosOf, type Evaluations, type Explanation, type IndexReport } from './report.ts';
import { ShapeKeys } from './shape-keys.ts';
import type { Scope } from './shared-parts.ts';
import { SlotTable } from './slot-table.ts';
import { Fractions, type ColumnStatistics } from './statistics.ts';
import { TemplateSet } from './template-set.ts';
import type { Template } from './template.ts';

/** Called once per shape that a change concerns: whether its clause is TRUE on the old and on the new row. */
export type EmitMatch<K> = (key: K, old: boolean, next: boolean) => void;
/** Called once per shape whose clause cannot be decided for a change; the shape has to rotate. */
export type ReportUndecided<K> = (key: K, error: unknown) => void;

export interface TableIndexOptions<K = unknown> {
  /** Secret of the hash tables, an integer from 0 to 2^53 - 1, best drawn at random. */
  readonly seed?: number;
  /** What is known about the table's values; without it the defaults of the specification hold. */
  readonly stats?: ColumnStatistics;
  /** Different clauses that may be evaluated for every row (spec W 9.12). */
  readonly maxScanned?: number;
  /**
   * Told of a shape and the error that Postgres too would raise for its clause on an old or new row; that row counts as not
   * in the shape. Called for every such row, so it must be cheap.
   */
  readonly onEvaluationError?: (key: K, error: unknown) => void;
  /** Evaluations after which a predicate becomes code of its own; making code takes longer than it saves before. */
  readonly generateAfter?: number;
  /** Changes after which their numbers start again; at most, and without it, what the numbers have room for. */
  readonly changeNumbers?: number;
  /** Shapes are removed by the ticket that `add` gave, not by key: saves a table from keys to shapes. */
  readonly byTicket?: boolean;
}

/** A clause that no index serves, where so many are evaluated for every row already that one more would slow down all. */
export class ScanBudgetError extends Error {
  override readonly name = 'ScanBudgetError';

  constructor(limit: number) {
    super(`the table has ${limit} clauses without index already`);
  }
}

const DEFAULT_MAX_SCANNED = 20_000;

/**
 * The shapes of one table, arranged so that a change costs what it matches and not what exists (spec W 9, R 13.4).
 *
 * Clauses that differ in their constants only share a template, which decides how they are found: by hash table, interval
 * table, table of prefixes or substrings, of what cells or expressions over cells have to be (`coverOf`). A change is looked
 * up once in each of those tables; of what is found, the part of the clause that the table did not answer is evaluated.
 * Shapes without clause are in a list that always matches; clauses that no table serves are evaluated for every change.
 * The answer is exactly that of evaluating every clause.
 *
 * Errors: where Postgres itself would raise an error for a row image, that image is not in the shape (W 6.2: with O failing
 * and N TRUE the change is an insert) and `evaluationErrors` counts it; the snapshot query would have failed as well, so
 * nothing the client has can be wrong. Where the engine cannot tell what Postgres would say, on either image, the shape is
 * reported instead of emitted, also when the other image is TRUE: what it holds can no longer be trusted (R 13.4.2). Where
 * the rest of the clause decides whatever that part is, there is nothing to report, and the index may not even look.
 *
 * The columns are fixed: when the table's columns change, make a new index. Shapes may not be added or removed from
 * inside the callbacks of `match`.
 */
export class TableIndex<K> {
  readonly #ordinals: Ordinals;
  readonly #maxScanned: number;
  readonly #fractions: Fractions;
  readonly #keys: ShapeKeys<K>;
  readonly #slots = new SlotTable();
  readonly #templates: TemplateSet;
  readonly #filing: Filing;
  /** Tickets of shapes without clause, and where each of them is. */
  readonly #unconditional: number[] = [];
  readonly #placeOf = new Map<number, number>();
  /** Templates that no index serves. */
  readonly #scanned = new Set<Template>();
  #scannedInstances = 0;
  #scannedShapes = 0;

  readonly #images: ChangeImages;
  readonly #candidates: Candidates;
  readonly #evaluation: Evaluation;
  #rows = 0;
  #candidatesSeen = 0;
  #matches = 0;

  constructor(columns: readonly ClauseColumn[], options: TableIndexOptions<K> = {}) {
    const {
      seed = 0,
      stats,
      maxScanned = DEFAULT_MAX_SCANNED,
      byTicket = false,
      onEvaluationError,
      generateAfter = 2000,
      changeNumbers = CHANGE_NUMBERS,
    } = options;
    this.#ordinals = new Ordinals(columns);
    this.#maxScanned = maxScanned;
    this.#fractions = new Fractions(stats);
    this.#keys = new ShapeKeys({ seed, byTicket });
    const { ordinalOf } = this.#ordinals;
    const scope: Scope = { image: undefined };
    this.#templates = new TemplateSet(this.#slots, {
      ordinalOf,
      fractions: this.#fractions,
      scope,
      seed,
      generateAfter,
    });
    this.#filing = new Filing(this.#slots, { ordinalOf, seed });
    this.#images = new ChangeImages(columns.length, changeNumbers);
    this.#candidates = new Candidates(this.#filing, this.#slots, this.#images);
    this.#evaluation = new Evaluation(this.#slots, this.#images, scope, (ticket, error) => {
      onEvaluationError?.(this.#keys.keyOf(ticket), error);
    });
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Shapes that every change of the table has to evaluate. */
  get scannedSize(): number {
    return this.#scannedShapes;
  }

  /** Clauses that were evaluated since the index was made. */
  get evaluations(): Evaluations {
    return { indexed: this.#evaluation.candidates, scanned: this.#evaluation.scanned };
  }

  /** Row images on which Postgres would have raised an error, counted per shape, since the index was made. */
  get evaluationErrors(): number {
    return this.#evaluation.errors;
  }

  /**
   * Adds a shape and returns its ticket; undefined is a shape of the whole table. A key that is there already is replaced.
   * Throws a plain Error when the clause was bound to other columns, ScanBudgetError when it would have to be scanned and
   * too many are; then nothing has changed.
   */
  add(key: K, clause: WhereClause | undefined): number {
    const lifted = clause && this.#prepare(clause);
    if (clause === undefined || lifted === undefined) {
      this.remove(key);
      const ticket = this.#keys.add(key);
      this.#addUnconditional(ticket);
      return ticket;
    }
    let template = this.#templateOf(lifted, clause);
    let slot = this.#templates.findInstance(template, lifted.constants);
    if (slot < 0 && template.kind === 'scan' && this.#scannedInstances >= this.#maxScanned) {
      throw new ScanBudgetError(this.#maxScanned);
    }
    if (this.remove(key)) {
      // What was replaced may have been the last of its template or instance.
      template = this.#templateOf(lifted, clause);
      slot = this.#templates.findInstance(template, lifted.constants);
    }
    const ticket = this.#keys.add(key);
    this.#addClause(ticket, slot < 0 ? this.#addInstance(template, lifted) : slot, template);
    return ticket;
  }

  /** False when there is no such shape. */
  remove(key: K): boolean {
    const ticket = this.#keys.find(key);
    return ticket >= 0 && this.removeTicket(ticket);
  }

  /** Removes a shape by what `add` returned for it. False when there is no such shape. */
  removeTicket(ticket: number): boolean {
    if (!this.#keys.has(ticket)) return false;
    this.#keys.remove(ticket);
    const slot = this.#slots.slotOf(ticket);
    if (slot < 0) this.#removeUnconditional(ticket);
    else this.#removeFromSlot(ticket, slot);
    return true;
  }

  /** Emits every shape that holds the old row or the new one. For inserts `old` is false, for deletes `next` is. */
  match(change: RowChange, emit: EmitMatch<K>, onError: ReportUndecided<K>): void {
    if (this.#images.load(change)) this.#startNumbersAgain();
    const { present } = this.#images;
    const hasOld = (present & OLD) !== 0;
    const hasNew = (present & NEW) !== 0;
    this.#rows += present === BOTH ? 2 : 1;
    for (const ticket of this.#unconditional) emit(this.#keys.keyOf(ticket), hasOld, hasNew);
    const decide: Decide = (slot, holds, error) => {
      this.#tell(slot, holds, error, emit, onError);
    };
    const candidates = this.#candidates;
    candidates.find();
    this.#candidatesSeen += candidates.length;
    for (let i = 0; i < candidates.length; i++) this.#evaluation.decide(candidates, candidates.slotAt(i), decide);
    for (const template of this.#scanned) this.#evaluation.scan(template, decide);
  }

  /** How a clause would be indexed; changes nothing. */
  explain(clause: WhereClause): Explanation {
    this.#ordinals.check(clause);
    const lifted = this.#prepare(clause);
    if (lifted === undefined) return { kind: 'all', atoms: [], cost: 1 };
    const cover = coverOf(lifted.tree, { constants: lifted.constants, fractions: this.#fractions });
    return { kind: kindOf(cover), atoms: cover?.atoms.map(describeAtom) ?? [], cost: cover?.cost ?? 1 };
  }

  report(): IndexReport {
    const byKind: Partial<Record<IndexKind, number>> = {};
    const templates = [...this.#templates.all()];
    if (this.#unconditional.length > 0) byKind.all = this.#unconditional.length;
    for (const { kind, shapes } of templates) byKind[kind] = (byKind[kind] ?? 0) + shapes;
    const { candidates, scanned } = this.#evaluation;
    const counts = {
      rows: this.#rows,
      candidates: this.#candidatesSeen,
      evaluations: candidates + scanned,
      scanEvaluations: scanned,
      matches: this.#matches,
    };
    return {
      shapes: this.size,
      byKind,
      scanned: { shapes: this.#scannedShapes, instances: this.#scannedInstances },
      templates: templates.length,
      counts,
      ...ratiosOf(counts),
      topTemplates: templates
        .sort((a, b) => b.evaluations - a.evaluations || b.shapes - a.shapes)
        .slice(0, 10)
        .map(({ text, shapes, kind, evaluations: times }) => ({ text, shapes, kind, evaluations: times })),
    };
  }

  /** Counts what the index is made of; all 0 when there are no shapes. */
  parts(): Readonly<Record<'slots' | 'templates' | 'registrations' | 'postings' | 'signatures' | 'splits', number>> {
    const { registrations, postings, splits, root } = this.#filing;
    const slots = this.#slots.size;
    return {
      slots,
      templates: this.#templates.size,
      registrations,
      postings,
      signatures: root.signatures.length,
      splits,
    };
  }

  /** What is left of a clause to index; undefined when it is TRUE on every row. */
  #prepare(clause: WhereClause): Lifted | undefined {
    const tree = normalise(clause.condition);
    return tree.kind === 'const' && tree.value === true ? undefined : lift(tree);
  }

  /** A new template is checked against the columns; its text has their types, so clauses that have it are right as well. */
  #templateOf(lifted: Lifted, clause: WhereClause): Template {
    const known = this.#templates.find(lifted.key);
    if (known !== undefined) return known;
    this.#ordinals.check(clause);
    return this.#templates.create(lifted);
  }

  #addUnconditional(ticket: number): void {
    this.#slots.addLoose(ticket);
    this.#placeOf.set(ticket, this.#unconditional.push(ticket) - 1);
  }

  /** Fills the gap with the last one, so that removing costs the same however many there are. */
  #removeUnconditional(ticket: number): void {
    const place = this.#placeOf.get(ticket) as number;
    const last = this.#unconditional.pop() as number;
    this.#placeOf.delete(ticket);
    if (last === ticket) return;
    this.#unconditional[place] = last;
    this.#placeOf.set(last, place);
  }

  #addClause(ticket: number, slot: number, template: Template): void {
    this.#slots.addShape(slot, ticket);
    template.shapes++;
    if (template.kind === 'scan') this.#scannedShapes++;
  }

  #addInstance(template: Template, { constants }: Lifted): number {
    const slot = this.#templates.take(template, constants);
    if (template.kind === 'scan') {
      this.#scanned.add(template);
      this.#scannedInstances++;
    } else this.#filing.add(slot, constants);
    return slot;
  }

  #removeFromSlot(ticket: number, slot: number): void {
    const template = this.#slots.templateOf(slot);
    template.shapes--;
    if (template.kind === 'scan') this.#scannedShapes--;
    if (!this.#slots.removeShape(ticket)) return;
    if (template.kind === 'scan') this.#scannedInstances--;
    else this.#filing.remove(slot);
    if (this.#templates.release(slot)) this.#scanned.delete(template);
  }

  #startNumbersAgain(): void {
    this.#candidates.forget();
    for (const template of this.#templates.all()) template.forget();
  }

  #tell(slot: number, holds: number, error: unknown, emit: EmitMatch<K>, onError: ReportUndecided<K>): void {
    this.#matches++;
    const old = (holds & OLD) !== 0;
    const next = (holds & NEW) !== 0;
    for (let shape = this.#slots.firstShape(slot); shape >= 0; shape = this.#slots.nextShape(shape)) {
      if (error === undefined) emit(this.#keys.keyOf(shape), old, next);
      else onError(this.#keys.keyOf(shape), error);
    }
  }
}
