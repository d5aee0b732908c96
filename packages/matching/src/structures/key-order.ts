import type { IntStack } from './int-stack.ts';

/** Keys in order, in an array that fits them. */
export interface Keys<K> {
  readonly length: number;
  [index: number]: K;
  copyWithin(target: number, start: number, end: number): unknown;
}

/**
 * What an interval set does with keys: the loops that a probe spends its time in. There are two, alike but for the
 * arrays they see: one body for both would compare a number like a string, ten times slower, as soon as a process uses
 * both.
 */
export interface KeyOrder<K> {
  /** Intervals of a chunk at most, a multiple of 32: moving and comparing text costs more, and leaves less to gain. */
  readonly chunkLength: number;
  make(length: number): Keys<K>;
  /** First place in `[from, to)`, which ascends, whose key is `key` or above; `to` when there is none. */
  lowerBound(keys: Keys<K>, from: number, to: number, key: K): number;
  /** The same for keys above `key`. */
  upperBound(keys: Keys<K>, from: number, to: number, key: K): number;
  /** Highest key of `[from, to)`, which is not empty. */
  highest(keys: Keys<K>, from: number, to: number): K;
  /** Pushes the places of `[from, to)` whose end the point does not lie beyond. */
  reaching(ends: Keys<K>, from: number, to: number, point: K, out: IntStack): void;
  /** Pushes `ids` at those places. */
  idsReaching(ends: Keys<K>, from: number, to: number, point: K, ids: Int32Array, out: IntStack): void;
  bytes(keys: Keys<K>): number;
}

/** Numbers, no NaN among them. An end belongs to its interval. */
export const NUMBER_ORDER: KeyOrder<number> = {
  chunkLength: 512,
  make: (length) => new Float64Array(length),
  lowerBound(keys, from, to, key) {
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((keys[middle] as number) < key) from = middle + 1;
      else to = middle;
    }
    return from;
  },
  upperBound(keys, from, to, key) {
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((keys[middle] as number) <= key) from = middle + 1;
      else to = middle;
    }
    return from;
  },
  highest(keys, from, to) {
    let highest = keys[from] as number;
    for (let i = from + 1; i < to; i++) if ((keys[i] as number) > highest) highest = keys[i] as number;
    return highest;
  },
  reaching(ends, from, to, point, out) {
    for (let i = from; i < to; i++) if ((ends[i] as number) >= point) out.push(i);
  },
  idsReaching(ends, from, to, point, ids, out) {
    for (let i = from; i < to; i++) if ((ends[i] as number) >= point) out.push(ids[i] as number);
  },
  bytes: (keys) => 8 * keys.length,
};

/** Strings in the order of their units. An end does not belong to its interval. */
export const TEXT_ORDER: KeyOrder<string> = {
  chunkLength: 64,
  make: (length) => new Array<string>(length).fill(''),
  lowerBound(keys, from, to, key) {
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((keys[middle] as string) < key) from = middle + 1;
      else to = middle;
    }
    return from;
  },
  upperBound(keys, from, to, key) {
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((keys[middle] as string) <= key) from = middle + 1;
      else to = middle;
    }
    return from;
  },
  highest(keys, from, to) {
    let highest = keys[from] as string;
    for (let i = from + 1; i < to; i++) if ((keys[i] as string) > highest) highest = keys[i] as string;
    return highest;
  },
  reaching(ends, from, to, point, out) {
    for (let i = from; i < to; i++) if ((ends[i] as string) > point) out.push(i);
  },
  idsReaching(ends, from, to, point, ids, out) {
    for (let i = from; i < to; i++) if ((ends[i] as string) > point) out.push(ids[i] as number);
  },
  bytes(keys) {
    let bytes = 8 * keys.length;
    for (let i = 0; i < keys.length; i++) bytes += 2 * (keys[i] as string).length;
    return bytes;
  },
};
