import { IdPool } from './id-pool.ts';
import type { IntStack } from './int-stack.ts';
import { Int32Column } from './int32-column.ts';
import { IntervalSet } from './interval-set.ts';
import { NUMBER_ORDER } from './key-order.ts';

/**
 * Intervals of float64, in Postgres's order of floats: NaN equals itself and is above Infinity, -0 equals 0. Equal
 * intervals share an id, and so do those that hold the same float64s, such as `> 1` and `>= 1.0000000000000002`: where
 * keys are rounded the caller widens its bounds first.
 *
 * No lower bound is `low = -Infinity`, closed. No upper bound is `high = Infinity`, closed, and takes in NaN, because
 * Postgres's `NaN > 5` is true; a genuine `<= 'Infinity'`, which leaves NaN out, is `high = NaN`, open.
 * All intervals that nothing lies in share an id, which no probe finds.
 */
export class RangeDirectory {
  readonly #ids = new IdPool();
  /** By id: lower and upper bound as two words each, both closed; an upper bound of NaN is none. */
  readonly #bounds = new Int32Column();
  readonly #pair = new Float64Array(2);
  readonly #pairWords = new Int32Array(this.#pair.buffer);
  /** Intervals without NaN. */
  readonly #bounded = new IntervalSet(NUMBER_ORDER);
  /** Intervals up to NaN, all with the end Infinity: so a probe of any number but NaN goes the same way. */
  readonly #unbounded = new IntervalSet(NUMBER_ORDER);
  /** The interval that holds NaN alone, and the one that holds nothing; -1 when not in use. */
  #nanOnly = -1;
  #empty = -1;

  get size(): number {
    return this.#ids.size;
  }

  /** Posting id of the interval: the one it has, or a new one. */
  acquire(low: number, lowOpen: boolean, high: number, highOpen: boolean): number {
    const isUnbounded = !highOpen && (high === Infinity || Number.isNaN(high));
    const isEmpty = (lowOpen && Number.isNaN(low)) || (highOpen && high === -Infinity);
    const from = lowOpen ? nextUp(low) : low + 0;
    const to = highOpen ? nextDown(high) : high + 0;
    if (isEmpty || (!isUnbounded && !(from <= to))) {
      if (this.#empty < 0) this.#empty = this.#ids.take();
      return this.#empty;
    }
    if (Number.isNaN(from)) {
      if (this.#nanOnly < 0) this.#nanOnly = this.#ids.take();
      return this.#nanOnly;
    }
    const intervals = isUnbounded ? this.#unbounded : this.#bounded;
    const end = isUnbounded ? Infinity : to;
    const found = intervals.find(from, end);
    if (found >= 0) return found;
    const id = this.#ids.take();
    this.#bounds.reserve(4 * id + 4);
    this.#pair[0] = from;
    this.#pair[1] = isUnbounded ? NaN : to;
    for (let i = 0; i < 4; i++) this.#bounds.set(4 * id + i, this.#pairWords[i] as number);
    intervals.insert(from, end, id);
    return id;
  }

  /** Pushes the ids of all intervals that contain the point, each once. */
  probe(point: number, out: IntStack): void {
    if (Number.isNaN(point)) {
      this.#unbounded.probe(Infinity, out);
      if (this.#nanOnly >= 0) out.push(this.#nanOnly);
    } else {
      this.#bounded.probe(point, out);
      this.#unbounded.probe(point, out);
    }
  }

  /** Forgets the interval of this id, which is given out again later. Throws when the id is not in use. */
  release(id: number): void {
    if (!(id >= 0 && id < this.#ids.limit)) throw new Error(`id ${id} is not in use`);
    if (id === this.#empty) this.#empty = -1;
    else if (id === this.#nanOnly) this.#nanOnly = -1;
    else this.#remove(id);
    this.#ids.give(id);
  }

  bytes(): number {
    return this.#ids.bytes() + this.#bounds.bytes() + this.#bounded.bytes() + this.#unbounded.bytes();
  }

  #remove(id: number): void {
    this.#bounds.reserve(4 * id + 4);
    for (let i = 0; i < 4; i++) this.#pairWords[i] = this.#bounds.get(4 * id + i);
    const low = this.#pair[0] as number;
    const high = this.#pair[1] as number;
    if (Number.isNaN(high)) this.#unbounded.remove(low, Infinity, id);
    else this.#bounded.remove(low, high, id);
  }
}

const view = new DataView(new ArrayBuffer(8));

/** The float64 after this one: NaN after Infinity and after NaN. */
function nextUp(value: number): number {
  if (value === Infinity || Number.isNaN(value)) return NaN;
  if (value === 0) return Number.MIN_VALUE;
  view.setFloat64(0, value);
  const step = value > 0 ? 1 : -1;
  const low = view.getUint32(4) + step;
  view.setUint32(4, low);
  if (low > 0xffff_ffff || low < 0) view.setUint32(0, view.getUint32(0) + step);
  return view.getFloat64(0) + 0;
}

/** The float64 before this one: Infinity before NaN, and nothing before -Infinity. */
function nextDown(value: number): number {
  return Number.isNaN(value) ? Infinity : -nextUp(-value) + 0;
}
