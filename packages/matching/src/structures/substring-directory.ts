import type { DirectoryOptions } from './hash-directory.ts';
import { HashTable } from './hash-table.ts';
import { IdPool } from './id-pool.ts';
import { IntStack } from './int-stack.ts';
import { Int32Column } from './int32-column.ts';
import { KeyedHash } from './keyed-hash.ts';
import { PostingPool } from './posting-pool.ts';
import { TextTable } from './text-table.ts';

const MIN_GRAM = 3;
const MAX_GRAM = 5;
/** So many of a long needle's grams are looked at for the rarest one. */
const MAX_GRAMS_TRIED = 256;
const MAX_EPOCH = 0x7fff_ffff;

/**
 * Finds which of many needles occur in a text. Each needle is filed under one of its q-grams, q being 5 units, or the
 * needle's length below that: the gram with the fewest needles at the time. A probe looks up every gram of the text and
 * compares the needles filed there with the text around it. Lengths are in UTF-16 units.
 */
export class SubstringDirectory {
  readonly #hash: KeyedHash;
  readonly #needles = new TextTable();
  /** Gram ids by the hash of the gram, which stands for it: two grams of one hash share their needles. */
  readonly #grams = new HashTable();
  readonly #gramIds = new IdPool();
  readonly #gramHashes = new Int32Column();
  /** Needles by gram. */
  readonly #filed = new PostingPool();
  /** By needle: the gram it is filed under, where in the needle that gram is, and the last probe that found it. */
  readonly #gramOf = new Int32Column();
  readonly #gramAt = new Int32Column();
  readonly #foundIn = new Int32Column();
  /** How many needles are filed under grams of each length. */
  readonly #countOf = new Int32Array(MAX_GRAM + 1);
  readonly #candidates = new IntStack();
  #epoch = 0;

  constructor(options: DirectoryOptions) {
    this.#hash = new KeyedHash(options);
  }

  get size(): number {
    return this.#needles.size;
  }

  /** Posting id of the needle, existing or new; -1 when it is shorter than 3 units, too short to be indexed. */
  acquire(needle: string): number {
    const length = needle.length;
    if (length < MIN_GRAM) return -1;
    const hash = this.#hash.ofText(needle, 0, length);
    const found = this.#needles.find(hash, needle, 0, length, 0);
    if (found >= 0) return found;
    const id = this.#needles.add(hash, needle, 0, length, 0);
    for (const column of [this.#gramOf, this.#gramAt, this.#foundIn]) column.reserve(id + 1);
    const gramLength = Math.min(length, MAX_GRAM);
    const at = this.#rarestGram(needle, gramLength);
    const gram = this.#acquireGram(this.#hash.ofText(needle, at, at + gramLength));
    this.#gramOf.set(id, gram);
    this.#gramAt.set(id, at);
    this.#foundIn.set(id, 0);
    this.#filed.add(gram, id);
    this.#countOf[gramLength] = (this.#countOf[gramLength] as number) + 1;
    return id;
  }

  /** Pushes the ids of the needles that occur in the text, each once. Every hit is real. */
  probe(text: string, out: IntStack): void {
    this.#startEpoch();
    for (let gramLength = MIN_GRAM; gramLength <= MAX_GRAM; gramLength++) {
      if (this.#countOf[gramLength] === 0) continue;
      for (let at = 0; at + gramLength <= text.length; at++) {
        const gram = this.#grams.first(this.#hash.ofText(text, at, at + gramLength));
        if (gram >= 0) this.#verify(gram, text, at, out);
      }
    }
  }

  /** Forgets the needle of this id, which is given out again later. Throws when the id is not in use. */
  release(id: number): void {
    const needle = this.#needles.textOf(id);
    this.#needles.remove(this.#hash.ofText(needle, 0, needle.length), id);
    const gram = this.#gramOf.get(id);
    this.#filed.remove(gram, id);
    const gramLength = Math.min(needle.length, MAX_GRAM);
    this.#countOf[gramLength] = (this.#countOf[gramLength] as number) - 1;
    if (this.#filed.size(gram) > 0) return;
    this.#grams.remove(this.#gramHashes.get(gram), gram);
    this.#gramIds.give(gram);
  }

  bytes(): number {
    const columns = [this.#gramHashes, this.#gramOf, this.#gramAt, this.#foundIn];
    const parts = [this.#needles, this.#grams, this.#gramIds, this.#filed, ...columns];
    return parts.reduce((sum, part) => sum + part.bytes(), 0);
  }

  /** Pushes the needles filed under a gram of the text that occur around it and were not found before. */
  #verify(gram: number, text: string, at: number, out: IntStack): void {
    const candidates = this.#candidates;
    candidates.clear();
    this.#filed.copyTo(gram, candidates);
    for (let i = 0; i < candidates.length; i++) {
      const id = candidates.get(i);
      if (this.#foundIn.get(id) === this.#epoch) continue;
      if (!this.#needles.occursAt(id, text, at - this.#gramAt.get(id))) continue;
      this.#foundIn.set(id, this.#epoch);
      out.push(id);
    }
  }

  #rarestGram(needle: string, gramLength: number): number {
    const tried = Math.min(needle.length - gramLength + 1, MAX_GRAMS_TRIED);
    let rarest = 0;
    let fewest = Infinity;
    for (let at = 0; at < tried; at++) {
      const gram = this.#grams.first(this.#hash.ofText(needle, at, at + gramLength));
      const count = gram < 0 ? 0 : this.#filed.size(gram);
      if (count < fewest) {
        rarest = at;
        fewest = count;
        if (count === 0) break;
      }
    }
    return rarest;
  }

  #acquireGram(hash: number): number {
    const found = this.#grams.first(hash);
    if (found >= 0) return found;
    const gram = this.#gramIds.take();
    this.#gramHashes.reserve(gram + 1);
    this.#gramHashes.set(gram, hash);
    this.#grams.add(hash, gram);
    return gram;
  }

  #startEpoch(): void {
    if (this.#epoch === MAX_EPOCH) {
      // Once in two thousand million probes: marks of an earlier round must not look like this one's.
      for (let id = 0; id < this.#needles.limit; id++) this.#foundIn.set(id, 0);
      this.#epoch = 0;
    }
    this.#epoch++;
  }
}
