import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { judgeStore, StoreCheck } from './store-check.ts';

const own = { installation: 'ours', homes: ['here'] };

test('a store is ours when its mark is that of the installation, and the routers reach it', () => {
  expect(judgeStore({ installation: 'ours', store: 'here' }, own)).toBe('ours');
  expect(judgeStore({ installation: 'theirs', store: 'here' }, own)).toBe('foreign');
  expect(judgeStore({ installation: 'ours', store: 'there' }, own)).toBe('strange');
  expect(judgeStore(undefined, own)).toBe('strange');
  // While no router says which one it reaches, a mark that is lost, or not made yet, tells nothing.
  expect(judgeStore(undefined, { ...own, homes: [] })).toBe('ours');
  expect(judgeStore({ installation: 'ours', store: 'there' }, { ...own, homes: [] })).toBe('ours');
});

test('nothing is read before the first look, nothing of another installation ever, and our own once it is back', async () => {
  const store = openMemoryShapeStore(systemClock);
  const messaging = openMemoryMessaging(systemClock);
  await store.claimHome('source', { installation: 'theirs' });
  const shard = { source: 'source', incarnation: 1, shard: 0 };
  await store.acquire(shard, 'somebody');
  const check = new StoreCheck(
    { store, registries: messaging.registries, clock: systemClock, log: silentLogger },
    { source: 'source', homes: () => [], lookMs: 5, patienceMs: 5_000 },
  );
  const first = check.store.readMeta(shard);
  const stop = new AbortController();
  const running = check.run(stop.signal);
  await expect(first).rejects.toMatchObject({ code: 'NOT_READY' });
  await expect(check.store.readMeta(shard)).rejects.toThrow('another installation');
  const registry = await messaging.registries.open<{ readonly id: string }>('shapecast_installation');
  const { id } = (await registry.get('installation'))?.value as { readonly id: string };
  const seen = await store.claimHome('source', { installation: id });
  await store.claimHome('source', { installation: id, insteadOf: seen.kind === 'foreign' ? seen.beat : '' });
  await waitFor(() => check.refusal === undefined);
  expect(await check.store.readMeta(shard)).toMatchObject({ owner: 'somebody' });
  stop.abort();
  await running;
});
