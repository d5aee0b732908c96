import { ClauseEvaluationError, type Test } from '@shapecast/where';
import type { Candidates } from './candidates.ts';
import { BOTH, NEW, OLD, type ChangeImages, type RowImage } from './change-images.ts';
import type { Scope } from './shared-parts.ts';
import type { SlotTable } from './slot-table.ts';
import { IntStack } from './structures/int-stack.ts';
import type { Template } from './template.ts';

/**
 * Told what was decided of an instance: the images it holds (OLD, NEW or BOTH), or the error for which that cannot be said.
 * Instances that hold none are not told.
 */
export type Decide = (slot: number, holds: number, error: unknown) => void;

/** Told of a shape, by its ticket, whose clause raises an error on a row as Postgres would. */
export type OnError = (ticket: number, error: unknown) => void;

/** Decides candidates and scanned templates by evaluating what the index has not answered. */
export class Evaluation {
  readonly #slots: SlotTable;
  readonly #images: ChangeImages;
  readonly #scope: Scope;
  readonly #onError: OnError;
  /** Evaluations of candidates, and of scanned instances. */
  candidates = 0;
  scanned = 0;
  /** Images on which Postgres would have raised an error, counted per shape. */
  errors = 0;
  /** Rows of the template being scanned that hold the image. */
  readonly #found = new IntStack();
  /** Where the scan is. */
  readonly #at = { slot: 0 };
  /** Of the instance at hand. */
  #undecided: unknown;

  constructor(slots: SlotTable, images: ChangeImages, scope: Scope, onError: OnError) {
    this.#onError = onError;
    this.#slots = slots;
    this.#images = images;
    this.#scope = scope;
  }

  decide(candidates: Candidates, slot: number, decide: Decide): void {
    this.#undecided = undefined;
    let holds = candidates.known(slot);
    const open = candidates.open(slot);
    if (open !== 0) {
      const template = this.#slots.templateOf(slot);
      const test = candidates.isWhole(slot) ? template.full : template.rest;
      const once = open === BOTH && !template.isTouchedBy(this.#images);
      this.candidates++;
      template.evaluations++;
      holds |= this.#evaluate(test, this.#slots.rowOf(slot), slot, open, once);
    }
    if (holds !== 0 || this.#undecided !== undefined) decide(slot, holds, this.#undecided);
  }

  /** Evaluates every instance of a template. */
  scan(template: Template, decide: Decide): void {
    const { present } = this.#images;
    const slots = this.#slots;
    const evaluated = slots.instances(template);
    this.scanned += evaluated;
    template.evaluations += evaluated;
    if (present !== BOTH)
      this.#scanImage(template, present === OLD ? this.#images.old : this.#images.new, present, decide);
    else if (!template.isTouchedBy(this.#images)) this.#scanImage(template, this.#images.new, BOTH, decide);
    else {
      slots.forEachInstance(template, (slot, row) => {
        this.#undecided = undefined;
        const holds = this.#evaluate(template.full, row, slot, BOTH, false);
        if (holds !== 0 || this.#undecided !== undefined) decide(slot, holds, this.#undecided);
      });
    }
  }

  #scanImage(template: Template, image: RowImage, images: number, decide: Decide): void {
    const found = this.#found;
    found.clear();
    this.#scope.image = image;
    const limit = this.#slots.rowLimit(template);
    // Errors are rare: what catches them stands around the loop, which is the hottest there is.
    for (let row = 0; row < limit; row++) row = this.#scanRows(template, image, row, limit, decide);
    for (let i = 0; i < found.length; i++) decide(this.#slots.slotAt(template, found.get(i)), images, undefined);
  }

  /** Collects the rows that hold, from `from` on; stops at the first that cannot be evaluated, or at `limit`. */
  #scanRows(template: Template, image: RowImage, from: number, limit: number, decide: Decide): number {
    const { values } = image;
    const found = this.#found;
    const at = this.#at;
    at.slot = from;
    const dense = this.#slots.instances(template) === limit;
    const scan = dense ? template.scan : undefined;
    let undecided: unknown;
    try {
      if (scan !== undefined) scan(values, at, limit, found);
      else {
        const test = template.full;
        for (; at.slot < limit; at.slot++) {
          if ((dense || this.#slots.isInUse(template, at.slot)) && test(values, at.slot) === true) found.push(at.slot);
        }
      }
      return limit;
    } catch (error) {
      const slot = this.#slots.slotAt(template, at.slot);
      if (error instanceof ClauseEvaluationError && error.reason === 'postgres') this.#countError(slot, error);
      else undecided = error;
    }
    if (undecided !== undefined) decide(this.#slots.slotAt(template, at.slot), 0, undecided);
    return at.slot;
  }

  /** `once`: both images have the same cells where it matters. */
  #evaluate(test: Test, row: number, slot: number, images: number, once: boolean): number {
    if (once) return this.#holds(test, row, this.#images.new, slot) ? BOTH : 0;
    let holds = 0;
    if ((images & OLD) !== 0 && this.#holds(test, row, this.#images.old, slot)) holds |= OLD;
    if ((images & NEW) !== 0 && this.#holds(test, row, this.#images.new, slot)) holds |= NEW;
    return holds;
  }

  #holds(test: Test, row: number, image: RowImage, slot: number): boolean {
    this.#scope.image = image;
    try {
      return test(image.values, row) === true;
    } catch (error) {
      if (error instanceof ClauseEvaluationError && error.reason === 'postgres') this.#countError(slot, error);
      else this.#undecided ??= error;
      return false;
    }
  }

  #countError(slot: number, error: unknown): void {
    for (let shape = this.#slots.firstShape(slot); shape >= 0; shape = this.#slots.nextShape(shape)) {
      this.errors++;
      this.#onError(shape, error);
    }
  }
}
