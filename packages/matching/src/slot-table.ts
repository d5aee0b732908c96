import { IdPool } from './structures/id-pool.ts';
import { Int32Column } from './structures/int32-column.ts';
import type { Template } from './template.ts';

/** Slots of a block belong to one template. */
const BLOCK_BITS = 4;
const BLOCK_SLOTS = 1 << BLOCK_BITS;
const IN_BLOCK = BLOCK_SLOTS - 1;
const NONE = 0;

/** Where the instances of one template are. */
interface Rows {
  readonly template: Template;
  /** By row, in blocks: the table's block. */
  readonly blocks: number[];
  readonly ids: IdPool;
}

/**
 * Numbers the instances of all templates of a table: an instance is a slot of the table and a row of its template. Keeps
 * which shapes stand on a slot; shapes with the same clause share one.
 */
export class SlotTable {
  readonly #blockIds = new IdPool();
  /** By block of the table. */
  readonly #owners: (Rows | undefined)[] = [];
  readonly #ordinalOfBlock = new Int32Column();
  readonly #rows = new Map<Template, Rows>();
  /** First shape of each slot plus one. */
  readonly #heads = new Int32Column();
  /** By shape: its slot plus one, and its neighbours on the slot plus one. */
  readonly #slotOf = new Int32Column();
  readonly #next = new Int32Column();
  readonly #previous = new Int32Column();

  /** Slots used so far are below this. */
  get limit(): number {
    return this.#blockIds.limit << BLOCK_BITS;
  }

  get size(): number {
    let size = 0;
    for (const { ids } of this.#rows.values()) size += ids.size;
    return size;
  }

  /** A slot for a new instance of the template; `rowOf` tells its row. */
  take(template: Template): number {
    let rows = this.#rows.get(template);
    if (rows === undefined) {
      rows = { template, blocks: [], ids: new IdPool() };
      this.#rows.set(template, rows);
    }
    const row = rows.ids.take();
    const ordinal = row >>> BLOCK_BITS;
    let block = rows.blocks[ordinal];
    if (block === undefined) {
      block = this.#blockIds.take();
      rows.blocks.push(block);
      this.#owners[block] = rows;
      this.#ordinalOfBlock.reserve(block + 1);
      this.#ordinalOfBlock.set(block, ordinal);
      this.#heads.reserve((block + 1) << BLOCK_BITS);
    }
    return (block << BLOCK_BITS) | (row & IN_BLOCK);
  }

  /** True when the template has no instance left. */
  release(slot: number): boolean {
    const rows = this.#owners[slot >>> BLOCK_BITS] as Rows;
    rows.ids.give(this.rowOf(slot));
    if (rows.ids.size > 0) return false;
    for (const block of rows.blocks) {
      this.#owners[block] = undefined;
      this.#blockIds.give(block);
    }
    this.#rows.delete(rows.template);
    return true;
  }

  templateOf(slot: number): Template {
    return (this.#owners[slot >>> BLOCK_BITS] as Rows).template;
  }

  rowOf(slot: number): number {
    return (this.#ordinalOfBlock.get(slot >>> BLOCK_BITS) << BLOCK_BITS) | (slot & IN_BLOCK);
  }

  instances(template: Template): number {
    return this.#rows.get(template)?.ids.size ?? 0;
  }

  /** Rows of a template that were ever used are below this. */
  rowLimit(template: Template): number {
    return this.#rows.get(template)?.ids.limit ?? 0;
  }

  slotAt(template: Template, row: number): number {
    const { blocks } = this.#rows.get(template) as Rows;
    return ((blocks[row >>> BLOCK_BITS] as number) << BLOCK_BITS) | (row & IN_BLOCK);
  }

  isInUse(template: Template, row: number): boolean {
    return this.#heads.get(this.slotAt(template, row)) !== NONE;
  }

  /** Calls for each instance of a template, in the order of their rows. */
  forEachInstance(template: Template, visit: (slot: number, row: number) => void): void {
    const rows = this.#rows.get(template);
    if (rows === undefined) return;
    const { blocks, ids } = rows;
    for (let row = 0; row < ids.limit; row++) {
      const slot = ((blocks[row >>> BLOCK_BITS] as number) << BLOCK_BITS) | (row & IN_BLOCK);
      if (this.#heads.get(slot) !== NONE) visit(slot, row);
    }
  }

  /** A shape that stands on no slot. */
  addLoose(shape: number): void {
    this.#slotOf.reserve(shape + 1);
    this.#slotOf.set(shape, NONE);
  }

  addShape(slot: number, shape: number): void {
    this.#slotOf.reserve(shape + 1);
    this.#next.reserve(shape + 1);
    this.#previous.reserve(shape + 1);
    const head = this.#heads.get(slot);
    this.#slotOf.set(shape, slot + 1);
    this.#next.set(shape, head);
    this.#previous.set(shape, NONE);
    if (head !== NONE) this.#previous.set(head - 1, shape + 1);
    this.#heads.set(slot, shape + 1);
  }

  /** True when the slot has no shape left. */
  removeShape(shape: number): boolean {
    const slot = this.slotOf(shape);
    const next = this.#next.get(shape);
    const previous = this.#previous.get(shape);
    if (next !== NONE) this.#previous.set(next - 1, previous);
    if (previous !== NONE) this.#next.set(previous - 1, next);
    else this.#heads.set(slot, next);
    this.#slotOf.set(shape, NONE);
    return previous === NONE && next === NONE;
  }

  /** -1 for a shape that is on none. */
  slotOf(shape: number): number {
    return this.#slotOf.get(shape) - 1;
  }

  /** First shape on a slot; -1 when there is none. */
  firstShape(slot: number): number {
    return this.#heads.get(slot) - 1;
  }

  /** The shape after another on the same slot; -1 at the end. */
  nextShape(shape: number): number {
    return this.#next.get(shape) - 1;
  }

  bytes(): number {
    const columns = [this.#ordinalOfBlock, this.#heads, this.#slotOf, this.#next, this.#previous];
    return columns.reduce((sum, column) => sum + column.bytes(), 8 * this.#owners.length);
  }
}
