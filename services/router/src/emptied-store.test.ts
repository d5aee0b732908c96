import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

test('a shape that comes while an emptied shard is taken back becomes live', async () => {
  let inner = openMemoryShapeStore(systemClock);
  let comesInBetween: (() => Promise<unknown>) | undefined;
  let acquired = false;
  const store = new Proxy(inner, {
    get(_target, name: keyof ShapeStore) {
      return async (...args: unknown[]) => {
        if (name === 'acquire') acquired = true;
        if (name === 'append' && acquired) {
          const comes = comesInBetween;
          comesInBetween = undefined;
          await comes?.();
        }
        return (inner[name] as (...args: unknown[]) => unknown).apply(inner, args);
      };
    },
  });
  const harness = new Harness({ shards: 1, store });
  try {
    await harness.open();
    await harness.startRouter('one');
    const shape = await harness.createShape();
    const state = async ({ shard, handle }: typeof shape) => (await store.readHead(shard, handle))?.state;
    await waitFor(async () => (await state(shape)) === 'live');

    // The owner takes the shard, then moves its cursor to where the stream is; the shape gets in between.
    let again: typeof shape | undefined;
    acquired = false;
    comesInBetween = async () => (again = await harness.createShape());
    inner = openMemoryShapeStore(systemClock);

    await waitFor(async () => again && (await state(again)) === 'live');
    harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: null }));
    await harness.flush();
    await waitFor(async () => again && (await readShape(store, again)).rows.size === 1);
    expect(await state(shape)).toBeUndefined();
  } finally {
    await harness.close();
  }
});
