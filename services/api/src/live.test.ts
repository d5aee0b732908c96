import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, until } from './testing/api-fixture.ts';
import { counted } from './testing/counted-store.ts';

let fixture: ApiFixture | undefined;
const start = async (...args: ConstructorParameters<typeof ApiFixture>) => {
  fixture = await new ApiFixture(...args).start();
  return fixture;
};
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

const LONG = { longPollTimeoutMs: 60_000 };
const held = (api: ApiFixture, count: number) => until(() => api.api.report().held === count);
const permits = (api: ApiFixture) => api.api.report().permits as { initial: number; existing: number };

describe('long polling', () => {
  test('a held request is woken by an entry', async () => {
    const api = await start(LONG);
    const handle = await api.handle();
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true&cursor=`);
    await held(api, 1);
    await api.router.commit([
      { lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } },
      { lsn: 6_000n, entries: {} },
    ]);
    const reply = await poll;
    expect(reply.status).toBe(200);
    expect(reply.text).toBe(
      `[${change(3, 5_000n)},{"headers":{"control":"up-to-date","global_last_seen_lsn":"5000"}}]`,
    );
    expect(reply.headers).toMatchObject({
      'electric-offset': '5000_0',
      'electric-up-to-date': '',
      'electric-has-data': 'true',
      'cache-control': 'public, max-age=5, stale-while-revalidate=5',
      etag: `"${handle}:0_inf:5000_0"`,
    });
    expect(reply.headers['electric-cursor']).toMatch(/^\d+$/);
    expect(reply.headers).not.toHaveProperty('electric-schema');
  });

  test('without news the timeout answers the service-wide position', async () => {
    const api = await start({ longPollTimeoutMs: 400 });
    const handle = await api.handle();
    const other = await api.handle('table=wide');
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await held(api, 1);
    await api.router.commit([{ lsn: 9_000n, entries: { [other]: [change(1, 9_000n)] } }]);
    const reply = await poll;
    expect(reply.status).toBe(200);
    expect(reply.text).toBe('[{"headers":{"control":"up-to-date","global_last_seen_lsn":"9000"}}]');
    expect(reply.headers).toMatchObject({
      'electric-offset': '0_inf',
      'electric-up-to-date': '',
      'electric-has-data': 'false',
    });
    expect(reply.headers.etag).toMatch(new RegExp(`^"${handle}:0_inf:0_inf:.+"$`));
  });

  test('an offset inside the snapshot is held when there is nothing after it', async () => {
    const api = await start(LONG);
    const handle = await api.handle();
    const poll = api.shape(`offset=0_0&handle=${handle}&live=true`);
    await held(api, 1);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const reply = await poll;
    expect(reply.headers['electric-offset']).toBe('5000_0');
    expect(reply.headers.etag).toBe(`"${handle}:0_0:5000_0"`);
  });

  test('behind the tail the answer comes at once, one chunk at a time', async () => {
    const api = await start({ ...LONG, chunkBytes: 300 });
    const handle = await api.handle();
    const entries = Array.from({ length: 6 }, (_, index) => change(index, 5_000n, index * 2, index === 5));
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: entries } }]);
    const reply = await api.shape(`offset=0_inf&handle=${handle}&live=true`);
    expect(reply.headers).not.toHaveProperty('electric-up-to-date');
    expect(reply.headers).toHaveProperty('electric-cursor');
    expect(reply.json.length).toBeLessThan(6);
    expect(reply.json.at(-1)?.key).toBeDefined();
  });

  test('a lost hint costs at most the poll interval', async () => {
    const api = await start({ ...LONG, notifyPollMs: 200 });
    const handle = await api.handle();
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await held(api, 1);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }], { hint: false });
    expect((await poll).json).toHaveLength(2);
  });

  test('T20 an entry is never missed, whenever it comes', async () => {
    const api = await start({ ...LONG, notifyPollMs: 60_000 });
    const handle = await api.handle();
    let offset = '0_inf';
    for (let i = 1n; i <= 200n; i += 1n) {
      const poll = api.shape(`offset=${offset}&handle=${handle}&live=true`);
      for (let turn = 0n; turn < i % 9n; turn += 1n) await new Promise((resolve) => setImmediate(resolve));
      await api.router.commit([{ lsn: i * 10n, entries: { [handle]: [change(3, i * 10n)] } }]);
      offset = (await poll).headers['electric-offset'] as string;
      expect(offset).toBe(`${i * 10n}_0`);
    }
  });

  test('rotation answers 409, naming the successor if there is one', async () => {
    const api = await start(LONG);
    const handle = await api.handle();
    const first = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await held(api, 1);
    await api.router.rotate(handle);
    const reply = await first;
    expect(reply.status).toBe(409);
    expect(reply.headers).not.toHaveProperty('electric-handle');
    expect(reply.headers['cache-control']).toBe('public, max-age=1, must-revalidate');
    expect((await api.shape(`offset=0_inf&handle=${handle}&live=true`)).headers['electric-handle']).toMatch(
      /^\d+-\d+$/,
    );
  });

  test('a client that leaves is forgotten', async () => {
    const api = await start(LONG);
    const handle = await api.handle();
    const abort = new AbortController();
    const polls = Array.from({ length: 3 }, () =>
      api
        .send(`/v1/shape?table=items&offset=0_inf&handle=${handle}&live=true`, { signal: abort.signal })
        .catch(() => undefined),
    );
    await held(api, 3);
    expect(permits(api)).toEqual({ initial: 0, existing: 3 });
    abort.abort();
    await held(api, 0);
    await until(() => permits(api).existing === 0);
    await Promise.all(polls);
    expect(api.api.report().inProgress).toBe(0);
  });

  test('a thousand waiters cost one head and one read, and get the same body', async () => {
    const { store, calls } = counted(openMemoryShapeStore(systemClock));
    const api = await start({ ...LONG, notifyPollMs: 60_000 }, { store });
    const handle = await api.handle();
    const query = `offset=0_inf&handle=${handle}&live=true&cursor=40`;
    const first = api.shape(query);
    await held(api, 1);
    await until(() => (calls.readHeads ?? 0) > 0);
    const before = { ...calls };
    const rest = Array.from({ length: 999 }, () => api.shape(query));
    await held(api, 1_000);
    expect(calls.find).toBe(before.find);
    expect(calls.readHead).toBe(before.readHead);
    const parked = { ...calls };
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const replies = await Promise.all([first, ...rest]);
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
    expect(new Set(replies.map((reply) => reply.headers['electric-offset']))).toEqual(new Set(['5000_0']));
    expect(new Set(replies.map((reply) => reply.headers['electric-cursor'])).size).toBe(1);
    expect((calls.readLog ?? 0) - (parked.readLog ?? 0)).toBe(1);
    expect((calls.readHeads ?? 0) - (parked.readHeads ?? 0)).toBe(1);
    expect(calls.find).toBe(before.find);
  });

  test('polls, event streams and those behind share a look at the shape, and a read for each place', async () => {
    const { store, calls } = counted(openMemoryShapeStore(systemClock));
    const api = await start({ ...LONG, notifyPollMs: 60_000, sseTimeoutMs: 60_000 }, { store });
    const handle = await api.handle();
    const wide = await api.handle('table=wide');
    const poll = (offset: string, more = '') => api.shape(`offset=${offset}&handle=${handle}&live=true${more}`);
    // 0_0 and 0_inf are the same place, and a shape that does not change costs nothing.
    const polls = Array.from({ length: 100 }, (_, i) => poll(i % 2 === 0 ? '0_inf' : '0_0'));
    const others = Array.from({ length: 20 }, () => api.shape(`table=wide&offset=0_inf&handle=${wide}&live=true`));
    const abort = new AbortController();
    const url = `http://127.0.0.1:${api.api.port}/v1/shape?table=items&offset=0_inf&handle=${handle}&live=true&live_sse=true`;
    const streams = await Promise.all(Array.from({ length: 30 }, () => fetch(url, { signal: abort.signal })));
    await held(api, 150);
    await until(() => (calls.readHeads ?? 0) > 0);
    await new Promise((resolve) => setImmediate(resolve));
    const before = { ...calls };
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    expect(new Set((await Promise.all(polls)).map((reply) => reply.text)).size).toBe(1);
    // The streams wait again, at the new tail.
    await held(api, 50);
    const since = (name: string) => (calls[name] ?? 0) - (before[name] ?? 0);
    await until(() => since('readHeads') >= 2);
    expect([since('readLog'), since('readHeads'), since('find')]).toEqual([1, 2, 0]);

    const behind = await Promise.all(Array.from({ length: 50 }, () => poll('0_inf')));
    expect(new Set(behind.map((reply) => reply.text)).size).toBe(1);
    const events = streams.map(async (reply) => {
      const { value } = await (reply.body as ReadableStream<Uint8Array>).getReader().read();
      return Buffer.from(value as Uint8Array).toString();
    });
    expect(new Set(await Promise.all(events))).toEqual(
      new Set([
        `data: ${change(3, 5_000n)}\n\ndata: {"headers":{"control":"up-to-date","global_last_seen_lsn":"5000"}}\n\n`,
      ]),
    );
    abort.abort();
    await held(api, 20);
    await api.router.rotate(wide);
    expect(new Set((await Promise.all(others)).map((reply) => reply.status))).toEqual(new Set([409]));
  });

  test('a fan-out to many lets the event loop turn in between', async () => {
    const api = await start({ ...LONG, notifyPollMs: 60_000 });
    const handle = await api.handle();
    const polls = Array.from({ length: 1_000 }, () => api.shape(`offset=0_inf&handle=${handle}&live=true`));
    await held(api, 1_000);
    let turns = 0;
    let counting = true;
    const count = () => {
      if (api.api.report().inProgress !== 1_000 && api.api.report().inProgress !== 0) turns += 1;
      if (counting) setImmediate(count);
    };
    count();
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    await Promise.all(polls);
    counting = false;
    expect(turns).toBeGreaterThanOrEqual(4);
  });

  test('D C11 whoever is given a stale live answer has what is new with the request after it', async () => {
    const api = await start({ longPollTimeoutMs: 1_000 });
    const handle = await api.handle();
    const asked = `offset=0_inf&handle=${handle}&live=true&cursor=1`;
    const quiet = await api.shape(asked);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const busy = await api.shape(asked);
    await api.router.commit([{ lsn: 6_000n, entries: { [handle]: [change(4, 6_000n)] } }]);
    // Of either a cache may have kept the answer for that URL; what it says leads to another one.
    for (const [stale, rows] of [
      [quiet, [change(3, 5_000n), change(4, 6_000n)]],
      [busy, [change(4, 6_000n)]],
    ] as const) {
      const { 'electric-offset': offset, 'electric-cursor': cursor } = stale.headers;
      const next = `offset=${String(offset)}&handle=${handle}&live=true&cursor=${String(cursor)}`;
      expect(next).not.toBe(asked);
      const reply = await api.shape(next);
      expect(reply.json.slice(0, -1)).toEqual(rows.map((row) => JSON.parse(row) as unknown));
      expect(reply.headers['electric-offset']).toBe('6000_0');
    }
  });

  test('D C9 stopping answers what is held, as caches may keep it for a second', async () => {
    const api = await start(LONG);
    const handle = await api.handle();
    const polls = Array.from({ length: 5 }, () => api.shape(`offset=0_inf&handle=${handle}&live=true`));
    await held(api, 5);
    await api.api.stop();
    for (const reply of await Promise.all(polls)) {
      expect(reply.status).toBe(200);
      expect(reply.headers.connection).toBe('close');
      expect(reply.headers['cache-control']).toBe('public, max-age=1');
      expect(reply.json.at(-1)?.headers.control).toBe('up-to-date');
    }
  });

  test('T21 an unreadable store is a 503 at the timeout', async () => {
    const memory = openMemoryShapeStore(systemClock);
    let down = false;
    const store = new Proxy(memory, {
      get(target, name) {
        const value = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        if (name !== 'readHeads') return typeof value === 'function' ? value.bind(target) : value;
        return async (...args: unknown[]) => {
          if (down) throw new Error('gone');
          return value.apply(target, args);
        };
      },
    });
    const api = await start({ longPollTimeoutMs: 300 }, { store });
    const handle = await api.handle();
    const poll = api.shape(`offset=0_inf&handle=${handle}&live=true`);
    await held(api, 1);
    down = true;
    const reply = await poll;
    down = false;
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('10');
  });
});

describe('server-sent events', () => {
  async function events(api: ApiFixture, query: string) {
    const reply = await fetch(`http://127.0.0.1:${api.api.port}/v1/shape?table=items&live=true&${query}`);
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    const more = async () => {
      const { done, value } = await reader.read();
      if (value !== undefined) text += Buffer.from(value).toString();
      return done;
    };
    return {
      reply,
      /** Reads until the text so far matches. */
      seen: async (pattern: RegExp) => {
        while (!pattern.test(text)) if (await more()) throw new Error(`the stream ended: ${text}`);
        return text;
      },
      ended: async () => {
        while (!(await more()));
        return text;
      },
    };
  }
  const UP_TO_DATE = /up-to-date.*\n\n$/;

  test.each(['live_sse=true', 'experimental_live_sse=true', 'live_sse=true&experimental_live_sse=true'])(
    '%s opens a stream, and each batch ends with its own up-to-date',
    async (flags) => {
      const api = await start({ ...LONG, sseTimeoutMs: 60_000 });
      const handle = await api.handle();
      const stream = await events(api, `offset=0_inf&handle=${handle}&${flags}`);
      expect(stream.reply.status).toBe(200);
      expect(Object.fromEntries(stream.reply.headers)).toMatchObject({
        'content-type': 'text/event-stream',
        'cache-control': 'public, max-age=59',
        'electric-handle': handle,
        'electric-offset': '0_inf',
        'electric-up-to-date': '',
        'electric-has-data': 'true',
      });
      expect(stream.reply.headers.get('electric-cursor')).toMatch(/^\d+$/);
      expect(stream.reply.headers.has('electric-schema')).toBe(false);
      await api.router.commit([
        { lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } },
        { lsn: 6_000n, entries: {} },
      ]);
      expect(await stream.seen(UP_TO_DATE)).toBe(
        `data: ${change(3, 5_000n)}\n\ndata: {"headers":{"control":"up-to-date","global_last_seen_lsn":"5000"}}\n\n`,
      );
      await api.router.rotate(handle);
      expect(await stream.ended()).toMatch(UP_TO_DATE);
    },
  );

  test('sends the whole backlog and stays open', async () => {
    const api = await start({ ...LONG, chunkBytes: 300 });
    const handle = await api.handle();
    const entries = Array.from({ length: 6 }, (_, index) => change(index, 5_000n, index * 2, index === 5));
    await api.router.commit([{ lsn: 5_000n, entries: { [handle]: entries } }]);
    const stream = await events(api, `offset=0_inf&handle=${handle}&live_sse=true`);
    expect(stream.reply.headers.get('electric-offset')).toBe('0_inf');
    expect(stream.reply.headers.has('electric-up-to-date')).toBe(false);
    const text = await stream.seen(UP_TO_DATE);
    expect(text.split('\n\n').filter((event) => event.includes('"key"'))).toEqual(
      entries.map((json) => `data: ${json}`),
    );
    await api.router.commit([{ lsn: 6_000n, entries: { [handle]: [change(9, 6_000n)] } }]);
    await stream.seen(/"lsn":"6000"[^]*up-to-date.*\n\n$/);
  });

  test('says that it is alive, and ends when its time is up', async () => {
    const api = await start({ ...LONG, sseKeepAliveMs: 50, sseTimeoutMs: 300 });
    const handle = await api.handle();
    const stream = await events(api, `offset=0_inf&handle=${handle}&live_sse=true`);
    expect(await stream.ended()).toMatch(/^(: keep-alive\n\n)+$/);
    await held(api, 0);
  });

  test('refusals are ordinary JSON', async () => {
    const api = await start({ longPollTimeoutMs: 100 });
    const handle = await api.handle();
    const beyond = await api.shape(`offset=999_0&handle=${handle}&live=true&live_sse=true`);
    expect(beyond.status).toBe(400);
    expect(beyond.headers['content-type']).toBe('application/json; charset=utf-8');
    const unknown = await api.shape('offset=0_inf&handle=bogus&live=true&live_sse=true');
    expect(unknown.status).toBe(409);
    expect(unknown.headers['electric-handle']).toBe(handle);
  });
});
