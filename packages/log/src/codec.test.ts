import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Relation } from './change.ts';
import { decodeRecord, encodeRecord, RecordDecoder } from './codec.ts';
import { lsn } from './lsn.ts';
import { anyDataRecord, anyRecord } from './record.arbitrary.ts';
import { chainAfter, type DataRecord } from './record.ts';

function relation(name: string): Relation {
  const columns = [
    { name: 'id', typeOid: 23, typeMod: -1 },
    { name: 'note', typeOid: 25, typeMod: -1 },
  ];
  return { oid: 16_384, schema: 'public', name, replicaIdentity: 'f', columns, keyColumns: [0] };
}

function insertInto(...relations: Relation[]): DataRecord {
  const changes = relations.map((of, i) => ({
    kind: 'insert' as const,
    op: 2 * i,
    relation: of,
    new: [String(i), null],
  }));
  const prev = { position: { lsn: lsn(1n), op: 0 }, progressLsn: lsn(1n) };
  const part = { lsn: lsn(5n), endLsn: lsn(6n), xid: 7n, commitTimeUs: 8n, begin: true, commit: true, changes };
  return { kind: 'data', incarnation: 1, epoch: 1, prev, parts: [part] };
}

function relationsOf(record: ReturnType<typeof decodeRecord>): Relation[] {
  return record.kind === 'data' ? record.parts.flatMap((part) => part.changes.map((change) => change.relation)) : [];
}

describe('record codec', () => {
  test('every record survives encoding', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(decodeRecord(encodeRecord(record))).toEqual(record);
      }),
    );
  });

  test('a decoder that has seen other records decodes the same', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 5 }), (records) => {
        const decoder = new RecordDecoder({ maxRelations: 2 });
        for (const record of records) expect(decoder.decode(encodeRecord(record))).toEqual(record);
      }),
    );
  });

  test('64-bit values keep every bit', () => {
    const top = (1n << 64n) - 1n;
    const record = insertInto(relation('items'));
    const parts = record.parts.map((part) => ({ ...part, lsn: lsn(top - 2n), endLsn: lsn(top), xid: top - 1n }));
    expect(decodeRecord(encodeRecord({ ...record, parts }))).toEqual({ ...record, parts });
  });

  test('an update carries only the old cells that differ', () => {
    const row = ['1', 'same '.repeat(100)];
    const items = relation('items');
    const change = { kind: 'update', op: 0, relation: items, new: row, old: row.with(0, '0'), changed: [0] } as const;
    const record = insertInto(items);
    const encoded = encodeRecord({ ...record, parts: record.parts.map((part) => ({ ...part, changes: [change] })) });
    expect(Buffer.from(encoded).toString().split('same same').length - 1).toBe(50);
    const decoded = decodeRecord(encoded);
    expect(decoded.kind === 'data' && decoded.parts[0]?.changes[0]).toEqual(change);
  });

  test('changes of one table share one relation object, in a record and across records', () => {
    const decoder = new RecordDecoder();
    const first = relationsOf(decoder.decode(encodeRecord(insertInto(relation('a'), relation('a'), relation('b')))));
    const second = relationsOf(decoder.decode(encodeRecord(insertInto(relation('b'), relation('a')))));
    expect(first[0]).toBe(first[1]);
    expect(first[0]).not.toBe(first[2]);
    expect(second).toEqual([first[2], first[0]]);
    expect(second[0]).toBe(first[2]);
    expect(second[1]).toBe(first[0]);
  });

  test('a table whose definition changed is another relation object', () => {
    const decoder = new RecordDecoder();
    const renamed = { ...relation('a'), columns: [{ name: 'key', typeOid: 23, typeMod: -1 }] };
    const [before] = relationsOf(decoder.decode(encodeRecord(insertInto(relation('a')))));
    const [after] = relationsOf(decoder.decode(encodeRecord(insertInto(renamed))));
    expect(after).toEqual(renamed);
    expect(after).not.toBe(before);
  });

  test('the memory of relations is bounded', () => {
    const decoder = new RecordDecoder({ maxRelations: 2 });
    const decode = (name: string) => relationsOf(decoder.decode(encodeRecord(insertInto(relation(name)))))[0];
    const first = decode('a');
    decode('b');
    expect(decode('a')).toBe(first);
    decode('c');
    decode('d');
    expect(decode('a')).not.toBe(first);
  });

  test.each([
    ['a newer version', { v: 2, kind: 'leader' }, /format 2 is in use for the transaction stream/],
    ['no version', { kind: 'leader' }, /format version none/],
    ['an unknown kind', { v: 1, kind: 'end', inc: 1, epoch: 1, prev: ['0', 0, '0'] }, /unknown kind "end"/],
  ])('refuses %s with a clear error', (_, wire, message) => {
    expect(() => decodeRecord(Buffer.from(JSON.stringify(wire)))).toThrow(message);
  });

  test('refuses damaged bytes with a clear error', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), (record, at) => {
        const encoded = encodeRecord(record);
        expect(() => decodeRecord(encoded.subarray(0, at % encoded.length))).toThrow(/tx-stream record/);
      }),
    );
  });

  test('refuses a change that names a relation the record does not carry', () => {
    const wire = { v: 1, kind: 'data', inc: 1, epoch: 1, prev: ['0', 0, '0'], rels: [] };
    const parts = [['5', '6', '7', '8', 3, [[0, 0, 0, ['1']]]]];
    expect(() => decodeRecord(Buffer.from(JSON.stringify({ ...wire, parts })))).toThrow('does not carry');
  });
});

describe('record chain', () => {
  test('leaders leave it, progress moves the LSN, data moves the position', () => {
    fc.assert(
      fc.property(anyDataRecord, (record) => {
        const header = { incarnation: record.incarnation, epoch: record.epoch, prev: record.prev };
        expect(chainAfter({ kind: 'leader', ...header, holder: 'a' })).toEqual(record.prev);
        expect(chainAfter({ kind: 'progress', ...header, lsn: lsn(9n), xmin: 1n })).toEqual({
          position: record.prev.position,
          progressLsn: 9n,
        });
        const last = record.parts.at(-1);
        const op = last?.changes.at(-1)?.op;
        const position = last && op !== undefined ? { lsn: last.lsn, op } : record.prev.position;
        expect(chainAfter(record)).toEqual({ position, progressLsn: record.prev.progressLsn });
      }),
    );
  });
});
