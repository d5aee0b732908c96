import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { change, until } from './testing/api-fixture.ts';
import { MeasuredApi } from './testing/measured-api.ts';
import { Measured } from './testing/measured.ts';
import { SourcesFixture } from './testing/sources-fixture.ts';

/** What is counted, by how requests were answered. */
let fixture: { stop(): Promise<void> } | undefined;
let telemetry: Measured;
async function start(...args: ConstructorParameters<typeof MeasuredApi>): Promise<MeasuredApi> {
  const measured = new MeasuredApi(...args);
  telemetry = measured.telemetry;
  fixture = measured.api;
  await measured.api.start();
  return measured;
}
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

const REQUESTS = 'electric.plug.serve_shape.requests.count';
const requests = (labels: Record<string, string>) => telemetry.value(REQUESTS, labels);
/** An answer is counted when its connection is through with it, a moment after the client is. */
const counted = (labels: Record<string, string>, count = 1) => until(() => requests(labels) === count);

describe('requests', () => {
  test('that are not live are counted with their time and their bytes', async () => {
    const measured = await start();
    const { api } = measured;
    const reply = await api.shape('offset=-1');
    await counted({ status: '200', live: 'false', empty: 'false', known_error: 'false', source: api.source });
    const source = { source: api.source };
    expect(telemetry.value('electric.plug.serve_shape.count', source)).toBe(1);
    expect(telemetry.value('electric.plug.serve_shape.bytes', source)).toBe(Buffer.byteLength(reply.text));
    expect(telemetry.sum('electric.shape.response_size.bytes', { live: 'false' })).toBe(Buffer.byteLength(reply.text));
    expect(telemetry.value('electric.plug.serve_shape.duration', source)).toBe(1);
    expect(telemetry.value('electric.shapes.active_shapes.count', source)).toBe(1);
  });

  test('304, 400 and 404 have their status', async () => {
    const measured = await start({ allowDelete: true });
    const { api } = measured;
    const first = await api.shape('offset=-1');
    const again = await api.shape('offset=-1', { headers: { 'if-none-match': String(first.headers.etag) } });
    expect(again.status).toBe(304);
    expect((await api.shape('offset=banana')).status).toBe(400);
    expect((await api.shape('columns=id', { method: 'DELETE' })).status).toBe(404);
    await counted({ status: '304' });
    await counted({ status: '400' });
    await counted({ status: '404' });
    // Whether they may ask is a question of browsers.
    await api.shape('offset=-1', { method: 'OPTIONS' });
    await api.shape('offset=-1');
    await counted({ status: '200' }, 2);
    expect(requests({ status: '204' })).toBeUndefined();
  });

  test('without the secret are counted as denied', async () => {
    const measured = await start({ secrets: ['open sesame'] });
    const { api } = measured;
    expect((await api.shape('offset=-1&secret=wrong')).status).toBe(401);
    await counted({ status: '401', source: api.source });
    expect(telemetry.value('shapecast.api.denied.count', { reason: 'secret', source: api.source })).toBe(1);
  });

  test('for a shape that was rotated are counted once, with the 409', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    const [poll] = await measured.park(handle);
    await api.router.rotate(handle);
    expect((await poll)?.status).toBe(409);
    await counted({ status: '409', live: 'true' });
    expect(telemetry.value('shapecast.api.must_refetch.count')).toBe(1);
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'ended' })).toBe(1);
  });

  test('beyond what may be in progress are counted with the limit they met', async () => {
    const measured = await start({ limits: { initial: 1, existing: 10 } });
    const { api } = measured;
    api.router.manual = true;
    const abort = new AbortController();
    const pending = api.send('/v1/shape?table=wide&offset=-1', { signal: abort.signal }).catch(() => undefined);
    const kind = { kind: 'initial' };
    await until(() => telemetry.value('electric.admission_control.acquire.current', kind) === 1);
    expect((await api.shape('offset=-1')).status).toBe(503);
    await counted({ status: '503', known_error: 'true' });
    expect(telemetry.value('electric.admission_control.reject.count', { ...kind, source: api.source })).toBe(1);
    expect(telemetry.value('electric.admission_control.reject.limit', kind)).toBe(1);
    expect(telemetry.value('electric.admission_control.acquire.limit', kind)).toBe(1);
    abort.abort();
    await pending;
    await counted({ status: 'aborted', live: 'false' });
    await until(() => telemetry.value('electric.admission_control.acquire.current', kind) === 0);
  });

  test('whose answer breaks off on our side are told from those that were answered', async () => {
    const store = openMemoryShapeStore(systemClock);
    let reads = 0;
    const breaking = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        if (name !== 'readLog') return (value as () => unknown).bind(target) as unknown;
        return (...args: Parameters<typeof store.readLog>) => {
          reads += 1;
          return reads === 1 ? target.readLog(...args) : Promise.resolve({ ...emptyRead(args), entries: [] });
        };
      },
    });
    const measured = await start({}, { store: breaking });
    const { api } = measured;
    const handle = await api.handle();
    const large = JSON.stringify({ key: 'k', value: { id: '1', title: 'x'.repeat(200_000) }, headers: {} });
    for (let i = 1n; i < 4n; i += 1n) await api.router.commit([{ lsn: 5_000n + i, entries: { [handle]: [large] } }]);
    await expect(api.shape(`offset=0_inf&handle=${handle}`)).rejects.toThrow();
    await counted({ status: 'cut' });
    expect(requests({ status: '200', empty: 'false' })).toBe(1);

    function emptyRead([, , after]: Parameters<typeof store.readLog>) {
      return { end: after, upTo: after, closed: false };
    }
  });
});

describe('live requests', () => {
  test('that are woken by a hint count as such, together with those that share the answer', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    const polls = await measured.park(handle, '', {}, 3);
    expect(telemetry.value('shapecast.api.waiting_requests', { source: api.source })).toBe(3);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    await Promise.all(polls);
    await counted({ status: '200', live: 'true', empty: 'false' }, 3);
    expect(telemetry.value('shapecast.api.wakeups.count', { cause: 'notification' })).toBe(3);
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'data' })).toBe(3);
    expect(telemetry.value('shapecast.api.notify_to_response')).toBe(3);
    expect(telemetry.value('shapecast.api.coalesced.count')).toBe(2);
    expect(telemetry.value('shapecast.api.poll_recovered.count')).toBe(0);
    expect(telemetry.value('electric.shape.response_size.bytes', { live: 'true' })).toBe(3);
    expect(telemetry.value('electric.plug.serve_shape.duration')).toBe(1);
    expect(telemetry.value('shapecast.api.waiting_requests')).toBe(0);
  });

  test('whose hint is lost are recovered by polling', async () => {
    const measured = await start({ notifyPollMs: 50 });
    const { api } = measured;
    const handle = await api.handle();
    const [poll] = await measured.park(handle);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }], { hint: false });
    expect((await poll)?.status).toBe(200);
    expect(telemetry.value('shapecast.api.poll_recovered.count')).toBe(1);
    expect(telemetry.value('shapecast.api.wakeups.count', { cause: 'poll' })).toBe(1);
    expect(telemetry.value('shapecast.api.wakeups.count', { cause: 'notification' })).toBe(0);
    expect(telemetry.value('shapecast.api.notify_to_response')).toBe(0);
  });

  test('that find news when they come were woken by nobody', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    expect((await api.shape(`offset=0_inf&handle=${handle}&live=true`)).json).toHaveLength(2);
    await counted({ status: '200', live: 'true', empty: 'false' });
    expect(telemetry.value('shapecast.api.wakeups.count')).toBe(0);
    expect(telemetry.value('shapecast.api.poll_recovered.count')).toBe(0);
  });

  test('without news are empty, after the timeout', async () => {
    const measured = await start({ longPollTimeoutMs: 300 });
    const { api } = measured;
    const handle = await api.handle();
    expect((await api.shape(`offset=0_inf&handle=${handle}&live=true`)).status).toBe(200);
    await counted({ status: '200', live: 'true', empty: 'true' });
    expect(telemetry.value('shapecast.api.wakeups.count', { cause: 'timeout' })).toBe(1);
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'timeout' })).toBe(1);
    expect(telemetry.sum('shapecast.api.poll.duration', { outcome: 'timeout' })).toBeGreaterThanOrEqual(300);
  });

  test('whose client leaves are counted, once', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    const abort = new AbortController();
    const [poll] = await measured.park(handle, '', { signal: abort.signal });
    abort.abort();
    await poll?.catch(() => undefined);
    await counted({ status: 'aborted', live: 'true' });
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'aborted' })).toBe(1);
    // It had no answer.
    expect(telemetry.value('electric.plug.serve_shape.count')).toBe(1);
  });

  test('that are answered early because the pod stops are counted as drained', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    const [poll] = await measured.park(handle);
    await api.api.stop();
    expect((await poll)?.status).toBe(200);
    await counted({ status: '200', live: 'true', empty: 'true' });
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'drain' })).toBe(1);
    expect(telemetry.value('shapecast.ready')).toBe(0);
  });

  test('that are event streams are counted while they are open', async () => {
    const measured = await start();
    const handle = await measured.api.handle();
    const abort = new AbortController();
    const [stream] = await measured.park(handle, '&live_sse=true', { signal: abort.signal });
    expect(telemetry.value('shapecast.api.active_streams', { source: measured.api.source })).toBe(1);
    abort.abort();
    await stream?.catch(() => undefined);
    await counted({ status: '200', live: 'true' });
    await until(() => telemetry.value('shapecast.api.active_streams') === 0);
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'aborted' })).toBe(1);
  });

  test('that are event streams and have had their time are counted as that', async () => {
    const { api } = await start({ sseTimeoutMs: 200 });
    const handle = await api.handle();
    await api.shape(`offset=0_inf&handle=${handle}&live=true&live_sse=true`);
    await counted({ status: '200', live: 'true' });
    expect(telemetry.value('shapecast.api.poll.duration', { outcome: 'timeout' })).toBe(1);
  });
});

describe('many sources', () => {
  test('are told apart, and one that is not there is none of them', async () => {
    telemetry = new Measured();
    const api = await new SourcesFixture({}, { telemetry }).start();
    fixture = api;
    await api.add('acme', { limits: { requestsPerSecond: 1 } });
    await until(async () => (await api.shape('acme')).status === 429);
    await until(() => requests({ source: 'acme', status: '429', known_error: 'true' }) === 1);
    const limited = { source: 'acme', axis: 'requestsPerSecond' };
    expect(telemetry.value('shapecast.tenant.refused.count', limited)).toBe(1);
    expect(telemetry.value('shapecast.tenant.limit', limited)).toBe(1);
    expect(telemetry.value('shapecast.tenant.usage', limited)).toBeGreaterThanOrEqual(0);
    expect(telemetry.value('shapecast.tenant.limit', { axis: 'parkedReaders' })).toBeUndefined();

    expect((await api.shape('nobody')).status).toBe(401);
    await until(() => requests({ status: '401' }) === 1);
    expect(requests({ source: '(none)', status: '401' })).toBe(1);
    expect(requests({ source: 'nobody' })).toBeUndefined();

    await api.declared.setState('acme', 'removing');
    await until(() => requests({ source: 'acme' }) === undefined);
    expect(telemetry.value('shapecast.api.waiting_requests', { source: 'acme' })).toBeUndefined();
  });
});

test('nothing of it is on the public port', async () => {
  const { api } = await start();
  expect((await api.send('/metrics')).status).toBe(404);
});

test('what the process has is told when somebody looks', async () => {
  const measured = await start();
  const { api } = measured;
  await until(() => telemetry.value('shapecast.ready') === 1);
  expect(telemetry.value('shapecast.bus.connected')).toBe(1);
  expect(telemetry.value('shapecast.redis.connected')).toBe(1);
  expect(telemetry.value('shapecast.api.connections')).toBe(0);
  await api.handle();
  await api.shape('offset=-1');
  expect(telemetry.value('shapecast.api.connections.limit')).toBeGreaterThanOrEqual(1_000);
  expect(telemetry.value('shapecast.api.chunk_cache.bytes')).toBeGreaterThan(0);
  expect(telemetry.value('shapecast.api.chunk_cache.count', { outcome: 'miss' })).toBe(1);
  expect(telemetry.value('shapecast.api.chunk_cache.count', { outcome: 'hit' })).toBe(1);
  expect(telemetry.value('shapecast.api.stale_sources', { source: api.source })).toBe(0);
});
