import type { Value } from '@shapecast/where';
import type { Key, KeyReader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { NumberDirectory, UuidDirectory, type Directory } from '../structures/hash-directory.ts';
import { StringDirectory } from '../structures/string-directory.ts';

/** The row has no key of the space. */
const UNKNOWN = -1;
export const NULL_KEY = -2;

/**
 * The keys of one expression that any shape waits for, numbered. Signatures on the same expression share one, so a row is
 * looked up once for all of them.
 */
export class KeySpace {
  readonly reader: KeyReader;
  readonly #seed: number;
  #directory: Directory<Key> | undefined;
  /** Postings and composite keys that stand on each key. */
  #uses = new Int32Array(4);
  readonly #foundFor: [number, number] = [0, 0];
  readonly #found: [number, number] = [UNKNOWN, UNKNOWN];
  /** Grows when keys come or go, which makes what was found for a row doubtful. */
  #changes = 0;
  readonly #foundAt: [number, number] = [0, 0];

  constructor(reader: KeyReader, seed: number) {
    this.reader = reader;
    this.#seed = seed;
  }

  get isEmpty(): boolean {
    return (this.#directory?.size ?? 0) === 0;
  }

  /** Number of the row's key, UNKNOWN or NULL_KEY. */
  find(image: RowImage): number {
    const { place, version } = image;
    if (this.#foundFor[place] === version && this.#foundAt[place] === this.#changes) return this.#found[place];
    const key = this.reader.read(image.values);
    const found = key === null ? NULL_KEY : (this.#directory?.find(key) ?? UNKNOWN);
    this.#foundFor[place] = version;
    this.#foundAt[place] = this.#changes;
    this.#found[place] = found;
    return found;
  }

  /** Number of a constant's key, UNKNOWN when nobody waits for it. */
  peek(value: Value): number {
    const key = this.reader.keyOf(value);
    return key === undefined ? UNKNOWN : (this.#directory?.find(key) ?? UNKNOWN);
  }

  /** Number of a constant's key, held until it is released; UNKNOWN for a constant that no row can equal. */
  acquire(value: Value): number {
    const key = this.reader.keyOf(value);
    if (key === undefined) return UNKNOWN;
    const id = (this.#directory ??= this.#createFor(key)).acquire(key);
    if (id >= this.#uses.length) {
      const larger = new Int32Array(Math.max(id + 1, this.#uses.length * 2));
      larger.set(this.#uses);
      this.#uses = larger;
    }
    this.#uses[id] = (this.#uses[id] as number) + 1;
    this.#changes++;
    return id;
  }

  release(id: number): void {
    const uses = (this.#uses[id] as number) - 1;
    this.#uses[id] = uses;
    this.#changes++;
    if (uses === 0) this.#directory?.release(id);
  }

  #createFor(key: Key): Directory<Key> {
    const options = { seed: this.#seed };
    if (typeof key === 'number') return new NumberDirectory(options) as Directory<unknown> as Directory<Key>;
    const directory = this.reader.isUuid ? new UuidDirectory(options) : new StringDirectory(options);
    return directory as Directory<unknown> as Directory<Key>;
  }
}
