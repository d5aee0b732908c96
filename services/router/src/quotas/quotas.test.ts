import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RouterProcess, type RouterProcessOptions } from '../process/router-process.ts';
import type { RouterOptions } from '../router-options.ts';
import { Harness, type PlacedShape } from '../testing/harness.ts';

/** Nobody tells of the shapes that these tests make. */
const SOON = { worker: { metaPollMs: 20 } } as const;

async function harnessOf(options: ConstructorParameters<typeof Harness>[0] = {}): Promise<Harness> {
  const harness = new Harness(options);
  onTestFinished(() => harness.close());
  await harness.open();
  return harness;
}

async function started(options: Partial<RouterOptions> = {}) {
  const harness = await harnessOf();
  const router = await harness.startRouter('one', { ...SOON, ...options });
  await waitFor(() => router.report().ready);
  return { harness, router };
}

const headOf = (harness: Harness, { shard, handle }: PlacedShape) => harness.store.readHead(shard, handle);

async function live(harness: Harness, where: string): Promise<PlacedShape> {
  const shape = await harness.createShape({ where });
  await waitFor(async () => (await headOf(harness, shape))?.state === 'live');
  return shape;
}

async function refused(harness: Harness, where: string): Promise<string | undefined> {
  const shape = await harness.createShape({ where });
  return waitFor(async () => (await headOf(harness, shape))?.error?.code);
}

async function insert(harness: Harness, id: string, owner: string, bytes = 10): Promise<void> {
  harness.commit((tx) => tx.insert(harness.items, { id, owner, note: 'x'.repeat(bytes) }));
  await harness.flush();
}

describe('quotas of a source', () => {
  test('4.2 a source that is drained goes on with what there is and begins no shape; resumed, it does again', async () => {
    const { harness, router } = await started();
    const shape = await live(harness, `owner = 'a'`);
    router.adjust({ draining: true });
    expect(await refused(harness, `owner = 'b'`)).toBe('SOURCE_DRAINING');
    await insert(harness, '1', 'a');
    await waitFor(() => router.usage().counters?.entries === 1);
    expect((await headOf(harness, shape))?.state).toBe('live');
    router.adjust({ draining: false });
    await live(harness, `owner = 'c'`);
  });

  test('12.6.1 over its bytes in the store a source loses what was read longest ago, then begins nothing, and others nothing', async () => {
    const store = openMemoryShapeStore(systemClock);
    const messaging = openMemoryMessaging(systemClock);
    const harness = await harnessOf({ store, messaging });
    const other = await harnessOf({ store, messaging });
    const options = { ...SOON, upkeep: { redisQuotaMs: 20 }, quotas: { redisBytes: 60_000 } };
    const router = await harness.startRouter('one', options);
    const otherRouter = await other.startRouter('two', SOON);
    await waitFor(() => router.report().ready && otherRouter.report().ready);
    const [old, recent] = [await live(harness, `owner = 'a'`), await live(harness, `owner = 'b'`)];
    const untouched = await live(other, `owner = 'a'`);
    await store.recordReads(old.shard, [{ handle: old.handle, agoMs: 60_000, waiting: false }], 0);
    await store.recordReads(recent.shard, [{ handle: recent.handle, agoMs: 1_000, waiting: false }], 0);
    await insert(harness, '1', 'a', 20_000);
    await insert(harness, '2', 'b', 20_000);
    await waitFor(() => (router.usage().quotas?.['redisBytes']?.used ?? 0) > 50_000);
    expect((await headOf(harness, old))?.state).toBe('live');
    await insert(harness, '3', 'a', 20_000);
    await waitFor(async () => (await headOf(harness, old))?.state === 'dead');
    expect((await headOf(harness, old))?.error?.code).toBe('SHAPE_EXPIRED');
    expect((await headOf(harness, recent))?.state).toBe('live');
    // Until it has been looked again there is no room.
    await waitFor(async () => (await refusedOrLive(harness, `owner = 'c'`)) === 'live');
    // What nobody has read yet does not end, so that there is nothing left to make room with.
    await live(harness, `owner = 'd'`);
    await insert(harness, '4', 'd', 60_000);
    await waitFor(async () => (await headOf(harness, recent))?.state === 'dead');
    await waitFor(async () => (await refusedOrLive(harness, `id = '${Math.random()}'`)) === 'SOURCE_FULL');
    expect(router.usage().quotas?.['redisBytes']).toMatchObject({ limit: 60_000 });
    expect(router.usage().quotas?.['redisBytes']?.refused).toBeGreaterThanOrEqual(3);
    expect((await headOf(other, untouched))?.state).toBe('live');
    await live(other, `owner = 'b'`);
    // Raised, it counts with the next look.
    router.adjust({ redisBytes: 10_000_000 });
    await waitFor(async () => (await refusedOrLive(harness, `id = '${Math.random()}'`)) === 'live');
  });

  test('a snapshot may be as large as the limit says now, not as it was when one was refused', async () => {
    const { harness, router } = await started({ quotas: { snapshotBytes: 5_000 } });
    await insert(harness, '1', 'a', 10_000);
    expect(await refused(harness, `owner = 'a'`)).toBe('SNAPSHOT_TOO_LARGE');
    expect(await refused(harness, `owner = 'a'`)).toBe('SNAPSHOT_TOO_LARGE');
    expect(router.usage().quotas?.['snapshotBytes']).toMatchObject({ limit: 5_000, refused: 2 });
    router.adjust({ snapshotBytes: 50_000 });
    await live(harness, `owner = 'a'`);
    expect(router.usage().counters).toMatchObject({ snapshots: 1, snapshotRows: 1 });
    expect(router.usage().counters?.snapshotBytes).toBeGreaterThan(10_000);
  });

  test('clauses without an index are limited as the source says now', async () => {
    const { harness, router } = await started({ quotas: { unindexableClauses: 0 } });
    const scanned = `note like '%a%'`;
    const first = await live(harness, scanned);
    await insert(harness, '1', 'a');
    await waitFor(async () => (await headOf(harness, first))?.state === 'dead');
    expect((await headOf(harness, first))?.error?.code).toBe('SCAN_LIMIT_EXCEEDED');
    expect(router.usage().quotas?.['unindexableClauses']).toMatchObject({ limit: 0, refused: 1 });
    router.adjust({ unindexableClauses: 10 });
    const second = await live(harness, scanned);
    await insert(harness, '2', 'a');
    await live(harness, `note like '%b%'`);
    await insert(harness, '3', 'a');
    await waitFor(() => (router.usage().quotas?.['unindexableClauses']?.used ?? 0) === 2);
    expect((await headOf(harness, second))?.state).toBe('live');
  });

  test('4.10 what was done for the source is counted', async () => {
    const { harness, router } = await started();
    const shape = await live(harness, `owner = 'a'`);
    const before = router.usage();
    expect(before.counters).toMatchObject({ entries: 0, entryBytes: 0, snapshots: 1, rotations: 0 });
    expect(before.gauges).toMatchObject({ shapes: 1 });
    await insert(harness, '1', 'a', 1_000);
    await insert(harness, '2', 'b', 1_000);
    await waitFor(() => router.usage().counters?.entries === 1);
    expect(router.usage().counters?.entryBytes).toBeGreaterThan(1_000);
    harness.commit((tx) => tx.truncate(harness.items));
    await harness.flush();
    await waitFor(async () => (await headOf(harness, shape))?.state === 'dead');
    await waitFor(() => router.usage().counters?.rotations === 1 && router.usage().gauges?.shapes === 0);
  });
});

async function refusedOrLive(harness: Harness, where: string): Promise<string | undefined> {
  const shape = await harness.createShape({ where });
  return waitFor(async () => {
    const head = await headOf(harness, shape);
    return head?.state === 'live' ? 'live' : head?.error?.code;
  });
}

describe('sources that share a process', () => {
  async function shared(
    count: number,
    options: Partial<RouterProcessOptions> = {},
    router: Partial<RouterOptions> = {},
  ) {
    const store = openMemoryShapeStore(systemClock);
    const messaging = openMemoryMessaging(systemClock);
    const parts = { store, messaging, clock: systemClock, log: silentLogger };
    const process = new RouterProcess(parts, { id: 'one', heartbeatMs: 50, leaseMs: 500, ...options });
    process.start();
    onTestFinished(() => process.stop());
    const harnesses = await Promise.all(Array.from({ length: count }, () => harnessOf({ store, messaging })));
    const routers = await Promise.all(
      harnesses.map((harness) => harness.startRouter('one', { ...SOON, ...router }, { process })),
    );
    await waitFor(() => routers.every((one) => one.report().ready));
    return { messaging, process, harnesses, routers };
  }

  test('each has its own shards, and one that stops takes nothing from the others', async () => {
    const { harnesses, routers, messaging } = await shared(3);
    const [first, second] = harnesses as [Harness, Harness];
    const shape = await live(second, `owner = 'a'`);
    await routers[0]?.stop();
    const records = await (await messaging.registries.open('shapecast_routers')).list('');
    expect(records.map(({ key }) => key).toSorted()).toEqual(
      harnesses
        .slice(1)
        .map(({ source }) => `${source}.one`)
        .toSorted(),
    );
    await insert(second, '1', 'a');
    await waitFor(() => routers[1]?.usage().counters?.entries === 1);
    expect(await headOf(second, shape)).toMatchObject({ state: 'live' });
    expect(first.source).not.toBe(second.source);
  });

  test('10.7.6 snapshots of one source leave a place for those of another', async () => {
    const { harnesses, process } = await shared(2, { snapshotSlots: 4 });
    const [noisy, quiet] = harnesses as [Harness, Harness];
    const places = await Promise.all(
      [1, 2, 3].map(() => process.snapshots.take(noisy.source, new AbortController().signal)),
    );
    const waiting = await noisy.createShape({ where: `owner = 'z'` });
    await live(quiet, `owner = 'a'`);
    expect((await headOf(noisy, waiting))?.state).not.toBe('live');
    for (const leave of places) leave();
    await waitFor(async () => (await headOf(noisy, waiting))?.state === 'live');
  });

  test('4.8 a source where nothing happens writes nothing: its process says that it lives, for all of them', async () => {
    const { messaging } = await shared(5, {}, { unhurried: true });
    const routers = await messaging.registries.open('shapecast_routers');
    const processes = await messaging.registries.open<unknown>('shapecast_processes');
    const revisions = async () => (await routers.list('')).map(({ revision }) => revision);
    const beat = async () => (await processes.list('router-'))[0]?.revision ?? 0;
    const [before, since] = [await revisions(), await beat()];
    expect(before).toHaveLength(5);
    await waitFor(async () => (await beat()) >= since + 20);
    expect(await revisions()).toEqual(before);
  });
});
