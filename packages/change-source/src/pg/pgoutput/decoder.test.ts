import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cell, Change, Lsn } from '@shapecast/log';
import { PgoutputDecoder, type DescribedRelation } from './decoder.ts';
import { encode, UNCHANGED } from './encode-message.ts';

const OID = 16_400;
const LSN = 0xffff_ffff_0000_00ffn as Lsn;

function columns(count: number) {
  return Array.from({ length: count }, (_, index) => ({ name: `c${index}`, typeOid: 25, typeMod: -1 }));
}

/** A decoder that knows a relation with `count` columns, inside a transaction. */
function open(count: number, maxRowBytes = 1_000_000) {
  const changes: Change[] = [];
  const begins: unknown[] = [];
  const commits: unknown[] = [];
  const relations: DescribedRelation[] = [];
  const unknown: string[] = [];
  const unusable: string[] = [];
  const decoder = new PgoutputDecoder(
    {
      begin: (...args) => begins.push(args),
      relation: (relation) => relations.push(relation),
      change: (change) => changes.push(change),
      commit: (...args) => commits.push(args),
    },
    { maxRowBytes, onUnknownKind: (kind) => unknown.push(kind), onUnusable: (reason) => unusable.push(reason) },
  );
  decoder.decode(encode.begin(LSN, 0n, 7));
  decoder.decode(encode.relation(OID, 'public', 'items', 'f', columns(count)));
  return { decoder, changes, begins, commits, relations, unknown, unusable };
}

const cells = (count: number) =>
  fc.array(
    fc.oneof(
      fc.constant(null),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ maxLength: 400 }),
      fc.constant('é'),
    ),
    { minLength: count, maxLength: count },
  );

describe('PgoutputDecoder', () => {
  test('reads every text as it was sent, whatever its alphabet and length', () => {
    fc.assert(
      fc.property(cells(4), cells(4), (old, row) => {
        const { decoder, changes } = open(4);
        decoder.decode(encode.insert(OID, row));
        decoder.decode(encode.update(OID, { kind: 'O', cells: old }, row));
        decoder.decode(encode.delete(OID, { kind: 'O', cells: old }));
        const changed = row.flatMap((cell, index) => (cell === old[index] ? [] : [index]));
        expect(changes).toMatchObject([
          { kind: 'insert', op: 0, new: row },
          { kind: 'update', op: 2, new: row, old, changed },
          { kind: 'delete', op: 4, old },
        ]);
      }),
    );
  });

  test('does not keep hold of the bytes it was given', () => {
    const { decoder, changes } = open(1);
    const message = encode.insert(OID, ['before']);
    decoder.decode(message);
    message.fill(0x78);
    expect(changes).toMatchObject([{ new: ['before'] }]);
  });

  test('reads 64-bit positions, and times from the epoch of Postgres', () => {
    const { decoder, begins, commits } = open(1);
    decoder.decode(encode.begin(LSN, 1_234_567_890_123_456n, 0xffff_fffe));
    decoder.decode(encode.commit(LSN, (LSN + 48n) as Lsn));
    expect(begins[1]).toEqual([LSN, 1_234_567_890_123_456n, 0xffff_fffe]);
    expect(commits).toEqual([[LSN, LSN + 48n]]);
  });

  test('describes relations; an empty namespace is pg_catalog', () => {
    const { decoder, relations } = open(1);
    decoder.decode(encode.relation(9, '', 'Ärger', 'd', [{ name: 'n', typeOid: 1700, typeMod: 655366 }]));
    expect(relations).toMatchObject([
      { oid: OID, schema: 'public', name: 'items', replicaIdentity: 'f', columns: [{ typeMod: -1 }] },
      {
        oid: 9,
        schema: 'pg_catalog',
        name: 'Ärger',
        replicaIdentity: 'd',
        columns: [{ typeOid: 1700, typeMod: 655366 }],
      },
    ]);
  });

  test('fills in TOAST values that were not sent from the old row', () => {
    const { decoder, changes } = open(3);
    const old: Cell[] = ['1', 'large', 'a'];
    decoder.decode(encode.update(OID, { kind: 'O', cells: old }, ['1', UNCHANGED, 'b']));
    expect(changes).toMatchObject([{ kind: 'update', new: ['1', 'large', 'b'], old, changed: [2] }]);
  });

  test('calls a change without a full old row unusable, and goes on', () => {
    const { decoder, changes, unusable } = open(2);
    decoder.decode(encode.update(OID, undefined, ['1', UNCHANGED]));
    decoder.decode(encode.update(OID, { kind: 'K', cells: ['1', null] }, ['2', 'b']));
    decoder.decode(encode.delete(OID, { kind: 'K', cells: ['1', null] }));
    decoder.decode(encode.insert(OID, ['3', 'c']));
    expect(changes.map((change) => [change.kind, change.op])).toEqual([
      ['unusable', 0],
      ['unusable', 2],
      ['unusable', 4],
      ['insert', 6],
    ]);
    expect(changes[0]).toMatchObject({ reason: 'no_old_row' });
    expect(unusable).toEqual(['no_old_row', 'no_old_row', 'no_old_row']);
  });

  test('names a row that is too large without reading it, and goes on', () => {
    const { decoder, changes, unusable } = open(1, 100);
    decoder.decode(encode.insert(OID, ['x'.repeat(200)]));
    decoder.decode(encode.insert(OID, ['y']));
    expect(changes).toMatchObject([
      { kind: 'unusable', reason: 'oversize', op: 0 },
      { kind: 'insert', op: 2 },
    ]);
    expect(unusable).toEqual(['oversize']);
  });

  test('counts each truncated relation as a change and passes over unknown ones', () => {
    const { decoder, changes } = open(1);
    decoder.decode(encode.relation(9, 'public', 'others', 'f', columns(1)));
    decoder.decode(encode.truncate([OID, 12_345, 9]));
    expect(changes.map((change) => [change.kind, change.op, change.relation.oid])).toEqual([
      ['truncate', 0, OID],
      ['truncate', 2, 9],
    ]);
  });

  test('numbers operations anew in each transaction', () => {
    const { decoder, changes } = open(1);
    decoder.decode(encode.insert(OID, ['1']));
    decoder.decode(encode.begin(LSN, 0n, 8));
    decoder.decode(encode.insert(OID, ['2']));
    expect(changes.map((change) => change.op)).toEqual([0, 0]);
  });

  test('maps cells by the relation as described last, also in the middle of a transaction', () => {
    const { decoder, changes } = open(1);
    decoder.decode(encode.insert(OID, ['1']));
    decoder.decode(encode.relation(OID, 'public', 'items', 'f', columns(2)));
    decoder.decode(encode.insert(OID, ['1', '2']));
    expect(changes.map((change) => change.relation.columns.length)).toEqual([1, 2]);
  });

  test('passes over messages it does not use, and reports unknown kinds once', () => {
    const { decoder, changes, unknown } = open(1);
    for (const kind of ['M', 'O', 'Y', '?', '?', '!']) decoder.decode(Buffer.from(`${kind}rest`));
    expect(unknown).toEqual(['?', '!']);
    expect(changes).toEqual([]);
  });

  test('refuses what cannot be decoded', () => {
    const { decoder } = open(1);
    expect(() => decoder.decode(encode.insert(1, ['1']))).toThrow(/never described/);
    expect(() => decoder.decode(encode.insert(OID, ['12345']).subarray(0, -2))).toThrow(/cut off/);
  });
});
