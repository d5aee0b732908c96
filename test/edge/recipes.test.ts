import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { startEdge, waitFor, type Edge } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send } from '../conformance/support/http.ts';
import { crowd, CROWD, distinct } from './support/crowd.ts';
import { startOrigin, type Handler, type Origin } from './support/origin.ts';

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
const LIVE = { ...JSON_TYPE, 'cache-control': 'public, max-age=5, stale-while-revalidate=5' };
/** As the API writes it: nginx 1.22 obeys the first of the two cache headers only. */
const OVERLOADED = ['x-accel-expires', '1', 'cache-control', 'no-store', 'surrogate-control', 'no-store'];
const UP_TO_DATE = '[{"headers":{"control":"up-to-date"}}]';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What the API cannot be made to answer on demand, from an origin of a few lines. A test registers how its own URLs, which
 * contain a key of its own, are answered. All of them run at the same time: what they do is wait.
 */
describe.concurrent.each(['nginx', 'varnish'] as const)('%s with the shipped configuration', (kind) => {
  const handlers = new Map<string, Handler>();
  let origin: Origin;
  let edge: Edge;

  beforeAll(async () => {
    origin = await startOrigin((incoming, response) => {
      const key = /key=([^&]*)/.exec(incoming.url ?? '')?.[1] ?? '';
      (handlers.get(key) ?? ((_incoming, res) => void res.writeHead(404, { 'cache-control': 'no-store' }).end()))(
        incoming,
        response,
      );
    });
    edge = await startEdge({ kind, origin: origin.url });
  });

  afterAll(async () => {
    await edge.stop();
    await origin.stop();
  });

  function answer(handler: Handler): string {
    const key = randomUUID();
    handlers.set(key, handler);
    return key;
  }

  /** A live poll that is answered after a while. */
  function livePoll(delayMs: number): string {
    const key = answer((_incoming, response) => {
      setTimeout(() => response.writeHead(200, { ...LIVE, etag: `"${key}"` }).end(UP_TO_DATE), delayMs);
    });
    return key;
  }

  const poll = (key: string, rest = ''): string => `/v1/shape?key=${key}&live=true&offset=0_0${rest}`;

  // C5: nginx's own lock times are 5 s, so 6 s is past them. SHAPECAST_TEST_EDGE_POLL_MS=20000 takes as long as a real idle poll.
  test.each([1_000, Number(process.env['SHAPECAST_TEST_EDGE_POLL_MS'] ?? 6_000)])(
    'C12 a crowd that polls the same URL costs the origin one request, also when the answer takes %i ms',
    async (delayMs) => {
      const key = livePoll(delayMs);
      const answers = await crowd(edge.url, poll(key));
      expect(distinct(answers.map(({ status, text }) => `${status} ${text}`))).toEqual([`200 ${UP_TO_DATE}`]);
      expect(answers.length).toBe(CROWD);
      expect(origin.matching(key).length).toBe(1);
    },
  );

  // nginx counts the uses of a key in ten bits and would send the 1,024th to the origin.
  test('a crowd of 1,100 costs the origin one request', async () => {
    const key = livePoll(2_000);
    const answers = await crowd(edge.url, poll(key), { size: 1_100 });
    expect(distinct(answers.map(({ text }) => text))).toEqual([UP_TO_DATE]);
    expect(origin.matching(key).length).toBe(1);
  });

  test('C12 clients that come one after the other join the request in flight, late ones get its answer', async () => {
    const key = livePoll(1_500);
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_none, i) => {
        await sleep(i * 50);
        return send(edge.url, poll(key));
      }),
    );
    expect(distinct(answers.map(({ text }) => text))).toEqual([UP_TO_DATE]);
    expect(origin.matching(key).length).toBe(1);
  });

  test('a client that leaves does not take the request of the others along', async () => {
    const key = livePoll(1_500);
    const leaving = new AbortController();
    const first = send(edge.url, poll(key), { signal: leaving.signal }).catch(() => 'left');
    await waitFor(() => origin.matching(key).length === 1);
    const others = crowd(edge.url, poll(key), { size: 20 });
    await sleep(200);
    leaving.abort();
    expect(await first).toBe('left');
    expect(distinct((await others).map(({ status }) => status))).toEqual([200]);
    expect(origin.matching(key).length).toBe(1);
  });

  test('C12 409 goes to the origin once, is a hit for as long as it says, then is asked for again', async () => {
    const key = answer((_incoming, response) => {
      response.writeHead(409, { ...JSON_TYPE, 'cache-control': 'public, max-age=2, must-revalidate' });
      response.end('[{"headers":{"control":"must-refetch"}}]');
    });
    const path = `/v1/shape?key=${key}&offset=0_0&handle=dead`;
    const burst = [...(await crowd(edge.url, path)), await send(edge.url, path)];
    expect(distinct(burst.map(({ status, text }) => `${status} ${text}`))).toEqual([
      '409 [{"headers":{"control":"must-refetch"}}]',
    ]);
    expect(burst.at(-1)?.headers['x-cache-status']).toBe('HIT');
    expect(origin.matching(key).length).toBe(1);
    await waitFor(
      async () => {
        expect((await send(edge.url, path)).status).toBe(409);
        return origin.matching(key).length === 2;
      },
      { intervalMs: 200 },
    );
  });

  test('C12 a burst of 503 costs one request, tells each client when to return, and the next poll is collapsed', async () => {
    let overloaded = true;
    const key = answer((_incoming, response) => {
      setTimeout(() => {
        if (overloaded)
          response.writeHead(503, [...Object.entries(JSON_TYPE).flat(), ...OVERLOADED, 'retry-after', '5']);
        else response.writeHead(200, LIVE);
        response.end(overloaded ? '{"message":"overloaded"}' : UP_TO_DATE);
      }, 500);
    });
    const refused = await crowd(edge.url, poll(key));
    expect(distinct(refused.map(({ status }) => status))).toEqual([503]);
    for (const { headers, text } of refused) {
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'surrogate-control': 'no-store' });
      expect(headers['content-type']).toContain('application/json');
      expect(headers).not.toHaveProperty('x-accel-expires');
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(5);
      expect(JSON.parse(text)).toHaveProperty('message');
    }
    expect(distinct(refused.map(({ headers }) => headers['retry-after'])).length).toBeGreaterThan(1);
    expect(origin.matching(key).length).toBe(1);

    overloaded = false;
    await sleep(2_100);
    const next = await crowd(edge.url, poll(key));
    expect(distinct(next.map(({ status, text }) => `${status} ${text}`))).toEqual([`200 ${UP_TO_DATE}`]);
    expect(origin.matching(key).length).toBe(2);
  });

  test.each([400, 401, 404, 500])('status %i reaches the client and is forgotten after a second', async (status) => {
    const key = answer((_incoming, response) => {
      response.writeHead(status, [...Object.entries(JSON_TYPE).flat(), ...OVERLOADED]).end('{"message":"refused"}');
    });
    const path = `/v1/shape?key=${key}&offset=-1`;
    const answers = await crowd(edge.url, path, { size: 20 });
    expect(distinct(answers.map((each) => `${each.status} ${each.text}`))).toEqual([`${status} {"message":"refused"}`]);
    expect(distinct(answers.map((each) => each.headers['cache-control']))).toEqual(['no-store']);
    expect(origin.matching(key).length).toBe(1);
    await waitFor(
      async () => {
        await send(edge.url, path);
        return origin.matching(key).length > 1;
      },
      { intervalMs: 200 },
    );
  });

  test('C2 C4 nothing in the headers of a client makes a request of its own or reaches the origin', async () => {
    const key = livePoll(1_000);
    const requests = Array.from({ length: 20 }, (_none, i) =>
      send(edge.url, poll(key), {
        headers: {
          authorization: `Bearer ${i}`,
          cookie: `user=${i}`,
          'if-none-match': `"${i}"`,
          range: `bytes=${i}-`,
          'x-request-id': `${i}`.padStart(32, '0'),
          'accept-language': `x-${i}`,
        },
      }),
    );
    const answers = await Promise.all(requests);
    expect(distinct(answers.map(({ status, text }) => `${status} ${text}`))).toEqual([`200 ${UP_TO_DATE}`]);
    const [seen, ...more] = origin.matching(key);
    expect(more).toEqual([]);
    for (const name of ['authorization', 'cookie', 'if-none-match', 'range', 'x-request-id']) {
      expect(seen?.headers).not.toHaveProperty(name);
    }
  });

  test('a client with too many or too long headers is refused alone', async () => {
    const key = answer((incoming, response) => {
      const { length } = incoming.rawHeaders;
      const bad = length > 100 || incoming.rawHeaders.join().length > 60_000;
      response.writeHead(bad ? 431 : 200, bad ? OVERLOADED : Object.entries(LIVE).flat()).end(UP_TO_DATE);
    });
    const many = Object.fromEntries(Array.from({ length: 70 }, (_none, i) => [`x-filler-${i}`, 'x']));
    const long = Object.fromEntries(Array.from({ length: 7 }, (_none, i) => [`x-filler-${i}`, 'x'.repeat(9_900)]));
    const spoiling = await Promise.allSettled([
      send(edge.url, poll(key), { headers: many }),
      send(edge.url, poll(key, '&cursor=1'), { headers: long }),
    ]);
    expect(spoiling.length).toBe(2);
    expect((await send(edge.url, poll(key))).status).toBe(200);
    expect((await send(edge.url, poll(key, '&cursor=1'))).status).toBe(200);
  });

  test('C3 other parameters, hosts and spellings of the path are other answers', async () => {
    const key = answer((incoming, response) => {
      const { host } = incoming.headers;
      response.writeHead(200, LIVE).end(JSON.stringify(`${host?.split(':')[0]} ${incoming.url}`));
    });
    const paths = [poll(key), poll(key, '&tenant=a'), poll(key, '&tenant=b'), poll(key, '&tenant=b&tenant=c')];
    const spelled = [`/v1//shape?key=${key}&live=true`, `/v1/%73hape?key=${key}&live=true`];
    const asked = [...paths, ...spelled].flatMap((path) => ['a.test', 'b.test'].map((host) => ({ path, host })));
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(asked.map(({ path, host }) => send(edge.url, path, { headers: { host } })));
      const texts = answers.map(({ text }) => JSON.parse(text) as string);
      const canonical = (text: string): string => {
        const [host, url = ''] = text.split(' ');
        const [path, query = ''] = url.split('?');
        return `${host} ${path} ${query.split('&').toSorted().join('&')}`;
      };
      expect(texts.map(canonical)).toEqual(asked.map(({ path, host }) => canonical(`${host} ${path}`)));
    }
    // The right spelling was cached, the others never are.
    for (const path of paths) expect(origin.seen.filter(({ url }) => sorted(url) === sorted(path)).length).toBe(2);
  });

  test(`C12 the same parameters in another order ${kind === 'varnish' ? 'are the same request' : 'are another one'}`, async () => {
    const key = livePoll(500);
    const orders = ['a=1&b=2&c=3', 'c=3&a=1&b=2', 'b=2&c=3&a=1'];
    await Promise.all(orders.map((order) => send(edge.url, `/v1/shape?${order}&live=true&key=${key}`)));
    // nginx has no way to sort; the official clients sort by themselves.
    expect(origin.matching(key).length).toBe(kind === 'varnish' ? 1 : 3);
  });

  test.each(['POST', 'DELETE', 'OPTIONS'])('%s goes to the origin each time, body and all', async (method) => {
    const key = answer((incoming, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'cache-control': 'no-cache' });
      incoming.pipe(response);
    });
    const body = method === 'POST' ? `{"filler":"${'x'.repeat(100_000)}"}` : '';
    for (let i = 0; i < 2; i += 1) {
      const got = await send(edge.url, `/v1/shape?key=${key}`, {
        method,
        body,
        headers: { 'x-request-id': 'i'.repeat(20) },
      });
      expect(got.status).toBe(200);
      expect(got.text).toBe(body);
    }
    expect(origin.matching(key).map((seen) => [seen.method, seen.headers['x-request-id']])).toEqual([
      [method, 'i'.repeat(20)],
      [method, 'i'.repeat(20)],
    ]);
  });

  test('GETs of subsets wait neither in line nor for each other', async () => {
    const held: ServerResponse[] = [];
    const key = answer((_incoming, response) => void held.push(response));
    const answers = crowd(edge.url, `/v1/shape?key=${key}&offset=-1&subset__limit=5`, { size: 20 });
    await waitFor(() => held.length === 20, { describe: () => held.length });
    for (const response of held) response.writeHead(200, { ...JSON_TYPE, 'cache-control': 'no-cache' }).end('{}');
    expect(distinct((await answers).map(({ status }) => status))).toEqual([200]);
  });

  test.each(['no-store', 'private, max-age=60', 'no-cache', undefined])(
    'an answer with cache-control %s is for one client only',
    async (cacheControl) => {
      let count = 0;
      const key = answer((_incoming, response) => {
        response.writeHead(200, { ...JSON_TYPE, ...(cacheControl && { 'cache-control': cacheControl }) });
        response.end(String((count += 1)));
      });
      const path = `/v1/shape?key=${key}&offset=-1`;
      const texts = [];
      for (let i = 0; i < 3; i += 1) texts.push((await send(edge.url, path)).text);
      expect(texts).toEqual(['1', '2', '3']);
    },
  );

  test('C10 the first event of a stream reaches all followers before its end', async () => {
    const streams: ServerResponse[] = [];
    const key = answer((_incoming, response) => {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'public, max-age=59',
        'x-accel-buffering': 'no',
      });
      response.write('data: first\n\n');
      streams.push(response);
    });
    const followers = 20;
    const agent = new Agent({ maxSockets: Infinity });
    const incoming = await Promise.all(
      Array.from({ length: followers }, async () => {
        const call = get(`${edge.url}${poll(key, '&live_sse=true')}`, { agent });
        const [response] = (await once(call, 'response')) as [IncomingMessage];
        return { response, heard: '' };
      }),
    );
    for (const follower of incoming) {
      follower.response.on('data', (chunk: Buffer) => (follower.heard += chunk.toString()));
    }
    const allHeard = (text: string) => () => incoming.every(({ heard }) => heard === text);
    await waitFor(allHeard('data: first\n\n'), { describe: () => incoming.map(({ heard }) => heard) });
    // Varnish gives one stream to all of them, nginx passes each on by itself.
    expect(streams.length).toBe(kind === 'varnish' ? 1 : followers);
    for (const stream of streams) stream.write('data: second\n\n');
    await waitFor(allHeard('data: first\n\ndata: second\n\n'));
    const ended = Promise.all(incoming.map(({ response }) => once(response, 'end')));
    for (const stream of streams) stream.end();
    expect((await ended).length).toBe(followers);
    agent.destroy();
  });

  test('an expired answer is asked for with its etag; 304 keeps it, and nobody waits for that', async () => {
    const key = answer((incoming, response) => {
      const known = incoming.headers['if-none-match'] === '"tag"';
      response.writeHead(known ? 304 : 200, {
        ...(known ? {} : JSON_TYPE),
        'cache-control': 'public, max-age=1, stale-while-revalidate=300',
        etag: '"tag"',
        'electric-handle': 'h',
      });
      response.end(known ? undefined : UP_TO_DATE);
    });
    const path = `/v1/shape?key=${key}&offset=0_0&handle=h`;
    await send(edge.url, path);
    await sleep(2_100);
    const answers = await crowd(edge.url, path, { size: 50 });
    expect(distinct(answers.map(({ status, text }) => `${status} ${text}`))).toEqual([`200 ${UP_TO_DATE}`]);
    await waitFor(() => origin.matching(key).length === 2);
    expect(origin.matching(key)[1]?.headers['if-none-match']).toBe('"tag"');
    const own = await send(edge.url, path, { headers: { 'if-none-match': '"tag"' } });
    expect([own.status, own.text, own.headers['electric-handle']]).toEqual([304, '', 'h']);
  });

  test('long URLs and large headers of answers pass', async () => {
    const schema = JSON.stringify({ column: 'x'.repeat(40_000) });
    const key = answer((incoming, response) => {
      response.writeHead(200, { ...LIVE, 'electric-schema': schema }).end(JSON.stringify(incoming.url?.length));
    });
    for (const length of [10_000, 32_000]) {
      const path = poll(key, `&where=${'x'.repeat(length)}`);
      const got = await new Promise<{ status: number | undefined; schema: unknown; text: string }>(
        (resolve, reject) => {
          const call = get(`${edge.url}${path}`, { maxHeaderSize: 128 * 1024 }, (incoming) => {
            let text = '';
            incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
            incoming.on('end', () =>
              resolve({ status: incoming.statusCode, schema: incoming.headers['electric-schema'], text }),
            );
          });
          call.on('error', reject);
        },
      );
      expect(got).toEqual({ status: 200, schema, text: String(path.length) });
    }
  });

  test('RT-10 a compressed answer is the same one: same headers, same tag, and it says what it varies on', async () => {
    const body = JSON.stringify(Array.from({ length: 500 }, (_none, id) => ({ id, title: 'title' })));
    const key = answer((_incoming, response) => {
      response.writeHead(200, {
        ...JSON_TYPE,
        'cache-control': 'public, max-age=60, stale-while-revalidate=300',
        'content-length': body.length,
        etag: '"h:-1:0_0"',
        'electric-handle': 'h',
        'electric-offset': '0_0',
        'electric-schema': '{}',
        'access-control-allow-origin': '*',
      });
      response.end(body);
    });
    const path = `/v1/shape?key=${key}&offset=0_0&handle=h`;
    for (let round = 0; round < 2; round += 1) {
      const plain = await send(edge.url, path);
      const packed = await send(edge.url, path, { headers: { 'accept-encoding': 'gzip' } });
      expect(plain.text).toBe(body);
      expect(packed.headers['content-encoding']).toBe('gzip');
      expect(gunzipSync(packed.bytes).toString()).toBe(body);
      expect([plain.headers['vary'], packed.headers['vary']]).toEqual(['Accept-Encoding', 'Accept-Encoding']);
      // Both may mark the tag of a form they made themselves as weak; what it names is the same.
      for (const { headers } of [plain, packed]) expect(headers['etag']?.replace(/^W\//, '')).toBe('"h:-1:0_0"');
      for (const name of ['cache-control', 'electric-handle', 'electric-offset', 'electric-schema', 'content-type']) {
        expect(packed.headers[name]).toBe(plain.headers[name]);
      }
      for (const tag of ['"h:-1:0_0"', 'W/"h:-1:0_0"']) {
        const headers = { 'accept-encoding': 'gzip', 'if-none-match': tag };
        expect((await send(edge.url, path, { headers })).status).toBe(304);
      }
    }
    expect(origin.matching(key).length).toBe(1);
  });

  test('X-Forwarded-For tells the origin who asked', async () => {
    const key = livePoll(0);
    await send(edge.url, poll(key), { headers: { 'x-forwarded-for': '192.0.2.7' } });
    expect(origin.matching(key)[0]?.headers['x-forwarded-for']).toMatch(/^192\.0\.2\.7, ?127\.0\.0\.1$/);
  });
});

/** Those that stop the edge or the origin, each with its own. */
describe.each(['nginx', 'varnish'] as const)('%s and interruptions', (kind) => {
  let origin: Origin;
  let edge: Edge;
  const held: ServerResponse[] = [];

  beforeAll(async () => {
    origin = await startOrigin((_incoming, response) => void held.push(response));
    edge = await startEdge({ kind, origin: origin.url });
  });

  afterAll(async () => {
    await edge.stop();
    await origin.stop();
  });

  const release = (): void => {
    for (const response of held.splice(0)) response.writeHead(200, LIVE).end(UP_TO_DATE);
  };

  test('C12 a reload in the middle of a poll lets it finish', async () => {
    const polls = crowd(edge.url, '/v1/shape?live=true&a=1', { size: 50 });
    await waitFor(() => held.length === 1);
    await edge.reload();
    const pid = edge.pid;
    const after = crowd(edge.url, '/v1/shape?live=true&a=2', { size: 50 });
    await waitFor(() => held.length === 2);
    release();
    const answers = [...(await polls), ...(await after)];
    expect(distinct(answers.map(({ status, text }) => `${status} ${text}`))).toEqual([`200 ${UP_TO_DATE}`]);
    expect(origin.seen.length).toBe(2);
    expect(edge.pid).toBe(pid);
  });

  test('C12 a crash in the middle of a poll is an error for its clients, and the same poll works afterwards', async () => {
    const polls = crowd(edge.url, '/v1/shape?live=true&b=1', { size: 50 }).then(
      () => 'answered',
      (error: Error) => error.message,
    );
    await waitFor(() => held.length === 1);
    await edge.kill();
    expect(await polls).not.toBe('answered');
    held.length = 0;
    await edge.start();
    const again = crowd(edge.url, '/v1/shape?live=true&b=1', { size: 50 });
    await waitFor(() => held.length === 1);
    release();
    expect(distinct((await again).map(({ status }) => status))).toEqual([200]);
  });

  test('without an origin all who wait get a 503 that a browser can read, and the next poll is collapsed', async () => {
    const polls = crowd(edge.url, '/v1/shape?live=true&c=1', { size: 50 });
    await waitFor(() => held.length === 1);
    await origin.down();
    held.length = 0;
    const refused = [...(await polls), ...(await crowd(edge.url, '/v1/shape?live=true&c=1', { size: 50 }))];
    expect(distinct(refused.map(({ status }) => status))).toEqual([503]);
    for (const { headers, text } of refused) {
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'access-control-allow-origin': '*' });
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(5);
      expect(JSON.parse(text)).toHaveProperty('message');
    }
    expect((await send(edge.url, '/edge/health')).status).toBe(200);
    await origin.up();
    await sleep(2_100);
    const before = origin.seen.length;
    const next = crowd(edge.url, '/v1/shape?live=true&c=1', { size: 50 });
    await waitFor(() => held.length === 1);
    release();
    expect(distinct((await next).map(({ status }) => status))).toEqual([200]);
    expect(origin.seen.length - before).toBe(1);
  });
});

function sorted(url: string): string {
  const [path, query = ''] = url.split('?');
  return `${path}?${query.split('&').toSorted().join('&')}`;
}
