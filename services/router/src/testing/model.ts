import {
  POSITION_ZERO,
  type Change,
  type Lsn,
  type Position,
  type Relation,
  type TransactionPart,
} from '@shapecast/log';
import type { ShapeDefinition } from '@shapecast/shape';
import type { ShapeRecord } from '@shapecast/shape-store';
import type { StreamRecord } from '../stream/stream-record.ts';

/** A table `items (id primary key, owner, note)`. */
export const ITEMS: Relation = {
  oid: 100,
  schema: 'public',
  name: 'items',
  replicaIdentity: 'f',
  columns: ['id', 'owner', 'note'].map((name) => ({ name, typeOid: 25, typeMod: -1 })),
  keyColumns: [0],
};

export const ITEM_COLUMNS = ITEMS.columns.map((column) => column.name);

let created = 0;

/** A live shape on `items`. */
export function itemShape(definition: Partial<ShapeDefinition> = {}, record: Partial<ShapeRecord> = {}): ShapeRecord {
  const full: ShapeDefinition = {
    v: 1,
    oid: ITEMS.oid,
    schema: ITEMS.schema,
    table: ITEMS.name,
    keyColumns: ['id'],
    hasPrimaryKey: true,
    columns: ITEM_COLUMNS,
    allColumns: true,
    where: '',
    replica: 'default',
    log: 'full',
    ...definition,
  };
  created += 1;
  return {
    handle: `${created}-1`,
    digest: String(created),
    definition: full,
    fingerprint: {
      oid: full.oid,
      schema: full.schema,
      table: full.table,
      keyColumns: full.keyColumns,
      columnCount: ITEMS.columns.length,
      columns: full.columns.map((name) => [name, 25, -1] as const),
    },
    state: 'live',
    regLsn: 0n as Lsn,
    chunkBytes: 10_485_760,
    logFormat: 1,
    snapshot: { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as Lsn },
    ...record,
  };
}

export interface Transaction {
  readonly lsn: Lsn;
  readonly xid: bigint;
  readonly changes: readonly Change[];
}

/** Packs transactions into records: `cuts` says, change by change, whether a record ends after it. */
export function pack(transactions: readonly Transaction[], cuts: readonly boolean[], firstSeq = 1): StreamRecord[] {
  const records: StreamRecord[] = [];
  let parts: TransactionPart[] = [];
  let prev: Position = POSITION_ZERO;
  let at: Position = POSITION_ZERO;
  let index = 0;
  const close = () => {
    if (parts.length === 0) return;
    const seq = firstSeq + records.length;
    const changes = parts.reduce((sum, part) => sum + part.changes.length, 0);
    const record = {
      kind: 'data' as const,
      incarnation: 1,
      epoch: 1,
      prev: { position: prev, progressLsn: 0n as Lsn },
      parts,
    };
    records.push({ seq, firstSeq: seq, record, bytes: 100 * changes, changes, publishedMs: 0 });
    parts = [];
    prev = at;
  };
  for (const { lsn, xid, changes } of transactions) {
    let from = 0;
    const part = (to: number): TransactionPart => ({
      lsn,
      endLsn: (lsn + 1n) as Lsn,
      xid,
      commitTimeUs: 0n,
      begin: from === 0,
      commit: to === changes.length,
      changes: changes.slice(from, to),
    });
    for (let i = 1; i <= changes.length; i += 1) {
      at = { lsn, op: (changes[i - 1] as Change).op };
      const cut = cuts[index % Math.max(1, cuts.length)] ?? false;
      index += 1;
      if (!cut && i < changes.length) continue;
      parts.push(part(i));
      from = i;
      if (cut) close();
    }
  }
  close();
  return records;
}
