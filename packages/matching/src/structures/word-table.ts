import { HashTable } from './hash-table.ts';
import { IdPool } from './id-pool.ts';
import { Int32Column } from './int32-column.ts';
import { KeyedHash, type HashOptions } from './keyed-hash.ts';

/** Keys of a fixed number of int32 words to dense ids: what the directories of uuids, numbers and tuples are made of. */
export class WordTable {
  readonly #width: number;
  readonly #hash: KeyedHash;
  readonly #table = new HashTable();
  readonly #ids = new IdPool();
  /** `width` words an id. */
  readonly #words = new Int32Column();

  /** `width` is 1, 2 or 4. */
  constructor(width: number, options: HashOptions) {
    this.#width = width;
    this.#hash = new KeyedHash(options);
  }

  get size(): number {
    return this.#ids.size;
  }

  /** Id of the first `width` words of `key`, -1 when they are not here. */
  find(key: Int32Array): number {
    return this.#find(key, this.#hash.ofWords(key, this.#width));
  }

  acquire(key: Int32Array): number {
    const hash = this.#hash.ofWords(key, this.#width);
    const found = this.#find(key, hash);
    if (found >= 0) return found;
    const id = this.#ids.take();
    const at = id * this.#width;
    this.#words.reserve(at + this.#width);
    for (let i = 0; i < this.#width; i++) this.#words.set(at + i, key[i] as number);
    this.#table.add(hash, id);
    return id;
  }

  /** `scratch` is overwritten with the words of the id. */
  release(id: number, scratch: Int32Array): void {
    this.read(id, scratch);
    this.#table.remove(this.#hash.ofWords(scratch, this.#width), id);
    this.#ids.give(id);
  }

  /** Copies the words of an id in use. */
  read(id: number, into: Int32Array): void {
    if (!(id >= 0 && id < this.#ids.limit)) throw new Error(`id ${id} is not in use`);
    for (let i = 0; i < this.#width; i++) into[i] = this.#words.get(id * this.#width + i);
  }

  bytes(): number {
    return this.#table.bytes() + this.#ids.bytes() + this.#words.bytes();
  }

  #find(key: Int32Array, hash: number): number {
    for (let id = this.#table.first(hash); id >= 0; id = this.#table.next()) {
      if (this.#equals(id, key)) return id;
    }
    return -1;
  }

  #equals(id: number, key: Int32Array): boolean {
    const at = id * this.#width;
    const segment = this.#words.segmentOf(at);
    const offset = this.#words.offsetOf(at);
    for (let i = 0; i < this.#width; i++) if (segment[offset + i] !== key[i]) return false;
    return true;
  }
}
