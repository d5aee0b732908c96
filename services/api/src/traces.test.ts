import { systemClock, type Clock } from '@shapecast/service-kit';
import { afterEach, expect, test } from 'vitest';
import type { ApiOptions } from './api.ts';
import { change, until } from './testing/api-fixture.ts';
import { MeasuredApi } from './testing/measured-api.ts';
import type { Measured, RecordedSpan } from './testing/measured.ts';

/** The spans of requests. */
let measured: MeasuredApi | undefined;
let telemetry: Measured;
/** In [0, 1): what chance has decided. */
let chance = 0.5;
const clock: Clock = { ...systemClock, random: () => chance };
async function start(options: Partial<ApiOptions> = {}, tracing = true): Promise<MeasuredApi> {
  measured = new MeasuredApi(options, { clock, tracing });
  telemetry = measured.telemetry;
  await measured.api.start();
  return measured;
}
afterEach(async () => {
  await measured?.api.stop();
  measured = undefined;
  chance = 0.5;
});

const TRANSACTION = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const REQUEST = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const named = (name: string) => telemetry.spans.filter((span) => span.name === name);
async function roots(count: number): Promise<readonly RecordedSpan[]> {
  await until(() => named('Plug_shape_get').length === count);
  return named('Plug_shape_get');
}

test('a request for a new shape has a span of its own, kept whatever chance says', async () => {
  const measured = await start();
  const { api } = measured;
  const before = Date.now();
  const handle = await api.handle();
  await api.handle();
  const [first, second] = await roots(2);
  const { shapes } = await api.store.loadShapes(await api.router.shardOf(handle));
  expect(shapes.map(({ traceparent }) => traceparent)).toEqual([first?.traceparent]);
  expect(first?.start).toMatchObject({ kind: 'server', keep: true });
  expect(first?.start.parent).toBeUndefined();
  expect(first?.attributes).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    source: api.source,
    'shape.handle': handle,
    'shape.root_table': 'public.items',
    'shape_req.offset': '-1_0',
    'shape_req.is_live': false,
    'shape_req.is_new_shape': true,
    SampleRate: 1,
  });
  expect(first?.attributes['load_shape_info.duration_µs']).toBeGreaterThanOrEqual(0);
  expect(first?.start.startMs).toBeGreaterThanOrEqual(before - 1_000);
  expect(first?.endMs).toBeGreaterThanOrEqual(first?.start.startMs as number);
  // The shape was there: as any other request.
  expect(second?.start.keep).toBe(false);
});

test('an answer with news is part of the request, and is linked to the transaction', async () => {
  const measured = await start();
  const { api } = measured;
  const handle = await api.handle();
  const [poll] = await measured.park(handle, '', { headers: { traceparent: REQUEST } });
  const now = Date.now();
  const note = { committedMs: now, publishedMs: now, appliedMs: now, traceparent: TRANSACTION };
  await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }], { note });
  await poll;
  const root = (await roots(2))[1];
  expect(root?.start).toMatchObject({ parent: REQUEST, links: [TRANSACTION], keep: false });
  const [wait] = named('api.wait');
  expect(wait?.attributes).toEqual({ woken_by: 'notification' });
  expect(wait?.start.startMs).toBeGreaterThanOrEqual(root?.start.startMs as number);
  expect(wait?.endMs).toBeLessThanOrEqual(root?.endMs as number);
});

test('answers without news are hardly ever traced, unless their client traces them', async () => {
  const measured = await start({ longPollTimeoutMs: 100 });
  const { api } = measured;
  const handle = await api.handle();
  await roots(1);
  const poll = (headers = {}) => api.shape(`offset=0_inf&handle=${handle}&live=true`, { headers });
  const answered = (count: number) =>
    until(() => telemetry.value('electric.plug.serve_shape.requests.count', { empty: 'true' }) === count);
  chance = 0.0011;
  await poll();
  await answered(1);
  expect(named('Plug_shape_get')).toHaveLength(1);
  await poll({ traceparent: REQUEST });
  await answered(2);
  chance = 0.0009;
  await poll();
  await answered(3);
  const [, asked, lucky] = await roots(3);
  expect(asked?.start).toMatchObject({ parent: REQUEST, keep: false });
  expect(lucky?.start).toMatchObject({ keep: true });
  expect(lucky?.attributes).toMatchObject({ SampleRate: 0, 'shape_req.is_empty': true });
  expect(named('api.wait').map(({ attributes }) => attributes)).toEqual([
    { woken_by: 'timeout' },
    { woken_by: 'timeout' },
  ]);
});

test('failures and rotations are kept, clients that leave are not', async () => {
  const measured = await start();
  const { api } = measured;
  const handle = await api.handle();
  await roots(1);
  await api.shape('offset=banana');
  await roots(2);
  await api.shape('offset=0_0&handle=unknown');
  await roots(3);
  const abort = new AbortController();
  const [poll] = await measured.park(handle, '', { signal: abort.signal });
  abort.abort();
  await poll?.catch(() => undefined);
  const [, refused, rotated, aborted] = await roots(4);
  expect(refused?.start.keep).toBe(true);
  expect(refused?.attributes['http.response.status_code']).toBe(400);
  expect(rotated?.start.keep).toBe(true);
  expect(rotated?.attributes['http.response.status_code']).toBe(409);
  expect(aborted?.start.keep).toBe(false);
  expect(aborted?.attributes).toMatchObject({ 'shape_req.is_live': true });
  expect(aborted?.attributes).not.toHaveProperty('http.response.status_code');
  expect([refused, rotated, aborted].map((span) => span?.failure)).toEqual([undefined, undefined, undefined]);
  expect(named('api.wait')).toHaveLength(1);
});

test('a streamed answer has a span for each batch', async () => {
  const measured = await start();
  const { api } = measured;
  const handle = await api.handle();
  const abort = new AbortController();
  const [stream] = await measured.park(handle, '&live_sse=true', { signal: abort.signal });
  await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
  await until(() => telemetry.value('shapecast.api.poll.duration', { outcome: 'data' }) === 1 && measured.held === 1);
  abort.abort();
  await stream?.catch(() => undefined);
  await roots(2);
  const chunks = named('shape_get.plug.stream_chunk');
  expect(chunks).toHaveLength(1);
  expect(chunks[0]?.attributes['bytes']).toBeGreaterThan(change(3, 5_000n).length);
});

test('nothing is made while nobody traces', async () => {
  const measured = await start({}, false);
  const { api } = measured;
  await api.handle();
  await until(() => telemetry.value('electric.plug.serve_shape.count') === 1);
  expect(telemetry.spans).toEqual([]);
});
