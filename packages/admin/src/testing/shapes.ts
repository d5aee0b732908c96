import { randomUUID } from 'node:crypto';
import type { Lsn } from '@shapecast/log';
import { definitionDigest, type RelationInfo, type ShapeDefinition } from '@shapecast/shape';
import type { ShapeStore } from '@shapecast/shape-store';

const column = (name: string, attnum: number, typeOid: number, typeName: string): RelationInfo['columns'][number] => ({
  ...{ name, attnum, typeOid, typeName, typeSchema: 'pg_catalog', typeKind: 'b', dims: 0, typeMod: -1 },
  ...{ notNull: name === 'id', generated: 'none' },
  ...(name === 'id' ? { pkIndex: 0 } : { collation: { name: 'C', kind: 'c' } as never }),
});

/** A table with an integer key and two texts. */
export const NOTES: RelationInfo = {
  ...{ oid: 16_400, schema: 'public', name: 'notes', kind: 'r' },
  columns: [column('id', 1, 23, 'int4'), column('owner', 2, 25, 'text'), column('body', 3, 25, 'text')],
};

/** A shape of it in shard 0 of incarnation 1, live, with a snapshot of so many bytes. Returns the handle. */
export async function liveShape(store: ShapeStore, source: string, where: string, bytes: number): Promise<string> {
  const shard = { source, incarnation: 1, shard: 0 };
  const definition: ShapeDefinition = {
    ...{ v: 1, oid: NOTES.oid, schema: 'public', table: 'notes', keyColumns: ['id'], hasPrimaryKey: true },
    ...{ columns: ['body', 'id', 'owner'], allColumns: true, where, replica: 'default', log: 'full' },
  };
  const { handle } = await store.getOrCreate(shard, {
    digest: definitionDigest(definition),
    definition,
    fingerprint: {
      ...{ oid: NOTES.oid, schema: 'public', table: 'notes', keyColumns: ['id'], columnCount: 3 },
      columns: NOTES.columns.map(({ name, typeOid, typeMod }) => [name, typeOid, typeMod] as const),
    },
    chunkBytes: 10_000,
  });
  const token = randomUUID();
  await store.snapshotBegin(shard, handle, token);
  await store.snapshotKnown(shard, handle, token, { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as Lsn });
  await store.snapshotPart(shard, handle, token, {
    chunk: 0,
    bytes: Buffer.from(`"${'x'.repeat(bytes)}"`),
    close: true,
  });
  await store.snapshotDone(shard, handle, token);
  await store.promote(shard, handle, 100);
  return handle;
}
