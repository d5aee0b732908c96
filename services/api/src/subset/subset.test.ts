import { request as httpRequest, type IncomingMessage } from 'node:http';
import { ShapecastError, type ErrorCode } from '@shapecast/errors';
import { subsetSubject, type StreamHandler, type SubsetQuery } from '@shapecast/messaging';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, row, until } from '../testing/api-fixture.ts';

const metadata = (xmax: number, xip: readonly number[] = []) =>
  JSON.stringify({
    xmin: String(xip[0] ?? xmax),
    xmax: String(xmax),
    xip_list: xip.map(String),
    database_lsn: '9000',
    snapshot_mark: 7,
  });
/** Shows every transaction of the stand-in. */
const ALL = metadata(100_000);

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

/** An API whose router answers subset requests with `handler`, and what it was asked. */
async function start(handler: StreamHandler) {
  const api = await new ApiFixture().start();
  fixture = api;
  const asked: SubsetQuery[] = [];
  api.messaging.rpc.serveStream(subsetSubject(api.router.shard(0).source), (query, signal) => {
    asked.push(query as SubsetQuery);
    return handler(query, signal);
  });
  return { api, asked };
}

async function* sent(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text);
}
const frames =
  (...texts: readonly string[]): StreamHandler =>
  () =>
    sent(...texts);
const failing = (error: Error, ...texts: readonly string[]): StreamHandler =>
  async function* () {
    yield* sent(...texts);
    throw error;
  };

describe('a subset answer', () => {
  test('is metadata and rows as they arrived, with the headers of a subset and no others', async () => {
    const { api, asked } = await start(frames(ALL, `${row(1)},${row(2)}`, row(3)));
    const reply = await api.shape('offset=-1&subset__where=id%20%3E%200&subset__order_by=title%20DESC&subset__limit=3');
    expect([reply.status, reply.text]).toEqual([200, `{"metadata":${ALL},"data":[${row(1)},${row(2)},${row(3)}]}`]);
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
      'electric-snapshot': 'true',
      'electric-handle': await api.handle(),
      'electric-offset': '0_0',
    });
    expect(JSON.parse(reply.headers['electric-schema'] as string)).toMatchObject({ id: { type: 'int4', pk_index: 0 } });
    for (const name of ['etag', 'electric-up-to-date', 'electric-cursor', 'electric-has-data']) {
      expect(reply.headers).not.toHaveProperty(name);
    }
    expect(asked).toEqual([
      {
        schema: 'public',
        table: 'items',
        oid: 16_400,
        columns: ['id', 'title'],
        keyColumns: ['id'],
        hasPrimaryKey: true,
        shapeWhere: '',
        subsetWhere: `"id" > '0'::int4`,
        orderBy: [{ column: 'title', descending: true }],
        limit: '3',
      },
    ]);
  });

  test('without rows is an empty list', async () => {
    const { api } = await start(frames(ALL));
    expect((await api.shape('offset=-1&subset__where=false')).text).toBe(`{"metadata":${ALL},"data":[]}`);
  });

  test('to HEAD is its headers, and the router is let go', async () => {
    let ended = false;
    const { api } = await start(async function* (_query, signal) {
      try {
        yield* sent(ALL, row(1), row(2));
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      } finally {
        ended = true;
      }
    });
    const reply = await api.shape('offset=-1&subset__where=true', { method: 'HEAD' });
    expect([reply.status, reply.text, reply.headers['electric-snapshot']]).toEqual([200, '', 'true']);
    await until(() => ended);
  });

  test('to a live request has no schema, and no cursor either', async () => {
    const { api } = await start(frames(ALL));
    const reply = await api.shape(`offset=0_inf&handle=${await api.handle()}&live=true&subset__where=true`);
    expect([reply.status, reply.headers['electric-offset']]).toEqual([200, '0_inf']);
    expect(reply.headers).not.toHaveProperty('electric-schema');
    expect(reply.headers).not.toHaveProperty('electric-cursor');
  });

  test('names the offset that was asked for, whatever the log has', async () => {
    const { api } = await start(frames(ALL));
    const handle = await api.handle();
    await api.router.commit([{ lsn: 500n, entries: { [handle]: [change(3, 500n)] } }]);
    for (const offset of ['0_0', '0_inf', '499_3', '500_0', '700_0']) {
      const reply = await api.shape(`offset=${offset}&handle=${handle}&subset__where=true`);
      expect([offset, reply.status, reply.headers['electric-offset']]).toEqual([offset, 200, offset]);
    }
    const offsets = ['-1', 'now'].map((offset) => api.shape(`offset=${offset}&subset__where=true`));
    expect((await Promise.all(offsets)).map(({ headers }) => headers['electric-offset'])).toEqual(['0_0', '500_0']);
  });

  test('shows every transaction that the log has: one that does not yet is read again', async () => {
    let attempts = 0;
    const { api } = await start(() => {
      attempts += 1;
      // Transaction 1,500 of the stand-in is about to become visible.
      return sent(attempts < 3 ? metadata(1501, [1500]) : metadata(1501), row(attempts));
    });
    const handle = await api.handle();
    await api.router.commit([{ lsn: 500n, entries: { [handle]: [change(3, 500n)] } }]);
    const reply = await api.shape(`offset=0_inf&handle=${handle}&subset__where=true`);
    expect(reply.text).toBe(`{"metadata":${metadata(1501)},"data":[${row(3)}]}`);
    attempts = -1_000;
    const late = await api.shape(`offset=0_inf&handle=${handle}&subset__where=true`);
    expect([late.status, late.headers['retry-after']]).toEqual([503, '5']);
  });

  test('is not read before the snapshot of a new shape is fixed: what comes between would be in neither', async () => {
    const { api, asked } = await start(frames(ALL));
    api.router.manual = true;
    const reply = api.shape('offset=now&subset__where=true');
    await until(async () => (await shapes(api)).length === 1);
    const [shape] = await shapes(api);
    const snapshot = await api.router.snapshot(shape?.handle as string);
    expect(asked).toEqual([]);
    await snapshot.part('{"headers":{"control":"snapshot-end","xmin":"1","xmax":"1","xip_list":[]}}');
    expect((await reply).status).toBe(200);
    expect(asked).toHaveLength(1);
  });

  test('that breaks off does not look complete', async () => {
    const lost = new ShapecastError('NOT_READY', 'the router went away');
    const { api } = await start(failing(lost, ALL, row(1), row(2)));
    await expect(api.shape('offset=-1&subset__where=true')).rejects.toThrow();
    expect((await api.shape('offset=-1')).status).toBe(200);
  });

  test('is read no faster than the client reads', async () => {
    const big = `${row(1, 'x'.repeat(400_000))}`;
    const total = 200;
    let made = 0;
    const { api } = await start(async function* () {
      yield* sent(ALL);
      for (; made < total; made += 1) yield Buffer.from(big);
    });
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const path = '/v1/shape?table=items&offset=-1&subset__where=true';
      httpRequest({ host: '127.0.0.1', port: api.api.port, path }, resolve).on('error', reject).end();
    });
    // Until the sockets between are full and nothing moves any more.
    for (let before = -1; before !== made;) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(made).toBeLessThan(total / 2);
    let bytes = 0;
    for await (const part of reply) bytes += (part as Buffer).length;
    expect(bytes).toBe(`{"metadata":${ALL},"data":[]}`.length + total * (big.length + 1) - 1);
  });
});

describe('a subset that cannot be read', () => {
  const answer = async (error: Error) => {
    const { api } = await start(failing(error, ...[]));
    const reply = await api.shape('offset=-1&subset__where=true');
    const { headers } = reply;
    return {
      status: reply.status,
      body: JSON.parse(reply.text) as unknown,
      cache: headers['cache-control'],
      retry: headers['retry-after'],
    };
  };
  const error = (code: ErrorCode, details = {}) => new ShapecastError(code, `the text of ${code}`, details);

  test.each(['where', 'order_by'])('because Postgres refuses its %s is a 400', async (field) => {
    expect(await answer(error('INVALID_REQUEST', { field }))).toEqual({
      status: 400,
      body: { message: 'Invalid request', errors: { subset: { [field]: ['the text of INVALID_REQUEST'] } } },
      cache: 'no-store',
      retry: undefined,
    });
  });

  test('because the table changed is a 409 without the handle that is about to end', async () => {
    expect(await answer(error('SCHEMA_CHANGED'))).toMatchObject({
      status: 409,
      body: [{ headers: { control: 'must-refetch' } }],
      cache: 'public, max-age=1, must-revalidate',
    });
  });

  test('because it takes too long is a 503', async () => {
    expect(await answer(error('SNAPSHOT_FAILED'))).toEqual({
      status: 503,
      body: { message: 'the text of SNAPSHOT_FAILED' },
      cache: 'no-store',
      retry: '10',
    });
  });

  test('because of a bug says nothing', async () => {
    expect(await answer(error('SERVER_MISSING'))).toMatchObject({
      status: 500,
      body: { error: 'Internal server error' },
    });
  });

  test('because no router is there is a 503 after the readiness wait', async () => {
    fixture = await new ApiFixture().start();
    const reply = await fixture.shape('offset=-1&subset__where=true');
    expect([reply.status, reply.headers['retry-after'], reply.text]).toEqual([
      503,
      '5',
      '{"message":"Timeout waiting for database connection pool (snapshot) to be ready"}',
    ]);
  });
});

describe('an invalid subset request', () => {
  test('asks no router and creates no shape', async () => {
    const { api, asked } = await start(frames(ALL));
    const reply = await api.shape('offset=-1&subset__limit=1');
    expect(JSON.parse(reply.text)).toEqual({
      message: 'Invalid request',
      errors: { subset: { order_by: ['order_by is required when limit or offset is present'] } },
    });
    expect([reply.status, await shapes(api), asked]).toEqual([400, [], []]);
  });

  test('may have become valid with a column that was just added', async () => {
    const { api, asked } = await start(frames(ALL));
    expect((await api.shape('offset=-1&subset__order_by=id')).status).toBe(200);
    const items = api.router.tables.get('public.items');
    if (items === undefined) throw new Error('no table');
    const added = { ...items.columns[1], name: 'added', attnum: 3 } as (typeof items.columns)[number];
    api.router.tables.set('public.items', { ...items, columns: [...items.columns, added] });
    await until(async () => (await api.shape('offset=-1&columns=id&subset__order_by=added')).status === 200);
    expect(asked.at(-1)?.orderBy).toEqual([{ column: 'added', descending: false }]);
  });
});

async function shapes(api: ApiFixture) {
  const all = await Promise.all([0, 1].map((shard) => api.store.loadShapes(api.router.shard(shard))));
  return all.flatMap(({ shapes: found }) => found);
}
