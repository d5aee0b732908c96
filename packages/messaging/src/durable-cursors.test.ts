import { systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { DurableCursorNote, lowestDurableCursor, type DurableRecord } from './durable-cursors.ts';
import { openMemoryMessaging } from './memory/open-memory-messaging.ts';

const place = (shard: number) => ({ source: 'a', incarnation: 2, shard });
const at = (seq: number): DurableRecord => ({ v: 1, seq, lsn: String(seq * 10), at: 0 });

async function claimed(registries: ReturnType<typeof openMemoryMessaging>['registries'], shard: number, seq: number) {
  const note = new DurableCursorNote(registries, place(shard));
  return { note, ahead: await note.claim(at(seq)) };
}

test('R 12.4.3 the stream may go up to the shard that is behind, once all have told', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const lowest = () => lowestDurableCursor(registries, 'a', { incarnation: 2, shards: 3 });
  const [first, second, third] = await Promise.all([0, 1, 2].map((shard) => claimed(registries, shard, 9)));
  await first!.note.note(at(7));
  await second!.note.note(at(5));
  expect(await lowest()).toEqual({ shard: 2, cursor: undefined });
  await third!.note.note(at(6));
  expect(await lowest()).toEqual({ shard: 1, cursor: at(5) });
  await second!.note.note(at(8));
  expect(await lowest()).toEqual({ shard: 2, cursor: at(6) });
  expect((await lowestDurableCursor(registries, 'a', { incarnation: 1, shards: 1 })).cursor).toBeUndefined();
});

test('an owner that was replaced writes nothing any more', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const old = await claimed(registries, 0, 4);
  expect(await old.note.note(at(4))).toBe(true);
  const next = await claimed(registries, 0, 6);
  expect(next.ahead).toBeUndefined();
  expect(await old.note.note(at(9))).toBe(false);
  expect(await next.note.note(at(6))).toBe(true);
  expect((await lowestDurableCursor(registries, 'a', { incarnation: 2, shards: 1 })).cursor).toEqual(at(6));
});

test('of two that begin at once, one writes', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const both = await Promise.all([claimed(registries, 0, 1), claimed(registries, 0, 1)]);
  const written = [];
  for (const { note } of both) written.push(await note.note(at(1)));
  expect(written).toEqual([true, false]);
});

test('F141 a record ahead of the store is set back, and told of', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const old = await claimed(registries, 0, 4);
  await old.note.note(at(40));
  const next = await claimed(registries, 0, 12);
  expect(next.ahead).toEqual(at(40));
  expect((await lowestDurableCursor(registries, 'a', { incarnation: 2, shards: 1 })).cursor).toEqual(at(12));
  // One that is behind stays: what it says is sure, where the store stands is not.
  const third = await claimed(registries, 0, 50);
  expect(third.ahead).toBeUndefined();
  expect((await lowestDurableCursor(registries, 'a', { incarnation: 2, shards: 1 })).cursor).toEqual(at(12));
});
