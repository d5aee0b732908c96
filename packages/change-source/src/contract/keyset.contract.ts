import { describe, expect, test } from 'vitest';
import type { RelationInfo } from '@shapecast/shape';
import type { SnapshotInfo, SnapshotRequest, SnapshotTable } from '../change-source.ts';
import { keyOf, type KeysetRequest, type KeyTexts } from '../keyset.ts';
import type { ContractWorld } from './change-source.contract.ts';

const never = new AbortController().signal;

/** Snapshots in the order of the key, of the table of the contract. */
export function describeKeyset(world: () => ContractWorld, items: () => RelationInfo): void {
  const read = async (keyset: Omit<KeysetRequest, 'key'>, change: Partial<SnapshotRequest> = {}) => {
    const { schema, name: table, oid } = items();
    const columns = ['value', 'id'];
    const keys: (KeyTexts | undefined)[] = [];
    let found: { readonly info: SnapshotInfo; readonly table: SnapshotTable } | undefined;
    await world().database.snapshot(
      { schema, table, oid, columns, where: '', rows: true, keyset: { key: ['id'], ...keyset }, ...change },
      {
        onSnapshot: async (info, about) => {
          found = { info, table: about };
          return 'use';
        },
        onRows: async (rows) => void keys.push(...rows.map((row) => keyOf(row, columns, ['id']))),
      },
      never,
    );
    if (!found) throw new Error('no snapshot was offered');
    return { keys: keys.map((key) => key?.[0]), ...found };
  };

  const insert = (...ids: readonly number[]) =>
    world().transaction(ids.map((id) => ({ kind: 'insert', id: String(id), value: 'v' })));

  describe('a snapshot in the order of the key', () => {
    test('goes on behind a row in a later snapshot, with what was committed meanwhile', async () => {
      await insert(...Array.from({ length: 700 }, (_, i) => 900 - i));
      const first = await read({ minBytes: 1 });
      expect(first.keys).toEqual(Array.from({ length: 700 }, (_, i) => String(201 + i)));
      const { order, shownBelow } = first.table;
      expect(order).toBeTypeOf('string');
      // What it shows commits below that, and it is reached without anything being written.
      expect(shownBelow).toBeLessThanOrEqual(first.info.insertLsn);
      await world().transaction([
        { kind: 'delete', id: '899' },
        { kind: 'update', id: '300', newId: '901', value: 'v' },
        { kind: 'update', id: '897', newId: '150', value: 'v' },
      ]);
      const rest = await read({ minBytes: 1, after: { order: order as string, key: ['895'] } });
      expect([rest.keys, rest.table.order]).toEqual([['896', '898', '900', '901'], order]);
      const places = await world().database.placeKeys(
        { order: order as string, bounds: [['300'], ['895']], keys: [['150'], ['300'], ['301'], ['895'], ['896']] },
        never,
      );
      expect(places).toEqual([0, 0, 1, 1, 2]);
      const none = await read({ minBytes: 1, after: { order: order as string, key: ['901'] } });
      expect(none.keys).toEqual([]);
    });

    test('is not taken of small tables, nor where no rows are wanted', async () => {
      await insert(1, 2, 3);
      expect((await read({ minBytes: 10_000_000 })).table.order).toBeUndefined();
      const { keys, table } = await read({ minBytes: 1 }, { rows: false });
      expect([keys, table.order]).toEqual([[], undefined]);
    });
  });
}
