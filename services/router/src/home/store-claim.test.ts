import { openMemoryMessaging, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { StoreClaim } from './store-claim.ts';

const SOURCE = 'source';
const SHARD = { source: SOURCE, incarnation: 1, shard: 0 };
const stop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of stop.splice(0).reverse()) await end();
});

function claim(store: ShapeStore, messaging: Messaging, options: { readonly abandonedMs?: number; others?: string[] }) {
  const abort = new AbortController();
  const started = new StoreClaim(
    { store, registries: messaging.registries, clock: systemClock, log: silentLogger },
    {
      source: SOURCE,
      others: async () => (options.others ?? []).map((home) => ({ home })),
      onChange: () => undefined,
      lookMs: 5,
      ...(options.abandonedMs === undefined ? {} : { abandonedMs: options.abandonedMs }),
    },
  );
  const running = started.run(abort.signal);
  const end = async () => {
    abort.abort();
    await running;
  };
  stop.push(end);
  return { claim: started, end };
}

const installation = async (messaging: Messaging) =>
  messaging.registries.open<{ readonly id: string }>('shapecast_installation');

describe('the store of an installation', () => {
  test('is claimed by the first, and shared by those of the same installation', async () => {
    const [store, messaging] = [openMemoryShapeStore(systemClock), openMemoryMessaging(systemClock)];
    const first = claim(store, messaging, {});
    await waitFor(() => first.claim.granted);
    const second = claim(store, messaging, { others: [first.claim.home as string] });
    await waitFor(() => second.claim.granted);
    expect(second.claim.home).toBe(first.claim.home);
  });

  test('is refused to another installation for as long as the first renews its mark', async () => {
    const store = openMemoryShapeStore(systemClock);
    const first = claim(store, openMemoryMessaging(systemClock), {});
    await waitFor(() => first.claim.granted);
    await store.acquire(SHARD, 'ours');
    // Many times as long as the first takes to renew it.
    const second = claim(store, openMemoryMessaging(systemClock), { abandonedMs: 300 });
    await waitFor(() => second.claim.refusal !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(second.claim.granted).toBe(false);
    expect(first.claim.granted).toBe(true);
    expect(await store.readMeta(SHARD)).toMatchObject({ owner: 'ours' });
  });

  test('passes on without its shapes once nobody renews the mark: it may be a copy, of another database', async () => {
    const store = openMemoryShapeStore(systemClock);
    const first = claim(store, openMemoryMessaging(systemClock), {});
    await waitFor(() => first.claim.granted);
    await store.acquire(SHARD, 'theirs');
    await first.end();
    const second = claim(store, openMemoryMessaging(systemClock), { abandonedMs: 50 });
    await waitFor(() => second.claim.granted);
    expect(await store.readMeta(SHARD)).toBeUndefined();
  });

  test('stays ours when NATS loses everything: those that live put the id of the installation back', async () => {
    const [store, messaging] = [openMemoryShapeStore(systemClock), openMemoryMessaging(systemClock)];
    const first = claim(store, messaging, {});
    await waitFor(() => first.claim.granted);
    const registry = await installation(messaging);
    const before = (await registry.get('installation'))?.value.id;
    await registry.delete('installation');
    const after = await waitFor(async () => (await registry.get('installation'))?.value.id);
    expect(after).toBe(before);
    expect(first.claim.granted).toBe(true);
  });

  test('a router that reaches another store than the others has nothing to say, until it reaches theirs', async () => {
    const [store, messaging] = [openMemoryShapeStore(systemClock), openMemoryMessaging(systemClock)];
    const others = ['another one'];
    const { claim: late } = claim(store, messaging, { others });
    await waitFor(() => late.refusal !== undefined);
    expect([late.granted, late.home]).toEqual([false, undefined]);
    others.length = 0;
    await waitFor(() => late.granted);
    expect(late.refusal).toBeUndefined();
  });
});
