import { describe, expect, test } from 'vitest';
import {
  POSITION_ZERO,
  type Ancestor,
  type Change,
  type Joined,
  type Lsn,
  type Relation,
  type Tuple,
} from '@shapecast/log';
import type { ShapeDefinition } from '@shapecast/shape';
import type { ShapeRecord } from '@shapecast/shape-store';
import { itemShape, pack } from '../testing/model.ts';
import { ShardIndex, TREE_CHANGED } from './shard-index.ts';
import { Step } from './step.ts';

const ROOT = 1;
const MIDDLE = 2;

/** A partition of `root (id, owner, note)`, with the columns in this order. */
function leaf(oid: number, columns: readonly string[], options: { below?: readonly number[]; joined?: Joined } = {}) {
  const ordinals = ['id', 'owner', 'note'].map((name) => columns.indexOf(name));
  const same = ordinals.every((ordinal, i) => ordinal === i) && columns.length === 3;
  const ancestors = (options.below ?? [ROOT]).map((ancestor): Ancestor => ({
    oid: ancestor,
    keyColumns: [0],
    ...(same ? {} : { columns: ordinals }),
    ...(options.joined ? { joined: options.joined } : {}),
  }));
  const relation: Relation = {
    oid,
    schema: 'public',
    name: `leaf_${oid}`,
    replicaIdentity: 'f',
    columns: columns.map((name) => ({ name, typeOid: 25, typeMod: -1 })),
    keyColumns: [columns.indexOf('id')],
    ancestors,
  };
  return relation;
}

function shapeOn(
  oid: number,
  table: string,
  definition: Partial<ShapeDefinition> = {},
  record: Partial<ShapeRecord> = {},
): ShapeRecord {
  return itemShape({ oid, table, ...definition }, record);
}

function apply(index: ShardIndex, changes: readonly Change[], xid = 50n): Step {
  const step = new Step(index, { cursor: { seq: 0, position: POSITION_ZERO, openTxSeq: 0 }, held: undefined });
  for (const record of pack([{ lsn: 100n as Lsn, xid, changes }], [])) expect(step.add(record)).toBe(true);
  return step;
}

/** What a shape's log gets: key, value and operation of each entry. */
function entries(step: Step, { handle }: ShapeRecord): unknown[] {
  const own = step.finish().batch.entries.filter((entry) => entry.handle === handle);
  return own.map(({ bytes }) => {
    const { key, value, headers } = JSON.parse(Buffer.from(bytes).toString()) as {
      key: string;
      value: unknown;
      headers: { operation: string; relation: unknown; last?: true };
    };
    return [headers.operation, headers.relation, key, value, headers.last === true];
  });
}

function insert(relation: Relation, row: Tuple, op = 0): Change {
  return { kind: 'insert', op, relation, new: row };
}

function indexOf(...shapes: readonly ShapeRecord[]): ShardIndex {
  const index = new ShardIndex();
  index.reset(shapes);
  return index;
}

describe('changes of a table below others', () => {
  test('reach the shapes of every level, each under its own name', () => {
    const part = leaf(10, ['id', 'owner', 'note'], { below: [MIDDLE, ROOT] });
    const shapes = [shapeOn(10, 'leaf_10'), shapeOn(MIDDLE, 'middle'), shapeOn(ROOT, 'root'), shapeOn(99, 'other')];
    const step = apply(indexOf(...shapes), [insert(part, ['1', 'a', 'x'])]);
    const value = { id: '1', owner: 'a', note: 'x' };
    expect(shapes.map((shape) => entries(step, shape))).toEqual([
      [['insert', ['public', 'leaf_10'], '"public"."leaf_10"/"1"', value, true]],
      [['insert', ['public', 'middle'], '"public"."middle"/"1"', value, true]],
      [['insert', ['public', 'root'], '"public"."root"/"1"', value, true]],
      [],
    ]);
  });

  test('are read by name: another order of columns and columns of its own make no difference', () => {
    const first = leaf(10, ['id', 'owner', 'note']);
    const second = leaf(11, ['extra', 'note', 'id', 'owner']);
    const shape = shapeOn(ROOT, 'root', { where: `owner = 'a'` });
    const full = shapeOn(ROOT, 'root', { where: `note = 'z'`, replica: 'full' });
    const index = indexOf(shape, full);
    const old = ['e', 'x', '2', 'a'];
    const step = apply(index, [
      insert(first, ['1', 'a', 'x']),
      insert(second, ['e', 'y', '2', 'a'], 2),
      { kind: 'update', op: 4, relation: second, old, new: ['f', 'z', '2', 'a'], changed: [0, 1] },
      { kind: 'update', op: 6, relation: second, old: ['f', 'z', '2', 'a'], new: ['g', 'z', '2', 'a'], changed: [0] },
      { kind: 'delete', op: 8, relation: second, old: ['g', 'z', '2', 'a'] },
    ]);
    const relation = ['public', 'root'];
    const key = '"public"."root"/"2"';
    expect(entries(step, shape)).toEqual([
      ['insert', relation, '"public"."root"/"1"', { id: '1', owner: 'a', note: 'x' }, false],
      ['insert', relation, key, { id: '2', owner: 'a', note: 'y' }, false],
      ['update', relation, key, { id: '2', note: 'z' }, false],
      ['delete', relation, key, { id: '2' }, true],
    ]);
    expect(entries(step, full).map((entry) => (entry as unknown[])[0])).toEqual(['insert', 'delete']);
    // Compiled once for both: the root's columns are the same whoever shows them.
    expect([...index.tables()]).toHaveLength(1);
  });

  test('end the shapes of every level when the row cannot be told', () => {
    const part = leaf(10, ['id', 'owner', 'note']);
    const shapes = [shapeOn(10, 'leaf_10'), shapeOn(ROOT, 'root'), shapeOn(11, 'leaf_11')];
    for (const change of [
      { kind: 'truncate', op: 0, relation: part },
      { kind: 'unusable', op: 0, relation: part, reason: 'no_old_row' },
    ] as const) {
      const step = apply(indexOf(...shapes), [change]);
      expect([...step.rotations.keys()]).toEqual(shapes.slice(0, 2).map(({ handle }) => handle));
    }
  });

  test('go on when a table above was renamed, and end its shapes when its key or a column changed', () => {
    const renamed = shapeOn(ROOT, 'renamed');
    expect(
      entries(apply(indexOf(renamed), [insert(leaf(10, ['id', 'owner', 'note']), ['1', 'a', 'x'])]), renamed),
    ).toEqual([['insert', ['public', 'renamed'], '"public"."renamed"/"1"', { id: '1', owner: 'a', note: 'x' }, true]]);
    const part = leaf(10, ['id', 'owner', 'note']);
    const rekeyed = { ...part, ancestors: [{ oid: ROOT, keyColumns: [1] }] };
    const shape = shapeOn(ROOT, 'root');
    const step = apply(indexOf(shape), [insert(rekeyed, ['1', 'a', 'x'])]);
    expect([...step.rotations]).toEqual([
      [shape.handle, { code: 'SCHEMA_CHANGED', message: 'the primary key changed' }],
    ]);
  });

  test('of tables with many shapes above wait until those are compiled', async () => {
    const many = Array.from({ length: 300 }, (_, i) => shapeOn(ROOT, 'root', { where: `owner = '${i}'` }));
    const index = indexOf(...many);
    const part = leaf(10, ['note', 'id', 'owner']);
    const [record] = pack([{ lsn: 100n as Lsn, xid: 5n, changes: [insert(part, ['x', '1', '7'])] }], []);
    if (!record) throw new Error('no record');
    const waitsFor = index.uncompiled(record.record);
    expect(waitsFor?.oid).toBe(ROOT);
    let pauses = 0;
    if (waitsFor) await index.compile(waitsFor, async () => void (pauses += 1));
    expect(pauses).toBeGreaterThan(0);
    expect(index.uncompiled(record.record)).toBeUndefined();
    const step = apply(index, [insert(part, ['x', '1', '7'])]);
    expect(step.finish().batch.entries.map(({ handle }) => handle)).toEqual([many[7]?.handle]);
  });
});

describe('a table that joined with rows', () => {
  const joined: Joined = { xid: 40n, seenXmax: 60n };
  const part = leaf(10, ['id', 'owner', 'note'], { joined });
  const snapshot = (xmin: bigint, xmax: bigint) => ({ xmin, xmax, xip: [], insertLsn: 0n as Lsn });

  test.each([
    ['began before', snapshot(40n, 50n), true],
    ['may have begun before, because an older transaction is still open', snapshot(39n, 60n), true],
    ['began after it, while an older transaction is still open', snapshot(39n, 61n), false],
    ['began after it', snapshot(41n, 50n), false],
  ])('ends a shape whose snapshot %s', (_, taken, ends) => {
    const shape = shapeOn(ROOT, 'root', {}, { snapshot: taken });
    const leafShape = shapeOn(10, 'leaf_10', {}, { snapshot: taken });
    const index = indexOf(shape, leafShape);
    apply(index, [insert(part, ['1', 'a', 'x'])], 70n);
    expect([...index.ending].map(([{ handle }, failure]) => [handle, failure])).toEqual(
      ends ? [[shape.handle, TREE_CHANGED]] : [],
    );
  });

  test('ends a shape whose snapshot becomes known later, and one that is loaded later', () => {
    const { snapshot: _, ...waiting } = shapeOn(ROOT, 'root');
    const index = indexOf(waiting);
    apply(index, [insert(part, ['1', 'a', 'x'])], 70n);
    expect(index.ending.size).toBe(0);
    index.apply([{ ...waiting, snapshot: snapshot(30n, 40n) }]);
    expect(index.ending.size).toBe(1);
    index.apply([{ ...waiting, state: 'dead' }]);
    expect(index.ending.size).toBe(0);
    const good = shapeOn(ROOT, 'root', {}, { snapshot: snapshot(80n, 80n) });
    index.apply([good]);
    apply(index, [insert(part, ['1', 'a', 'x'])], 90n);
    index.apply([shapeOn(ROOT, 'root', {}, { snapshot: snapshot(30n, 40n) })]);
    expect([...index.ending.keys()].map(({ handle }) => handle)).not.toContain(good.handle);
    expect(index.ending.size).toBe(1);
  });

  test('ends nothing when it was created where it is', () => {
    const shape = shapeOn(ROOT, 'root', {}, { snapshot: snapshot(30n, 40n) });
    const index = indexOf(shape);
    const step = apply(index, [insert(leaf(10, ['id', 'owner', 'note']), ['1', 'a', 'x'])], 70n);
    expect(index.ending.size).toBe(0);
    expect(step.size).toBe(1);
  });
});
