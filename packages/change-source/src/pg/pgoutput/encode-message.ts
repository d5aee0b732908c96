import type { Cell, Lsn, RelationColumn } from '@shapecast/log';

/** Cell of a tuple in a message under test: text, NULL, or a TOAST value that was not sent. */
export type SentCell = Cell | typeof UNCHANGED;
export const UNCHANGED = Symbol('unchanged TOAST');

/** Builds pgoutput messages for tests and benchmarks (Postgres manual, "Logical Replication Message Formats"). */
export const encode = {
  begin: (lsn: Lsn, commitTimeUs: bigint, xid: number) =>
    Buffer.concat([text('B'), u64(lsn), u64(commitTimeUs - 946_684_800_000_000n), u32(xid)]),
  commit: (lsn: Lsn, endLsn: Lsn) => Buffer.concat([text('C'), Buffer.from([0]), u64(lsn), u64(endLsn), u64(0n)]),
  relation: (oid: number, schema: string, name: string, identity: string, columns: readonly RelationColumn[]) =>
    Buffer.concat([
      text('R'),
      u32(oid),
      text(`${schema}\0${name}\0${identity}`),
      u16(columns.length),
      ...columns.flatMap(({ name: column, typeOid, typeMod }) => [
        Buffer.from([1]),
        text(`${column}\0`),
        u32(typeOid),
        u32(typeMod >>> 0),
      ]),
    ]),
  insert: (oid: number, cells: readonly SentCell[]) => Buffer.concat([text('I'), u32(oid), text('N'), tuple(cells)]),
  update: (oid: number, old: OldTuple | undefined, cells: readonly SentCell[]) =>
    Buffer.concat([text('U'), u32(oid), ...oldTuple(old), text('N'), tuple(cells)]),
  delete: (oid: number, old: OldTuple) => Buffer.concat([text('D'), u32(oid), ...oldTuple(old)]),
  truncate: (oids: readonly number[]) =>
    Buffer.concat([text('T'), u32(oids.length), Buffer.from([3]), ...oids.map((oid) => u32(oid))]),
};

export interface OldTuple {
  /** K: key columns only; O: all. */
  readonly kind: 'K' | 'O';
  readonly cells: readonly SentCell[];
}

function oldTuple(old: OldTuple | undefined): Buffer[] {
  return old ? [text(old.kind), tuple(old.cells)] : [];
}

function tuple(cells: readonly SentCell[]): Buffer {
  return Buffer.concat([
    u16(cells.length),
    ...cells.flatMap((cell) => {
      if (cell === null) return [text('n')];
      if (cell === UNCHANGED) return [text('u')];
      const bytes = Buffer.from(cell);
      return [text('t'), u32(bytes.length), bytes];
    }),
  ]);
}

function text(value: string): Buffer {
  return Buffer.from(value);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
}
