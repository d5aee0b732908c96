import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, Lsn, Relation, TransactionPart } from '@shapecast/log';
import { MAX_PART_BYTES, MAX_PART_CHANGES, PartAssembler } from './part-assembler.ts';
import { XidWidener } from './xid.ts';

const relation: Relation = { oid: 1, schema: 's', name: 't', replicaIdentity: 'f', columns: [], keyColumns: [] };
const lsn = 1_000n as Lsn;
const endLsn = 1_048n as Lsn;

/** Parts of one transaction whose changes have these sizes. */
function assemble(sizes: readonly number[]): TransactionPart[] {
  const parts: TransactionPart[] = [];
  const output = {
    part: (part: TransactionPart) => void parts.push(part),
    transactionEnd: () => {},
    relation: () => {},
  };
  const assembler = new PartAssembler(output, new XidWidener(100n));
  assembler.begin(lsn, 5n, 100);
  sizes.forEach((bytes, index) => {
    const change: Change = { kind: 'truncate', op: 2 * index, relation };
    assembler.change(change, bytes);
  });
  assembler.commit(lsn, endLsn);
  return parts;
}

describe('PartAssembler', () => {
  test('keeps every change in order in parts that are bounded and never empty', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 2 * MAX_PART_BYTES }));
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 1_200, size: 'max' }), (sizes) => {
        const parts = assemble(sizes);
        const ops = parts.flatMap((part) => part.changes.map((change) => change.op));
        expect(ops).toEqual(sizes.map((_, index) => 2 * index));
        for (const [index, part] of parts.entries()) {
          const bytes = part.changes.reduce((sum, change) => sum + (sizes[change.op / 2] as number), 0);
          expect(part.changes.length).toBeGreaterThan(0);
          expect(part.changes.length).toBeLessThanOrEqual(MAX_PART_CHANGES);
          expect(bytes <= MAX_PART_BYTES || part.changes.length === 1).toBe(true);
          expect(part.begin).toBe(index === 0);
          expect(part.commit).toBe(index === parts.length - 1);
        }
        expect(parts.at(-1)?.endLsn).toBe(endLsn);
      }),
      { numRuns: 50 },
    );
  });

  test.each([MAX_PART_CHANGES, MAX_PART_CHANGES + 1, 2 * MAX_PART_CHANGES])(
    'puts the commit on a part with changes when there are exactly %i',
    (count) => {
      const parts = assemble(new Array<number>(count).fill(1));
      expect(parts).toHaveLength(Math.ceil(count / MAX_PART_CHANGES));
      expect(parts.at(-1)).toMatchObject({ commit: true });
    },
  );

  test('drops transactions without changes but tells that they are over', () => {
    const ends: unknown[] = [];
    const parts: TransactionPart[] = [];
    const output = {
      part: (part: TransactionPart) => void parts.push(part),
      transactionEnd: (...args: unknown[]) => void ends.push(args),
      relation: () => {},
    };
    const assembler = new PartAssembler(output, new XidWidener(100n));
    assembler.begin(lsn, 5n, 100);
    expect(assembler.inTransaction).toBe(true);
    assembler.commit(lsn, endLsn);
    expect(assembler.inTransaction).toBe(false);
    expect(parts).toEqual([]);
    expect(ends).toEqual([[lsn, endLsn]]);
  });
});
