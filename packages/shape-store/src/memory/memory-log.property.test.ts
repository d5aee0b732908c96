import { comparePositions, type LogOffset, type Position } from '@shapecast/log';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, offset } from '../contract/fixtures.ts';
import { MemoryLog } from './memory-log.ts';

// The rules of spec R 11.5 in their plainest form, against the log; the log in Redis is compared with this one elsewhere.

interface Entry {
  readonly position: Position;
  readonly size: number;
}

/** Transactions of one to five entries. */
const entries = fc
  .array(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 5 }), { maxLength: 20 })
  .map((transactions) =>
    transactions.flatMap((sizes, t) => sizes.map((size, i): Entry => ({ position: at(10 * (t + 1), 2 * i), size }))),
  );
const threshold = fc.integer({ min: 1, max: 60 });

/** Index after the end of each closed chunk: where the sum since the last one reaches the threshold (11.5.1). */
function boundaries(log: readonly Entry[], chunkBytes: number): number[] {
  const ends: number[] = [];
  let sum = 0;
  for (const [i, { size }] of log.entries()) {
    sum += size;
    if (sum < chunkBytes) continue;
    ends.push(i + 1);
    sum = 0;
  }
  return ends;
}

function logOf(all: readonly Entry[], chunkBytes: number): MemoryLog {
  const log = new MemoryLog(chunkBytes);
  for (const { position, size } of all) log.append(position, new Uint8Array(size));
  return log;
}

function positionOf(after: LogOffset): Position {
  return { lsn: after.tx, op: after.op } as Position;
}

const toOffset = ({ position }: Entry): LogOffset => ({ tx: position.lsn, op: position.op });

describe('chunks of a log', () => {
  test('an answer ends at the end of the chunk of its first entry, clipped to what is visible', () => {
    fc.assert(
      fc.property(entries, threshold, fc.nat(220), fc.nat(9), fc.nat(220), (all, chunkBytes, lsn, op, visibleLsn) => {
        const after = offset(lsn, op);
        const visible = at(visibleLsn, 99);
        const shown = all.filter(({ position }) => comparePositions(position, visible) <= 0);
        const first = shown.findIndex(({ position }) => comparePositions(position, positionOf(after)) > 0);
        const end = boundaries(all, chunkBytes).find((index) => index > first) ?? Infinity;
        const closed = first >= 0 && end <= shown.length;
        const expected = first < 0 ? [] : shown.slice(first, end);
        const read = logOf(all, chunkBytes).read(after, visible, Infinity, undefined);
        expect(read.entries.map((entry) => entry.offset)).toEqual(expected.map(toOffset));
        expect(read.end).toEqual(expected.length > 0 ? toOffset(expected.at(-1) as Entry) : after);
        expect(read.upTo).toEqual(read.end);
        if (expected.length > 0) expect(read.closed).toBe(closed);
      }),
      { numRuns: 2_000 },
    );
  });

  test('readers that follow the offsets meet the same boundaries whenever they start', () => {
    fc.assert(
      fc.property(entries, threshold, fc.nat(100), (all, chunkBytes, start) => {
        const ends = new Set(boundaries(all, chunkBytes));
        const read = (count: number, from: number) => {
          const log = logOf(all.slice(0, count), chunkBytes);
          const stops: number[] = [];
          for (let next = from; ;) {
            const after = next === 0 ? offset(0, Infinity) : toOffset(all[next - 1] as Entry);
            const got = log.read(after, at(1_000), Infinity, undefined).entries.length;
            if (got === 0) return stops;
            next += got;
            stops.push(next);
          }
        };
        // While the log grew, and from the middle: every stop but the last is a boundary, and none is passed.
        const from = Math.min(start, all.length);
        for (const count of [from, all.length]) {
          for (const begin of [0, from]) {
            const stops = read(count, Math.min(begin, count));
            expect(stops.slice(0, -1).every((stop) => ends.has(stop))).toBe(true);
            const passed = [...ends].filter((end) => end > Math.min(begin, count) && end < count);
            expect(stops.filter((stop) => ends.has(stop) && stop < count)).toEqual(passed);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('the tail is the last visible entry', () => {
    fc.assert(
      fc.property(entries, threshold, fc.nat(220), fc.nat(9), (all, chunkBytes, lsn, op) => {
        const shown = all.filter(({ position }) => comparePositions(position, at(lsn, op)) <= 0);
        const last = shown.at(-1);
        expect(logOf(all, chunkBytes).tailAt(at(lsn, op))).toEqual(last ? toOffset(last) : offset(0, Infinity));
      }),
      { numRuns: 1_000 },
    );
  });
});
