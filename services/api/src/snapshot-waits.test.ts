import { systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, row } from './testing/api-fixture.ts';
import { SNAPSHOT_END_JSON } from './testing/router-stand-in.ts';

// The waits of spec R 10.8 as they are in production, on a clock that runs a hundred times as fast.

const SPEED = 100;

function hurried(): Clock {
  const start = systemClock.now();
  return {
    now: () => start + (performance.now() - began) * SPEED,
    sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
    after: (ms, callback) => systemClock.after(ms / SPEED, callback),
    random: () => Math.random(),
  };
}
const began = performance.now();

let fixture: ApiFixture | undefined;

afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

async function started(): Promise<ApiFixture> {
  fixture = new ApiFixture({ readyTimeoutMs: 5_000 }, { clock: hurried() });
  await fixture.start();
  fixture.router.manual = true;
  return fixture;
}

const onlyHandle = ({ store, router }: ApiFixture) =>
  waitFor(async () => {
    for (const shard of [0, 1]) {
      const { shapes } = await store.loadShapes(router.shard(shard));
      if (shapes[0]) return shapes[0].handle;
    }
    return undefined;
  });

describe('a request that waits for a snapshot', () => {
  test('T51 gives up before the snapshot does, with a 503, and the snapshot goes on for the next request', async () => {
    const api = await started();
    const pending = api.shape('offset=-1');
    const handle = await onlyHandle(api);
    const snapshot = await api.router.snapshot(handle);
    const reply = await pending;
    expect([reply.status, JSON.parse(reply.text)]).toEqual([
      503,
      { message: 'Snapshot query took too long to start reading from the database' },
    ]);
    expect(reply.headers).toMatchObject({ 'retry-after': '10', 'electric-internal-known-error': 'true' });
    expect((await api.store.readHead(await api.router.shardOf(handle), handle))?.state).toBe('snapshotting');

    await snapshot.part(`${row(1)},${SNAPSHOT_END_JSON}`, true);
    await snapshot.done();
    const next = await api.shape('offset=-1');
    expect([next.status, next.headers['electric-handle']]).toEqual([200, handle]);
  });

  test('is not given a chunk whose snapshot stalls as if it were whole', async () => {
    const api = await started();
    const pending = api.shape('offset=-1');
    const snapshot = await api.router.snapshot(await onlyHandle(api));
    await snapshot.part(row(1));
    await expect(pending).rejects.toThrow();
  });

  test('hears that a snapshot was too large, and to come back much later', async () => {
    const api = await started();
    const pending = api.shape('offset=-1');
    const snapshot = await api.router.snapshot(await onlyHandle(api));
    await snapshot.fail('SNAPSHOT_TOO_LARGE', 'Snapshot exceeds the size limit');
    const reply = await pending;
    expect([reply.status, JSON.parse(reply.text)]).toEqual([503, { message: 'Snapshot exceeds the size limit' }]);
    expect(reply.headers).toMatchObject({ 'retry-after': '600', 'electric-internal-known-error': 'true' });
  });
});
