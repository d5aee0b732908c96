import { afterEach, describe, expect, test } from 'vitest';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { silentLogger, systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { ShapeStream, type Row } from '@electric-sql/client';
import { until, type Reply } from '../testing/api-fixture.ts';
import { counted } from '../testing/counted-store.ts';
import { SourcesFixture } from '../testing/sources-fixture.ts';

const fixtures: SourcesFixture[] = [];
const start = async (...args: ConstructorParameters<typeof SourcesFixture>) => {
  const fixture = await new SourcesFixture(...args).start();
  fixtures.push(fixture);
  return fixture;
};
afterEach(async () => {
  for (const fixture of fixtures.splice(0).reverse()) await fixture.stop();
});

/** Time stands still for the quotas, and goes on for everything else. */
function standingStill(): { readonly clock: Clock; readonly pass: (ms: number) => void } {
  let now = systemClock.now();
  return { clock: { ...systemClock, now: () => now, random: () => 0 }, pass: (ms) => void (now += ms) };
}

/** So that many ask for a shape while it is being created. */
const slowToCreate = () =>
  counted(openMemoryShapeStore(systemClock), (name) => (name === 'getOrCreate' ? systemClock.sleep(30) : undefined))
    .store;

type Quotas = Readonly<Record<string, { readonly used: number; readonly limit: number; readonly refused: number }>>;
interface Serving {
  readonly counters: Readonly<Record<string, number>>;
  readonly gauges: Readonly<Record<string, number>>;
  readonly quotas: Quotas;
}
const serving = (fixture: SourcesFixture, id: string) =>
  (fixture.api.report() as unknown as { readonly serving: Readonly<Record<string, Serving>> }).serving[id] as Serving;
const codeOf = ({ text }: Reply) =>
  JSON.parse(text) as { readonly code: string; readonly axis: string; readonly message: string };

describe('requestsPerSecond', () => {
  test('beyond a burst of five seconds answers 429 until there is room, and leaves other sources alone', async () => {
    const { clock, pass } = standingStill();
    const fixture = await start({}, { clock });
    await fixture.add('acme', { limits: { requestsPerSecond: 2 } });
    await fixture.add('bravo');
    const statuses = async (id: string, count: number) => {
      const all: number[] = [];
      for (let i = 0; i < count; i += 1) all.push((await fixture.shape(id)).status);
      return all;
    };
    expect(await statuses('acme', 11)).toEqual([...Array.from({ length: 10 }, () => 200), 429]);
    const refused = await fixture.shape('acme');
    expect(refused).toMatchObject({
      status: 429,
      headers: {
        'retry-after': '1',
        'cache-control': 'no-store',
        'access-control-expose-headers': expect.stringMatching(/\*|retry-after/i) as string,
      },
    });
    expect(codeOf(refused)).toEqual({
      code: 'rate_limited',
      axis: 'requestsPerSecond',
      message: 'The source is limited to 2 requests in a second, please retry',
    });
    expect(await statuses('bravo', 20)).toEqual(Array.from({ length: 20 }, () => 200));
    pass(1_000);
    expect(await statuses('acme', 3)).toEqual([200, 200, 429]);
    expect(serving(fixture, 'acme').quotas['requestsPerSecond']).toMatchObject({ limit: 2, refused: 3 });
    // Whoever is not let in uses up nothing of it.
    pass(10_000);
    for (let i = 0; i < 20; i += 1) await fixture.send('/v1/shape?table=items&source_id=acme&secret=x');
    expect((await fixture.shape('acme')).status).toBe(200);
  });

  test('O 1.4 tells of it in the log of the source, once', async () => {
    const lines: object[] = [];
    const collect = (bound: object): Logger => ({
      ...silentLogger,
      warn: (fields, text) => void lines.push({ ...bound, ...fields, text }),
      child: (more) => collect({ ...bound, ...more }),
    });
    const fixture = await start({}, { clock: standingStill().clock, log: collect({}) });
    await fixture.add('acme', { limits: { requestsPerSecond: 1 } });
    for (let i = 0; i < 10; i += 1) await fixture.shape('acme');
    expect(lines).toEqual([
      {
        ...{ source: 'acme', event: 'tenant_limit_reached', limit: 'requestsPerSecond', value: 1 },
        text: 'the source has reached a limit',
      },
    ]);
  });

  test('follows the limit while it runs', async () => {
    const { clock } = standingStill();
    const fixture = await start({}, { clock });
    await fixture.add('acme', { limits: { requestsPerSecond: 1 } });
    for (let i = 0; i < 6; i += 1) await fixture.shape('acme');
    expect((await fixture.shape('acme')).status).toBe(429);
    await fixture.add('acme', {});
    expect((await fixture.shape('acme')).status).toBe(200);
  });

  test('is shared by the processes that live', async () => {
    const { clock } = standingStill();
    const first = await start({}, { clock });
    await first.add('acme', { limits: { requestsPerSecond: 2 } });
    const second = await start({}, { clock, like: first });
    await waitFor(() => (second.api.report() as { readonly apiProcesses?: unknown }).apiProcesses === 2);
    let served = 0;
    for (let i = 0; i < 20; i += 1) if ((await second.shape('acme')).status === 200) served += 1;
    expect(served).toBe(5);
  });

  test('the official client waits and goes on', async () => {
    const fixture = await start();
    await fixture.add('acme', { limits: { requestsPerSecond: 1 } });
    let refused = 0;
    for (let i = 0; i < 7; i += 1) if ((await fixture.shape('acme')).status === 429) refused += 1;
    expect(refused).toBeGreaterThan(0);
    const statuses: number[] = [];
    const abort = new AbortController();
    const stream = new ShapeStream<Row>({
      url: `http://127.0.0.1:${fixture.api.port}/v1/shape`,
      params: { table: 'items', source_id: 'acme', secret: 'secret of acme' },
      signal: abort.signal,
      fetchClient: async (...args) => {
        const response = await fetch(...args);
        statuses.push(response.status);
        return response;
      },
    });
    const rows = await new Promise<number>((resolve) => {
      let seen = 0;
      stream.subscribe((messages) => {
        seen += messages.filter((message) => 'key' in message).length;
        if (seen === 2) resolve(seen);
      });
    });
    expect([rows, statuses[0]]).toEqual([2, 429]);
    abort.abort();
  });
});

describe('newShapesPerSecond', () => {
  test('answers 429 for shapes that would be new, and counts those that many ask for once', async () => {
    const { clock, pass } = standingStill();
    const fixture = await start({}, { clock, store: slowToCreate() });
    await fixture.add('acme', { limits: { newShapesPerSecond: 1 } });
    const where = (n: number) => `offset=-1&where=id%3D${n}`;
    const crowd = await Promise.all(Array.from({ length: 30 }, () => fixture.shape('acme', where(0))));
    expect(new Set(crowd.map(({ status }) => status))).toEqual(new Set([200]));
    const made: number[] = [];
    for (let n = 1; n <= 6; n += 1) made.push((await fixture.shape('acme', where(n))).status);
    expect(made).toEqual([200, 200, 200, 200, 429, 429]);
    expect(codeOf(await fixture.shape('acme', where(9)))).toMatchObject({
      code: 'rate_limited',
      axis: 'newShapesPerSecond',
    });
    expect((await fixture.shape('acme', where(2))).status).toBe(200);
    pass(1_000);
    expect((await fixture.shape('acme', where(5))).status).toBe(200);
    expect(serving(fixture, 'acme').counters['created']).toBe(6);
  });
});

describe('egressBytesPerSecond', () => {
  test('sends whole answers, and refuses what comes after them until the bytes are worked off', async () => {
    const { clock, pass } = standingStill();
    const fixture = await start({}, { clock });
    const router = await fixture.add('acme', { limits: { egressBytesPerSecond: 1_000 } });
    const long = JSON.stringify({
      key: 'k',
      value: { id: '1', title: 'x'.repeat(20_000) },
      headers: { operation: 'insert' },
    });
    router.rows.set('items', [[long]]);
    const whole = await fixture.shape('acme');
    expect(whole.status).toBe(200);
    expect(whole.text).toContain('x'.repeat(20_000));
    const refused = await fixture.shape('acme');
    expect(refused.status).toBe(429);
    expect(codeOf(refused)).toMatchObject({ code: 'rate_limited', axis: 'egressBytesPerSecond' });
    const seconds = Number(refused.headers['retry-after']);
    expect(seconds).toBeGreaterThanOrEqual(15);
    expect(seconds).toBeLessThanOrEqual(25);
    pass((seconds + 1) * 1_000);
    expect((await fixture.shape('acme')).status).toBe(200);
    const { egressBytes } = serving(fixture, 'acme').counters;
    expect(egressBytes).toBeGreaterThan(2 * whole.text.length);
    expect(egressBytes).toBeLessThan(2 * whole.text.length + 10_000);
  });
});

describe('concurrentInitial, concurrentExisting and parkedReaders', () => {
  test('answer 503 with the axis, and others are let in', async () => {
    const fixture = await start({ longPollTimeoutMs: 600_000 });
    await fixture.add('acme', { limits: { parkedReaders: 2, concurrentExisting: 4 } });
    await fixture.add('bravo');
    const live = await fixture.tail('acme');
    const abort = new AbortController();
    const parked = [1, 2].map(() => fixture.shape('acme', live, { signal: abort.signal }).catch(() => undefined));
    await until(() => serving(fixture, 'acme').gauges['parked'] === 2);
    const refused = await fixture.shape('acme', live);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(6);
    expect(codeOf(refused)).toEqual({
      code: 'concurrent_request_limit_exceeded',
      axis: 'parkedReaders',
      message: 'Parked readers limit exceeded (limit: 2), please retry',
    });
    const events = await fixture.shape('acme', `${live}&live_sse=true`);
    expect([events.status, codeOf(events).axis]).toEqual([503, 'parkedReaders']);
    // What does not wait is served.
    expect((await fixture.shape('acme', live.replace('&live=true', ''))).status).toBe(200);
    expect(serving(fixture, 'acme').quotas).toMatchObject({
      parkedReaders: { used: 2, limit: 2, refused: 2 },
      concurrentExisting: { used: 2, limit: 4, refused: 0 },
    });
    const other = fixture.shape('bravo', await fixture.tail('bravo'), { signal: abort.signal }).catch(() => undefined);
    await until(() => serving(fixture, 'bravo').gauges['parked'] === 1);
    await fixture.add('acme', { limits: { parkedReaders: 3, concurrentExisting: 2 } });
    const known = await fixture.shape('acme', live);
    expect(codeOf(known)).toEqual({
      code: 'concurrent_request_limit_exceeded',
      axis: 'concurrentExisting',
      message: 'Concurrent existing request limit exceeded (limit: 2), please retry',
    });
    abort.abort();
    await Promise.all([...parked, other]);
    await until(() => serving(fixture, 'acme').gauges['inProgress'] === 0);
    expect(serving(fixture, 'acme').counters['heldMs']).toBeGreaterThan(0);
  });
});
