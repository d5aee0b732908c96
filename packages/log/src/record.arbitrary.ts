import fc from 'fast-check';
import type { Ancestor, Cell, Change, Position, Relation, TransactionPart } from './change.ts';
import { lsn } from './lsn.ts';
import type { DataRecord, RecordHeader, TxRecord } from './record.ts';

/** Generators for the tests of this package. */

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const anyLsn = u64.map(lsn);
export const anyPosition: fc.Arbitrary<Position> = fc.record({ lsn: anyLsn, op: fc.nat() });

const anyHeader: fc.Arbitrary<RecordHeader> = fc.record({
  incarnation: fc.nat(),
  epoch: fc.nat(),
  prev: fc.record({ position: anyPosition, progressLsn: anyLsn }),
});

const anyText = fc.string({ unit: 'binary', maxLength: 12 });
const anyCell: fc.Arbitrary<Cell> = fc.oneof(anyText, fc.constant(null), fc.constant(''), fc.constant('NULL'));

const anyOrdinals = fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 3 });

const anyAncestor: fc.Arbitrary<Ancestor> = fc.record(
  {
    oid: fc.nat(),
    columns: anyOrdinals,
    keyColumns: anyOrdinals,
    joined: fc.record({ xid: u64, seenXmax: u64 }),
  },
  { requiredKeys: ['oid', 'keyColumns'] },
);

const anyRelation: fc.Arbitrary<Relation> = fc.record(
  {
    oid: fc.nat(),
    schema: anyText,
    name: anyText,
    replicaIdentity: fc.constantFrom('d', 'n', 'f', 'i'),
    columns: fc.array(fc.record({ name: anyText, typeOid: fc.nat(), typeMod: fc.integer() }), {
      minLength: 1,
      maxLength: 5,
    }),
    keyColumns: anyOrdinals,
    ancestors: fc.array(anyAncestor, { minLength: 1, maxLength: 3 }),
    published: fc.record({ xmax: u64, running: fc.nat(), by: anyText, above: fc.array(anyText, { maxLength: 3 }) }),
  },
  { requiredKeys: ['oid', 'schema', 'name', 'replicaIdentity', 'columns', 'keyColumns'] },
);

function anyChange(relation: Relation): fc.Arbitrary<Change> {
  const width = relation.columns.length;
  const row = fc.array(anyCell, { minLength: width, maxLength: width });
  const base = { op: fc.nat(), relation: fc.constant(relation) };
  return fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), ...base, new: row }),
    fc.record({ kind: fc.constant('delete' as const), ...base, old: row }),
    fc.record({ kind: fc.constant('truncate' as const), ...base }),
    fc.record({
      kind: fc.constant('unusable' as const),
      ...base,
      reason: fc.constantFrom('no_old_row' as const, 'oversize' as const),
    }),
    fc.record({ kind: fc.constant('update' as const), ...base, new: row, old: row }).map((change) => ({
      ...change,
      changed: change.new.flatMap((cell, ordinal) => (cell === change.old[ordinal] ? [] : [ordinal])),
    })),
  );
}

const anyPart: fc.Arbitrary<TransactionPart> = fc
  .array(anyRelation, { minLength: 1, maxLength: 3 })
  .chain((relations) =>
    fc.record({
      lsn: anyLsn,
      endLsn: anyLsn,
      xid: u64,
      commitTimeUs: fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }),
      begin: fc.boolean(),
      commit: fc.boolean(),
      changes: fc.array(fc.oneof(...relations.map(anyChange)), { maxLength: 6 }),
    }),
  );

export const anyDataRecord: fc.Arbitrary<DataRecord> = fc
  .tuple(anyHeader, fc.array(anyPart, { maxLength: 4 }))
  .map(([header, parts]) => ({ kind: 'data', ...header, parts }));

export const anyRecord: fc.Arbitrary<TxRecord> = fc.oneof(
  { weight: 4, arbitrary: anyDataRecord },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyHeader, anyText)
      .map(([header, holder]): TxRecord => ({ kind: 'leader', ...header, holder })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyHeader, anyLsn, u64)
      .map(([header, progress, xmin]): TxRecord => ({ kind: 'progress', ...header, lsn: progress, xmin })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyHeader, fc.nat(), fc.nat(), fc.string(), fc.base64String())
      .map(([header, index, count, digest, text]): TxRecord => ({
        kind: 'slice',
        ...header,
        index,
        count,
        digest,
        text,
      })),
  },
);
