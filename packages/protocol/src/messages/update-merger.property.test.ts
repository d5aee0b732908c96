import type { Lsn } from '@shapecast/log';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UpdateMerger } from './update-merger.ts';

const odd = fc.constantFrom(
  'a',
  'b',
  '1',
  '__proto__',
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'ü€😀',
  '\u0000',
  '',
);
const cell = fc.oneof(odd, fc.constant(null), fc.string({ unit: 'binary', maxLength: 5 }));
const name = fc.oneof(odd, fc.string({ unit: 'binary', maxLength: 4 }));

/** A row as its columns in order: an object would treat some names as special. */
type Row = readonly (readonly [name: string, value: string | null])[];

interface Change {
  readonly operation: 'insert' | 'update' | 'delete';
  readonly key: string;
  readonly value: Row;
  readonly old?: Row;
}

function object(row: Row): string {
  return `{${row.map(([column, value]) => `${JSON.stringify(column)}:${JSON.stringify(value)}`).join(',')}}`;
}

function encode({ operation, key, value, old }: Change, lsn: number): string {
  const before = old ? `,"old_value":${object(old)}` : '';
  const headers = `"operation":"${operation}","relation":["pub\\"lic","items"],"txids":[7],"lsn":"${lsn}","op_position":0,"last":true`;
  return `{"key":${JSON.stringify(key)},"value":${object(value)}${before},"headers":{${headers}}}`;
}

function merge(texts: readonly string[], from = 0) {
  const merger = new UpdateMerger();
  for (const [i, text] of texts.entries()) {
    const position = { lsn: BigInt(from + i + 1) as Lsn, op: 0 };
    merger.add({ position, bytes: Buffer.from(text), merged: 1 });
  }
  return [...merger.entries()].map(({ position, bytes, merged }) => ({
    lsn: Number(position.lsn),
    text: Buffer.from(bytes).toString(),
    merged,
  }));
}

/** A history that a table can have: inserts of what is absent, updates of some columns and deletes of what is there. */
function history(columns: readonly string[], keys: number, full: boolean) {
  const step = fc.record({
    key: fc.nat(keys - 1),
    kind: fc.constantFrom('update', 'update', 'update', 'update', 'other'),
    cells: fc.array(cell, { minLength: columns.length, maxLength: columns.length }),
    changed: fc.array(fc.boolean(), { minLength: columns.length, maxLength: columns.length }),
  });
  return fc.array(step, { maxLength: 60 }).map((steps) => {
    const rows = new Map<string, Map<string, string | null>>();
    return steps.map(({ key: n, kind, cells, changed }): Change => {
      const key = `"t"/"${n}"`;
      const row = rows.get(key);
      if (row === undefined) {
        const value = columns.map((column, i) => [column, cells[i] as string | null] as const);
        rows.set(key, new Map(value));
        return { operation: 'insert', key, value };
      }
      if (kind === 'other') {
        rows.delete(key);
        return { operation: 'delete', key, value: full ? [...row] : [] };
      }
      const some = columns.filter((_, i) => changed[i]);
      const old = some.map((column) => [column, row.get(column) as string | null] as const);
      for (const [i, column] of columns.entries()) if (changed[i]) row.set(column, cells[i] as string | null);
      const value = (full ? columns : some).map((column) => [column, row.get(column) as string | null] as const);
      return { operation: 'update', key, value, ...(full ? { old } : {}) };
    });
  });
}

const histories = fc
  .record({
    columns: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
    keys: fc.integer({ min: 1, max: 4 }),
    full: fc.boolean(),
  })
  .chain(({ columns, keys, full }) => history(columns, keys, full));

/** Reads one of our own objects back, keeping every name apart. */
function columnsOf(json: string): Map<string, string> {
  const members = new Map<string, string>();
  for (const [, column, value] of json.slice(1, -1).matchAll(/("(?:[^"\\]|\\.)*"):("(?:[^"\\]|\\.)*"|null)/gs)) {
    members.set(column as string, value as string);
  }
  return members;
}

function partsOf(text: string) {
  const match =
    /^\{"key":("(?:[^"\\]|\\.)*"),"value":(\{.*?\}),(?:"old_value":(\{.*\}),)?"headers":(\{[^{}]*\})\}$/s.exec(text);
  const body = text.slice(text.indexOf(',"value":') + 9, text.lastIndexOf(',"headers":'));
  const at = body.lastIndexOf(',"old_value":');
  return {
    key: match?.[1] as string,
    value: columnsOf(at < 0 ? body : body.slice(0, at)),
    old: at < 0 ? undefined : columnsOf(body.slice(at + 13)),
    headers: text.slice(text.lastIndexOf(',"headers":') + 11, -1),
  };
}

/** A client's copy of the rows. */
function apply(rows: Map<string, Map<string, string>>, texts: readonly string[]): Map<string, Map<string, string>> {
  for (const text of texts) {
    const { key, value, headers } = partsOf(text);
    if (headers.includes('"operation":"delete"')) rows.delete(key);
    else if (headers.includes('"operation":"insert"')) rows.set(key, new Map(value));
    else rows.set(key, new Map([...(rows.get(key) ?? []), ...value]));
  }
  return rows;
}

function sorted(rows: Map<string, Map<string, string>>): unknown {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, row]) => [key, [...row].toSorted()]);
}

describe('UpdateMerger', () => {
  test('whoever has read up to any place ends with the same rows', () => {
    fc.assert(
      fc.property(histories, (changes) => {
        const texts = changes.map((change, i) => encode(change, i + 1));
        const merged = merge(texts);
        const expected = sorted(apply(new Map(), texts));
        for (let read = 0; read <= texts.length; read += 1) {
          const rows = apply(new Map(), texts.slice(0, read));
          const rest = merged.filter(({ lsn }) => lsn > read).map(({ text }) => text);
          expect(sorted(apply(rows, rest))).toEqual(expected);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('merging in two goes is merging in one', () => {
    fc.assert(
      fc.property(histories, fc.nat(60), (changes, cut) => {
        const texts = changes.map((change, i) => encode(change, i + 1));
        const once = merge(texts);
        const merger = new UpdateMerger();
        for (const { lsn, text, merged } of merge(texts.slice(0, cut))) {
          merger.add({ position: { lsn: BigInt(lsn) as Lsn, op: 0 }, bytes: Buffer.from(text), merged });
        }
        for (const [i, text] of texts.slice(cut).entries()) {
          merger.add({ position: { lsn: BigInt(cut + i + 1) as Lsn, op: 0 }, bytes: Buffer.from(text), merged: 1 });
        }
        const twice = [...merger.entries()];
        expect(twice.map(({ position }) => Number(position.lsn))).toEqual(once.map(({ lsn }) => lsn));
        expect(twice.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(once.map(({ text }) => text));
        expect(twice.map(({ merged }) => merged)).toEqual(once.map(({ merged }) => merged));
      }),
      { numRuns: 300 },
    );
  });

  test('inserts and deletes stay, consecutive updates of a key become one at the place of the last', () => {
    fc.assert(
      fc.property(histories, (changes) => {
        const merged = merge(changes.map((change, i) => encode(change, i + 1)));
        const kept = new Set(merged.map(({ lsn }) => lsn));
        for (const [i, { operation, key }] of changes.entries()) {
          const next = changes.slice(i + 1).find((later) => later.key === key);
          const superseded = operation === 'update' && next?.operation === 'update';
          expect([i, kept.has(i + 1)]).toEqual([i, !superseded]);
        }
        expect(merged.reduce((sum, one) => sum + one.merged, 0)).toBe(changes.length);
        expect(merged.map(({ lsn }) => lsn)).toEqual(merged.map(({ lsn }) => lsn).toSorted((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  test('of the old values the oldest win, of the new ones the newest', () => {
    const update = (value: Row, old: Row): Change => ({ operation: 'update', key: 'k', value, old });
    const [merged] = merge([
      encode(
        update(
          [
            ['a', '2'],
            ['b', '1'],
            ['c', null],
          ],
          [['a', '1']],
        ),
        1,
      ),
      encode(
        update(
          [
            ['a', '3'],
            ['b', '2'],
            ['c', null],
          ],
          [
            ['a', '2'],
            ['b', '1'],
          ],
        ),
        2,
      ),
    ]);
    expect(merged).toEqual({
      lsn: 2,
      merged: 2,
      text: '{"key":"k","value":{"a":"3","b":"2","c":null},"old_value":{"a":"1","b":"1"},"headers":{"operation":"update","relation":["pub\\"lic","items"]}}',
    });
  });

  test('headers are reduced to operation and relation, and what is no change of a row is left alone', () => {
    const control = '{"headers":{"control":"snapshot-end","xmin":"1"}}';
    const insert = encode({ operation: 'insert', key: 'k', value: [['a', '1']] }, 1);
    const keyChange = insert.replace(',"last":true', ',"key_change_from":"x","last":true');
    const headers = '"headers":{"operation":"insert","relation":["pub\\"lic","items"]}}';
    expect(merge([insert, control, keyChange]).map(({ text }) => text)).toEqual([
      `{"key":"k","value":{"a":"1"},${headers}`,
      control,
      `{"key":"k","value":{"a":"1"},${headers}`,
    ]);
  });

  test('no update stands for more than 65,535', () => {
    const merger = new UpdateMerger();
    const bytes = Buffer.from(encode({ operation: 'update', key: 'k', value: [['a', '1']] }, 1));
    for (const [i, merged] of [40_000, 25_535, 1, 65_534, 1].entries()) {
      merger.add({ position: { lsn: BigInt(i + 1) as Lsn, op: 0 }, bytes, merged });
    }
    expect([...merger.entries()].map(({ position, merged }) => [Number(position.lsn), merged])).toEqual([
      [2, 65_535],
      [4, 65_535],
      [5, 1],
    ]);
  });
});
