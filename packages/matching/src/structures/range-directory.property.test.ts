import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IntStack } from './int-stack.ts';
import { RangeDirectory } from './range-directory.ts';
import { TextRangeDirectory } from './text-range-directory.ts';

/** An interval as its caller puts it. */
interface Interval<K> {
  readonly low: K;
  readonly lowOpen: boolean;
  readonly high: K;
  readonly highOpen: boolean;
}

interface RangesOf<K, Bound> {
  readonly size: number;
  acquire(low: Bound, lowOpen: boolean, high: Bound, highOpen: boolean): number;
  probe(point: K, out: IntStack): void;
  release(id: number): void;
}

const SPECIAL = [NaN, -0, 0, Infinity, -Infinity, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 1 + 2 ** -52];
const number = fc.oneof(fc.constantFrom(...SPECIAL), fc.integer({ min: -20, max: 20 }), fc.double());

/** Postgres's order of floats. */
function compareNumbers(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : Number(a > b);
}

function holdsNumber({ low, lowOpen, high, highOpen }: Interval<number>, point: number): boolean {
  const isUnbounded = high === Infinity && !highOpen;
  const below = compareNumbers(low, point);
  const above = compareNumbers(point, high);
  return (lowOpen ? below < 0 : below <= 0) && (isUnbounded || (highOpen ? above < 0 : above <= 0));
}

const text = fc.oneof(
  fc.constantFrom('', '\0', 'a', 'a\0', 'ab', '\ud7ff', '\ue000', '\uffee', '\uffff', '😀', '😀\uffff', '\u{10ffff}'),
  fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'ï', '\uffee', '😀', '\u{10ffff}'), maxLength: 4 }),
);

function holdsText({ low, lowOpen, high, highOpen }: Interval<string | undefined>, point: string): boolean {
  const below = low === undefined ? -1 : Buffer.compare(Buffer.from(low), Buffer.from(point));
  const above = high === undefined ? -1 : Buffer.compare(Buffer.from(point), Buffer.from(high));
  return (lowOpen ? below < 0 : below <= 0) && (highOpen ? above < 0 : above <= 0);
}

function testRanges<K, Bound>(
  open: () => RangesOf<K, Bound>,
  bound: fc.Arbitrary<Bound>,
  point: fc.Arbitrary<K>,
  holds: (interval: Interval<Bound>, point: K) => boolean,
): void {
  const interval = fc.record({ low: bound, lowOpen: fc.boolean(), high: bound, highOpen: fc.boolean() });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('acquire' as const), interval }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), at: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('probe' as const), point }) },
  );

  test('finds the intervals that hold a point, each once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const directory = open();
        const held = new Map<number, Interval<Bound>>();
        const out = new IntStack();
        for (const taken of steps) {
          if (taken.kind === 'acquire') {
            const { low, lowOpen, high, highOpen } = taken.interval;
            const id = directory.acquire(low, lowOpen, high, highOpen);
            expect(directory.acquire(low, lowOpen, high, highOpen)).toBe(id);
            held.set(id, taken.interval);
          } else if (taken.kind === 'release') {
            const id = [...held.keys()][taken.at % Math.max(1, held.size)];
            if (id === undefined) continue;
            directory.release(id);
            held.delete(id);
          } else {
            out.clear();
            directory.probe(taken.point, out);
            const expected = [...held].filter(([, each]) => holds(each, taken.point)).map(([id]) => id);
            expect(idsIn(out)).toEqual(expected.sort((a, b) => a - b));
          }
          expect(directory.size).toBe(held.size);
        }
        for (const id of held.keys()) directory.release(id);
        expect(directory.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
}

function idsIn(out: IntStack): number[] {
  return Array.from({ length: out.length }, (_, i) => out.get(i)).sort((a, b) => a - b);
}

describe('ranges of numbers', () => {
  testRanges(() => new RangeDirectory(), number, number, holdsNumber);
});

describe('ranges of text', () => {
  testRanges(() => new TextRangeDirectory(), fc.option(text, { nil: undefined }), text, holdsText);
});

/** A generator of numbers from 0 to 1 that gives the same ones every time. */
function repeatable(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

test.each(['random', 'ascending', 'descending', 'nested'])('many chunks of intervals, coming and going: %s', (kind) => {
  const random = repeatable(5);
  const count = 40_000;
  const directory = new RangeDirectory();
  const intervals = Array.from({ length: count }, (_, i): [number, number] => {
    if (kind === 'nested') return [i, 2 * count - i];
    const low = kind === 'random' ? Math.floor(random() * count) : kind === 'ascending' ? i : count - i;
    return [low, low + Math.floor(random() * random() * 30) + i / count];
  });
  const ids = intervals.map(([low, high]) => directory.acquire(low, false, high, false));
  expect(directory.size).toBe(count);
  const out = new IntStack();
  const check = (held: readonly number[]) => {
    for (let i = 0; i < 30; i++) {
      const point = kind === 'nested' ? Math.floor(random() * 60) : random() * count;
      out.clear();
      directory.probe(point, out);
      const expected = held.filter((at) => {
        const [low, high] = intervals[at] as [number, number];
        return low <= point && point <= high;
      });
      expect(idsIn(out)).toEqual(expected.map((at) => ids[at] as number).sort((a, b) => a - b));
    }
  };
  const all = Array.from(ids.keys());
  check(all);
  const full = directory.bytes();
  const gone = all.filter((at) => at % 16 !== 3);
  for (const at of gone) directory.release(ids[at] as number);
  check(all.filter((at) => at % 16 === 3));
  for (const at of gone) ids[at] = directory.acquire(...bounds(intervals[at] as [number, number]));
  check(all);
  // Chunks that merged are split again, and less full than before when all intervals came in order.
  expect(directory.bytes()).toBeLessThan(full * 1.7);
  for (const id of ids) directory.release(id);
  expect(directory.size).toBe(0);
  // Bounds by id and the ids given back stay for the next ones: 20 bytes each.
  expect(directory.bytes()).toBeLessThan(22 * count + 10_000);
});

function bounds([low, high]: [number, number]): [number, boolean, number, boolean] {
  return [low, false, high, false];
}

test.each([new RangeDirectory(), new TextRangeDirectory()])(
  'refuses to release an id that is not in use',
  (directory) => {
    expect(() => directory.release(0)).toThrow('not in use');
    expect(() => directory.release(-1)).toThrow('not in use');
    const [low, high] = (directory instanceof RangeDirectory ? [1, 2] : ['a', 'b']) as [never, never];
    const id = directory.acquire(low, false, high, false);
    const empty = directory.acquire(high, true, high, true);
    for (const one of [id, empty]) {
      directory.release(one);
      expect(() => directory.release(one)).toThrow('not in use');
    }
  },
);

test('a closed bound of Infinity is none, and the genuine one is `below NaN`', () => {
  const directory = new RangeDirectory();
  const unbounded = directory.acquire(5, true, Infinity, false);
  const upToInfinity = directory.acquire(5, true, NaN, true);
  const out = new IntStack();
  directory.probe(NaN, out);
  expect(idsIn(out)).toEqual([unbounded]);
  out.clear();
  directory.probe(Infinity, out);
  expect(idsIn(out)).toEqual([unbounded, upToInfinity].sort((a, b) => a - b));
});
