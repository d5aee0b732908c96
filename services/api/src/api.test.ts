import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, row, until, type Reply } from './testing/api-fixture.ts';
import { SNAPSHOT_END_JSON } from './testing/router-stand-in.ts';

let fixture: ApiFixture | undefined;
const start = async (...args: ConstructorParameters<typeof ApiFixture>) =>
  (fixture = await new ApiFixture(...args).start());
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

const MUST_REFETCH = '[{"headers":{"control":"must-refetch"}}]';
const NEVER_ON_409 = ['offset', 'schema', 'cursor', 'up-to-date', 'has-data'].map((name) => `electric-${name}`);
const isUpToDate = (reply: Reply) =>
  'electric-up-to-date' in reply.headers && reply.json.at(-1)?.headers.control === 'up-to-date';

function expectRefetch(reply: Reply, handle: string | undefined): void {
  expect(reply.status).toBe(409);
  expect(reply.text).toBe(MUST_REFETCH);
  expect(reply.headers['electric-handle']).toBe(handle);
  expect(reply.headers['etag']).toBe(handle === undefined ? undefined : `"${handle}::"`);
  expect(reply.headers['cache-control']).toBe(`public, max-age=${handle === undefined ? 1 : 60}, must-revalidate`);
  for (const name of NEVER_ON_409) expect(reply.headers).not.toHaveProperty(name);
}

describe('reading from the beginning', () => {
  test('creates the shape and answers its snapshot, never up to date', async () => {
    const { shape } = await bound();
    const reply = await shape('offset=-1');
    expect(reply.status).toBe(200);
    expect(reply.text).toBe(`[${row(1)},${row(2)},${SNAPSHOT_END_JSON}]`);
    const handle = reply.headers['electric-handle'] as string;
    expect(handle).toMatch(/^\d+-\d+$/);
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'electric-offset': '0_0',
      'electric-schema': '{"id":{"type":"int4","pk_index":0,"not_null":true},"title":{"type":"text"}}',
      'electric-has-data': 'true',
      etag: `"${handle}:-1:0_0"`,
      'cache-control': 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746',
      'access-control-allow-origin': '*',
    });
    expect(reply.headers['electric-server']).toMatch(/^Shapecast\//);
    expect(reply.headers).not.toHaveProperty('electric-up-to-date');
    expect(reply.headers).not.toHaveProperty('electric-cursor');

    const next = await shape(`offset=0_0&handle=${handle}`);
    expect(next.status).toBe(200);
    expect(isUpToDate(next)).toBe(true);
    expect(next.json).toHaveLength(1);
    expect(next.headers).toMatchObject({
      'electric-offset': '0_inf',
      'electric-has-data': 'true',
      etag: `"${handle}:0_0:0_inf"`,
      'cache-control': 'public, max-age=60, stale-while-revalidate=300',
    });
    expect(next.headers).not.toHaveProperty('electric-cursor');
  });

  test('concurrent first requests get one handle', async () => {
    const { shape } = await bound();
    const replies = await Promise.all(Array.from({ length: 20 }, () => shape('offset=-1')));
    expect(new Set(replies.map((reply) => reply.headers['electric-handle'])).size).toBe(1);
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
  });

  test('HEAD has the headers of GET and no body', async () => {
    const { shape } = await bound();
    const head = await shape('offset=-1', { method: 'HEAD' });
    const get = await shape('offset=-1');
    expect(head.text).toBe('');
    for (const name of ['electric-handle', 'electric-offset', 'electric-schema', 'etag', 'cache-control']) {
      expect(head.headers[name]).toBe(get.headers[name]);
    }
  });

  test('ignores the handle, and parameters it does not know', async () => {
    const { shape } = await bound();
    const handle = (await shape('offset=-1')).headers['electric-handle'];
    const reply = await shape('foo[a]=1&offset=-1&cache-buster=1&handle=bogus&expired_handle=x&foo[]=2');
    expect(reply.headers['electric-handle']).toBe(handle);
  });

  test('chunks follow each other, and a closed chunk is always the same', async () => {
    const { shape, router } = await bound();
    router.rows.set('items', [[row(1)], [row(2), row(3)], [row(4)]]);
    const first = await shape('offset=-1');
    const handle = first.headers['electric-handle'] as string;
    const second = await shape(`offset=0_0&handle=${handle}`);
    const third = await shape(`offset=0_1&handle=${handle}`);
    expect([first, second, third].map((reply) => reply.text)).toEqual([
      `[${row(1)}]`,
      `[${row(2)},${row(3)}]`,
      `[${row(4)},${SNAPSHOT_END_JSON}]`,
    ]);
    expect([second, third].map((reply) => reply.headers['electric-offset'])).toEqual(['0_1', '0_2']);
    expect(isUpToDate(await shape(`offset=0_2&handle=${handle}`))).toBe(true);
    expect((await shape(`offset=0_0&handle=${handle}`)).text).toBe(second.text);
  });

  test('rows are streamed while the snapshot is being written', async () => {
    const { shape, router, store } = await bound();
    router.manual = true;
    const pending = shape('offset=-1');
    const handle = await newHandle(router, store);
    const snapshot = await router.snapshot(handle);
    await snapshot.part(row(1));
    const early = await fetch(`http://127.0.0.1:${fixture?.api.port}/v1/shape?table=items&offset=-1`);
    const reader = (early.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes(row(1))) text += Buffer.from((await reader.read()).value ?? []).toString();
    expect(text).toBe(`[${row(1)}`);
    await snapshot.part(row(2));
    await snapshot.part(SNAPSHOT_END_JSON, true);
    await snapshot.done();
    for (let read = await reader.read(); !read.done; read = await reader.read())
      text += Buffer.from(read.value).toString();
    expect(text).toBe(`[${row(1)},${row(2)},${SNAPSHOT_END_JSON}]`);
    expect((await pending).text).toBe(text);
  });

  test('a chunk that does not exist yet is waited for', async () => {
    const { shape, router, store } = await bound();
    router.manual = true;
    void shape('offset=-1');
    const handle = await newHandle(router, store);
    const snapshot = await router.snapshot(handle);
    await snapshot.part(row(1), true);
    const waiting = shape(`offset=0_0&handle=${handle}`);
    const beyond = shape(`offset=0_1&handle=${handle}`);
    await snapshot.part(`${row(2)},${SNAPSHOT_END_JSON}`, true);
    await snapshot.done();
    expect((await waiting).text).toBe(`[${row(2)},${SNAPSHOT_END_JSON}]`);
    const empty = await beyond;
    expect(empty.status).toBe(200);
    expect(['0_2', '0_inf']).toContain(empty.headers['electric-offset']);
  });

  test('a body is cut off when the shape ends before its snapshot is complete', async () => {
    const { shape, router, store } = await bound();
    router.manual = true;
    void shape('offset=-1').catch(() => undefined);
    const handle = await newHandle(router, store);
    const snapshot = await router.snapshot(handle);
    await snapshot.part(row(1));
    const reply = await fetch(`http://127.0.0.1:${fixture?.api.port}/v1/shape?table=items&offset=-1`);
    expect(reply.status).toBe(200);
    await router.rotate(handle);
    await expect(reply.text()).rejects.toThrow();
  });

  test.each([
    ['SNAPSHOT_FAILED', 503, 'the query took too long'],
    ['SOURCE_UNAVAILABLE', 503, 'the query took too long'],
    ['UNHEARD_OF', 500, 'Unexpected error while creating snapshot: the query took too long'],
  ])('a snapshot that fails with %s is told to those who wait', async (code, status, message) => {
    const { shape, router, store } = await bound();
    router.manual = true;
    const pending = shape('offset=-1');
    await (await router.snapshot(await newHandle(router, store))).fail(code, 'the query took too long');
    const reply = await pending;
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toEqual({ message });
    expect(reply.headers['cache-control']).toBe('no-store');
    if (status === 503) {
      expect(reply.headers).toMatchObject({ 'retry-after': '10', 'electric-internal-known-error': 'true' });
    }
  });

  test.each([
    ['whose clause no index has room for', 'SCAN_LIMIT_EXCEEDED', 'scan_limit_exceeded', '60'],
    ['of a source that has used up its bytes', 'SOURCE_FULL', 'source_full', '30'],
    ['of a source that is drained', 'SOURCE_DRAINING', 'source_draining', '30'],
  ])('a shape %s is refused with a code and a long wait', async (_, failure, code, retryAfter) => {
    const { shape, router, store } = await bound();
    router.manual = true;
    const pending = shape(`offset=-1&where=${encodeURIComponent("title <> title || 'x'")}`);
    await router.rotate(await newHandle(router, store), failure);
    const reply = await pending;
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.text)).toEqual({ code, message: 'the test said so' });
    expect(reply.headers).toMatchObject({
      'retry-after': retryAfter,
      'cache-control': 'no-store',
      'electric-internal-known-error': 'true',
    });
  });

  test('a schema change during the snapshot costs the shape, not the request: it gets the next one', async () => {
    const { shape, router, store } = await bound();
    router.manual = true;
    const pending = shape('offset=-1');
    await (await router.snapshot(await newHandle(router, store))).fail('SCHEMA_CHANGED', 'column gone');
    const next = await newHandle(router, store);
    const snapshot = await router.snapshot(next);
    await snapshot.part(SNAPSHOT_END_JSON, true);
    await snapshot.done();
    const answer = await pending;
    expect([answer.status, answer.headers['electric-handle']]).toEqual([200, next]);
  });

  test('a table that keeps changing during the snapshot is a 409', async () => {
    const { shape, router, store } = await bound();
    router.manual = true;
    const pending = shape('offset=-1');
    for (let start = 1; start <= 5; start += 1) {
      await (await router.snapshot(await newHandle(router, store))).fail('SCHEMA_CHANGED', 'column gone');
    }
    expectRefetch(await pending, undefined);
  });
});

describe('electric-where-index', () => {
  test.each([
    ['equality', 'id = 1'],
    ['range', 'id > 1'],
    ['none', "title <> title || 'x'"],
  ])('is %s for %s, on the snapshot and on the log', async (kind, where) => {
    const { shape } = await bound();
    const query = `where=${encodeURIComponent(where)}`;
    const snapshot = await shape(`offset=-1&${query}`);
    const handle = snapshot.headers['electric-handle'] as string;
    const log = await shape(`offset=0_0&handle=${handle}&${query}`);
    expect([snapshot.status, log.status]).toEqual([200, 200]);
    expect([snapshot, log].map(({ headers }) => headers['electric-where-index'])).toEqual([kind, kind]);
    expect(snapshot.headers['etag']).toBe(`"${handle}:-1:0_0"`);
  });

  test('is absent without a clause, and from live answers', async () => {
    const { shape } = await bound();
    expect((await shape('offset=-1')).headers).not.toHaveProperty('electric-where-index');
    const query = `where=${encodeURIComponent('id = 1')}`;
    const handle = (await shape(`offset=-1&${query}`)).headers['electric-handle'] as string;
    const live = await shape(`offset=0_inf&live=true&handle=${handle}&${query}`);
    expect(live.status).toBe(200);
    expect(live.headers).not.toHaveProperty('electric-where-index');
  });

  test('is the same for every way to write the clause', async () => {
    const { shape } = await bound();
    const replies = [];
    for (const where of ['id = 1', '(1 = "id")', 'items.id = 1 AND true']) {
      replies.push(await shape(`offset=-1&where=${encodeURIComponent(where)}`));
    }
    expect(replies.map(({ headers }) => headers['electric-where-index'])).toEqual(['equality', 'equality', 'equality']);
  });
});

describe('offset=now', () => {
  test('is the tail without history', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    const fresh = await shape('offset=now&handle=bogus');
    expect(fresh.headers).toMatchObject({
      'electric-handle': handle,
      'electric-offset': '0_inf',
      'electric-has-data': 'false',
      'electric-up-to-date': '',
      'cache-control': 'public, max-age=60, stale-while-revalidate=300',
    });
    expect(fresh.headers).toHaveProperty('electric-schema');
    expect(isUpToDate(fresh)).toBe(true);
    await router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const later = await shape('offset=now');
    expect(later.headers['electric-offset']).toBe('5000_0');
    expect(later.json).toEqual([{ headers: { control: 'up-to-date', global_last_seen_lsn: '5000' } }]);
    expect(later.headers.etag).not.toBe(fresh.headers.etag);
  });

  test('creates the shape', async () => {
    const { shape } = await bound();
    const reply = await shape('offset=now');
    expect(reply.status).toBe(200);
    expect(await fixtureHandle()).toBe(reply.headers['electric-handle']);
  });
});

describe('catching up', () => {
  test('answers entries, and up-to-date with what the service has processed', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    const other = await fixtureHandle('table=wide');
    await router.commit([
      { lsn: 5_000n, entries: { [handle]: [change(3, 5_000n, 0, false), change(4, 5_000n, 2)] } },
      { lsn: 6_000n, entries: { [other]: [change(1, 6_000n)] } },
    ]);
    const reply = await shape(`offset=0_inf&handle=${handle}`);
    expect(reply.text).toBe(
      `[${change(3, 5_000n, 0, false)},${change(4, 5_000n, 2)},{"headers":{"control":"up-to-date","global_last_seen_lsn":"6000"}}]`,
    );
    expect(reply.headers['electric-offset']).toBe('5000_2');
    const made = await shape(`offset=5000_0&handle=${handle}`);
    expect(made.json).toHaveLength(2);
    const tail = await shape(`offset=5000_2&handle=${handle}`);
    expect(tail.json).toEqual([{ headers: { control: 'up-to-date', global_last_seen_lsn: '6000' } }]);
    expect(tail.headers['electric-offset']).toBe('5000_2');
  });

  test('ends at the end of a closed chunk and is not up to date there', async () => {
    const { shape, router } = await bound({ chunkBytes: 400 });
    const handle = await fixtureHandle();
    const entries = Array.from({ length: 10 }, (_, index) => change(index, 7_000n, index * 2, index === 9));
    await router.commit([{ lsn: 7_000n, entries: { [handle]: entries } }]);
    const seen: string[] = [];
    let offset = '0_inf';
    let replies = 0;
    for (;;) {
      const reply = await shape(`offset=${offset}&handle=${handle}`);
      seen.push(...reply.json.filter((message) => message.key !== undefined).map((message) => JSON.stringify(message)));
      offset = reply.headers['electric-offset'] as string;
      replies += 1;
      if (isUpToDate(reply)) break;
      expect(reply.json.at(-1)?.key).toBeDefined();
    }
    expect(seen).toEqual(entries);
    expect(replies).toBeGreaterThan(2);
  });

  test('compares offsets as 64-bit numbers', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    const lsn = 2n ** 63n + 1n;
    await router.commit([{ lsn, entries: { [handle]: [change(3, lsn)] } }]);
    expect((await shape(`offset=${lsn - 1n}_0&handle=${handle}`)).json).toHaveLength(2);
    expect((await shape(`offset=${lsn}_0&handle=${handle}`)).json).toHaveLength(1);
  });

  test('normalises the offset', async () => {
    const { shape } = await bound();
    const handle = await fixtureHandle();
    expect((await shape(`offset=0_00&handle=${handle}`)).headers.etag).toBe(`"${handle}:0_0:0_inf"`);
  });
});

describe('offsets beyond the tail', () => {
  test('are refused after half the long-poll timeout', async () => {
    const { shape } = await bound({ longPollTimeoutMs: 300 });
    const handle = await fixtureHandle();
    for (const live of ['', '&live=true']) {
      const reply = await shape(`offset=999_0&handle=${handle}${live}`);
      expect(reply.status).toBe(400);
      expect(reply.text).toBe('{"message":"Invalid request","errors":{"offset":["out of bounds for this shape"]}}');
      expect(reply.headers['cache-control']).toBe('no-store');
    }
  });

  test('T20 are served when the tail catches up', async () => {
    const { shape, router } = await bound({ longPollTimeoutMs: 60_000 });
    const handle = await fixtureHandle();
    const waiting = [shape(`offset=999_0&handle=${handle}`), shape(`offset=999_0&handle=${handle}&live=true`)];
    await until(() => (fixture?.api.report().inProgress as number) === 2);
    await router.commit([{ lsn: 1_000n, entries: { [handle]: [change(3, 1_000n)] } }]);
    for (const reply of await Promise.all(waiting)) expect(reply.json[0]?.key).toBeDefined();
  });

  test('are a 409 when the shape rotates meanwhile', async () => {
    const { shape, router } = await bound({ longPollTimeoutMs: 60_000 });
    const handle = await fixtureHandle();
    const waiting = shape(`offset=999_0&handle=${handle}`);
    await until(() => (fixture?.api.report().inProgress as number) === 1);
    await router.rotate(handle);
    expectRefetch(await waiting, undefined);
  });
});

describe('handles', () => {
  test('an unknown handle is redirected to the current one', async () => {
    const { shape } = await bound();
    const handle = await fixtureHandle();
    expectRefetch(await shape('offset=0_0&handle=bogus'), handle);
    expectRefetch(await shape('offset=0_0&handle=bogus&live=true'), handle);
  });

  test('the shape is created for the redirect', async () => {
    const { shape } = await bound();
    const reply = await shape('offset=0_0&handle=bogus');
    expect(reply.status).toBe(409);
    expect(await fixtureHandle()).toBe(reply.headers['electric-handle']);
  });

  test('a handle of another definition is redirected', async () => {
    const { shape } = await bound();
    const handle = await fixtureHandle();
    const wide = await fixtureHandle('table=wide');
    expectRefetch(await shape(`table=wide&offset=0_0&handle=${handle}`), wide);
  });

  test('T23 an old handle is redirected to its successor, for ever', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    await router.rotate(handle);
    const reply = await shape(`offset=0_inf&handle=${handle}`);
    const successor = reply.headers['electric-handle'] as string;
    expect(successor).not.toBe(handle);
    expectRefetch(reply, successor);
    expectRefetch(await shape(`offset=0_inf&handle=${handle}&live=true`), successor);
  });

  test('a POST is never cached, redirects included', async () => {
    const { shape } = await bound();
    const reply = await shape('offset=0_0&handle=bogus', { method: 'POST' });
    expect(reply.status).toBe(409);
    expect(reply.headers['cache-control']).toBe('no-cache');
  });

  test('a new incarnation ends every handle', async () => {
    const { shape, router } = await bound({ longPollTimeoutMs: 60_000 });
    const handle = await fixtureHandle();
    const held = shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => fixture?.api.report().held === 1);
    router.stop();
    router.incarnation = 2;
    await router.start();
    expect((await held).status).toBe(409);
    const reply = await shape(`offset=0_inf&handle=${handle}`);
    expectRefetch(reply, await fixtureHandle());
  });

  test('a table that another pod knows to have changed is looked at again', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    const items = router.tables.get('public.items');
    if (items === undefined) throw new Error('no table');
    router.tables.set('public.items', { ...items, oid: 99 });
    expect((await shape('offset=-1')).headers['electric-handle']).toBe(handle);
    expect((await shape('offset=-1&expired_handle=another')).headers['electric-handle']).toBe(handle);
    const reply = await shape(`offset=-1&expired_handle=${handle}`);
    expect([reply.status, reply.headers['electric-handle'] !== handle]).toEqual([200, true]);
  });

  test('a handle that another pod made for the table as it is now is not turned away', async () => {
    const first = await start();
    const { messaging, store, source } = first;
    const second = new ApiFixture({ source }, { messaging, store });
    await second.api.start(new AbortController().signal);
    try {
      await first.handle();
      const old = await second.handle();
      const items = first.router.tables.get('public.items');
      if (items === undefined) throw new Error('no table');
      first.router.tables.set('public.items', { ...items, oid: 99 });
      const created = await first.shape(`offset=-1&expired_handle=${old}`);
      const handle = created.headers['electric-handle'] as string;
      expect(handle).not.toBe(old);
      const next = await second.shape(`offset=0_0&handle=${handle}`);
      expect([next.status, next.headers['electric-handle']]).toEqual([200, handle]);
    } finally {
      await second.api.stop();
    }
  });

  test('a changed table is another shape', async () => {
    const { shape, router } = await bound({ catalogTtlMs: -1 });
    const handle = await fixtureHandle();
    const items = router.tables.get('public.items');
    if (items === undefined) throw new Error('no table');
    router.tables.set('public.items', { ...items, oid: 99 });
    expectRefetch(await shape(`offset=0_inf&handle=${handle}`), await fixtureHandle());
    router.tables.set('public.items', items);
    expect((await shape(`offset=0_inf&handle=${handle}`)).status).toBe(200);
  });
});

describe('revalidation', () => {
  test('a tag that names the answer gets 304', async () => {
    const { shape } = await bound();
    const handle = await fixtureHandle();
    for (const tag of [`"${handle}:-1:0_0"`, `"x", "${handle}:-1:0_0"`]) {
      const reply = await shape('offset=-1', { headers: { 'if-none-match': tag } });
      expect(reply.status).toBe(304);
      expect(reply.text).toBe('');
      expect(reply.headers).toMatchObject({
        etag: `"${handle}:-1:0_0"`,
        'electric-handle': handle,
        'electric-offset': '0_0',
        'cache-control': 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746',
      });
      expect(reply.headers).not.toHaveProperty('electric-schema');
    }
  });

  test('news make another tag', async () => {
    const { shape, router } = await bound();
    const handle = await fixtureHandle();
    const tag = (await shape(`offset=0_0&handle=${handle}`)).headers.etag as string;
    const again = await shape(`offset=0_0&handle=${handle}`, { headers: { 'if-none-match': tag } });
    expect(again.status).toBe(304);
    expect(again.headers['electric-up-to-date']).toBe('');
    await router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    expect((await shape(`offset=0_0&handle=${handle}`, { headers: { 'if-none-match': tag } })).status).toBe(200);
  });

  test('T24 a live request behind the tail can get 304, one at the tail is held', async () => {
    const { shape, router } = await bound({ longPollTimeoutMs: 300 });
    const handle = await fixtureHandle();
    await router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const behind = await shape(`offset=0_inf&handle=${handle}&live=true`, {
      headers: { 'if-none-match': `"${handle}:0_inf:5000_0"` },
    });
    expect(behind.status).toBe(304);
    expect(behind.headers).toHaveProperty('electric-cursor');
    const tags = new Set<string>();
    for (let i = 0; i < 2; i += 1) {
      const held = await shape(`offset=5000_0&handle=${handle}&live=true`, {
        headers: { 'if-none-match': [`"${handle}:5000_0:5000_0"`, ...tags].join(', ') },
      });
      expect(held.status).toBe(200);
      expect(held.headers.etag).toMatch(new RegExp(`^"${handle}:5000_0:5000_0:`));
      tags.add(held.headers.etag as string);
    }
    expect(tags.size).toBe(2);
  });
});

async function bound(options: ConstructorParameters<typeof ApiFixture>[0] = {}) {
  const made = await start(options);
  return { shape: made.shape.bind(made), send: made.send.bind(made), router: made.router, store: made.store };
}

function fixtureHandle(query?: string): Promise<string> {
  if (fixture === undefined) throw new Error('no fixture');
  return fixture.handle(query);
}

async function newHandle(router: ApiFixture['router'], store: ApiFixture['store']): Promise<string> {
  let handle: string | undefined;
  await until(async () => {
    for (const shard of [0, 1]) {
      const { shapes } = await store.loadShapes(router.shard(shard));
      handle ??= shapes.find((shape) => shape.state === 'creating')?.handle;
    }
    return handle !== undefined;
  });
  return handle as string;
}
