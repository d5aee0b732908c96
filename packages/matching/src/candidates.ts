import { ClauseEvaluationError, InputError } from '@shapecast/where';
import { BOTH, NEW, OLD, type ChangeImages, type RowImage } from './change-images.ts';
import { ENTRY_BITS, EXACT, FULL, type Filing } from './filing.ts';
import type { SignatureGroup } from './signature-group.ts';
import type { ProbeSink, Signature } from './signatures/signature.ts';
import type { SlotTable } from './slot-table.ts';
import { Int32Column } from './structures/int32-column.ts';
import { IntStack } from './structures/int-stack.ts';

/** What probing says of a slot: the images it is a candidate for, those it is known to hold, and WHOLE. */
const TRUE_SHIFT = 2;
const WHOLE = 16;
const MARK_BITS = 5;
const MAX_PROBE = 2 ** 31 - 1;

/**
 * Looks a change up in all signatures of a table (spec W 9.8): which slots may hold one of its rows, which do for certain,
 * and which have to be evaluated as a whole. Every slot comes out once, however often it was hit.
 */
export class Candidates implements ProbeSink {
  readonly #filing: Filing;
  readonly #slots: SlotTable;
  readonly #images: ChangeImages;
  readonly #found = new IntStack();
  /** By slot: number of the change that touched it last, above what is known. */
  readonly #marks = new Int32Column();
  readonly #hits = new IntStack();
  /** By slot: the probe that excluded it. */
  readonly #excluded = new Int32Column();
  #probe = 0;
  /** Images that the probe at hand is about. */
  #probing = 0;

  constructor(filing: Filing, slots: SlotTable, images: ChangeImages) {
    this.#filing = filing;
    this.#slots = slots;
    this.#images = images;
  }

  get length(): number {
    return this.#found.length;
  }

  slotAt(index: number): number {
    return this.#found.get(index);
  }

  /** Images that the slot may hold and has to be evaluated on. */
  open(slot: number): number {
    const marks = this.#marks.get(slot);
    const known = (marks >>> TRUE_SHIFT) & BOTH;
    return (marks & WHOLE) === 0 ? marks & BOTH & ~known : (marks & BOTH) | known;
  }

  /** Images that the slot holds. */
  known(slot: number): number {
    const marks = this.#marks.get(slot);
    return (marks & WHOLE) === 0 ? (marks >>> TRUE_SHIFT) & BOTH : 0;
  }

  /** Whether what the index answered does not count. */
  isWhole(slot: number): boolean {
    return (this.#marks.get(slot) & WHOLE) !== 0;
  }

  /** Finds the candidates for the change at hand. */
  find(): void {
    this.#found.clear();
    this.#hits.clear();
    this.#marks.reserve(this.#slots.limit);
    this.#probeGroup(this.#filing.root, this.#images.present);
  }

  /** The numbers of changes start again. */
  forget(): void {
    for (let slot = 0; slot < this.#slots.limit; slot++) this.#marks.set(slot, 0);
  }

  /** Called by signatures while they are probed. */
  hit(posting: number): void {
    const hits = this.#hits;
    const from = hits.length;
    this.#filing.copyTo(posting, hits);
    const bits = this.#probing;
    for (let i = from; i < hits.length; i++) this.#mark(this.#filing.entryOf(hits.get(i)), bits);
    hits.truncate(from);
    const inside = this.#filing.splitOf(posting);
    if (inside !== undefined) this.#probeGroup(inside, bits);
  }

  /** Called by signatures while they are probed. */
  hitExcept(posting: number, excluded: number): void {
    this.#exclude(excluded);
    const hits = this.#hits;
    const from = hits.length;
    this.#filing.copyTo(posting, hits);
    for (let i = from; i < hits.length; i++) {
      const entry = this.#filing.entryOf(hits.get(i));
      if (this.#excluded.get(entry >>> ENTRY_BITS) !== this.#probe) this.#mark(entry, this.#probing);
    }
    hits.truncate(from);
  }

  /** By slot, because an instance is excluded by registrations of their own. */
  #exclude(posting: number): void {
    this.#excluded.reserve(this.#slots.limit);
    if (++this.#probe === MAX_PROBE) {
      for (let slot = 0; slot < this.#slots.limit; slot++) this.#excluded.set(slot, 0);
      this.#probe = 1;
    }
    if (posting < 0) return;
    const hits = this.#hits;
    const from = hits.length;
    this.#filing.copyTo(posting, hits);
    for (let i = from; i < hits.length; i++) {
      this.#excluded.set(this.#filing.entryOf(hits.get(i)) >>> ENTRY_BITS, this.#probe);
    }
    hits.truncate(from);
  }

  #probeGroup(group: SignatureGroup, bits: number): void {
    for (const signature of group.signatures) {
      if (bits === BOTH && this.#same(signature)) this.#probeOnce(signature, this.#images.new, BOTH);
      else {
        if ((bits & OLD) !== 0) this.#probeOnce(signature, this.#images.old, OLD);
        if ((bits & NEW) !== 0) this.#probeOnce(signature, this.#images.new, NEW);
      }
    }
  }

  /** Whether both images hit the same: what the signature looks at did not change, or gives the same key. */
  #same(signature: Signature): boolean {
    if (!this.#images.anyChanged(signature.columns)) return true;
    try {
      return signature.same(this.#images.old, this.#images.new);
    } catch (error) {
      rethrowBug(error);
      return false;
    }
  }

  #probeOnce(signature: Signature, image: RowImage, bits: number): void {
    const outer = this.#probing;
    this.#probing = bits;
    try {
      signature.probe(image, this);
    } catch (error) {
      rethrowBug(error);
      // An index may never miss (spec W 0.4): what cannot be looked up is evaluated.
      this.#markAll(signature, bits);
    }
    this.#probing = outer;
  }

  #markAll(signature: Signature, bits: number): void {
    const hits = this.#hits;
    const from = hits.length;
    signature.forEachPosting((posting) => {
      this.#filing.copyTo(posting, hits);
      for (let i = from; i < hits.length; i++) this.#mark(this.#filing.entryOf(hits.get(i)) | FULL, bits);
      hits.truncate(from);
      for (const inside of this.#filing.splitOf(posting)?.signatures ?? []) this.#markAll(inside, bits);
    });
  }

  #mark(entry: number, bits: number): void {
    const slot = entry >>> ENTRY_BITS;
    const known = this.#marks.get(slot);
    const isFirst = known >>> MARK_BITS !== this.#images.number;
    if (isFirst) this.#found.push(slot);
    let marks = isFirst ? this.#images.number << MARK_BITS : known;
    if ((entry & FULL) !== 0) marks |= bits | WHOLE;
    else marks |= (entry & EXACT) !== 0 ? bits << TRUE_SHIFT : bits;
    this.#marks.set(slot, marks);
  }
}

/** A row that cannot be read or computed with is expected; anything else is not. */
function rethrowBug(error: unknown): void {
  if (!(error instanceof ClauseEvaluationError || error instanceof InputError)) throw error;
}
