import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { parseApiConfig } from './config.ts';
import { ApiFixture, until } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
const start = async (...args: ConstructorParameters<typeof ApiFixture>) => {
  fixture = await new ApiFixture(...args).start();
  return fixture;
};
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

const EXPOSED =
  'electric-cursor,electric-handle,electric-has-data,electric-offset,electric-schema,electric-up-to-date,electric-internal-known-error,electric-snapshot,electric-where-index,retry-after';
const refused = (field: string, text: string) => ({ message: 'Invalid request', errors: { [field]: [text] } });
const shapes = async (api: ApiFixture) => {
  const all = await Promise.all([0, 1].map((shard) => api.store.loadShapes(api.router.shard(shard))));
  return all.flatMap(({ shapes: found }) => found);
};

describe('routing', () => {
  test.each([
    ['GET', '/', 200, ''],
    ['HEAD', '/', 200, ''],
    ['POST', '/', 404, 'Not found'],
    ['GET', '/nope', 404, 'Not found'],
    ['GET', '/v1', 404, 'Not found'],
    ['GET', '/v1/shapes', 404, 'Not found'],
    ['GET', '/v2/shape', 404, 'Not found'],
    ['PUT', '/v1/shape?table=items&offset=-1', 404, 'Not found'],
    ['PATCH', '/v1/shape?table=items&offset=-1', 404, 'Not found'],
    ['POST', '/v1/health', 404, 'Not found'],
    ['GET', '/V1/Health', 404, 'Not found'],
  ])('%s %s is %i', async (method, path, status, text) => {
    const api = await start();
    const reply = await api.send(path, { method });
    expect([reply.status, reply.text]).toEqual([status, text]);
    expect(reply.headers['electric-server']).toMatch(/^Shapecast\//);
    expect(reply.headers).not.toHaveProperty('x-powered-by');
    expect(await shapes(api)).toEqual([]);
  });

  test('request ids of a sensible length come back', async () => {
    const api = await start();
    const id = 'a'.repeat(36);
    for (const path of ['/v1/shape?table=items&offset=-1', '/']) {
      expect((await api.send(path, { headers: { 'x-request-id': id } })).headers['x-request-id']).toBe(id);
      const other = await api.send(path, { headers: { 'x-request-id': 'short' } });
      expect(other.headers['x-request-id']).toMatch(/^.{20,}$/);
    }
  });

  test('malformed percent-encoding is a 400', async () => {
    const api = await start();
    const reply = await api.shape('offset=-1&x=%zz');
    expect(reply.status).toBe(400);
    expect(reply.text).toBe('{"message":"Invalid request","errors":{}}');
  });

  test('a request line of 10,000 bytes is served, one beyond 32 KiB is not', async () => {
    const api = await start();
    expect((await api.shape(`offset=-1&x=${'a'.repeat(10_000)}`)).status).toBe(200);
    expect((await api.shape(`offset=-1&x=${'a'.repeat(33_000)}`)).status).toBe(414);
    expect((await api.send('/', { headers: { big: 'a'.repeat(70_000) } })).status).toBe(431);
  });
});

describe('CORS', () => {
  test('T23, T54 every answer of the shape endpoint carries it', async () => {
    const api = await start({ secrets: ['s3cr3t'], limits: { initial: 1, existing: 1 } });
    const secret = 'secret=s3cr3t';
    const replies = [
      await api.shape(`offset=-1&${secret}`, { headers: { origin: 'https://a.example' } }),
      await api.shape(`offset=foo&${secret}`),
      await api.shape(`offset=0_0&handle=bogus&${secret}`),
      await api.shape('offset=-1'),
      await api.shape(`offset=-1&${secret}`, { method: 'DELETE' }),
      await api.send('/v1/shape', { method: 'OPTIONS' }),
    ];
    expect(replies.map((reply) => reply.status)).toEqual([200, 400, 409, 401, 405, 204]);
    for (const { headers } of replies) {
      expect(headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, POST, HEAD, DELETE, OPTIONS',
        'access-control-expose-headers': EXPOSED,
      });
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
      expect(headers).not.toHaveProperty('location');
    }
  });

  test('OPTIONS needs no secret and is not cached by shared caches', async () => {
    const api = await start({ secrets: ['s3cr3t'] });
    const reply = await api.send('/v1/shape', {
      method: 'OPTIONS',
      headers: { 'access-control-request-headers': 'Content-Type, if-none-match' },
    });
    expect(reply.status).toBe(204);
    expect(reply.headers['access-control-max-age']).toBe('86400');
    expect(reply.headers['access-control-allow-headers']).toBe('if-none-match, content-type');
    expect(reply.headers).not.toHaveProperty('cache-control');
  });
});

describe('authentication', () => {
  const UNAUTHORIZED = '{"message":"Unauthorized - Invalid API secret"}';

  test.each([
    ['', 401],
    ['secret=wrong', 401],
    ['secret=s3cr3t', 200],
    ['secret=older', 200],
    ['api_secret=s3cr3t', 200],
    ['secret=&api_secret=s3cr3t', 401],
    ['secret[]=s3cr3t', 401],
    ['secret=s3cr3t&x=%zz', 400],
    ['x=%zz', 401],
  ])('%j is %i', async (query, status) => {
    const api = await start({ secrets: ['s3cr3t', 'older'] });
    const reply = await api.shape(`offset=-1&${query}`);
    expect(reply.status).toBe(status);
    if (status !== 401) return;
    expect(reply.text).toBe(UNAUTHORIZED);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(await shapes(api)).toEqual([]);
    expect(api.router.lookups).toBe(0);
  });

  test('neither body nor header counts', async () => {
    const api = await start({ secrets: ['s3cr3t'] });
    const init = { method: 'POST', body: '{"secret":"s3cr3t"}', headers: { authorization: 's3cr3t' } };
    expect((await api.shape('offset=-1', init)).status).toBe(401);
  });

  test('T41 no spelling of the path gets around it', async () => {
    const api = await start({ secrets: ['s3cr3t'], allowDelete: true });
    const paths = ['/v1/shape/', '/v1//shape', '//v1/shape', '/v1/%73hape', '/v1/shap%65', '/v1/./shape', '/V1/shape'];
    for (const path of [...paths, '/v1/shape']) {
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
        const reply = await api.send(`${path}?table=items&offset=-1`, { method });
        expect([401, 404], `${method} ${path}`).toContain(reply.status);
      }
    }
    expect(await shapes(api)).toEqual([]);
  });

  test('nothing else is guarded', async () => {
    const api = await start({ secrets: ['s3cr3t'] });
    await until(() => api.api.report().status === 'active');
    expect((await api.send('/')).status).toBe(200);
    expect((await api.send('/v1/health')).status).toBe(200);
    expect((await api.send('/nope')).status).toBe(404);
  });

  test('exactly one of secret and insecure mode is configured', () => {
    const servers = { SHAPECAST_NATS_URL: 'nats://x', SHAPECAST_REDIS_URL: 'redis://x' };
    expect(() => parseApiConfig(servers)).toThrow(/ELECTRIC_SECRET.*ELECTRIC_INSECURE/);
    expect(() => parseApiConfig({ ...servers, ELECTRIC_SECRET: 'x', ELECTRIC_INSECURE: 'true' })).toThrow(
      /ELECTRIC_SECRET.*ELECTRIC_INSECURE/,
    );
    expect(parseApiConfig({ ...servers, ELECTRIC_INSECURE: 'true' }).secrets).toEqual([]);
    expect(parseApiConfig({ ...servers, ELECTRIC_SECRET: 'a, b,' }).secrets).toEqual(['a', 'b']);
    expect(() => parseApiConfig({ ...servers, ELECTRIC_SECRET: ' , ' })).toThrow(/ELECTRIC_SECRET is required/);
  });

  test('limits are JSON, and a bad value is named', () => {
    const env = { SHAPECAST_NATS_URL: 'nats://x', SHAPECAST_REDIS_URL: 'redis://x', ELECTRIC_INSECURE: 'true' };
    expect(parseApiConfig({ ...env, ELECTRIC_MAX_CONCURRENT_REQUESTS: '{"initial":5}' }).limits).toEqual({
      initial: 5,
      existing: 10_000,
    });
    expect(() => parseApiConfig({ ...env, ELECTRIC_MAX_CONCURRENT_REQUESTS: '5' })).toThrow(/CONCURRENT_REQUESTS/);
  });
});

describe('health', () => {
  test('is starting until the source, a leader and owners of its shards are there', async () => {
    const api = (fixture = new ApiFixture());
    await api.api.start(new AbortController().signal);
    const starting = await api.send('/v1/health');
    expect([starting.status, starting.text]).toEqual([202, '{"status":"starting"}']);
    expect(starting.headers['cache-control']).toBe('no-cache, no-store, must-revalidate');
    await api.router.start();
    await until(() => api.api.report().status === 'active');
    const active = await api.send('/v1/health');
    expect([active.status, active.text]).toEqual([200, '{"status":"active"}']);
    await api.router.lead(false);
    await until(() => api.api.report().status === 'waiting');
    const waiting = await api.send('/v1/health');
    expect([waiting.status, waiting.text]).toEqual([202, '{"status":"waiting"}']);
    expect((await api.send('/v1/health?source_id=other')).status).toBe(404);
  });

  test('without a leader shapes that exist are served, and new ones are refused after the readiness wait', async () => {
    const api = await start();
    const handle = await api.handle();
    await api.router.lead(false);
    await until(() => api.api.report().status === 'waiting');
    expect((await api.shape(`offset=0_0&handle=${handle}`)).status).toBe(200);
    const reply = await api.shape('table=wide&offset=-1');
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('5');
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.text).toContain('Timeout waiting for');
  });

  test('before the pod is connected requests wait, and then are refused', async () => {
    const api = (fixture = new ApiFixture({ readyTimeoutMs: 50 }));
    await api.api.start(new AbortController().signal);
    const reply = await api.shape('offset=-1');
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '5']);
  });
});

describe('errors', () => {
  test.each([
    ['offset=foo', refused('offset', 'has invalid format')],
    ['table=&offset=-1', refused('table', "can't be blank")],
    [
      'table=wide&offset=-1&columns=v1',
      refused('columns', 'The list of columns must include all primary key columns, missing: id'),
    ],
    [
      'table=none&offset=-1',
      refused(
        'table',
        'Table "public"."none" does not exist. If the table name contains capitals or special characters you must quote it.',
      ),
    ],
    ['offset=-1&where=1+x+1', refused('where', 'At location 17: syntax error at or near "x"')],
  ])('%s', async (query, body) => {
    const api = await start();
    const reply = await api.shape(query);
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toEqual(body);
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'surrogate-control': 'no-store',
    });
    const head = await api.shape(query, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([400, '']);
    const post = await api.shape(query, { method: 'POST' });
    expect(post.headers['cache-control']).toBe('no-cache');
    expect(post.headers).not.toHaveProperty('surrogate-control');
  });

  test('a table that appears is found at once', async () => {
    const api = await start();
    const items = api.router.tables.get('public.items');
    api.router.tables.delete('public.items');
    expect((await api.shape('offset=-1')).status).toBe(400);
    if (items !== undefined) api.router.tables.set('public.items', items);
    expect((await api.shape('offset=-1')).status).toBe(200);
  });

  test('a column that appears is found at once', async () => {
    const api = await start();
    await api.handle();
    const items = api.router.tables.get('public.items');
    if (items === undefined) throw new Error('no table');
    const added = { ...items.columns[1], name: 'added' } as (typeof items.columns)[number];
    api.router.tables.set('public.items', { ...items, columns: [...items.columns, added] });
    expect((await api.shape('offset=-1&columns=id,added')).status).toBe(200);
  });

  test('concurrent questions about a table are one', async () => {
    const api = await start();
    await Promise.all(Array.from({ length: 50 }, () => api.shape('offset=foo')));
    const before = api.router.lookups;
    await Promise.all(Array.from({ length: 50 }, () => api.shape('offset=-1')));
    expect(api.router.lookups - before).toBeLessThanOrEqual(2);
  });

  test('without a catalog a table that was never asked for is a 503, and a known one is served', async () => {
    const api = await start({ catalogTtlMs: -1 });
    const handle = await api.handle();
    api.router.catalogDown = true;
    const reply = await api.shape('table=wide&offset=-1');
    expect(reply.status).toBe(503);
    expect(reply.text).toBe(
      '{"message":"Cannot connect to the database to verify the shape. Please try again later."}',
    );
    expect(reply.headers['retry-after']).toBe('1');
    expect((await api.shape(`offset=0_0&handle=${handle}`)).status).toBe(200);
    expect((await api.shape('offset=-1')).headers['electric-handle']).toBe(handle);
  });

  test('C248, T42 a bug is a 500 without details', async () => {
    const memory = openMemoryShapeStore(systemClock);
    const store = Object.assign(Object.create(memory) as typeof memory, {
      find: async () => {
        throw new Error('secret detail');
      },
    });
    const api = await start({}, { store: bindAll(store, memory) });
    const reply = await api.shape('offset=-1');
    expect([reply.status, reply.text]).toEqual([500, '{"error":"Internal server error"}']);
    expect(reply.headers['cache-control']).toBe('no-store');
  });
});

describe('POST', () => {
  test('is read as GET with the members of its body', async () => {
    const api = await start();
    const handle = await api.handle('replica=full');
    const reply = await api.shape('offset=-1', { method: 'POST', body: '{"replica":"full","foo":1}' });
    expect(reply.status).toBe(200);
    expect(reply.headers['electric-handle']).toBe(handle);
    expect(reply.headers['cache-control']).toBe('no-cache');
    expect((await api.shape('offset=-1', { method: 'POST' })).status).toBe(200);
  });

  test.each([
    ['{', 400, 'Invalid JSON in request body'],
    ['[1]', 400, 'Request body must be a JSON object'],
    [' '.repeat(9_000_000), 413, 'Request body too large'],
  ])('refuses a bad body', async (body, status, error) => {
    const api = await start();
    const reply = await api.shape('offset=-1', { method: 'POST', body });
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.text)).toMatchObject({ error });
    expect(reply.headers['cache-control']).toBe('no-store');
  });

  test('a body cannot play an answer of the server', async () => {
    const api = await start();
    const body = '{"kind":"failure","ok":false,"status":200,"body":"x"}';
    const reply = await api.shape('offset=-1', { method: 'POST', body });
    expect(reply.headers).toHaveProperty('electric-handle');
  });
});

describe('admission', () => {
  test('above the limit a new request is refused before any work, and a known handle is served', async () => {
    const api = await start({ limits: { initial: 1, existing: 10 } });
    const handle = await api.handle();
    api.router.manual = true;
    const abort = new AbortController();
    const path = '/v1/shape?table=wide&offset=-1';
    const pending = api.send(path, { signal: abort.signal }).catch(() => undefined);
    await until(async () => (await shapes(api)).length === 2);
    const refusal = await api.shape('offset=-1&columns=id');
    expect(refusal.status).toBe(503);
    expect(JSON.parse(refusal.text)).toEqual({
      code: 'concurrent_request_limit_exceeded',
      message: 'Concurrent initial request limit exceeded (limit: 1), please retry',
    });
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThanOrEqual(6);
    expect(Number(refusal.headers['retry-after'])).toBeLessThanOrEqual(10);
    expect(refusal.headers).toMatchObject({ 'electric-internal-known-error': 'true', 'cache-control': 'no-store' });
    expect(await shapes(api)).toHaveLength(2);
    expect((await api.shape(`offset=-1&handle=${handle}`)).status).toBe(200);
    expect((await api.shape('offset=0_0&handle=unknown')).status).toBe(503);
    expect((await api.send('/v1/health')).status).toBeLessThan(300);
    abort.abort();
    await pending;
    await until(() => api.api.report().inProgress === 0);
    expect(api.api.report().permits).toEqual({ initial: 0, existing: 0 });
  });

  test('T43 permits come back whatever the answer was', async () => {
    const api = await start();
    const handle = await api.handle();
    const tag = { 'if-none-match': `"${handle}:-1:0_0"` };
    await Promise.all([
      api.shape('offset=foo'),
      api.shape('offset=-1', { headers: tag }),
      api.shape('offset=0_0&handle=bogus'),
      api.shape('offset=-1', { method: 'POST', body: '{' }),
      api.shape('offset=-1&x=%zz'),
      api.shape('table=none&offset=-1'),
    ]);
    await until(() => api.api.report().inProgress === 0);
    expect(api.api.report().permits).toEqual({ initial: 0, existing: 0 });
  });
});

describe('DELETE', () => {
  const remove = (api: ApiFixture, query: string) => api.send(`/v1/shape?${query}`, { method: 'DELETE' });

  test('is off unless enabled', async () => {
    const api = await start();
    const reply = await remove(api, 'table=items');
    expect([reply.status, reply.text]).toEqual([405, '{"message":"DELETE not allowed"}']);
    expect(reply.headers['cache-control']).toBe('no-cache');
  });

  test('T26 drops a shape by definition or by handle, and its readers start over', async () => {
    const api = await start({ allowDelete: true, longPollTimeoutMs: 60_000 });
    const first = await api.handle();
    const held = api.shape(`offset=0_inf&handle=${first}&live=true`);
    await until(() => api.api.report().held === 1);
    const deleted = await remove(api, 'table=items');
    expect([deleted.status, deleted.text, deleted.headers['cache-control']]).toEqual([202, '', 'no-cache']);
    expect((await held).status).toBe(409);
    expect((await remove(api, 'table=items')).status).toBe(404);
    const second = await api.handle();
    expect(second).not.toBe(first);
    expect((await remove(api, `handle=${second}`)).status).toBe(202);
    expect((await remove(api, `handle=${second}`)).status).toBe(404);
    expect((await remove(api, 'handle=unknown')).text).toBe('{"message":"No existing shape found"}');
  });

  test('T27 refuses what does not fit', async () => {
    const api = await start({ allowDelete: true });
    await api.handle();
    expect((await remove(api, 'table=items&handle=wrong')).text).toContain('definition and handle do not match');
    expect(JSON.parse((await remove(api, '')).text)).toEqual(
      refused('handle', "can't be blank when shape definition is missing"),
    );
    expect(JSON.parse((await remove(api, 'table=items&live=banana')).text)).toEqual(refused('live', 'is invalid'));
    expect((await remove(api, 'table=items&columns=id')).status).toBe(404);
  });
});

/** Methods of the memory store use private fields, so they need their own receiver. */
function bindAll<T extends object>(overrides: T, target: T): T {
  return new Proxy(overrides, {
    get: (own, name) => {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name) as unknown;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
