import fc from 'fast-check';
import { lsn, type Change, type Lsn, type TransactionPart } from '@shapecast/log';
import { testRelation } from './test-wal.ts';

/** A whole transaction with inserts at the given operations. */
export function part(at: number, ops: readonly number[], text = ''): TransactionPart {
  return {
    lsn: lsn(BigInt(at)),
    endLsn: lsn(BigInt(at) + 1n),
    xid: BigInt(at),
    commitTimeUs: 0n,
    begin: true,
    commit: true,
    changes: ops.map((op): Change => ({ kind: 'insert', op, relation: testRelation, new: [String(op), text] })),
  };
}

/** Consecutive transactions, some in fragments, as a source hands them over. */
export const anyTransactions: fc.Arbitrary<TransactionPart[]> = fc
  .array(
    fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 4 }),
      text: fc.oneof(fc.string(), fc.constant('"\\'.repeat(60)), fc.constant('x'.repeat(300))),
    }),
    { maxLength: 12 },
  )
  .map((transactions) =>
    transactions.flatMap(({ sizes, text }, i) => {
      let from = 0;
      return sizes.map((size, n) => {
        const ops = Array.from({ length: size }, (_, k) => 2 * (from + k));
        from += size;
        return { ...part(3 * i + 1, ops, text), begin: n === 0, commit: n === sizes.length - 1 };
      });
    }),
  );

export function operations(parts: readonly TransactionPart[]): { lsn: Lsn; op: number; change: Change }[] {
  return parts.flatMap((one) => one.changes.map((change) => ({ lsn: one.lsn, op: change.op, change })));
}
