import { BUCKETS, type GuardRecord } from '@shapecast/messaging';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, row, until, type Reply } from './testing/api-fixture.ts';
import { SNAPSHOT_END_JSON } from './testing/router-stand-in.ts';

let api: ApiFixture;
beforeEach(async () => {
  api = await new ApiFixture({ longPollTimeoutMs: 500 }).start();
});
afterEach(() => api.stop());

const SINCE = Date.UTC(2026, 0, 2, 3, 4, 5);
const SHEDDING: GuardRecord = { stage: 'high', shedding: true, reason: 'Postgres keeps 700 of 900 MiB of WAL.' };
const staleAt = (incarnation: number): GuardRecord => ({
  stage: 'exceeded',
  shedding: false,
  stale: { incarnation, since: SINCE },
  reason: 'Postgres keeps 900 of 900 MiB of WAL.',
});

async function tell(record: GuardRecord): Promise<void> {
  const guards = await api.messaging.registries.open<GuardRecord>(BUCKETS.guards.name);
  await guards.put(api.source, record);
  await until(() => (record.shedding ? api.api.report()['shedding'] !== undefined : true));
  await until(() => (record.stale ? api.api.report()['stale'] !== undefined : true));
}

function expectRefusal(reply: Reply, retryAfter: string, message: RegExp): void {
  expect(reply.status).toBe(503);
  expect(reply.headers).toMatchObject({ 'retry-after': retryAfter, 'cache-control': 'no-store' });
  const body = JSON.parse(reply.text) as { readonly message: string };
  expect(Object.keys(body)).toEqual(['message']);
  expect(body.message).toMatch(message);
}
const expectStale = (reply: Reply) => expectRefusal(reply, '10', /^The source is stale/);
const expectShed = (reply: Reply) => expectRefusal(reply, '30', /^New shapes are not accepted/);

describe('while Postgres keeps too much WAL', () => {
  test('new shapes and subsets are refused at once, and shapes that exist go on', async () => {
    const handle = await api.handle();
    await tell(SHEDDING);
    expectShed(await api.shape('offset=-1&where=id%20%3E%203'));
    expectShed(await api.shape(`offset=0_inf&handle=${handle}&subset__limit=1`));
    expect((await api.shape('offset=-1')).headers['electric-handle']).toBe(handle);
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => api.api.report()['held'] === 1);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    expect((await poll).headers).toMatchObject({ 'electric-offset': '5000_0', 'electric-up-to-date': '' });
    const timeout = await api.shape(`offset=5000_0&handle=${handle}&live=true`);
    expect([timeout.status, timeout.headers['electric-up-to-date']]).toEqual([200, '']);
  });

  test('the source is healthy, and says why it takes nothing new', async () => {
    await tell(SHEDDING);
    expect(api.api.report()).toMatchObject({ ready: true, status: 'active', shedding: SHEDDING.reason });
    expect((await api.send('/v1/health')).text).toBe('{"status":"active"}');
    await tell({ stage: 'ok', shedding: false, reason: 'fine' });
    await until(() => api.api.report()['shedding'] === undefined);
    expect((await api.shape('offset=-1&where=id%20%3E%203')).status).toBe(200);
  });
});

describe('a stale source', () => {
  test('is not healthy, and says since when and why', async () => {
    expect((await api.send('/v1/health')).status).toBe(200);
    await tell(staleAt(1));
    const health = await api.send('/v1/health');
    expect([health.status, health.text]).toEqual([202, '{"status":"starting"}']);
    expect(api.api.report()).toMatchObject({
      // A load balancer that took every pod out would leave clients without the reason.
      ready: true,
      status: 'stale',
      stale: { since: '2026-01-02T03:04:05.000Z', reason: 'Postgres keeps 900 of 900 MiB of WAL.' },
      missing: 'Stale since 2026-01-02T03:04:05.000Z: Postgres keeps 900 of 900 MiB of WAL.',
    });
  });

  test('gives out what its shapes have, and never says that this is all', async () => {
    const handle = await api.handle();
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const current = await api.shape(`offset=0_0&handle=${handle}`);
    expect(current.headers).toMatchObject({ 'electric-offset': '5000_0', 'electric-up-to-date': '' });
    await tell(staleAt(1));
    const first = await api.shape('offset=-1');
    expect([first.status, first.headers['electric-up-to-date']]).toEqual([200, undefined]);
    expect(first.text).toBe(`[${row(1)},${row(2)},${SNAPSHOT_END_JSON}]`);
    const tag = String(current.headers.etag);
    for (const offset of ['0_0', '0_inf', '5000_0', 'now']) {
      expectStale(await api.shape(`offset=${offset}&handle=${handle}`));
      expectStale(await api.shape(`offset=${offset}&handle=${handle}`, { headers: { 'if-none-match': tag } }));
    }
  });

  test('holds live requests as long as ever, and then says that it is stale', async () => {
    const handle = await api.handle();
    const before = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => api.api.report()['held'] === 1);
    await tell(staleAt(1));
    const after = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => api.api.report()['held'] === 2);
    for (const reply of await Promise.all([before, after])) expectStale(reply);
    expectStale(await api.shape(`offset=0_inf&handle=${handle}&live=true&live_sse=true`));
  });

  test('ends an event stream before it says that it is up to date', async () => {
    await api.stop();
    api = await new ApiFixture({ sseTimeoutMs: 60_000 }).start();
    const handle = await api.handle();
    const stream = api.send(`/v1/shape?table=items&offset=0_inf&handle=${handle}&live=true&live_sse=true`);
    await until(() => api.api.report()['held'] === 1);
    await tell(staleAt(1));
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const reply = await stream;
    expect([reply.status, reply.text]).toEqual([200, '']);
  });

  test('makes no shapes and reads no subsets', async () => {
    const handle = await api.handle();
    await tell(staleAt(1));
    expectStale(await api.shape('offset=-1&where=id%20%3E%203'));
    expectStale(await api.shape(`offset=0_inf&handle=${handle}&subset__limit=1`));
  });

  test('is stale no more once it has a new incarnation, whose readers are told to start over', async () => {
    const handle = await api.handle();
    await tell(staleAt(1));
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => api.api.report()['held'] === 1);
    api.router.stop();
    api.router.incarnation = 2;
    await api.router.start();
    expect((await poll).status).toBe(409);
    await until(() => api.api.report()['status'] === 'active');
    expect(api.api.report()['stale']).toBeUndefined();
    const again = await api.handle();
    expect(again).not.toBe(handle);
    const reply = await api.shape(`offset=0_0&handle=${again}`);
    expect([reply.status, reply.headers['electric-up-to-date']]).toEqual([200, '']);
  });

  test('what was said of an earlier incarnation means nothing for this one', async () => {
    api.router.stop();
    api.router.incarnation = 2;
    await api.router.start();
    const guards = await api.messaging.registries.open<GuardRecord>(BUCKETS.guards.name);
    await guards.put(api.source, staleAt(1));
    await until(() => api.api.report()['incarnation'] === 2 && api.api.report()['status'] === 'active');
    expect((await api.shape('offset=-1')).status).toBe(200);
    expect(api.api.report()['stale']).toBeUndefined();
  });
});
