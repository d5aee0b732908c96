import { lowestDurableCursor } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness } from '../testing/harness.ts';
import { keepDurableCursor } from './durable-cursor.ts';

/** What the stream may be trimmed to. */
async function told({ messaging, source, shards }: Harness) {
  return (await lowestDurableCursor(messaging.registries, source, { incarnation: 1, shards })).cursor;
}

test('R 12.4.3 routers tell how far their shards have come for sure, and follow when they move', async () => {
  const harness = new Harness();
  try {
    await harness.open();
    await harness.startRouter('one', { worker: { lingerMs: 5, emptyLingerMs: 5 } });
    const { shard, handle } = await harness.createShape();
    await waitFor(async () => (await harness.store.readHead(shard, handle))?.state === 'live');
    const insert = async (id: number) => {
      const lsn = harness.commit((tx) => tx.insert(harness.items, { id: String(id), owner: 'a', note: null }));
      await harness.flush();
      return lsn;
    };
    for (const id of [1, 2]) {
      const lsn = await insert(id);
      const { lastSeq } = await harness.stream.info();
      await waitFor(async () => (await told(harness))?.seq === lastSeq);
      expect(await told(harness)).toMatchObject({ v: 1, lsn: String(lsn) });
    }
  } finally {
    await harness.close();
  }
});

test('the begin of a transaction that is applied half-way is kept', async () => {
  const harness = new Harness({ shards: 1 });
  try {
    await harness.open();
    const shard = { source: harness.source, incarnation: 1, shard: 0 };
    const meta = await harness.store.acquire(shard, 'before');
    const to = { seq: 9, position: { lsn: meta.watermark, op: 4 }, openTxSeq: 6 };
    await harness.store.append(shard, meta, { entries: [], transactions: [], to });
    const stop = new AbortController();
    const deps = { store: harness.store, registries: harness.messaging.registries };
    const parts = { clock: systemClock, log: silentLogger };
    const kept = keepDurableCursor({ ...deps, ...parts }, { id: shard, cursorSeq: () => 9 }, stop.signal);
    await waitFor(async () => (await told(harness))?.seq === 5);
    stop.abort();
    await kept;
  } finally {
    await harness.close();
  }
});

test('what a shard had some looks ago is told to be safe, also while it never stands still', async () => {
  const harness = new Harness({ shards: 1 });
  try {
    await harness.open();
    const shard = { source: harness.source, incarnation: 1, shard: 0 };
    const { cursor } = await harness.store.acquire(shard, 'before');
    let applied = 10;
    const store = {
      readMeta: () => harness.store.readMeta(shard),
      // As of a server that calls nothing safe that has just been written.
      durableCursor: async () => ({ ...cursor, seq: (applied += 10) - 15 }),
    };
    const told: number[] = [];
    const stop = new AbortController();
    const parts = { store, registries: harness.messaging.registries, clock: systemClock, log: silentLogger };
    const onSafe = (seq: number) => told.push(seq);
    const kept = keepDurableCursor(parts, { id: shard, cursorSeq: () => applied, onSafe }, stop.signal);
    await waitFor(() => told.length >= 2);
    stop.abort();
    await kept;
    expect(told).toEqual([...told].sort((a, b) => a - b));
  } finally {
    await harness.close();
  }
});
