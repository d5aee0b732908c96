import { BUCKETS, RotationJournal, usageKey, type UsageRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { describe, test } from 'vitest';
import { Harness } from './testing/harness.ts';
import { unreliableStore } from './testing/unreliable-store.ts';
import { endShapes } from './upkeep/end-shapes.ts';

const EXPIRED = { code: 'SHAPE_EXPIRED', message: 'Nobody read it.' };
const STEPS = ['journal', 'rotate', 'hint', 'all'] as const;

describe('the removal of a shape, by a process that ends after', () => {
  test.concurrent.for(STEPS)(
    'T26 step "%s" is completed by others, up to the last key and the published table',
    async (last, { expect, onTestFinished }) => {
      const store = openMemoryShapeStore(systemClock);
      const harness = new Harness({ shards: 1, store });
      onTestFinished(() => harness.close());
      await harness.open();
      const router = await harness.startRouter('one', { sweepIntervalMs: 30, sweepGraceMs: 200 });
      const shape = await harness.createShape();
      const stateOf = async () => (await store.readHead(shape.shard, shape.handle))?.state;
      await waitFor(async () => (await stateOf()) === 'live');
      const { registries, hints } = harness.messaging;
      const usages = await registries.open<UsageRecord>(BUCKETS.usages.name, BUCKETS.usages);
      const tables = async () => (await usages.get(usageKey(harness.source, 1, 0)))?.value.tables;
      await waitFor(async () => (await tables())?.length === 1);

      const journal = new RotationJournal({ registries, clock: systemClock, log: silentLogger }, harness.source);
      if (last === 'journal') await journal.record([[shape.handle, EXPIRED]]);
      else {
        const silent = { publish: () => {}, subscribe: () => () => {} };
        const dying = unreliableStore(store, (verb) => (last === 'rotate' && verb === 'rotate' ? 'after' : undefined));
        const deps = { store: dying, journal, hints: last === 'all' ? hints : silent, log: silentLogger };
        const ending = endShapes(deps, shape.shard, [shape.handle], EXPIRED);
        if (last === 'rotate') await expect(ending).rejects.toThrow('The connection was lost.');
        else expect(await ending).toBe(1);
      }
      // Its readers learn of it, the router goes on without it, the table may be unpublished, and its data goes.
      await waitFor(async () => ['dead', undefined].includes(await stateOf()));
      await waitFor(() => router.report()['shapes'] === 0);
      await waitFor(async () => (await tables())?.length === 0);
      await waitFor(async () => (await stateOf()) === undefined, { describe: () => 'the data is still there' });
      const next = await harness.createShape();
      expect(next.handle).not.toBe(shape.handle);
      await waitFor(async () => (await store.readHead(next.shard, next.handle))?.state === 'live');
    },
  );
});
