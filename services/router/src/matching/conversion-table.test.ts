import { POSITION_ZERO, type Change, type Lsn, type Relation, type Tuple } from '@shapecast/log';
import { parseWhere } from '@shapecast/where';
import { expect, test } from 'vitest';
import { itemShape, pack } from '../testing/model.ts';
import { ShardIndex } from './shard-index.ts';
import { Step } from './step.ts';

/** The conversion table of spec W 11.3, case by case: shape `i4 > 0 AND s = 'a'` over `t (id pk, i4, s, x)`. */

const COLUMNS = [
  { name: 'id', typeOid: 23, typeMod: -1 },
  { name: 'i4', typeOid: 23, typeMod: -1 },
  { name: 's', typeOid: 25, typeMod: -1 },
  { name: 'x', typeOid: 25, typeMod: -1 },
];

function table(keyColumns: readonly number[] = [0]): Relation {
  return { oid: 100, schema: 'public', name: 't', replicaIdentity: 'f', columns: COLUMNS, keyColumns };
}

type Row = readonly [id: number, i4: number | null, s: string, x: string];

interface Options {
  readonly where?: string | undefined;
  readonly columns?: readonly string[];
  readonly replica?: 'default' | 'full';
  readonly primaryKey?: boolean;
}

/** One transaction; a change is the old row and the new row. */
function operations(changes: readonly (readonly [Row | null, Row | null])[], options: Options = {}): unknown[] {
  return step(rowChanges(changes, options), options)
    .finish()
    .batch.entries.map(({ bytes, position }) => {
      const message = JSON.parse(Buffer.from(bytes).toString()) as {
        key: string;
        value?: object;
        old_value?: object;
        headers: Record<string, string | boolean | undefined>;
      };
      const { operation, last, key_change_to: to, key_change_from: from } = message.headers;
      return {
        [operation as string]: message.key.replace('"public"."t"', ''),
        value: message.value,
        ...(message.old_value ? { old: message.old_value } : {}),
        ...(to === undefined ? {} : { to: String(to).replace('"public"."t"', '') }),
        ...(from === undefined ? {} : { from: String(from).replace('"public"."t"', '') }),
        at: position.op,
        ...(last === true ? { last } : {}),
      };
    });
}

function rowChanges(changes: readonly (readonly [Row | null, Row | null])[], options: Options): Change[] {
  const relation = table(options.primaryKey === false ? [] : [0]);
  const cells = (row: Row): Tuple => row.map((cell) => (cell === null ? null : String(cell)));
  return changes.map(([before, after], i): Change => {
    const op = 2 * i;
    if (before === null) return { kind: 'insert', op, relation, new: cells(after as Row) };
    if (after === null) return { kind: 'delete', op, relation, old: cells(before) };
    const changed = [0, 1, 2, 3].filter((at) => before[at] !== after[at]);
    return { kind: 'update', op, relation, old: cells(before), new: cells(after), changed };
  });
}

function step(changes: readonly Change[], options: Options): Step {
  const { where = "i4 > 0 AND s = 'a'", columns = ['id', 's'], replica = 'default', primaryKey = true } = options;
  const parsed = where === '' ? undefined : parseWhere(where, {}, COLUMNS);
  if (parsed?.ok === false) throw new Error(parsed.message);
  const index = new ShardIndex();
  const bound = new Set([...columns, ...(parsed?.clause.columns ?? [])]);
  const record = itemShape(
    {
      table: 't',
      where: parsed?.clause.sql ?? '',
      columns: [...columns].sort(),
      allColumns: false,
      replica,
      keyColumns: primaryKey ? ['id'] : ['id', 'i4', 's', 'x'],
      hasPrimaryKey: primaryKey,
    },
    {
      fingerprint: {
        oid: 100,
        schema: 'public',
        table: 't',
        keyColumns: primaryKey ? ['id'] : ['id', 'i4', 's', 'x'],
        columnCount: 4,
        columns: COLUMNS.filter(({ name }) => bound.has(name)).map(({ name, typeOid }) => [name, typeOid, -1] as const),
      },
    },
  );
  index.reset([record]);
  const made = new Step(index, { cursor: { seq: 0, position: POSITION_ZERO, openTxSeq: 0 }, held: undefined });
  for (const one of pack([{ lsn: 1000n as Lsn, xid: 7n, changes }], [])) expect(made.add(one)).toBe(true);
  return made;
}

const A: Row = [1, 1, 'a', 'x'];
const all = ['id', 's', 'x'];

test.each<[string, [Row | null, Row | null][], Options, unknown[]]>([
  ['C1 insert TRUE', [[null, A]], {}, [{ insert: '/"1"', value: { id: '1', s: 'a' }, at: 0, last: true }]],
  ['C2 insert FALSE', [[null, [1, 0, 'a', 'x']]], {}, []],
  ['C3 insert NULL', [[null, [1, null, 'a', 'x']]], {}, []],
  ['C4 both match, projected images equal', [[A, [1, 2, 'a', 'x']]], {}, []],
  ['C5, T45 changed column not selected', [[A, [1, 1, 'a', 'y']]], {}, []],
  [
    'C6 changed column selected',
    [[A, [1, 1, 'a', 'y']]],
    { columns: all },
    [{ update: '/"1"', value: { id: '1', x: 'y' }, at: 0, last: true }],
  ],
  [
    'C7 replica full',
    [[A, [1, 1, 'a', 'y']]],
    { columns: all, replica: 'full' },
    [{ update: '/"1"', value: { id: '1', s: 'a', x: 'y' }, old: { x: 'x' }, at: 0, last: true }],
  ],
  [
    'T40 replica full, changes of a hidden column beside a selected one',
    [[A, [1, 2, 'b', 'y']]],
    { where: 'i4 > 0', replica: 'full' },
    [{ update: '/"1"', value: { id: '1', s: 'b' }, old: { s: 'a' }, at: 0, last: true }],
  ],
  ['C8 moves out', [[A, [1, 0, 'a', 'x']]], {}, [{ delete: '/"1"', value: { id: '1' }, at: 0, last: true }]],
  [
    'C9 moves out, replica full',
    [[A, [1, 0, 'a', 'x']]],
    { replica: 'full' },
    [{ delete: '/"1"', value: { id: '1', s: 'a' }, at: 0, last: true }],
  ],
  ['C10 moves in', [[[1, 0, 'a', 'x'], A]], {}, [{ insert: '/"1"', value: { id: '1', s: 'a' }, at: 0, last: true }]],
  [
    'C11 moves in from NULL',
    [[[1, null, 'a', 'x'], A]],
    {},
    [{ insert: '/"1"', value: { id: '1', s: 'a' }, at: 0, last: true }],
  ],
  [
    'C12 moves out to NULL',
    [[A, [1, null, 'a', 'x']]],
    {},
    [{ delete: '/"1"', value: { id: '1' }, at: 0, last: true }],
  ],
  [
    'C13 neither matches',
    [
      [
        [1, 0, 'b', 'x'],
        [1, 0, 'b', 'y'],
      ],
    ],
    {},
    [],
  ],
  [
    'C14 key changes, both match',
    [[A, [2, 1, 'a', 'x']]],
    {},
    [
      { delete: '/"1"', value: { id: '1' }, to: '/"2"', at: 0 },
      { insert: '/"2"', value: { id: '2', s: 'a' }, from: '/"1"', at: 1, last: true },
    ],
  ],
  [
    'C15 key changes, only the old row matches',
    [[A, [2, 0, 'a', 'x']]],
    {},
    [{ delete: '/"1"', value: { id: '1' }, at: 0, last: true }],
  ],
  [
    'C16 key changes, only the new row matches',
    [
      [
        [1, 0, 'a', 'x'],
        [2, 1, 'a', 'x'],
      ],
    ],
    {},
    [{ insert: '/"2"', value: { id: '2', s: 'a' }, at: 0, last: true }],
  ],
  ['C17 delete TRUE', [[A, null]], {}, [{ delete: '/"1"', value: { id: '1' }, at: 0, last: true }]],
  ['C18 delete FALSE', [[[1, 0, 'a', 'x'], null]], {}, []],
  ['C19 a value that was left alone, filled in from the old row', [[A, [1, 2, 'a', 'x']]], { columns: all }, []],
  ['C20 no clause, identical images', [[A, A]], { where: '', columns: ['id', 'i4', 's', 'x'] }, []],
  ['C21 no clause, changed column not selected', [[A, [1, 1, 'a', 'y']]], { where: '' }, []],
  [
    'C22 without primary key every update has a new key',
    [[A, [1, 2, 'a', 'x']]],
    { primaryKey: false, columns: ['id', 'i4', 's', 'x'] },
    [
      {
        delete: '/"1"/"1"/"a"/"x"',
        value: { id: '1', i4: '1', s: 'a', x: 'x' },
        to: '/"1"/"2"/"a"/"x"',
        at: 0,
      },
      {
        insert: '/"1"/"2"/"a"/"x"',
        value: { id: '1', i4: '2', s: 'a', x: 'x' },
        from: '/"1"/"1"/"a"/"x"',
        at: 1,
        last: true,
      },
    ],
  ],
  [
    'C24 the new row raises an error',
    [
      [
        [1, 5, 'a', 'x'],
        [1, 0, 'a', 'x'],
      ],
    ],
    { where: '10 / i4 > 1' },
    [{ delete: '/"1"', value: { id: '1' }, at: 0, last: true }],
  ],
  [
    'C25 the old row raises an error',
    [
      [
        [1, 0, 'a', 'x'],
        [1, 5, 'a', 'x'],
      ],
    ],
    { where: '10 / i4 > 1' },
    [{ insert: '/"1"', value: { id: '1', s: 'a' }, at: 0, last: true }],
  ],
  [
    'C26 inserted and deleted in one transaction',
    [
      [null, A],
      [A, null],
    ],
    {},
    [
      { insert: '/"1"', value: { id: '1', s: 'a' }, at: 0 },
      { delete: '/"1"', value: { id: '1' }, at: 2, last: true },
    ],
  ],
  [
    'C27 inserted outside, then moved in',
    [
      [null, [1, 0, 'a', 'x']],
      [[1, 0, 'a', 'x'], A],
    ],
    {},
    [{ insert: '/"1"', value: { id: '1', s: 'a' }, at: 2, last: true }],
  ],
])('%s', (_, changes, options, expected) => {
  expect(operations(changes, options)).toEqual(expected);
});

test('C23 a truncate rotates the shape', () => {
  const made = step([{ kind: 'truncate', op: 0, relation: table() }], {});
  expect([...made.rotations.values()].map(({ message }) => message)).toEqual(['The table was truncated.']);
});

test('C28 the loss of a column that only the clause uses rotates the shape', () => {
  const without: Relation = { ...table(), columns: COLUMNS.filter(({ name }) => name !== 'i4'), keyColumns: [0] };
  const made = step([{ kind: 'insert', op: 0, relation: without, new: ['1', 'a', 'x'] }], {});
  expect([...made.rotations.values()].map(({ message }) => message)).toEqual(['column i4 is gone']);
});
