import { IdPool } from './id-pool.ts';
import type { IntStack } from './int-stack.ts';
import { IntervalSet } from './interval-set.ts';
import { TEXT_ORDER } from './key-order.ts';

/** Above the key of every text, because no well-formed text starts with the second half of a surrogate pair. */
const TOP = '\uffff';

/**
 * Intervals of text in code point order (spec W 5.1), by the same rules as those of numbers; `undefined` is no bound.
 * Lone surrogates, which no text of Postgres has, count as U+FFFD.
 */
export class TextRangeDirectory {
  readonly #ids = new IdPool();
  /** By id: bounds as keys, the lower one inside and the upper one outside the interval. */
  readonly #lows: string[] = [];
  readonly #ends: string[] = [];
  readonly #intervals = new IntervalSet(TEXT_ORDER);
  /** The interval that holds nothing; -1 when not in use. */
  #empty = -1;

  get size(): number {
    return this.#ids.size;
  }

  /** Posting id of the interval: the one it has, or a new one. */
  acquire(low: string | undefined, lowOpen: boolean, high: string | undefined, highOpen: boolean): number {
    // Right after a text, before anything else, comes the text with U+0000 at its end.
    const from = low === undefined ? '' : orderKey(lowOpen ? `${low}\0` : low);
    const end = high === undefined ? TOP : orderKey(highOpen ? high : `${high}\0`);
    if (from >= end) {
      if (this.#empty < 0) this.#empty = this.#ids.take();
      return this.#empty;
    }
    const found = this.#intervals.find(from, end);
    if (found >= 0) return found;
    const id = this.#ids.take();
    this.#lows[id] = from;
    this.#ends[id] = end;
    this.#intervals.insert(from, end, id);
    return id;
  }

  /** Pushes the ids of all intervals that contain the text, each once. */
  probe(point: string, out: IntStack): void {
    this.#intervals.probe(orderKey(point), out);
  }

  /** Forgets the interval of this id, which is given out again later. Throws when the id is not in use. */
  release(id: number): void {
    if (id === this.#empty && id >= 0) {
      this.#empty = -1;
    } else {
      const low = this.#lows[id];
      const end = this.#ends[id];
      if (low === undefined || end === undefined) throw new Error(`id ${id} is not in use`);
      this.#intervals.remove(low, end, id);
      this.#lows[id] = this.#ends[id] = '';
    }
    this.#ids.give(id);
  }

  bytes(): number {
    return this.#ids.bytes() + this.#intervals.bytes() + 16 * this.#ids.limit;
  }
}

/**
 * A string whose order by UTF-16 units is the text's order by code points: surrogates, which stand for code points
 * above U+FFFF, change places with the units U+E000 to U+FFFF. Most texts have neither and are their own key.
 */
function orderKey(text: string): string {
  if (!/[\ud800-\uffff]/.test(text)) return text;
  return text.toWellFormed().replace(/[\ud800-\uffff]/g, (unit) => {
    const code = unit.charCodeAt(0);
    return String.fromCharCode(code < 0xe000 ? code + 0x2000 : code - 0x800);
  });
}
