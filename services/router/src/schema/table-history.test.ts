import { describe, expect, test } from 'vitest';
import type { TableMember, TableSight } from '@shapecast/change-source';
import { fromRecord, toRecord } from './history-record.ts';
import { extendHistory, isOlder, type TableHistory } from './table-history.ts';

interface Look {
  readonly xmax: bigint;
  readonly running?: number;
  readonly filenode?: number;
  readonly members?: Readonly<Record<number, TableMember>>;
  /** By attnum. */
  readonly columns?: Readonly<Record<number, bigint>>;
  readonly shown?: readonly number[];
}

const RELATION = { oid: 1, schema: 'public', name: 'items', kind: 'r', columns: [] } as const;

function byNumber<T>(values: Readonly<Record<number, T>> = {}): Map<number, T> {
  return new Map(Object.entries(values).map(([key, value]) => [Number(key), value]));
}

/** The history after these looks. */
function after(...looks: readonly Look[]): TableHistory {
  let history: TableHistory | undefined;
  for (const { xmax, running = 0, filenode = 1, members, columns, shown = [] } of looks) {
    const details = columns && { relation: RELATION, columnXids: byNumber(columns) };
    const sight: TableSight = {
      oid: 1,
      digest: '',
      filenode,
      members: byNumber(members),
      incomplete: false,
      ...(details && { details }),
    };
    history = extendHistory(history, sight, { xmax, running }, new Set(shown));
  }
  return history as TableHistory;
}

const created = (filenode = 10): TableMember => ({ filenode });
const attached = (joinedXid: bigint, filenode = 10): TableMember => ({ joinedXid, filenode });

describe('the history of a table', () => {
  test('stays the same object while nothing happens, and when columns are added', () => {
    const before = after({ xmax: 10n, members: { 2: created() }, columns: { 1: 5n } });
    const sight = { oid: 1, digest: '', filenode: 1, members: byNumber({ 2: created() }), incomplete: false };
    expect(extendHistory(before, sight, { xmax: 20n, running: 0 })).toBe(before);
    const grown = after({ xmax: 10n, columns: { 1: 5n } }, { xmax: 20n, columns: { 1: 5n, 2: 15n } });
    expect(grown.recomputed.size).toBe(0);
    expect(grown.left).toBeUndefined();
  });

  test('dates what left by the first look that missed it', () => {
    const history = after(
      { xmax: 10n, members: { 2: created(), 3: created() } },
      { xmax: 20n, running: 1, members: { 2: created() } },
      { xmax: 30n, members: { 2: created() } },
    );
    expect(history.left).toEqual({ xmax: 20n, running: 1 });
  });

  test('notices that a table left which only the stream had shown', () => {
    expect(after({ xmax: 10n }, { xmax: 20n, shown: [2] }).left).toEqual({ xmax: 20n, running: 0 });
    expect(after({ xmax: 10n }, { xmax: 20n, shown: [2], members: { 2: created() } }).left).toBeUndefined();
  });

  test('keeps the moment at which a table was first seen to have joined', () => {
    const joined = after(
      { xmax: 10n },
      { xmax: 20n, members: { 2: attached(15n) } },
      { xmax: 30n, members: { 2: attached(15n), 3: created() } },
    ).members;
    expect(joined.get(2)?.joined).toEqual({ xid: 15n, seenXmax: 20n });
    expect(joined.get(3)?.joined).toBeUndefined();
    const again = after({ xmax: 20n, members: { 2: attached(15n) } }, { xmax: 30n, members: { 2: attached(25n) } });
    expect(again.members.get(2)?.joined).toEqual({ xid: 25n, seenXmax: 30n });
  });

  test.each([
    ['the table is rewritten and the column touched', { filenode: 2, columns: { 1: 15n, 2: 5n } }, [1]],
    ['the table is rewritten alone', { filenode: 2, columns: { 1: 5n, 2: 5n } }, []],
    ['the column is touched alone', { filenode: 1, columns: { 1: 15n, 2: 5n } }, []],
    ['the table is rewritten for a new column', { filenode: 2, columns: { 1: 5n, 2: 5n, 3: 15n } }, []],
    [
      'a partition is rewritten and the column of the root touched',
      { members: { 2: created(11) }, columns: { 1: 15n, 2: 5n } },
      [1],
    ],
    [
      'a partition comes and the column is touched',
      { members: { 2: created(), 3: created() }, columns: { 1: 15n, 2: 5n } },
      [],
    ],
  ] as const)('takes values for computed anew where it must: %s', (_name, change, expected) => {
    const members = 'members' in change ? { 2: created() } : {};
    const history = after({ xmax: 10n, members, columns: { 1: 5n, 2: 5n } }, { members, ...change, xmax: 20n });
    expect([...history.recomputed.keys()]).toEqual(expected);
    for (const since of history.recomputed.values()) expect(since).toEqual({ xid: 15n, seenXmax: 20n });
  });

  test('is not changed by a look from before', () => {
    const history = after({ xmax: 20n, members: { 2: created() } });
    const sight = { oid: 1, digest: '', filenode: 7, members: new Map(), incomplete: false };
    expect(extendHistory(history, sight, { xmax: 20n, running: 1 })).toBe(history);
    expect(extendHistory(history, sight, { xmax: 19n, running: 0 })).toBe(history);
  });

  test('survives being written down, for its own incarnation', () => {
    const history = after(
      { xmax: 2n ** 40n, members: { 2: created(), 3: attached(2n ** 39n), 4: created() }, columns: { 1: 5n } },
      { xmax: 2n ** 41n, filenode: 2, members: { 2: created(), 3: attached(2n ** 39n) }, columns: { 1: 2n ** 40n } },
    );
    const record = JSON.parse(JSON.stringify(toRecord(3, history))) as ReturnType<typeof toRecord>;
    expect(fromRecord(3, record)).toEqual(history);
    expect(fromRecord(4, record)).toBeUndefined();
    expect(fromRecord(3, { ...record, v: 2 as 1 })).toBeUndefined();
  });
});

test('snapshots are in the order of their upper ends, then of how much was still running', () => {
  expect(isOlder({ xmax: 1n, running: 0 }, { xmax: 2n, running: 5 })).toBe(true);
  expect(isOlder({ xmax: 2n, running: 5 }, { xmax: 2n, running: 4 })).toBe(true);
  expect(isOlder({ xmax: 2n, running: 4 }, { xmax: 2n, running: 4 })).toBe(false);
  expect(isOlder({ xmax: 3n, running: 9 }, { xmax: 2n, running: 0 })).toBe(false);
});
