import { IntStack } from './int-stack.ts';
import type { KeyOrder, Keys } from './key-order.ts';

const FIRST_LENGTH = 16;
const BLOCK_BITS = 4;
const BLOCK_LENGTH = 1 << BLOCK_BITS;

/** Places of the blocks that a probe must look into; filled and read within one call. */
const blocksHit = new IntStack();

/** Up to `chunkLength` intervals by start, then by end, with the highest end of every 16. */
export class IntervalChunk<K> {
  readonly #order: KeyOrder<K>;
  #lows: Keys<K>;
  #ends: Keys<K>;
  #ids = new Int32Array(FIRST_LENGTH);
  /** Highest end of each block. */
  #highest: Keys<K>;
  #count = 0;

  constructor(order: KeyOrder<K>) {
    this.#order = order;
    this.#lows = order.make(FIRST_LENGTH);
    this.#ends = order.make(FIRST_LENGTH);
    this.#highest = order.make(FIRST_LENGTH >> BLOCK_BITS);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#order.chunkLength;
  }

  get firstLow(): K {
    return this.#lows[0] as K;
  }

  get firstEnd(): K {
    return this.#ends[0] as K;
  }

  highestEnd(): K {
    return this.#order.highest(this.#highest, 0, blocksOf(this.#count));
  }

  /** Place of the interval, or where it would be put. */
  placeOf(low: K, end: K): number {
    return pairPlace(this.#order, this.#lows, this.#ends, this.#count, low, end);
  }

  /** Id of the interval when it stands at this place, else -1. */
  idAt(place: number, low: K, end: K): number {
    const isThere = place < this.#count && this.#lows[place] === low && this.#ends[place] === end;
    return isThere ? (this.#ids[place] as number) : -1;
  }

  /** The chunk is not full. */
  insertAt(place: number, low: K, end: K, id: number): void {
    if (this.#count === this.#ids.length) this.#reserve(2 * this.#count);
    for (const column of [this.#lows, this.#ends, this.#ids]) column.copyWithin(place + 1, place, this.#count);
    this.#lows[place] = low;
    this.#ends[place] = end;
    this.#ids[place] = id;
    this.#count++;
    this.#refresh(place);
  }

  removeAt(place: number): void {
    for (const column of [this.#lows, this.#ends, this.#ids]) column.copyWithin(place, place + 1, this.#count);
    this.#count--;
    this.#refresh(place);
  }

  /** Moves the upper half of a full chunk to a new one. */
  split(): IntervalChunk<K> {
    const upper = new IntervalChunk<K>(this.#order);
    const kept = this.#count >> 1;
    upper.#append(this, kept);
    this.#count = kept;
    return upper;
  }

  /** Takes all of the chunk after this one; together they fit. */
  absorb(next: IntervalChunk<K>): void {
    this.#append(next, 0);
  }

  /** Pushes the ids of the intervals that contain the point. */
  probe(point: K, out: IntStack): void {
    const order = this.#order;
    const last = this.#count - 1;
    const count = (this.#lows[last] as K) <= point ? this.#count : order.upperBound(this.#lows, 0, last, point);
    blocksHit.clear();
    order.reaching(this.#highest, 0, blocksOf(count), point, blocksHit);
    for (let i = 0; i < blocksHit.length; i++) {
      const from = blocksHit.get(i) << BLOCK_BITS;
      order.idsReaching(this.#ends, from, Math.min(from + BLOCK_LENGTH, count), point, this.#ids, out);
    }
  }

  bytes(): number {
    const order = this.#order;
    return order.bytes(this.#lows) + order.bytes(this.#ends) + this.#ids.byteLength + order.bytes(this.#highest);
  }

  #append(other: IntervalChunk<K>, from: number): void {
    const count = this.#count;
    const total = count + other.#count - from;
    this.#reserve(total);
    for (let i = count, j = from; i < total; i++, j++) {
      this.#lows[i] = other.#lows[j] as K;
      this.#ends[i] = other.#ends[j] as K;
      this.#ids[i] = other.#ids[j] as number;
    }
    this.#count = total;
    this.#refresh(count);
  }

  #reserve(length: number): void {
    let room = this.#ids.length;
    while (room < length) room *= 2;
    if (room === this.#ids.length) return;
    this.#lows = longer(this.#order, this.#lows, room);
    this.#ends = longer(this.#order, this.#ends, room);
    this.#highest = longer(this.#order, this.#highest, room >> BLOCK_BITS);
    const ids = new Int32Array(room);
    ids.set(this.#ids);
    this.#ids = ids;
  }

  /** Everything from `place` on has moved. */
  #refresh(place: number): void {
    const blocks = blocksOf(this.#count);
    for (let block = place >> BLOCK_BITS; block < blocks; block++) {
      const from = block << BLOCK_BITS;
      this.#highest[block] = this.#order.highest(this.#ends, from, Math.min(from + BLOCK_LENGTH, this.#count));
    }
  }
}

/** First place whose pair of start and end is not below the given one. */
export function pairPlace<K>(order: KeyOrder<K>, lows: Keys<K>, ends: Keys<K>, count: number, low: K, end: K): number {
  const from = order.lowerBound(lows, 0, count, low);
  return order.lowerBound(ends, from, order.upperBound(lows, from, count, low), end);
}

export function longer<K>(order: KeyOrder<K>, keys: Keys<K>, length: number): Keys<K> {
  const copy = order.make(length);
  for (let i = 0; i < keys.length; i++) copy[i] = keys[i] as K;
  return copy;
}

function blocksOf(count: number): number {
  return (count + BLOCK_LENGTH - 1) >> BLOCK_BITS;
}
