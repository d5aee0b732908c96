import fc from 'fast-check';
import type { Lsn } from '@shapecast/log';
import { isVisible, type SnapshotVisibility } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { continues } from './segments.ts';

const XIDS = Array.from({ length: 16 }, (_, i) => 100n + BigInt(i));

/** What a server says: everything that runs is listed, the oldest of it is `xmin`. */
const snapshot: fc.Arbitrary<SnapshotVisibility> = fc
  .record({ xmax: fc.constantFrom(...XIDS), running: fc.subarray(XIDS), lsn: fc.nat(3) })
  .map(({ xmax, running, lsn }) => {
    const xip = running.filter((xid) => xid < xmax);
    return { xmin: xip[0] ?? xmax, xmax, xip, insertLsn: BigInt(1_000 + lsn) as Lsn };
  });

test('a snapshot that continues another one shows all that it shows', () => {
  let [yes, no] = [0, 0];
  fc.assert(
    fc.property(snapshot, snapshot, (earlier, later) => {
      const shown = XIDS.filter((xid) => isVisible(earlier, xid));
      const all = shown.every((xid) => isVisible(later, xid));
      if (!continues(earlier, later)) {
        no += 1;
        return;
      }
      yes += 1;
      expect(all).toBe(true);
      expect(later.insertLsn).toBeGreaterThanOrEqual(earlier.insertLsn);
    }),
    { numRuns: 5_000 },
  );
  expect([yes > 100, no > 100]).toEqual([true, true]);
});

test('every snapshot continues itself, and one that some transaction ended after', () => {
  fc.assert(
    fc.property(snapshot, fc.nat(), (earlier, which) => {
      expect(continues(earlier, earlier)).toBe(true);
      const xip = earlier.xip.filter((_, i) => i !== which % Math.max(1, earlier.xip.length));
      expect(continues(earlier, { ...earlier, xip, xmin: xip[0] ?? earlier.xmax })).toBe(true);
    }),
  );
});

test('not when the table was published otherwise', () => {
  const one: SnapshotVisibility = { xmin: 5n, xmax: 5n, xip: [], insertLsn: 1n as Lsn };
  expect(continues({ ...one, published: 'a b' }, { ...one, published: 'b c' })).toBe(true);
  expect(continues({ ...one, published: 'a' }, { ...one, published: 'c' })).toBe(false);
  expect(continues({ ...one, published: 'a' }, { ...one, published: '' })).toBe(false);
});
