import { request } from 'node:http';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { ApiFixture, change, until } from '../testing/api-fixture.ts';

const KEEP_ALIVE_MS = 12_345;
const LIFETIME_MS = 67_890;

/** The system's clock, with the timers of streams that are set at the moment. */
function countingClock(): { readonly clock: Clock; readonly pending: Set<object> } {
  const pending = new Set<object>();
  const after: Clock['after'] = (delayMs, callback) => {
    const timer = {};
    if (delayMs === LIFETIME_MS || delayMs === KEEP_ALIVE_MS) pending.add(timer);
    const cancel = systemClock.after(delayMs, () => {
      pending.delete(timer);
      callback();
    });
    return () => {
      pending.delete(timer);
      cancel();
    };
  };
  const clock = new Proxy(systemClock, {
    get: (target, name) => (name === 'after' ? after : (Reflect.get(target, name) as unknown)),
  });
  return { clock, pending };
}

/** A store that keeps those who read a log waiting from the `n`th read on, until it is told to go on. */
function stallingStore(n: number): {
  readonly store: ShapeStore;
  readonly stalled: () => boolean;
  readonly goOn: () => void;
} {
  const gate = Promise.withResolvers<void>();
  let reads = 0;
  const store = new Proxy(openMemoryShapeStore(systemClock), {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      const method = (value as (...args: unknown[]) => unknown).bind(target);
      if (name !== 'readLog') return method;
      return async (...args: unknown[]) => {
        reads += 1;
        if (reads >= n) await gate.promise;
        return method(...args);
      };
    },
  });
  return { store, stalled: () => reads >= n, goOn: () => gate.resolve() };
}

test('a client that leaves in the middle of a backlog leaves nothing behind', async () => {
  const { clock, pending } = countingClock();
  const { store, stalled, goOn } = stallingStore(2);
  const options = {
    longPollTimeoutMs: 60_000,
    sseKeepAliveMs: KEEP_ALIVE_MS,
    sseTimeoutMs: LIFETIME_MS,
    chunkBytes: 300,
  };
  const api = await new ApiFixture(options, { store, clock }).start();
  try {
    const handle = await api.handle();
    const entries = Array.from({ length: 6 }, (_none, i) => change(i, 5_000n, i * 2, i === 5));
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: entries } }]);
    const path = `/v1/shape?table=items&live=true&live_sse=true&offset=0_inf&handle=${handle}`;
    const client = request({ host: '127.0.0.1', port: api.api.port, path }, (incoming) => incoming.resume());
    client.on('error', () => undefined).end();
    await until(stalled);
    expect(pending.size).toBe(2);
    client.destroy();
    await until(() => api.api.report().inProgress === 0);
    goOn();
    await until(() => pending.size === 0);
    expect(api.api.report().held).toBe(0);
  } finally {
    goOn();
    await api.stop();
  }
});
