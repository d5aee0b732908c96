import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SequenceTracker, type SequencedRow } from '../../loadtest/lib/sequence-tracker.ts';

const row = (seq: number): SequencedRow => ({ channel: 3, seq, writtenMs: 1_700_000_000_000 + seq });

/** `before` in this order until up to date, then `live`. */
function read(before: readonly number[], live: readonly number[] = []): SequenceTracker {
  const tracker = new SequenceTracker();
  for (const seq of before) tracker.take(row(seq));
  tracker.upToDate();
  for (const seq of live) tracker.take(row(seq));
  return tracker;
}

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

const lengths = fc.record({ before: fc.integer({ min: 0, max: 40 }), live: fc.integer({ min: 0, max: 40 }) });

describe('rows of a channel', () => {
  test('that all come once are neither missing nor double, whatever the order of the first read', () => {
    fc.assert(
      fc.property(
        lengths.chain(({ before, live }) =>
          fc.record({
            first: fc.shuffledSubarray(upTo(before), { minLength: before }),
            live: fc.constant(upTo(live).map((i) => before + i)),
          }),
        ),
        ({ first, live }) => {
          const tracker = read(first, live);
          expect(tracker).toMatchObject({ gaps: 0, duplicates: 0, highest: first.length + live.length });
          expect(tracker.compare(read(upTo(first.length + live.length)).totals)).toBe(true);
        },
      ),
    );
  });

  test('that are missing while following are counted, each', () => {
    fc.assert(
      fc.property(fc.subarray(upTo(30), { maxLength: 29 }), (live) => {
        const tracker = read(upTo(5), [...live.map((seq) => seq + 5), 36]);
        expect(tracker).toMatchObject({ gaps: 30 - live.length, duplicates: 0 });
      }),
    );
  });

  test('that come twice while following are counted, each', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 10 }), (again) => {
        expect(read(upTo(10), [...upTo(10).map((i) => i + 10), ...again])).toMatchObject({
          gaps: 0,
          duplicates: again.length,
        });
      }),
    );
  });

  test('that are missing from or double in the first read are found', () => {
    expect(read([1, 2, 4])).toMatchObject({ gaps: 1, duplicates: 0 });
    expect(read([1, 2, 2, 3])).toMatchObject({ gaps: 0, duplicates: 1 });
    expect(read([1, 2, 2, 4])).toMatchObject({ gaps: 1, duplicates: 1 });
  });

  test('that no later row shows to be missing are found by what Postgres has', () => {
    const tracker = read(upTo(5));
    expect(tracker.compare(read(upTo(7)).totals)).toBe(false);
    expect(tracker.gaps).toBe(2);
  });

  test('with the right number but other contents are not what Postgres has', () => {
    const tracker = read(upTo(4));
    tracker.take({ ...row(5), writtenMs: 1 });
    expect(tracker.compare(read(upTo(5)).totals)).toBe(false);
  });

  test('count anew after a must-refetch, and what was wrong before stays wrong', () => {
    const tracker = read([1, 3]);
    tracker.startOver();
    for (const seq of [3, 2, 1]) tracker.take(row(seq));
    tracker.upToDate();
    expect(tracker).toMatchObject({ gaps: 1, duplicates: 0 });
    expect(tracker.compare(read(upTo(3)).totals)).toBe(true);
  });

  test('go on from where another reader stood', () => {
    const { highest, totals } = read(upTo(3));
    const tracker = SequenceTracker.after(highest, totals);
    tracker.take(row(4));
    tracker.take(row(6));
    expect(tracker.gaps).toBe(1);
    expect(tracker.totals.rows).toBe(5);
  });
});
