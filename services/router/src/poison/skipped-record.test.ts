import { BUCKETS, trialKey, type TrialRecord } from '@shapecast/messaging';
import { silentLogger, type Logger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';

test('F129 a record under suspicion is left out; the shapes of its tables end, and what comes after it goes on', async () => {
  const harness = new Harness({ shards: 1 });
  onTestFinished(() => harness.close());
  await harness.open();
  const others = harness.memory.createTable({ schema: 'public', name: 'others', columns: ['id'], primaryKey: ['id'] });
  const first = await harness.startRouter('one', { worker: { lingerMs: 5 } });
  const [shape, elsewhere] = [await harness.createShape(), await harness.createShape({}, others)];
  const state = async ({ shard, handle }: PlacedShape) => (await harness.store.readHead(shard, handle))?.state;
  await waitFor(async () => (await state(shape)) === 'live' && (await state(elsewhere)) === 'live');
  harness.commit((tx) => tx.insert(harness.items, { id: '0', owner: 'a', note: null }));
  await harness.flush();
  await waitFor(async () => (await readShape(harness.store, shape)).rows.size === 1);
  await first.stop();

  // Two owners have died here while they tried the next record, and a third one did not release the shard.
  const { cursor } = await harness.store.acquire(shape.shard, 'somebody who dies');
  const trials = await harness.messaging.registries.open<TrialRecord>(BUCKETS.trials.name);
  await trials.put(trialKey(harness.source, 1, 0), { v: 1, seq: cursor.seq, ends: 2, trying: true });
  harness.commit((tx) => {
    tx.insert(harness.items, { id: '1', owner: 'a', note: 'poison' });
    tx.insert(harness.items, { id: '2', owner: 'a', note: null });
  });
  harness.commit((tx) => tx.insert(others, { id: '1' }));
  // The first record holds the first row only, in the middle of its transaction.
  await harness.flush(1);
  const events: object[] = [];
  const log: Logger = { ...silentLogger, error: (fields) => void events.push(fields), child: () => log };
  await harness.startRouter('two', { worker: { lingerMs: 5 } }, { log });

  await waitFor(async () => (await readShape(harness.store, elsewhere)).rows.size === 1);
  expect(await state(shape)).toBe('dead');
  expect(await state(elsewhere)).toBe('live');
  expect(events).toContainEqual({ event: 'record_skipped', shard: 0, seq: cursor.seq + 1, shapes: 1 });
  expect(await trials.get(trialKey(harness.source, 1, 0))).toBeUndefined();
  const again = await harness.createShape();
  await waitFor(async () => (await state(again)) === 'live');
  expect((await readShape(harness.store, again)).rows.size).toBe(3);
});
