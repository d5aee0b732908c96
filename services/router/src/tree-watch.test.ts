import { describe, expect, test } from 'vitest';
import type { TableTree } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { ShapeRecord } from '@shapecast/shape-store';
import { ShardIndex, TREE_CHANGED } from './matching/shard-index.ts';
import { itemShape } from './testing/model.ts';
import { TreeWatch } from './tree-watch.ts';

const never = new AbortController().signal;
const ROOT = 100;

type Members = Readonly<Record<number, bigint | undefined>>;

function tree(members: Members, rest: Partial<TableTree> = {}): TableTree {
  const list = Object.entries(members).map(([oid, xid]) => [Number(oid), xid] as const);
  return { oid: ROOT, schema: 'public', name: 'items', members: new Map(list), incomplete: false, ...rest };
}

/** A shape on the root whose snapshot was taken while these were running and assigned. */
function shape(xmin: bigint, xmax = xmin): ShapeRecord {
  return itemShape({}, { snapshot: { xmin, xmax, xip: [], insertLsn: 0n as Lsn } });
}

/** A watch over one shard whose catalog the test writes. */
function watching(...shapes: readonly ShapeRecord[]) {
  const index = new ShardIndex();
  index.reset(shapes);
  const catalog: { xmax: bigint; trees: TableTree[] } = { xmax: 100n, trees: [] };
  const published: string[] = [];
  let woken = 0;
  const watch = new TreeWatch(
    {
      database: { readTrees: async () => ({ ...catalog }) },
      clock: systemClock,
      log: silentLogger,
      shards: () => [{ index, wake: () => void (woken += 1) }],
      publish: async ({ name }) => void published.push(name),
    },
    { intervalMs: 1_000 },
  );
  const look = async (xmax: bigint, ...trees: TableTree[]) => {
    catalog.xmax = xmax;
    catalog.trees = trees;
    await watch.look(never);
    return [...index.ending].map(([{ handle }, { message }]) => [handle, message]);
  };
  return { watch, index, catalog, published, look, woken: () => woken };
}

describe('the watch over the tables below a table', () => {
  test('lets a shape be while nothing changes, and when a table is created there', async () => {
    const { look, woken } = watching(shape(50n));
    expect(await look(100n, tree({ 1: undefined, 2: 40n }))).toEqual([]);
    expect(await look(110n, tree({ 1: undefined, 2: 40n, 3: undefined }))).toEqual([]);
    expect(woken()).toBe(0);
  });

  test('ends shapes when a table leaves', async () => {
    const known = shape(50n);
    const { look, woken } = watching(known);
    await look(100n, tree({ 1: undefined, 2: undefined }));
    expect(await look(110n, tree({ 1: undefined }))).toEqual([[known.handle, TREE_CHANGED.message]]);
    expect(woken()).toBe(1);
  });

  test('notices a table that leaves before the first look, when the tree was observed', async () => {
    const known = shape(50n);
    const { look, watch, catalog } = watching(known);
    catalog.trees = [tree({ 1: undefined, 2: undefined })];
    await watch.observe(ROOT, never);
    expect(await look(110n, tree({ 1: undefined }))).toHaveLength(1);
  });

  test('ends the shapes that began before a table joined, and not those that began after', async () => {
    const before = shape(50n);
    const unsure = shape(104n, 107n);
    const after = shape(104n, 111n);
    const { look } = watching(before, unsure, after);
    await look(100n, tree({}));
    // Transaction 104 is open all the time; 105 attaches, and is first seen to have done so by a snapshot at 110.
    expect(await look(110n, tree({ 1: 105n }))).toEqual([
      [before.handle, TREE_CHANGED.message],
      [unsure.handle, TREE_CHANGED.message],
    ]);
    expect(await look(120n, tree({ 1: 105n }))).toHaveLength(2);
  });

  test('ends the shapes of a table that is gone or has another name', async () => {
    const known = shape(50n);
    const text = 'Database table "public.items" has been dropped or renamed';
    expect(await watching(known).look(100n)).toEqual([[known.handle, text]]);
    expect(await watching(known).look(100n, tree({}, { name: 'goods' }))).toEqual([[known.handle, text]]);
  });

  test('does not judge a shape by a catalog older than its snapshot', async () => {
    expect(await watching(shape(101n)).look(100n)).toEqual([]);
  });

  test('has what is incomplete published', async () => {
    const { look, published } = watching(shape(50n));
    await look(100n, tree({ 1: undefined }));
    expect(published).toEqual([]);
    await look(110n, tree({ 1: undefined, 2: undefined }, { incomplete: true }));
    expect(published).toEqual(['items']);
  });
});
