import { HashTable } from './hash-table.ts';
import { IdPool } from './id-pool.ts';
import { Int32Column } from './int32-column.ts';
import { MAX_ARENA_LENGTH, TextArena } from './text-arena.ts';

/** Marks an id whose text is in the map of long ones. */
const LONG = -1;
/** Marks an id that is not in use. */
const NONE = -2;

/**
 * Texts to dense ids, under hashes that the caller computes and with a bit that it may use to tell equal texts apart.
 * Calls take a piece of a text, `text[from..to)`, so that none need be cut out to be looked up.
 */
export class TextTable {
  readonly #table = new HashTable();
  readonly #ids = new IdPool();
  readonly #arena = new TextArena();
  /** By id: block in the arena, or LONG, or NONE. */
  readonly #blocks = new Int32Column();
  /** Texts that no block can hold. */
  readonly #long = new Map<number, { readonly text: string; readonly tag: number }>();

  get size(): number {
    return this.#ids.size;
  }

  /** One more than the highest id ever in use. */
  get limit(): number {
    return this.#ids.limit;
  }

  /** Id of the text, -1 when it is not here. */
  find(hash: number, text: string, from: number, to: number, tag: number): number {
    for (let id = this.#table.first(hash); id >= 0; id = this.#table.next()) {
      if (this.#equals(id, text, from, to, tag)) return id;
    }
    return -1;
  }

  /** Adds a text that is not here. */
  add(hash: number, text: string, from: number, to: number, tag: number): number {
    const id = this.#ids.take();
    this.#blocks.reserve(id + 1);
    if (to - from <= MAX_ARENA_LENGTH) {
      this.#blocks.set(id, this.#arena.add(text, from, to, tag));
    } else {
      this.#blocks.set(id, LONG);
      this.#long.set(id, { text: text.slice(from, to), tag });
    }
    this.#table.add(hash, id);
    return id;
  }

  /** Throws when the id is not in use or was added under another hash. */
  remove(hash: number, id: number): void {
    this.#table.remove(hash, id);
    const block = this.#blockOf(id);
    if (block === LONG) this.#long.delete(id);
    else this.#arena.remove(block);
    this.#blocks.set(id, NONE);
    this.#ids.give(id);
  }

  textOf(id: number): string {
    const block = this.#blockOf(id);
    return block === LONG ? this.#longOf(id).text : this.#arena.textOf(block);
  }

  lengthOf(id: number): number {
    const block = this.#blockOf(id);
    return block === LONG ? this.#longOf(id).text.length : this.#arena.length(block);
  }

  tagOf(id: number): number {
    const block = this.#blockOf(id);
    return block === LONG ? this.#longOf(id).tag : this.#arena.tag(block);
  }

  /** Whether the text of an id in use occurs in `text` at `from`, which may lie outside. */
  occursAt(id: number, text: string, from: number): boolean {
    const block = this.#blocks.get(id);
    return block === LONG
      ? text.startsWith(this.#longOf(id).text, from) && from >= 0
      : this.#arena.occursAt(block, text, from);
  }

  bytes(): number {
    let bytes = this.#table.bytes() + this.#ids.bytes() + this.#arena.bytes() + this.#blocks.bytes();
    for (const { text } of this.#long.values()) bytes += 2 * text.length;
    return bytes;
  }

  #equals(id: number, text: string, from: number, to: number, tag: number): boolean {
    const block = this.#blocks.get(id);
    if (block !== LONG) return this.#arena.equals(block, text, from, to, tag);
    const long = this.#longOf(id);
    return long.tag === tag && long.text.length === to - from && text.startsWith(long.text, from);
  }

  #blockOf(id: number): number {
    const block = id >= 0 && id < this.#ids.limit ? this.#blocks.get(id) : NONE;
    if (block === NONE) throw new Error(`id ${id} is not in use`);
    return block;
  }

  #longOf(id: number): { readonly text: string; readonly tag: number } {
    return this.#long.get(id) as { readonly text: string; readonly tag: number };
  }
}
