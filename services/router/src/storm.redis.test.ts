import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { sharedRedisUrl, waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

const parts = { clock: systemClock, log: silentLogger };
const TRANSACTIONS = 20;
const SHAPES = 20;

test.each([1, 32])(
  'F134 %i clients that make one shape after the other hold up no change, nor are they held up',
  async (clients) => {
    const harness = new Harness({ shards: 1, store: openRedisShapeStore({ url: sharedRedisUrl() }, parts) });
    let storming = true;
    let made = 0;
    let makers: readonly Promise<void>[] = [];
    try {
      await harness.open();
      await harness.startRouter('one', { worker: { lingerMs: 5 } });
      const shape = await harness.createShape();
      await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'live');
      makers = Array.from({ length: clients }, async (_, client) => {
        for (let n = 0; storming; n += 1) {
          await harness.createShape({ where: `owner = '${client}/${n}'` });
          made += 1;
        }
      });
      let id = 0;
      // The next one is written when the last one has arrived, so that each needs an append of its own.
      while (id < TRANSACTIONS) {
        id += 1;
        const lsn = harness.commit((tx) => tx.insert(harness.items, { id: String(id), owner: 'a', note: null }));
        await harness.flush();
        const hasArrived = async () => ((await harness.store.readMeta(shape.shard))?.visible.lsn ?? 0n) >= lsn;
        await waitFor(hasArrived, { intervalMs: 1, describe: () => `${id} transactions, ${made} shapes` });
      }
      await waitFor(() => made >= SHAPES);
      expect((await readShape(harness.store, shape)).rows.size).toBe(TRANSACTIONS);
    } finally {
      storming = false;
      await Promise.all(makers);
      await harness.close();
    }
  },
);
