import { expect, test } from 'vitest';
import type { MemoryTransaction } from './memory-database.ts';
import type { RelationInfo } from '@shapecast/shape';
import { describeChangeSource, type ItemChange } from '../contract/change-source.contract.ts';
import { RecordingHandler, run } from '../contract/recording-handler.contract.ts';
import { MemoryChangeSource } from './memory-change-source.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemorySourceDatabase } from './memory-source-database.ts';

const ITEMS = { schema: 'public', name: 'items', columns: ['id', 'value'], primaryKey: ['id'] };
const never = new AbortController().signal;

describeChangeSource('memory', async () => {
  const memory = new MemoryDatabase();
  const items = memory.createTable(ITEMS);
  const source = new MemoryChangeSource(memory);
  return {
    source,
    slot: source,
    database: new MemorySourceDatabase(memory),
    transaction: async (changes) => {
      memory.transaction((transaction) => changes.forEach((change) => apply(transaction, items, change)));
    },
    close: async () => {},
  };
});

function apply(transaction: MemoryTransaction, items: RelationInfo, change: ItemChange): void {
  switch (change.kind) {
    case 'insert':
      return transaction.insert(items, { id: change.id, value: change.value });
    case 'update':
      return transaction.update(items, { id: change.id }, { id: change.newId ?? change.id, value: change.value });
    case 'delete':
      return transaction.delete(items, { id: change.id });
    case 'truncate':
      return transaction.truncate(items);
  }
}

test('a broken connection ends the stream with an error and frees the lock', async () => {
  const source = new MemoryChangeSource(new MemoryDatabase());
  const first = await source.open(() => {}, never);
  const { done } = run(first, new RecordingHandler());
  source.disconnect();
  await expect(done).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  const second = await source.open(() => {}, never);
  expect(second.slot.created).toBe(false);
  await second.close();
});

test('rows are filtered with the predicate given', async () => {
  const memory = new MemoryDatabase();
  const items = memory.createTable(ITEMS);
  memory.transaction((transaction) => {
    transaction.insert(items, { id: '1', value: 'a' });
    transaction.insert(items, { id: '2', value: 'b' });
  });
  const database = new MemorySourceDatabase(memory, { matches: (where, row) => where === `value = '${row['value']}'` });
  const rows: unknown[] = [];
  await database.snapshot(
    { schema: 'public', table: 'items', oid: items.oid, columns: ['id'], where: `value = 'b'`, rows: true },
    { onSnapshot: async () => 'use', onRows: async (batch) => void rows.push(...batch) },
    never,
  );
  expect(rows).toEqual([['2']]);
});
