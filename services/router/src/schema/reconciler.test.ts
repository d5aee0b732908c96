import { describe, expect, test } from 'vitest';
import type { TableDetails, TableMember, TableSight, TableSights } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import type { ShapeRecord } from '@shapecast/shape-store';
import { ShardIndex, TREE_CHANGED } from '../matching/shard-index.ts';
import { ITEM_COLUMNS, itemShape } from '../testing/model.ts';
import { HistoryStore } from './history-store.ts';
import { Reconciler } from './reconciler.ts';

const never = new AbortController().signal;
const ROOT = 100;
const GONE = 'Database table "public.items" has been dropped or renamed';

type Members = Readonly<Record<number, bigint | undefined>>;
type Changes = Partial<Omit<TableSight, 'members' | 'details'>> & {
  readonly columns?: readonly (readonly [name: string, attnum: number, typeOid?: number])[];
  readonly name?: string;
  readonly version?: bigint;
  readonly kind?: 'r' | 'p';
};

const COLUMNS = ITEM_COLUMNS.map((name, i) => [name, i + 1] as const);

/** `items` with these tables below it, which were attached by those transactions. */
function table(members: Members = {}, changes: Changes = {}): TableSight & { readonly details: TableDetails } {
  const { columns = COLUMNS, name = 'items', version = 1n, kind = 'r', ...rest } = changes;
  const relation: RelationInfo = {
    oid: ROOT,
    schema: 'public',
    name,
    kind,
    columns: columns.map(([column, attnum, typeOid = 25]) => ({
      name: column,
      attnum,
      typeOid,
      typeName: 'any',
      typeSchema: 'pg_catalog',
      typeKind: 'b',
      dims: 0,
      typeMod: -1,
      notNull: false,
      generated: 'none',
      ...(column === 'id' ? { pkIndex: 0 } : {}),
    })),
  };
  const below = Object.entries(members).map(([oid, xid]): [number, TableMember] => [
    Number(oid),
    { filenode: Number(oid), ...(xid === undefined ? {} : { joinedXid: xid }) },
  ]);
  const columnXids = new Map(columns.map(([, attnum]) => [attnum, version]));
  return {
    oid: ROOT,
    digest: JSON.stringify([relation, String(version)]),
    filenode: 1,
    members: new Map(below),
    incomplete: false,
    details: { relation, columnXids },
    ...rest,
  };
}

/** A shape on the root whose snapshot was taken while these were running and assigned. */
function shape(xmin: bigint, xmax = xmin, definition: Parameters<typeof itemShape>[0] = {}): ShapeRecord {
  const attnums = COLUMNS.filter(([name]) => (definition.columns ?? ITEM_COLUMNS).includes(name)).map(([, n]) => n);
  const record = itemShape(definition, { snapshot: { xmin, xmax, xip: [], insertLsn: 0n as Lsn } });
  return { ...record, fingerprint: { ...record.fingerprint, attnums } };
}

interface Options {
  readonly messaging?: ReturnType<typeof openMemoryMessaging>;
  /** Whether the table was looked at before its shapes were made, as it always is. */
  readonly observed?: boolean;
}

/** A reconciler over one shard whose catalog the test writes. */
function reconciling(
  shapes: readonly ShapeRecord[],
  { messaging = openMemoryMessaging(systemClock), observed = true }: Options = {},
) {
  const index = new ShardIndex();
  index.reset(shapes);
  const catalog: { xmax: bigint; tables: readonly TableSight[]; fail?: Error } = { xmax: 100n, tables: [] };
  const asked: { readonly oid: number; readonly detailed: boolean }[] = [];
  const published: string[] = [];
  let woken = 0;
  const reconciler = new Reconciler(
    {
      database: {
        readTables: async ({ oids, known }, onSights: (sights: TableSights) => void) => {
          if (catalog.fail) throw catalog.fail;
          const found = catalog.tables.filter(({ oid }) => oids.includes(oid));
          const tables = found.map((sight) => {
            const detailed = known.get(sight.oid) !== sight.digest;
            asked.push({ oid: sight.oid, detailed });
            const { details, ...rest } = sight;
            return detailed && details ? { ...rest, details } : rest;
          });
          const gone = oids.filter((oid) => !found.some((sight) => sight.oid === oid));
          onSights({ moment: { xmax: catalog.xmax, running: 0 }, tables, gone });
        },
      },
      histories: new HistoryStore(messaging.registries, { source: 'test', incarnation: 1 }),
      clock: systemClock,
      log: silentLogger,
      shards: () => [{ index, wake: () => void (woken += 1) }],
      publish: async ({ name }) => void published.push(name),
      seen: () => undefined,
    },
    { intervalMs: 1_000 },
  );
  const ending = () => [...index.ending].map(([{ handle }, { message }]) => [handle, message]);
  let begun = !observed;
  const look = async (xmax: bigint, ...tables: TableSight[]) => {
    if (!begun) {
      // As before the first snapshot; what another router has seen since then stays.
      Object.assign(catalog, { xmax: 10n, tables });
      await reconciler.observe(ROOT, never);
      asked.length = 0;
      begun = true;
    }
    catalog.xmax = xmax;
    catalog.tables = tables;
    await reconciler.look(never);
    return ending();
  };
  return { reconciler, index, catalog, asked, published, look, ending, messaging, woken: () => woken };
}

describe('the reconciler', () => {
  test('lets a shape be while nothing changes, and asks for details once', async () => {
    const { look, woken, asked } = reconciling([shape(50n)]);
    for (const xmax of [100n, 110n, 120n]) expect(await look(xmax, table())).toEqual([]);
    expect(asked.map(({ detailed }) => detailed)).toEqual([true, false, false]);
    expect(woken()).toBe(0);
  });

  test('judges a shape that comes, though nothing else changed', async () => {
    const { look, index } = reconciling([shape(50n)]);
    await look(100n, table());
    const late = shape(105n);
    index.apply([{ ...late, fingerprint: { ...late.fingerprint, columns: [['gone', 25, -1]], attnums: [7] } }]);
    expect(await look(110n, table())).toEqual([[late.handle, 'column gone is gone']]);
    expect(index.unreviewed.size).toBe(0);
  });

  test('ends exactly the shapes that a changed column concerns', async () => {
    const all = shape(50n);
    const some = shape(50n, 50n, { columns: ['id', 'owner'], allColumns: false });
    const retyped = [COLUMNS[0] as [string, number], ['owner', 2], ['note', 3, 23]] as const;
    const { look, woken } = reconciling([all, some]);
    await look(100n, table());
    expect(await look(110n, table({}, { columns: retyped }))).toEqual([[all.handle, 'column note changed its type']]);
    expect(woken()).toBe(1);
  });

  test('knows a column that was made again under its old name', async () => {
    const known = shape(50n);
    const again = [COLUMNS[0] as [string, number], ['owner', 2], ['note', 4]] as const;
    const { look } = reconciling([known]);
    await look(100n, table());
    expect(await look(110n, table({}, { columns: again }))).toEqual([[known.handle, 'column note is another one']]);
  });

  test('ends shapes whose values were computed anew, and not those from after that', async () => {
    const before = shape(50n);
    const other = shape(50n, 50n, { columns: ['id'], allColumns: false });
    const after = shape(106n);
    const { look } = reconciling([before, other, after]);
    await look(100n, table());
    const rewritten = table({}, { filenode: 2, version: 105n });
    const reason = 'the values of column id were computed anew';
    expect(await look(110n, rewritten)).toEqual([
      [before.handle, reason],
      [other.handle, reason],
    ]);
  });

  test('ends the shapes of a table that is gone or has another name', async () => {
    const known = shape(50n);
    expect(await reconciling([known]).look(100n)).toEqual([[known.handle, GONE]]);
    expect(await reconciling([known]).look(100n, table({}, { name: 'goods' }))).toEqual([[known.handle, GONE]]);
  });

  test('does not judge a shape by a catalog older than its snapshot, and does so later', async () => {
    const known = shape(101n);
    const { look } = reconciling([known]);
    const renamed = table({}, { name: 'goods' });
    expect(await look(100n, renamed)).toEqual([]);
    expect(await look(102n, renamed)).toEqual([[known.handle, GONE]]);
  });

  test('judges a shape once its snapshot is known', async () => {
    const known = shape(90n);
    const { snapshot: _, ...unknown } = known;
    const { look, index } = reconciling([{ ...unknown, state: 'snapshotting' }]);
    const renamed = table({}, { name: 'goods' });
    expect(await look(100n, renamed)).toEqual([]);
    index.apply([known]);
    expect(await look(110n, renamed)).toEqual([[known.handle, GONE]]);
  });

  test('leaves out a round that fails', async () => {
    const known = shape(50n);
    const { look, catalog, reconciler, ending } = reconciling([known]);
    await look(100n, table());
    catalog.fail = new Error('away');
    await expect(reconciler.look(never)).rejects.toThrow('away');
    expect(ending()).toEqual([]);
    delete catalog.fail;
    expect(await look(110n)).toEqual([[known.handle, GONE]]);
  });

  test('has what is incomplete published', async () => {
    const { look, published } = reconciling([shape(50n)]);
    await look(100n, table({ 1: undefined }));
    expect(published).toEqual([]);
    await look(110n, table({ 1: undefined, 2: undefined }, { incomplete: true }));
    expect(published).toEqual(['items']);
  });
});

/** Something that only a tree shows is looked at twice: at what it is, and then at the details. */
async function lookTwice(look: ReturnType<typeof reconciling>['look'], xmax: bigint, sight: TableSight) {
  await look(xmax, sight);
  return look(xmax, sight);
}

describe('tables below a table', () => {
  test('are accepted when they are created there', async () => {
    const { look, woken } = reconciling([shape(50n)]);
    expect(await look(100n, table({ 1: undefined, 2: 40n }))).toEqual([]);
    expect(await lookTwice(look, 110n, table({ 1: undefined, 2: 40n, 3: undefined }))).toEqual([]);
    expect(woken()).toBe(0);
  });

  test('end shapes when one leaves', async () => {
    const known = shape(50n);
    const { look, woken } = reconciling([known]);
    await look(100n, table({ 1: undefined, 2: undefined }));
    expect(await lookTwice(look, 110n, table({ 1: undefined }))).toEqual([[known.handle, TREE_CHANGED.message]]);
    expect(woken()).toBe(1);
  });

  test('end shapes when one leaves before the first look, if the tree was observed', async () => {
    const known = shape(50n);
    const { look, reconciler, catalog } = reconciling([known], { observed: false });
    Object.assign(catalog, { xmax: 40n, tables: [table({ 1: undefined, 2: undefined }, { kind: 'p' })] });
    await reconciler.observe(ROOT, never);
    expect(await look(110n, table({ 1: undefined }, { kind: 'p' }))).toHaveLength(1);
  });

  test('end shapes when one leaves that only the stream has shown', async () => {
    const known = shape(50n);
    const { look, reconciler } = reconciling([known]);
    await look(100n, table());
    reconciler.showed(ROOT, 7);
    expect(await lookTwice(look, 110n, table())).toEqual([[known.handle, TREE_CHANGED.message]]);
  });

  test('do not end a shape that began after one left, whoever noticed that', async () => {
    const messaging = openMemoryMessaging(systemClock);
    const first = reconciling([shape(50n)], { messaging });
    await first.look(100n, table({ 1: undefined }));
    await lookTwice(first.look, 110n, table({}));
    const next = reconciling([shape(110n)], { messaging, observed: false });
    expect(await lookTwice(next.look, 120n, table({}))).toEqual([]);
  });

  test('end the shapes that began before one joined, and not those that began after', async () => {
    const before = shape(50n);
    const unsure = shape(104n, 107n);
    const after = shape(104n, 111n);
    const { look } = reconciling([before, unsure, after]);
    await look(100n, table({}));
    // Transaction 104 is open all the time; 105 attaches, and is first seen to have done so by a snapshot at 110.
    expect(await lookTwice(look, 110n, table({ 1: 105n }))).toEqual([
      [before.handle, TREE_CHANGED.message],
      [unsure.handle, TREE_CHANGED.message],
    ]);
    expect(await lookTwice(look, 120n, table({ 1: 105n }))).toHaveLength(2);
  });

  test('that left while no router owned the shard are noticed by the next owner', async () => {
    const known = shape(50n);
    const first = reconciling([known]);
    await first.look(100n, table({ 1: undefined, 2: undefined }));
    const next = reconciling([known], { messaging: first.messaging, observed: false });
    expect(await next.look(110n, table({ 1: undefined }))).toEqual([[known.handle, TREE_CHANGED.message]]);
    // Shapes of a shard that this router had and gave up before it could end them.
    const last = reconciling([known], { messaging: first.messaging, observed: false });
    expect(await last.look(120n, table({ 1: undefined }))).toEqual([[known.handle, TREE_CHANGED.message]]);
  });

  test('cost shapes nothing and are looked at again when the registry is away', async () => {
    const known = shape(50n);
    const away = { ...openMemoryMessaging(systemClock), registries: { open: () => Promise.reject(new Error('away')) } };
    const messaging = away as ReturnType<typeof openMemoryMessaging>;
    const { look, asked } = reconciling([known], { messaging, observed: false });
    expect(await look(100n, table({ 1: undefined }))).toEqual([]);
    expect(await look(110n, table({}))).toEqual([]);
    expect(asked.map(({ detailed }) => detailed)).toEqual([true, true]);
    // What the catalog says needs no registry.
    expect(await look(120n, table({}, { name: 'goods' }))).toEqual([[known.handle, GONE]]);
  });

  test('end shapes when nobody knows any more what happened', async () => {
    const known = shape(50n);
    const { look } = reconciling([known], { observed: false });
    const reason = 'What happened to the table is not known.';
    expect(await look(100n, table({ 1: undefined }))).toEqual([[known.handle, reason]]);
  });
});
