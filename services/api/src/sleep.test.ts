import { BUCKETS, SourceSleep } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, until } from './testing/api-fixture.ts';

let fixture: ApiFixture;
let sleep: SourceSleep;

afterEach(() => fixture.stop());

/** A source that has one shape, and then sleeps as far as the registries tell. */
async function asleep(options: ConstructorParameters<typeof ApiFixture>[0] = {}): Promise<string> {
  fixture = await new ApiFixture(options).start();
  const { registries } = fixture.messaging;
  sleep = new SourceSleep({ registries, clock: systemClock, log: silentLogger }, fixture.source);
  await until(() => fixture.api.report().status === 'active');
  const handle = await fixture.handle();
  await sleep.fallAsleep('test');
  await fixture.router.lead(false);
  // The next one notices, one way or the other.
  await until(async () => (await state())?.value.state === 'asleep');
  await new Promise((resolve) => setImmediate(resolve));
  return handle;
}

const state = async () => {
  const registry = await fixture.messaging.registries.open<{ readonly state: string }>(BUCKETS.sleeps.name);
  return registry.get(fixture.source);
};
const isWoken = async () => (await state())?.value.state === 'waking';

/** As a replicator does it once it streams. */
async function wokenUp(): Promise<void> {
  await until(isWoken);
  await fixture.router.lead(true);
  await sleep.awake();
}

describe('a source that sleeps', () => {
  test('is active, and what it has can be read without waking it', async () => {
    const handle = await asleep();
    const health = await fixture.send('/v1/health');
    expect([health.status, health.text]).toEqual([200, '{"status":"active"}']);
    expect(fixture.api.report().ready).toBe(true);
    const asked = fixture.router.lookups;
    for (let i = 0; i < 3; i += 1) {
      const reply = await fixture.shape('offset=-1');
      expect([reply.status, reply.headers['electric-handle']]).toEqual([200, handle]);
    }
    expect(fixture.router.lookups).toBe(asked);
    expect(await isWoken()).toBe(false);
  });

  test('is woken by a live request, which gets its answer as ever', async () => {
    const handle = await asleep({ longPollTimeoutMs: 300 });
    const reply = fixture.shape(`offset=0_0&handle=${handle}&live=true`);
    await until(isWoken);
    expect((await fixture.send('/v1/health')).text).toBe('{"status":"active"}');
    expect((await reply).status).toBe(200);
  });

  test('is not woken by the end of a live request that waited before', async () => {
    fixture = await new ApiFixture({ longPollTimeoutMs: 400 }).start();
    const { registries } = fixture.messaging;
    sleep = new SourceSleep({ registries, clock: systemClock, log: silentLogger }, fixture.source);
    const handle = await fixture.handle();
    const reply = fixture.shape(`offset=0_0&handle=${handle}&live=true`);
    await until(() => fixture.api.report()['held'] === 1);
    await sleep.fallAsleep('test');
    await fixture.router.lead(false);
    const { status, json } = await reply;
    expect([status, json.map(({ headers }) => headers['control'])]).toEqual([200, ['up-to-date']]);
    expect(await isWoken()).toBe(false);
  });

  test.each([
    ['a new shape', `offset=-1&where=title='x'`],
    ['a table that this pod never saw', 'table=wide&offset=-1'],
  ])('is woken by %s, once for all who ask, and they wait for it', async (_, query) => {
    await asleep({ readyTimeoutMs: 5_000 });
    const before = (await state())?.revision ?? 0;
    const replies = Array.from({ length: 5 }, () => fixture.shape(query));
    await until(isWoken);
    expect((await state())?.revision).toBe(before + 1);
    await wokenUp();
    expect(new Set((await Promise.all(replies)).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('is woken by a subset', async () => {
    await asleep();
    const reply = fixture.shape('offset=-1&subset__limit=1');
    await until(isWoken);
    await reply;
  });

  test('that nobody leads again in time is told of to who waits for a new shape', async () => {
    await asleep({ readyTimeoutMs: 100 });
    const reply = await fixture.shape(`offset=-1&where=title='x'`);
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBeDefined();
  });
});
