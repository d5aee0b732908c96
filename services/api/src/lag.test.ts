import { ShapeStream } from '@electric-sql/client';
import type { SourceUsage } from '@shapecast/messaging';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { afterEach, describe, expect, test } from 'vitest';
import type { ApiOptions } from './api.ts';
import { change, until, type ApiFixture, type Reply } from './testing/api-fixture.ts';
import { MeasuredApi } from './testing/measured-api.ts';
import { SourcesFixture } from './testing/sources-fixture.ts';

/** How old news are when they reach readers: measured, and told if that is wanted. */
let measured: MeasuredApi | undefined;
/** What the calendar says is the test's to say; timers run as ever. */
let wall = 1_000_000;
const clock: Clock = { ...systemClock, wall: () => wall };
async function start(options: Partial<ApiOptions> = {}): Promise<MeasuredApi> {
  measured = new MeasuredApi(options, { clock });
  await measured.api.start();
  return measured;
}
afterEach(async () => {
  await measured?.api.stop();
  measured = undefined;
  wall = 1_000_000;
});

const note = { committedMs: 999_981, publishedMs: 999_993, appliedMs: 999_998 };
const commit = (api: ApiFixture, handle: string, lsn: bigint, applied = note) =>
  api.router.commit([{ lsn, entries: { [handle]: [change(Number(lsn % 100n), lsn)] } }], { note: applied });
const stage = { stage: 'serve' };

describe('news for a request that waits', () => {
  test('are measured by stage, once per answer, and once for the pod', async () => {
    const measured = await start();
    const { api, telemetry } = measured;
    const handle = await api.handle();
    const polls = await measured.park(handle, '', {}, 2);
    await commit(api, handle, 5_000n);
    await Promise.all(polls);
    const source = { source: api.source };
    expect(telemetry.value('shapecast.e2e.stage', { ...source, ...stage })).toBe(2);
    expect(telemetry.sum('shapecast.e2e.stage', stage)).toBe(2 * 2);
    expect(telemetry.value('shapecast.api.delivery.latency', source)).toBe(2);
    expect(telemetry.sum('shapecast.api.delivery.latency')).toBe(2 * 19);
    expect(telemetry.value('shapecast.e2e.lag', stage)).toBe(2);
    expect(telemetry.value('shapecast.e2e.lag', { stage: 'total' })).toBe(19);
    expect(telemetry.value('shapecast.e2e.commit_to_visible', source)).toBe(1);
    expect(telemetry.sum('shapecast.e2e.commit_to_visible')).toBe(19);
  });

  test('on an event stream are measured batch by batch', async () => {
    const measured = await start();
    const { api, telemetry } = measured;
    const handle = await api.handle();
    const abort = new AbortController();
    const [stream] = await measured.park(handle, '&live_sse=true', { signal: abort.signal });
    const over = stream?.catch(() => undefined);
    for (const [index, lsn] of [5_000n, 6_000n].entries()) {
      await until(() => measured.held === 1);
      await commit(api, handle, lsn);
      await until(() => telemetry.value('shapecast.api.delivery.latency') === index + 1);
    }
    expect(telemetry.sum('shapecast.api.delivery.latency')).toBe(2 * 19);
    abort.abort();
    await over;
  });

  test('are told to the other processes, with what else the source uses', async () => {
    const many = await new SourcesFixture({ longPollTimeoutMs: 60_000 }).start();
    try {
      const router = await many.add('acme');
      const query = await many.tail('acme');
      const poll = many.shape('acme', query);
      const report = () => many.api.report() as unknown as { held: number; serving: Record<string, SourceUsage> };
      await until(() => report().held === 1);
      expect(report().serving['acme']?.gauges).not.toHaveProperty('deliveryLagMs');
      const now = Date.now();
      const fresh = { committedMs: now - 7, publishedMs: now - 5, appliedMs: now };
      const handle = new URLSearchParams(query).get('handle') as string;
      await router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }], { note: fresh });
      await poll;
      const { serveLagMs = -1, deliveryLagMs = -1 } = report().serving['acme']?.gauges ?? {};
      expect(serveLagMs).toBeGreaterThanOrEqual(0);
      expect(deliveryLagMs).toBe(serveLagMs + 7);
    } finally {
      await many.stop();
    }
  });

  test('that nobody noted are only counted', async () => {
    const measured = await start({ lagHeader: true });
    const { api, telemetry } = measured;
    const handle = await api.handle();
    const [poll] = await measured.park(handle);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    expect((await poll)?.headers).not.toHaveProperty('server-timing');
    expect(telemetry.value('shapecast.api.delivery.latency')).toBe(0);
    expect(telemetry.value('shapecast.e2e.lag', stage)).toBeUndefined();
  });
});

describe('a reader that catches up', () => {
  test('is no slow delivery, whether it asks for news or not', async () => {
    const measured = await start();
    const { api, telemetry } = measured;
    const handle = await api.handle();
    await commit(api, handle, 5_000n);
    wall += 3_600_000;
    expect((await api.shape(`offset=0_inf&handle=${handle}`)).json).toHaveLength(2);
    expect((await api.shape(`offset=0_inf&handle=${handle}&live=true`)).json).toHaveLength(2);
    expect(telemetry.value('shapecast.api.delivery.latency')).toBe(0);
    expect(telemetry.value('shapecast.e2e.stage', stage)).toBe(0);
    expect(telemetry.value('shapecast.e2e.commit_to_visible')).toBe(0);
  });

  test('after a moment is measured without that moment', async () => {
    const measured = await start();
    const { api, telemetry } = measured;
    const handle = await api.handle();
    await commit(api, handle, 5_000n);
    wall += 4_500;
    await api.shape(`offset=0_inf&handle=${handle}&live=true`);
    expect(telemetry.value('shapecast.api.delivery.latency')).toBe(1);
    // What the request itself took is on the process's clock, and real.
    expect(telemetry.sum('shapecast.api.delivery.latency')).toBeLessThan(4_500);
  });
});

describe('the lag header', () => {
  test('says of live answers with news how long each stage took, to scripts as well', async () => {
    const measured = await start({ lagHeader: true });
    const { api } = measured;
    const first = await api.shape('offset=-1');
    expect(first.headers).not.toHaveProperty('server-timing');
    const handle = String(first.headers['electric-handle']);
    const [poll] = await measured.park(handle);
    await commit(api, handle, 5_000n);
    const { headers } = (await poll) as Reply;
    expect(headers['server-timing']).toBe('publish;dur=12, apply;dur=5, serve;dur=2');
    expect(headers['access-control-expose-headers']).toMatch(/^electric-cursor,.*,retry-after,server-timing$/);
  });

  test('is off unless it is asked for', async () => {
    const measured = await start();
    const { api } = measured;
    const handle = await api.handle();
    const [poll] = await measured.park(handle);
    await commit(api, handle, 5_000n);
    const { headers } = (await poll) as Reply;
    expect(headers).not.toHaveProperty('server-timing');
    expect(headers['access-control-expose-headers']).not.toContain('server-timing');
  });

  test('means nothing to a client of the reference', async () => {
    const measured = await start({ lagHeader: true });
    const { api } = measured;
    const abort = new AbortController();
    const seen: unknown[] = [];
    const stream = new ShapeStream({
      url: `http://127.0.0.1:${api.api.port}/v1/shape`,
      params: { table: 'items' },
      signal: abort.signal,
    });
    stream.subscribe((messages) => void seen.push(...messages.flatMap((m) => ('key' in m ? [m.key] : []))));
    await until(() => measured.held === 1);
    await commit(api, stream.shapeHandle as string, 5_003n);
    await until(() => seen.length === 3);
    await until(() => measured.held === 1);
    expect(seen.at(-1)).toBe('"public"."items"/"3"');
    abort.abort();
    await until(() => measured.held === 0);
  });
});
