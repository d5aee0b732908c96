import type { Directory, DirectoryOptions } from './hash-directory.ts';
import { KeyedHash } from './keyed-hash.ts';
import { TextTable } from './text-table.ts';

/** Directory of strings, equal when their UTF-16 units are. */
export class StringDirectory implements Directory<string> {
  readonly #hash: KeyedHash;
  readonly #texts = new TextTable();

  constructor(options: DirectoryOptions) {
    this.#hash = new KeyedHash(options);
  }

  get size(): number {
    return this.#texts.size;
  }

  acquire(key: string): number {
    const hash = this.#hash.ofText(key, 0, key.length);
    const found = this.#texts.find(hash, key, 0, key.length, 0);
    return found >= 0 ? found : this.#texts.add(hash, key, 0, key.length, 0);
  }

  find(key: string): number {
    return this.#texts.find(this.#hash.ofText(key, 0, key.length), key, 0, key.length, 0);
  }

  release(id: number): void {
    const key = this.#texts.textOf(id);
    this.#texts.remove(this.#hash.ofText(key, 0, key.length), id);
  }

  keyOf(id: number): string {
    return this.#texts.textOf(id);
  }

  bytes(): number {
    return this.#texts.bytes();
  }
}
