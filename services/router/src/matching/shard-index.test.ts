import { POSITION_ZERO, type Lsn, type Tuple } from '@shapecast/log';
import type { ShapeRecord } from '@shapecast/shape-store';
import { ClauseEvaluationError } from '@shapecast/where';
import { describe, expect, test } from 'vitest';
import { ITEMS, itemShape, pack } from '../testing/model.ts';
import type { StreamRecord } from '../stream/stream-record.ts';
import { reportMatching } from './matching-report.ts';
import { ShardIndex } from './shard-index.ts';
import { Step } from './step.ts';

/** A clause that no index serves; any two with different numbers are different clauses. */
const scanned = (n: number): string => `"note" <> ("owner" || '${n}')`;

function shape(where: string, regLsn = 0n): ShapeRecord {
  return itemShape({ where }, { regLsn: regLsn as Lsn });
}

function handles(shapes: Iterable<{ readonly handle: string }>): string[] {
  return [...shapes].map(({ handle }) => handle);
}

/** Applies inserts of these rows as one transaction. */
function insert(index: ShardIndex, ...rows: Tuple[]): Step {
  const changes = rows.map((row, i) => ({ kind: 'insert' as const, op: 2 * i, relation: ITEMS, new: row }));
  const step = new Step(index, { cursor: { seq: 0, position: POSITION_ZERO, openTxSeq: 0 }, held: undefined });
  for (const record of pack([{ lsn: 100n as Lsn, xid: 7n, changes }], [])) expect(step.add(record)).toBe(true);
  return step;
}

describe('the limit on clauses without index', () => {
  test('spares the oldest shapes when the first change of the table shows that there are too many', () => {
    const index = new ShardIndex({ maxScannedClauses: 2 });
    const shapes = [shape(scanned(1), 30n), shape(scanned(2), 10n), shape(scanned(3), 20n), shape(`owner = 'a'`, 40n)];
    index.reset(shapes);
    expect(handles(index.ending.keys())).toEqual([]);
    const step = insert(index, ['1', 'a', 'x']);
    expect(handles(index.ending.keys())).toEqual([shapes[0]?.handle]);
    const served = step.finish().batch.entries.map(({ handle }) => handle);
    expect(served.sort()).toEqual(handles(shapes.slice(1)).sort());
  });

  test('refuses a shape that comes later, until another one ends', () => {
    const index = new ShardIndex({ maxScannedClauses: 1 });
    const first = shape(scanned(1));
    index.reset([first]);
    index.table(ITEMS);
    const second = shape(scanned(2));
    index.apply([second]);
    expect(handles(index.ending.keys())).toEqual([second.handle]);
    index.apply([{ ...second, state: 'dead' }]);
    expect(index.ending.size).toBe(0);
    index.apply([{ ...first, state: 'dead' }]);
    index.apply([shape(scanned(3))]);
    expect(index.ending.size).toBe(0);
  });

  test('counts a clause once however many shapes have it, and indexed clauses not at all', () => {
    const index = new ShardIndex({ maxScannedClauses: 1 });
    index.reset([shape(scanned(1)), shape(`owner = 'a'`), shape(`owner = 'b'`), shape(''), shape(scanned(1))]);
    index.table(ITEMS);
    expect(index.ending.size).toBe(0);
  });

  test('is shared out among the shards of the source and named as a whole', () => {
    const index = new ShardIndex({ maxScannedClauses: 8, shards: 4 });
    index.reset([1, 2, 3].map((n) => shape(scanned(n))));
    index.table(ITEMS);
    expect(index.ending.size).toBe(1);
    expect(index.refusal).toEqual({
      code: 'SCAN_LIMIT_EXCEEDED',
      message:
        'This table has too many where clauses that no index serves (limit 8). Add an equality, range, prefix or array condition to the where clause.',
    });
  });

  test('of nothing leaves shapes with indexed clauses', () => {
    const index = new ShardIndex({ maxScannedClauses: 0 });
    const shapes = [shape(scanned(1)), shape(`owner = 'a'`)];
    index.reset(shapes);
    index.table(ITEMS);
    expect(handles(index.ending.keys())).toEqual([shapes[0]?.handle]);
  });
});

describe('a clause that cannot be evaluated', () => {
  test('is told of once per shape, and its shape rotates', () => {
    const told: [string, unknown][] = [];
    const index = new ShardIndex({ onEvaluationError: ({ handle }, error) => void told.push([handle, error]) });
    const shapes = [shape(`note = 'a'`), shape(`owner = 'a'`)];
    index.reset(shapes);
    for (let i = 0; i < 3; i += 1) {
      // A row without its last column, as no source should send it.
      const step = insert(index, ['1', 'a']);
      expect([...step.rotations.keys()]).toContain(shapes[0]?.handle);
    }
    const own = told.filter(([handle]) => handle === shapes[0]?.handle);
    expect(own).toHaveLength(1);
    expect(own[0]?.[1]).toBeInstanceOf(ClauseEvaluationError);
    expect(reportMatching([index]).tables[0]?.undecided).toBeGreaterThanOrEqual(3);
  });
});

describe('a table with many shapes', () => {
  const record = (): StreamRecord['record'] => {
    const changes = [{ kind: 'insert' as const, op: 0, relation: ITEMS, new: ['1', '7', 'x'] }];
    const [packed] = pack([{ lsn: 100n as Lsn, xid: 7n, changes }], []);
    return (packed as StreamRecord).record;
  };

  test('T59 is compiled with pauses, and takes in what comes and goes meanwhile', async () => {
    const index = new ShardIndex();
    const shapes = Array.from({ length: 1000 }, (_, i) => shape(`owner = '${i}'`));
    index.reset(shapes);
    expect(index.uncompiled(record())).toBe(ITEMS);
    const late = shape(`owner = '7'`);
    let pauses = 0;
    await index.compile(ITEMS, () => {
      pauses += 1;
      if (pauses === 1) index.apply([late, { ...(shapes[999] as ShapeRecord), state: 'dead' }]);
      return Promise.resolve();
    });
    expect(pauses).toBe(3);
    expect(index.uncompiled(record())).toBeUndefined();
    const served = insert(index, ['1', '7', 'x'], ['2', '999', 'x']).finish().batch.entries;
    expect(served.map(({ handle }) => handle).sort()).toEqual([shapes[7]?.handle, late.handle].sort());
    expect(index.table(ITEMS)?.shapes.size).toBe(1000);
  });

  test('is compiled again when its columns have changed', async () => {
    const index = new ShardIndex();
    index.reset(Array.from({ length: 300 }, (_, i) => shape(`owner = '${i}'`)));
    const narrow = { ...ITEMS, columns: ITEMS.columns.slice(0, 2) };
    await index.compile(narrow, () => Promise.resolve());
    expect(index.uncompiled(record())).toBe(ITEMS);
    await index.compile(ITEMS, () => Promise.resolve());
    expect(index.uncompiled(record())).toBeUndefined();
  });

  test('T10 is neither compiled again nor ends a shape when it is described again as it was', () => {
    const index = new ShardIndex();
    index.reset([shape(`owner = '7'`), shape('')]);
    const compiled = index.table(ITEMS);
    const again = { ...ITEMS, columns: ITEMS.columns.map((column) => ({ ...column })) };
    expect(index.table(again)).toBe(compiled);
    expect(compiled?.mismatched.size).toBe(0);
    expect(index.ending.size).toBe(0);
  });

  test('of few shapes is compiled when its first change is matched', () => {
    const index = new ShardIndex();
    index.reset([shape(`owner = '7'`)]);
    expect(index.uncompiled(record())).toBeUndefined();
    expect(insert(index, ['1', '7', 'x']).finish().batch.entries).toHaveLength(1);
  });
});

describe('reportMatching', () => {
  test('takes the shards together and lists the costliest templates without constants', () => {
    const [one, two] = [new ShardIndex(), new ShardIndex()];
    one.reset([shape(`owner = 'secret'`), shape(scanned(1)), shape('')]);
    two.reset([shape(`owner = 'other'`), shape(scanned(2)), shape(`("owner" || 'secret') = 'x'`)]);
    for (const index of [one, two]) insert(index, ['1', 'secret', 'x'], ['2', 'b', 'x']);
    const { tables, tablesLeftOut } = reportMatching([one, two]);
    expect(tablesLeftOut).toBe(0);
    expect(tables).toHaveLength(1);
    expect(tables[0]).toMatchObject({
      table: 'public.items',
      shapes: 6,
      byKind: { all: 1, equality: 3, scan: 2 },
      scanned: { shapes: 2, clauses: 2 },
      scanShare: 1,
      templates: 3,
      candidatesPerRow: 0.5,
      evaluationErrors: 0,
      undecided: 0,
    });
    const [top] = tables[0]?.topTemplates ?? [];
    expect(top).toMatchObject({ kind: 'scan', shapes: 2, evaluations: 4 });
    expect(JSON.stringify(tables)).not.toContain('secret');
  });

  test('counts the rows on which a clause raises an error, and tells of the first', () => {
    const told: string[] = [];
    const index = new ShardIndex({
      onEvaluationError: ({ handle }, error) => told.push(`${handle}: ${(error as Error).message}`),
    });
    const failing = shape(`(1 / length("note")) = length("owner")`);
    index.reset([failing]);
    insert(index, ['1', 'a', ''], ['2', 'a', 'b'], ['3', 'b', '']);
    expect(reportMatching([index]).tables[0]?.evaluationErrors).toBe(2);
    expect(told).toEqual([`${failing.handle}: division by zero`]);
  });

  test('lists a bounded number of tables, those with most scanned clauses first', () => {
    const index = new ShardIndex();
    const relations = Array.from({ length: 30 }, (_, i) => ({ ...ITEMS, oid: 200 + i, name: `t${i}` }));
    const shapes = relations.flatMap((relation) => {
      const base = { oid: relation.oid, table: relation.name };
      const wheres = relation.name === 't17' ? [scanned(1)] : relation.name === 't9' ? [`owner = 'a'`, ''] : [''];
      return wheres.map((where) => itemShape({ ...base, where }));
    });
    index.reset(shapes);
    for (const relation of relations) index.table(relation);
    const { tables, tablesLeftOut } = reportMatching([index]);
    expect(tables.slice(0, 2).map(({ table }) => table)).toEqual(['public.t17', 'public.t9']);
    expect(tables.length + tablesLeftOut).toBe(30);
    expect(tables.length).toBe(20);
  });
});
