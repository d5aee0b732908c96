import { comparePositions, POSITION_ZERO, type Change, type Lsn, type Relation, type RowChange } from '@shapecast/log';
import type { LogEntry, ShapeRecord, ShardCursor } from '@shapecast/shape-store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ITEM_COLUMNS, ITEMS, itemShape, pack, type Transaction } from '../testing/model.ts';
import type { StreamRecord } from '../stream/stream-record.ts';
import { ShardIndex } from './shard-index.ts';
import { Step, type HeldTransaction, type StepResult } from './step.ts';

const START: ShardCursor = { seq: 0, position: POSITION_ZERO, openTxSeq: 0 };

function indexOf(shapes: readonly ShapeRecord[]): ShardIndex {
  const index = new ShardIndex();
  index.reset(shapes);
  return index;
}

/** Applies records in steps of the given sizes, as a worker that appends each of them. */
function applyAll(
  shapes: readonly ShapeRecord[],
  records: readonly StreamRecord[],
  sizes: readonly number[] = [1_000],
) {
  const index = indexOf(shapes);
  const entries: LogEntry[] = [];
  const results: StepResult[] = [];
  let cursor = START;
  let held: HeldTransaction | undefined;
  let at = 0;
  for (let n = 0; at < records.length; n += 1) {
    const step = new Step(index, { cursor, held });
    for (const record of records.slice(at, at + (sizes[n % sizes.length] as number))) {
      expect(step.add(record)).toBe(true);
      at += 1;
    }
    const result = step.finish();
    expect([...step.rotations]).toEqual([]);
    entries.push(...result.batch.entries);
    results.push(result);
    cursor = result.batch.to;
    held = result.held;
  }
  return { entries, results, cursor, held };
}

function logs(entries: readonly LogEntry[]): Map<string, string[]> {
  const byHandle = new Map<string, string[]>();
  for (const { handle, bytes } of entries) {
    const log = byHandle.get(handle) ?? [];
    log.push(Buffer.from(bytes).toString());
    byHandle.set(handle, log);
  }
  return byHandle;
}

/** The table of spec H 14.3 and W 6.2, as plainly as it can be written. */
function reference(shapes: readonly ShapeRecord[], transactions: readonly Transaction[]): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const { handle, definition } of shapes) {
    const [, column, value] = /^(\w+) = '(.*)'$/.exec(definition.where) ?? [];
    const inShape = (row: readonly (string | null)[] | undefined) =>
      row !== undefined && (column === undefined || row[ITEM_COLUMNS.indexOf(column)] === value);
    const pick = (row: readonly (string | null)[], names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, row[ITEM_COLUMNS.indexOf(name)]]));
    const key = (row: readonly (string | null)[]) =>
      `"public"."items"${definition.keyColumns
        .map((name) => row[ITEM_COLUMNS.indexOf(name)])
        .map((cell) => (cell === null ? '/_' : `/"${String(cell).replaceAll('/', '//')}"`))
        .join('')}`;
    const full = definition.replica === 'full';
    const log: string[] = [];
    for (const { lsn, xid, changes } of transactions) {
      const messages: { key: string; value: object; old_value?: object; headers: Record<string, unknown> }[] = [];
      const say = (
        operation: string,
        op: number,
        row: readonly (string | null)[],
        value: object,
        extra: object = {},
      ) => {
        const headers = {
          operation,
          relation: ['public', 'items'],
          txids: [Number(xid & 0xffffffffn)],
          lsn: String(lsn),
          op_position: op,
          ...extra,
        };
        messages.push({ key: key(row), value, headers });
      };
      for (const change of changes as readonly RowChange[]) {
        const now = change.kind === 'delete' ? undefined : change.new;
        const old = change.kind === 'insert' ? undefined : change.old;
        const all = definition.columns;
        const gone = (row: readonly (string | null)[]) =>
          pick(
            row,
            full || !definition.hasPrimaryKey ? all : all.filter((name) => definition.keyColumns.includes(name)),
          );
        if (old && now && inShape(old) && inShape(now)) {
          const changed = all.filter((name) => pick(old, [name])[name] !== pick(now, [name])[name]);
          if (key(old) !== key(now)) {
            say('delete', change.op, old, gone(old), { key_change_to: key(now) });
            say('insert', change.op + 1, now, pick(now, all), { key_change_from: key(old) });
          } else if (changed.length > 0) {
            const some = all.filter((name) => changed.includes(name) || definition.keyColumns.includes(name));
            say('update', change.op, now, pick(now, full ? all : some));
            const message = messages.at(-1) as (typeof messages)[number];
            if (full) message.old_value = pick(old, changed);
          }
        } else if (now && inShape(now)) say('insert', change.op, now, pick(now, all));
        else if (old && inShape(old)) say('delete', change.op, old, gone(old));
      }
      messages.forEach(({ key: rowKey, value, old_value, headers }, i) => {
        if (i === messages.length - 1) headers.last = true;
        log.push(JSON.stringify({ key: rowKey, value, ...(old_value ? { old_value } : {}), headers }));
      });
    }
    if (log.length > 0) result.set(handle, log);
  }
  return result;
}

const cell = fc.oneof(
  fc.constantFrom('a', 'b', 'a/b', '"', '\\', '\n', 'é😀'),
  fc.string({ maxLength: 60 }),
  fc.constant(null),
);
const id = fc.constantFrom('1', '2', 'x/y');
const row = fc.tuple(id, fc.constantFrom('a', 'b'), cell);
const rowChange = fc.oneof(
  row.map((now) => ({ kind: 'insert' as const, new: now })),
  row.map((old) => ({ kind: 'delete' as const, old })),
  fc.tuple(row, row).map(([old, now]) => ({ kind: 'update' as const, old, new: now })),
);
const arbitraryTransactions = (relation: Relation) =>
  fc.array(fc.array(rowChange, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }).map((all) =>
    all.map((changes, t): Transaction => ({
      lsn: BigInt(1_000 * (t + 1)) as Lsn,
      xid: (5n << 32n) + BigInt(700 + t),
      changes: changes.map((change, i): Change => {
        const base = { relation, op: 2 * i };
        if (change.kind !== 'update') return { ...base, ...change };
        const changed = [0, 1, 2].filter((ordinal) => change.old[ordinal] !== change.new[ordinal]);
        return { ...base, ...change, changed };
      }),
    })),
  );

const SHAPES = [
  itemShape(),
  itemShape({ where: "owner = 'a'" }),
  itemShape({ where: "owner = 'a'", replica: 'full' }),
  itemShape({ where: "owner = 'b'", columns: ['id', 'note'], allColumns: false }),
];
const UNKEYED = { keyColumns: ITEM_COLUMNS, hasPrimaryKey: false };
const UNKEYED_SHAPES = [
  itemShape(UNKEYED),
  itemShape({ ...UNKEYED, where: "owner = 'b'", columns: ['note'], allColumns: false }),
  itemShape({ ...UNKEYED, columns: ['note', 'owner'], allColumns: false, replica: 'full' }),
];

describe.each([
  ['with a primary key', ITEMS, SHAPES],
  ['without a primary key', { ...ITEMS, keyColumns: [] }, UNKEYED_SHAPES],
])('Step on a table %s', (_name, relation, shapes) => {
  const transactions = arbitraryTransactions(relation);

  test('writes what the tables of the protocol say, whatever the records and steps are cut into', () => {
    fc.assert(
      fc.property(
        transactions,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 }),
        (all, cuts, sizes) => {
          const { entries, cursor, held } = applyAll(shapes, pack(all, cuts), sizes);
          expect(logs(entries)).toEqual(reference(shapes, all));
          expect(held).toBeUndefined();
          expect(cursor.openTxSeq).toBe(0);
          expect(cursor.position.lsn).toBe(all.at(-1)?.lsn);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('18.2.9 a successor that reads an open transaction again writes the same bytes', () => {
    fc.assert(
      fc.property(
        transactions,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (all, cuts, stop) => {
          const records = pack(all, cuts);
          const whole = applyAll(shapes, records, [1]);
          const crashAt = stop % records.length;
          const before = applyAll(shapes, records.slice(0, crashAt + 1), [1]);
          // The successor knows the cursor and the records only.
          const index = indexOf(shapes);
          let held: HeldTransaction | undefined;
          if (before.cursor.openTxSeq > 0) {
            const { seq, openTxSeq, position } = before.cursor;
            const step = new Step(index, {
              cursor: { seq: openTxSeq - 1, position: { lsn: position.lsn, op: -1 }, openTxSeq: 0 },
              held: undefined,
            });
            for (const record of records.slice(openTxSeq - 1, seq)) expect(step.add(record)).toBe(true);
            held = step.finish().held;
          }
          const step = new Step(index, { cursor: before.cursor, held });
          for (const record of records.slice(crashAt + 1)) expect(step.add(record)).toBe(true);
          const after = step.finish().batch.entries;
          expect(logs([...before.entries, ...after])).toEqual(logs(whole.entries));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('makes a transaction visible with its commit, and never moves back', () => {
    fc.assert(
      fc.property(transactions, fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), (all, cuts) => {
        const { results } = applyAll(shapes, pack(all, cuts), [1]);
        let visible = POSITION_ZERO;
        for (const { batch, held } of results) {
          if (batch.visible) {
            expect(comparePositions(batch.visible, visible)).toBeGreaterThan(0);
            visible = batch.visible;
          }
          for (const { position } of batch.entries) {
            const open = batch.to.openTxSeq > 0 && position.lsn === batch.to.position.lsn;
            if (!open) expect(comparePositions(position, visible)).toBeLessThanOrEqual(0);
          }
          expect(held !== undefined).toBe(batch.to.openTxSeq > 0);
        }
      }),
    );
  });
});

describe('Step', () => {
  test('T7 skips operations that were applied before', () => {
    const [one, two] = [insert(1, 'a'), insert(2, 'a')];
    const records = pack([one, two], [true]);
    const { batch } = run(SHAPES, records.slice(0, 1)).finish();
    const again = new Step(indexOf(SHAPES), { cursor: batch.to, held: undefined });
    for (const record of records) expect(again.add(record)).toBe(true);
    expect(new Set(again.finish().batch.entries.map(({ position }) => position.lsn))).toEqual(new Set([two.lsn]));
  });

  test('refuses a record whose predecessor is missing', () => {
    const records = pack([insert(1, 'a'), insert(2, 'a'), insert(3, 'a')], [true]);
    const step = new Step(indexOf(SHAPES), { cursor: START, held: undefined });
    expect(step.add(records[0] as StreamRecord)).toBe(true);
    expect(step.add(records[2] as StreamRecord)).toBe(false);
  });

  test('leaves a shape out of transactions that its snapshot shows or that began before it', () => {
    const snapshot = { xmin: 100n, xmax: 110n, xip: [105n], insertLsn: 5n as Lsn };
    const shapes = [
      itemShape({}, { regLsn: 2n as Lsn }),
      itemShape({}, { snapshot }),
      itemShape({}, { snapshot, state: 'creating' }),
    ];
    const all = [insert(1, 'a', 99n), insert(3, 'a', 105n), insert(4, 'a', 108n), insert(6, 'a', 109n)];
    const { entries } = applyAll(shapes, pack(all, [true]));
    const lsns = (shape: ShapeRecord | undefined) =>
      entries.filter(({ handle }) => handle === shape?.handle).map(({ position }) => Number(position.lsn));
    expect(lsns(shapes[0])).toEqual([3, 4, 6]);
    expect(lsns(shapes[1])).toEqual([3, 6]);
    expect(lsns(shapes[2])).toEqual([3, 6]);
  });

  test('rotates the shapes of a truncated table, and only those', () => {
    const other = itemShape({ oid: 200, table: 'others' });
    const shapes = [itemShape(), itemShape({ where: "owner = 'b'" }), other];
    const truncate: Transaction = { lsn: 9n as Lsn, xid: 9n, changes: [{ kind: 'truncate', op: 0, relation: ITEMS }] };
    const step = run(shapes, pack([truncate], [true]));
    expect([...step.rotations.keys()]).toEqual([shapes[0]?.handle, shapes[1]?.handle]);
  });

  test('leaves open whether a truncation ends a shape whose snapshot is not known yet', () => {
    const { snapshot: _unknown, ...shape } = itemShape({}, { state: 'creating' });
    const truncate: Transaction = { lsn: 9n as Lsn, xid: 9n, changes: [{ kind: 'truncate', op: 0, relation: ITEMS }] };
    const step = run([shape], pack([truncate], [true]));
    expect(step.rotations.size).toBe(0);
    expect(step.finish().doubts).toMatchObject([{ handle: shape.handle, transaction: { lsn: 9n, xid: 9n } }]);
  });

  test('asks once per transaction, however many of its changes ask the same', () => {
    const { snapshot: _unknown, ...shape } = itemShape({}, { state: 'creating' });
    const unusable = (op: number): Change => ({ kind: 'unusable', op, relation: ITEMS, reason: 'no_old_row' });
    const changes = Array.from({ length: 1_000 }, (_, i) => unusable(2 * i));
    const step = run(
      [shape],
      pack(
        [7n, 8n].map((n) => ({ lsn: n as Lsn, xid: n, changes })),
        [false],
      ),
    );
    expect(step.finish().doubts.map(({ transaction }) => transaction.lsn)).toEqual([7n, 8n]);
  });

  test('rotates a shape whose columns changed, with the first change under the new columns', () => {
    const relation = { ...ITEMS, columns: ITEMS.columns.filter(({ name }) => name !== 'note') };
    const shapes = [itemShape(), itemShape({ columns: ['id', 'owner'], allColumns: false })];
    const change: Change = { kind: 'insert', op: 0, relation, new: ['1', 'a'] };
    const records = pack([insert(1, 'a'), { lsn: 2n as Lsn, xid: 2n, changes: [change] }], [true]);
    const before = run(shapes, records.slice(0, 1));
    expect(before.rotations.size).toBe(0);
    const step = run(shapes, records);
    expect([...step.rotations.keys()]).toEqual([shapes[0]?.handle]);
    const texts = step.finish().batch.entries.map(({ bytes }) => Buffer.from(bytes).toString());
    expect(texts.filter((text) => text.includes('"lsn":"2"'))).toHaveLength(1);
  });

  test('a change that cannot be serialised rotates the shape it is for', () => {
    const shapes = [itemShape({ columns: ['id'], allColumns: false }), itemShape()];
    const poisoned = {
      ...insert(1, 'a'),
      changes: [{ kind: 'insert', op: 0, relation: ITEMS, new: ['1', 'a', UNREADABLE] } as never],
    };
    const step = run(shapes, pack([poisoned], [true]));
    expect([...step.rotations.keys()]).toEqual([shapes[1]?.handle]);
    expect(step.finish().batch.entries.map(({ handle }) => handle)).toEqual([shapes[0]?.handle]);
  });

  test('the watermark of a progress record stays below an open transaction', () => {
    const records = pack(
      [{ ...insert(10, 'a'), changes: [...insert(10, 'a').changes, { ...change('b'), op: 2 }] }],
      [true],
    );
    const first = records[0] as StreamRecord;
    const progress: StreamRecord = {
      seq: 2,
      firstSeq: 2,
      publishedMs: 0,
      bytes: 0,
      changes: 0,
      record: {
        kind: 'progress',
        incarnation: 1,
        epoch: 1,
        prev: { position: { lsn: 10n as Lsn, op: 0 }, progressLsn: 0n as Lsn },
        lsn: 20n as Lsn,
        xmin: 4n,
      },
    };
    const step = run(SHAPES, [first]);
    step.add(progress);
    expect(step.finish().batch.watermark).toBe(9n);
    const idle = run(SHAPES, [{ ...progress, record: { ...progress.record, prev: first.record.prev } }]);
    expect(idle.finish().batch).toMatchObject({ watermark: 19n, xmin: 4n, entries: [] });
  });
});

const UNREADABLE = {
  get length(): number {
    throw new Error('unreadable');
  },
};

function run(shapes: readonly ShapeRecord[], records: readonly StreamRecord[]): Step {
  const step = new Step(indexOf(shapes), { cursor: START, held: undefined });
  for (const record of records) expect(step.add(record)).toBe(true);
  return step;
}

function change(owner: string): Change {
  return { kind: 'insert', op: 0, relation: ITEMS, new: ['1', owner, null] };
}

function insert(lsn: number, owner: string, xid = BigInt(lsn)): Transaction {
  return { lsn: BigInt(lsn) as Lsn, xid, changes: [change(owner)] };
}
