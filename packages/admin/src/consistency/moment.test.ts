import type { SubsetMetadata } from '@shapecast/messaging';
import { describe, expect, test } from 'vitest';
import { momentOf } from './moment.ts';
import { Rows, type RowMessage } from './rows.ts';

const metadata = (more: Partial<SubsetMetadata> = {}): SubsetMetadata => ({
  ...{ xmin: '90', xmax: '100', xip_list: ['95'], database_lsn: '5000', snapshot_mark: 1 },
  ...more,
});

describe('what a snapshot shows', () => {
  test('is what had committed when it was taken', () => {
    const moment = momentOf(metadata());
    expect(moment.shows(94, 4_000n)).toBe(true);
    expect(moment.shows(99, 5_000n)).toBe(true);
    expect(moment.shows(95, 4_000n)).toBe(false);
    expect(moment.shows(100, 4_000n)).toBe(false);
    expect(moment.shows(94, 5_001n)).toBe(false);
    expect(moment.shows(undefined, 4_000n)).toBe(true);
    expect(moment.shows(undefined, undefined)).toBe(true);
  });

  test('is told by the low half of transaction ids, also where they have just gone round', () => {
    const round = 2n ** 32n;
    const moment = momentOf(
      metadata({ xmin: String(round - 3n), xmax: String(round + 2n), xip_list: [String(round)] }),
    );
    expect(moment.shows(Number(round - 4n), 1n)).toBe(true);
    expect(moment.shows(1, 1n)).toBe(true);
    expect(moment.shows(0, 1n)).toBe(false);
    expect(moment.shows(2, 1n)).toBe(false);
    // Of the round before: long gone, and no later one.
    expect(moment.shows(900_000_000, 1n)).toBe(true);
  });
});

describe('rows of a shape', () => {
  const message = (operation: 'insert' | 'update' | 'delete', key: string, value = {}): RowMessage => ({
    ...{ key, value },
    headers: { operation },
  });
  const rowsOf = (messages: readonly RowMessage[], distinct = true) => {
    const rows = new Rows(distinct);
    for (const one of messages) rows.apply(one);
    return rows;
  };

  test('are what inserts, partial updates and deletes leave', () => {
    const rows = rowsOf([
      message('insert', 'a', { id: '1', v: 'x', w: null }),
      message('insert', 'b', { id: '2', v: 'x', w: null }),
      message('update', 'a', { id: '1', v: 'y' }),
      message('delete', 'b', { id: '2' }),
      { headers: {} },
    ]);
    const truth = rowsOf([message('insert', 'a', { w: null, v: 'y', id: '1' })]);
    expect([...rows.differencesFrom(truth)]).toEqual([]);
    expect(rows.size).toBe(1);
  });

  test('differ by key, with the columns that are not the same', () => {
    const rows = rowsOf([message('insert', 'a', { id: '1', v: 'x' }), message('insert', 'c', { id: '3', v: 'x' })]);
    const truth = rowsOf([message('insert', 'a', { id: '1', v: null }), message('insert', 'b', { id: '2', v: 'x' })]);
    expect([...rows.differencesFrom(truth)]).toEqual([
      { key: 'a', kind: 'changed', columns: ['v'] },
      { key: 'b', kind: 'missing' },
      { key: 'c', kind: 'extra' },
    ]);
  });

  test('of a table without primary key are counted where they are the same', () => {
    const twice = [message('insert', 'a', { v: 'x' }), message('insert', 'a', { v: 'x' })];
    const once = rowsOf([...twice, message('delete', 'a')], false);
    expect(once.size).toBe(1);
    expect([...once.differencesFrom(rowsOf(twice.slice(1), false))]).toEqual([]);
    expect([...once.differencesFrom(rowsOf(twice, false))]).toEqual([{ key: 'a', kind: 'changed', columns: [] }]);
  });
});
