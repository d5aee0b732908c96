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
export function liveShape(store: ShapeStore, source: string, where: string, bytes: number): Promise<string> {
  return shapeOf(store, { source, shard: 0 }, { where }, `"${'x'.repeat(bytes)}"`);
}

interface Place {
  readonly source: string;
  readonly shard: number;
}

/** A live shape with this snapshot: its messages, separated by commas. Returns the handle. */
export async function shapeOf(
  store: ShapeStore,
  { source, shard: number }: Place,
  about: Partial<ShapeDefinition>,
  snapshot: string,
): Promise<string> {
  const shard = { source, incarnation: 1, shard: number };
  const definition: ShapeDefinition = {
    ...{ v: 1, oid: NOTES.oid, schema: 'public', table: 'notes', keyColumns: ['id'], hasPrimaryKey: true },
    ...{ columns: ['body', 'id', 'owner'], allColumns: true, where: '', replica: 'default', log: 'full' },
    ...about,
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
    bytes: Buffer.from(snapshot),
    close: true,
  });
  await store.snapshotDone(shard, handle, token);
  await store.promote(shard, handle, 100);
  return handle;
}

interface Written {
  readonly lsn: bigint;
  readonly xid: bigint;
  readonly message: object;
}

/** Has the shard apply one transaction for each of the messages, and say that everything below `watermark` is visible. */
export async function write(
  store: ShapeStore,
  { source, shard: number }: Place,
  handle: string,
  messages: readonly Written[],
  watermark: bigint,
): Promise<void> {
  const shard = { source, incarnation: 1, shard: number };
  const { epoch, owner } = await store.acquire(shard, randomUUID());
  const { ver } = await store.loadShapes(shard);
  const cursor = (await store.readMeta(shard))?.cursor;
  if (cursor === undefined) throw new Error('the shard is not there');
  const last = { lsn: (messages.at(-1)?.lsn ?? 0n) as Lsn, op: 0 };
  const outcome = await store.append(
    shard,
    { epoch, owner, ver, cursor },
    {
      entries: messages.map(({ lsn, xid, message }) => ({
        ...{ handle, xid, position: { lsn: lsn as Lsn, op: 0 } },
        bytes: Buffer.from(JSON.stringify(message)),
      })),
      transactions: messages.map(({ lsn, xid }) => ({ lsn: lsn as Lsn, xid })),
      ...{ to: { seq: cursor.seq + 1, position: last, openTxSeq: 0 }, visible: last, watermark: watermark as Lsn },
    },
  );
  if (outcome !== 'ok') throw new Error(`the entries were not written: ${outcome} differs`);
}
