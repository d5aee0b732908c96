import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { comparePositions, lsn, type Change, type Position, type TransactionPart } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { dropStored, PartQueue, type PackLimits } from './packing.ts';
import { anyTransactions, operations, part } from './testing/parts.ts';

const anyLimits: fc.Arbitrary<PackLimits> = fc.record({
  maxBytes: fc.integer({ min: 1, max: 2_000 }),
  maxChanges: fc.integer({ min: 1, max: 10 }),
});

function takeAll(queue: PartQueue, limits: PackLimits): TransactionPart[][] {
  const records: TransactionPart[][] = [];
  for (let parts = queue.take(limits); parts.length > 0; parts = queue.take(limits)) records.push(parts);
  return records;
}

function queueOf(parts: readonly TransactionPart[]): PartQueue {
  const queue = new PartQueue();
  for (const one of parts) queue.push(one);
  return queue;
}

describe('PartQueue', () => {
  test('whatever the limits, records hold every operation once, in order, with its place', () => {
    fc.assert(
      fc.property(anyTransactions, anyLimits, (parts, limits) => {
        const queue = queueOf(parts);
        expect(takeAll(queue, limits).flatMap((record) => operations(record))).toEqual(operations(parts));
        expect([queue.bytes, queue.changes]).toEqual([0, 0]);
      }),
    );
  });

  test('parts nest: only the last of a record misses its commit, only the first its begin, none is empty', () => {
    fc.assert(
      fc.property(anyTransactions, anyLimits, (parts, limits) => {
        const records = takeAll(queueOf(parts), limits);
        for (const record of records) {
          expect(record.slice(0, -1).every((one) => one.commit)).toBe(true);
          expect(record.slice(1).every((one) => one.begin)).toBe(true);
          expect(record.every((one) => one.changes.length > 0)).toBe(true);
        }
        const all = records.flat();
        expect(all.every((one, i) => one.begin === (all[i - 1]?.commit ?? true))).toBe(true);
      }),
    );
  });

  test('no record has more changes than allowed', () => {
    fc.assert(
      fc.property(anyTransactions, fc.integer({ min: 2, max: 10 }), (parts, maxChanges) => {
        for (const record of takeAll(queueOf(parts), { maxBytes: Infinity, maxChanges })) {
          expect(operations(record).length).toBeLessThanOrEqual(maxChanges);
        }
      }),
    );
  });

  test('small transactions share a record', () => {
    const parts = Array.from({ length: 10 }, (_, i) => part(i + 1, [0]));
    expect(takeAll(queueOf(parts), { maxBytes: 100_000, maxChanges: 4 }).map((record) => record.length)).toEqual([
      4, 4, 2,
    ]);
  });

  test('a transaction that fits is not cut to fill up a record', () => {
    const parts = [part(1, [0, 2, 4]), part(2, [0, 2, 4])];
    expect(takeAll(queueOf(parts), { maxBytes: 100_000, maxChanges: 4 }).map((record) => record.length)).toEqual([
      1, 1,
    ]);
  });

  test('the change that brings the commit is never left behind alone without it', () => {
    const records = takeAll(queueOf([part(1, [0, 2, 4, 6])]), { maxBytes: 100_000, maxChanges: 2 });
    expect(records.map((record) => record.map((one) => [one.changes.length, one.begin, one.commit]))).toEqual([
      [[2, true, false]],
      [[2, false, true]],
    ]);
  });
});

test('what was taken is not kept, also by a queue that is never empty', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const queue = new PartQueue();
  const taken: WeakRef<TransactionPart>[] = [];
  for (let i = 1; i <= 1_000; i += 1) {
    queue.push(part(2 * i, [0]));
    queue.push(part(2 * i + 1, [0]));
    for (const one of queue.take({ maxBytes: 1, maxChanges: 1 })) taken.push(new WeakRef(one));
    if (i > 900) for (const one of queue.take({ maxBytes: 1, maxChanges: 1 })) taken.push(new WeakRef(one));
  }
  expect(queue.changes).toBe(900);
  for (let i = 1; i <= 800; i += 1) queue.take({ maxBytes: 1, maxChanges: 1 });
  // A weak reference holds on to what it was made for until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(taken).toHaveLength(1_100);
  expect(taken.filter((one) => one.deref() !== undefined).length).toBeLessThan(200);
  expect(queue.changes).toBe(100);
});

describe('dropStored', () => {
  const stored: Position = { lsn: lsn(5n), op: 4 };

  test('keeps exactly the operations after the position', () => {
    fc.assert(
      fc.property(anyTransactions, fc.nat({ max: 40 }), fc.nat({ max: 20 }), (parts, at, op) => {
        const position = { lsn: lsn(BigInt(at)), op };
        const kept = parts.flatMap((one) => dropStored(one, position) ?? []);
        expect(operations(kept)).toEqual(
          operations(parts).filter((one) => comparePositions({ lsn: one.lsn, op: one.op }, position) > 0),
        );
      }),
    );
  });

  test('what is left of a transaction does not begin it', () => {
    const rest = dropStored(part(5, [0, 2, 4, 6, 8]), stored);
    expect(rest).toMatchObject({ begin: false, commit: true });
    expect(rest?.changes.map((change: Change) => change.op)).toEqual([6, 8]);
  });

  test('what is not stored at all passes unchanged', () => {
    const whole = part(6, [0, 2]);
    expect(dropStored(whole, stored)).toBe(whole);
    const fragment = { ...part(5, [6, 8]), begin: false };
    expect(dropStored(fragment, stored)).toBe(fragment);
  });

  test('what is stored vanishes', () => {
    expect(dropStored(part(4, [0, 2]), stored)).toBeUndefined();
    expect(dropStored(part(5, [0, 2, 4]), stored)).toBeUndefined();
  });
});
