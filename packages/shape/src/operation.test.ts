import { expect, test } from 'vitest';
import type { Relation, RowChange } from '@shapecast/log';
import { decide, type Operation } from './operation.ts';

const relation: Relation = { oid: 1, schema: 's', name: 't', replicaIdentity: 'f', columns: [], keyColumns: [] };
const CHANGES: Record<RowChange['kind'], RowChange> = {
  insert: { kind: 'insert', op: 0, relation, new: [] },
  update: { kind: 'update', op: 0, relation, new: [], old: [], changed: [] },
  delete: { kind: 'delete', op: 0, relation, old: [] },
};

/** By kind, then whether the old and the new row are in the shape: FF, FT, TF, TT (spec W 6.2). */
const TABLE: Record<RowChange['kind'], Record<'FF' | 'FT' | 'TF' | 'TT', Operation | undefined>> = {
  insert: { FF: undefined, FT: 'insert', TF: undefined, TT: 'insert' },
  update: { FF: undefined, FT: 'insert', TF: 'delete', TT: 'update' },
  delete: { FF: undefined, FT: undefined, TF: 'delete', TT: 'delete' },
};

test.each(Object.entries(TABLE))('an %s becomes what the table says', (kind, cases) => {
  for (const [flags, expected] of Object.entries(cases)) {
    expect(decide(CHANGES[kind as RowChange['kind']], flags[0] === 'T', flags[1] === 'T')).toBe(expected);
  }
});
