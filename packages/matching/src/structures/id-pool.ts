import { Int32Column } from './int32-column.ts';

/** Hands out dense ids from 0; the id given back last is handed out first. */
export class IdPool {
  readonly #free = new Int32Column();
  #freeCount = 0;
  #limit = 0;

  /** Ids handed out and not given back. */
  get size(): number {
    return this.#limit - this.#freeCount;
  }

  /** One more than the highest id ever handed out. */
  get limit(): number {
    return this.#limit;
  }

  take(): number {
    return this.#freeCount > 0 ? this.#free.get(--this.#freeCount) : this.#limit++;
  }

  give(id: number): void {
    this.#free.reserve(this.#freeCount + 1);
    this.#free.set(this.#freeCount++, id);
  }

  bytes(): number {
    return this.#free.bytes();
  }
}
