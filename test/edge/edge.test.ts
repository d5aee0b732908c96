import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { Shape, ShapeStream, type Row } from '@electric-sql/client';
import { startEdge, waitFor, type Edge } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send, type RawAnswer } from '../conformance/support/http.ts';
import { ConformanceService, expectRefetch, messages, rows, shapePath } from '../conformance/support/service.ts';
import { Follower, followerAgent } from '../support/follower.ts';
import { crowd, CROWD, distinct } from './support/crowd.ts';
import { forwardTo, startOrigin, type Handler, type Origin } from './support/origin.ts';

/** Longer than nginx's default lock of 5 s, which the recipe has to raise (C5). */
const POLL_MS = 6_000;

/** The real API behind the real caches. Each test has a table of its own, so most can run at the same time. */
let service: ConformanceService;
let tables = 0;

beforeAll(async () => {
  service = await ConformanceService.start({ apis: 2, env: { ELECTRIC_LONG_POLL_TIMEOUT: String(POLL_MS) } });
});

afterAll(() => service.stop());

async function makeTable(): Promise<string> {
  const table = `edge_${String((tables += 1)).padStart(3, '0')}`;
  await service.sql(`create table ${table} (id int primary key, n int not null, owner text not null)`);
  await service.sql(`insert into ${table} select i, 0, 'owner' || i % 2 from generate_series(1, 10) i`);
  return table;
}

describe.concurrent.each(['nginx', 'varnish'] as const)('the API behind %s', (kind) => {
  /** First answers to give instead of the API's, by a part of the URL: what another cache in between would have kept. */
  const replays = new Map<string, RawAnswer>();
  let origin: Origin;
  let edge: Edge;

  beforeAll(async () => {
    const forward = forwardTo(service.cluster.url);
    const handler: Handler = (incoming, response) => {
      const replay = [...replays].find(([part]) => incoming.url?.includes(part))?.[1];
      const first = /[?&]offset=-1(&|$)/.test(incoming.url ?? '') && !incoming.url?.includes('cache-buster');
      if (replay === undefined || !first) return forward(incoming, response);
      const { 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = replay.headers;
      response.writeHead(replay.status, headers).end(replay.bytes);
    };
    origin = await startOrigin(handler);
    edge = await startEdge({ kind, origin: origin.url });
  });

  afterAll(async () => {
    await edge.stop();
    await origin.stop();
  });

  /** A shape of a new table, and the path of a live poll at its end. */
  async function atTail(params: Readonly<Record<string, string>> = {}) {
    const table = params['table'] ?? (await makeTable());
    const { handle, offset } = await service.read({ table, ...params });
    const query = { table, ...params, handle, offset };
    return { table, handle, offset, query, live: shapePath({ ...query, live: 'true' }) };
  }

  test('C12 an idle poll of a crowd is one request at the origin, to its end and then again', async () => {
    const { live, table } = await atTail();
    const first = await crowd(edge.url, live);
    expect(distinct(first.map(({ status, headers }) => `${status} ${headers['electric-up-to-date']}`))).toEqual([
      '200 ',
    ]);
    expect(origin.matching(table).length).toBe(1);
    const cursors = distinct(first.map(({ headers }) => headers['electric-cursor']));
    expect(cursors.length).toBe(1);
    const polls = crowd(edge.url, `${live}&cursor=${cursors[0]}`, { size: 50 });
    await waitFor(() => origin.matching(table).length === 2);
    await service.sql(`update ${table} set n = 1 where id = 1`);
    const second = await polls;
    expect(distinct(second.map(({ status }) => status))).toEqual([200]);
    expect(Number(second[0]?.headers['electric-cursor'])).toBeGreaterThan(Number(cursors[0]));
    expect(origin.matching(table).length).toBe(2);
  });

  test('C12 a change in the middle of a poll reaches the whole crowd by one request', async () => {
    const { live, table } = await atTail();
    const polls = crowd(edge.url, live);
    await waitFor(() => origin.matching(table).length === 1);
    await service.sql(`update ${table} set n = 7 where id = 3`);
    const answers = await polls;
    expect(answers.length).toBe(CROWD);
    expect(distinct(answers.map(({ text }) => text)).length).toBe(1);
    expect(answers[0] && rows(messages(answers[0])).map(({ value }) => value)).toEqual([{ id: '3', n: '7' }]);
    expect(origin.matching(table).length).toBe(1);
  });

  test('C1 C156 no header of the API is lost or changed, whatever the status', async () => {
    const { table, query, live } = await atTail();
    await service.sql(`update ${table} set n = 1 where id = 1`);
    await service.read({ table });
    const other = await atTail();
    const paths: readonly (readonly [number, string])[] = [
      [200, shapePath({ table, offset: '-1' })],
      [200, shapePath(query)],
      [200, live],
      [200, shapePath({ table, offset: 'now' })],
      [409, shapePath({ ...query, handle: other.handle })],
      [409, shapePath({ table, offset: '0_0', handle: '1-1' })],
      [400, shapePath({ table: 'no_such_table', offset: '-1' })],
      [400, shapePath({ table, offset: 'nonsense' })],
    ];
    // Of the connection, of one request, or not for clients.
    const own = /^(connection|keep-alive|date|transfer-encoding|content-length|x-request-id|x-accel-expires|age|etag)$/;
    for (const [status, path] of paths) {
      const [direct, ...through] = [
        await send(service.cluster.url, path),
        await send(edge.url, path),
        await send(edge.url, path),
      ];
      expect(direct?.status, path).toBe(status);
      expect(Object.keys(direct?.headers ?? {}).length).toBeGreaterThan(5);
      const expected = Object.fromEntries(Object.entries(direct?.headers ?? {}).filter(([name]) => !own.test(name)));
      // These move on with time, or with what happens to other tables.
      if ('electric-cursor' in expected) expected['electric-cursor'] = expect.stringMatching(/^\d+$/) as string;
      const settled = (text: string | undefined) => text?.replace(/"global_last_seen_lsn":"\d+"/, '');
      for (const answer of through) {
        expect(answer.status, path).toBe(status);
        expect(answer.headers, path).toMatchObject(expected);
        expect(settled(answer.text), path).toBe(settled(direct?.text));
        expect(answer.headers).not.toHaveProperty('x-accel-expires');
        expect(answer.headers['vary'] ?? 'Accept-Encoding').toBe('Accept-Encoding');
        // The tag of an answer without news is another one each time (CA-3).
        expect('etag' in answer.headers).toBe('etag' in (direct?.headers ?? {}));
      }
    }
    const gone = paths.filter(([status]) => status === 409).map(([, path]) => send(edge.url, path));
    for (const answer of await Promise.all(gone)) {
      expect(answer.headers['cache-control']).toMatch(/^public, max-age=(60|1), must-revalidate$/);
    }
  });

  test('C12 a client that has an answer gets a 304 with what clients need', async () => {
    const { table } = await atTail();
    const path = shapePath({ table, offset: '-1' });
    const { headers } = await send(edge.url, path);
    const again = await send(edge.url, path, { headers: { 'if-none-match': headers['etag'] ?? '' } });
    expect([again.status, again.text]).toEqual([304, '']);
    for (const name of ['etag', 'cache-control', 'electric-handle', 'electric-offset', 'access-control-allow-origin']) {
      expect(again.headers[name]).toBe(headers[name]);
    }
    expect(origin.matching(table).length).toBe(1);
  });

  test('C12 tenants, told apart by the query, never get each other’s rows', async () => {
    const table = await makeTable();
    const owners = ['owner0', 'owner1'];
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(
        owners.map((owner) => send(edge.url, shapePath({ table, where: `owner = '${owner}'`, offset: '-1' }))),
      );
      for (const [i, answer] of answers.entries()) {
        const seen = rows(messages(answer)).map(({ value }) => value?.['owner']);
        expect(seen.length).toBe(5);
        expect(distinct(seen)).toEqual([owners[i]]);
      }
    }
    expect(origin.matching(table).length).toBe(2);
  });

  test('C12 HEAD, OPTIONS and POST are answered as the API does', async () => {
    const { table } = await atTail();
    const path = shapePath({ table, offset: '-1' });
    const got = await send(edge.url, path);
    const head = await send(edge.url, path, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    for (const name of ['electric-handle', 'electric-offset', 'electric-schema', 'cache-control', 'etag']) {
      expect(head.headers[name]).toBe(got.headers[name]);
    }
    const preflight = await send(edge.url, path, {
      method: 'OPTIONS',
      headers: { origin: 'http://any.test', 'access-control-request-method': 'GET' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toContain('GET');
    for (const n of [1, 2]) {
      const posted = await send(edge.url, path, { method: 'POST' });
      expect([n, posted.headers['cache-control'], posted.text]).toEqual([n, 'no-cache', got.text]);
    }
    expect(origin.matching(table).filter(({ method }) => method === 'POST').length).toBe(2);
    expect((await send(edge.url, '/v1/health')).status).toBe(200);
    expect((await send(edge.url, '/v1/nothing')).status).toBe(404);
  });

  test('C12 an event stream begins and goes on for all followers', async () => {
    const { table, live } = await atTail();
    const agent = new Agent({ maxSockets: Infinity });
    const followers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const call = get(`${edge.url}${live}&live_sse=true`, { agent });
        const [response] = (await once(call, 'response')) as [IncomingMessage];
        const follower = { response, call, heard: '' };
        response.on('data', (chunk: Buffer) => (follower.heard += chunk.toString()));
        response.on('error', () => {});
        return follower;
      }),
    );
    for (const { response } of followers) {
      expect(response.headers['content-type']).toBe('text/event-stream');
      expect(response.headers['electric-cursor']).toMatch(/^\d+$/);
    }
    for (const n of [21, 22]) {
      await service.sql(`update ${table} set n = $1 where id = 5`, [n]);
      const seen = (): boolean => followers.every(({ heard }) => heard.includes(`"n":"${n}"`));
      await waitFor(seen, { describe: () => followers.map(({ heard }) => heard.length) });
    }
    expect(distinct(followers.map(({ heard }) => heard.match(/"n":"\d+"/g)?.join()))).toEqual(['"n":"21","n":"22"']);
    expect(origin.matching(table).length).toBe(kind === 'varnish' ? 1 : 20);
    for (const { call } of followers) call.destroy();
    agent.destroy();
  });

  test('C12 a crowd on a handle that is gone costs one request, and each learns the new one', async () => {
    const { table, handle, query } = await atTail();
    expect((await service.send(shapePath({ table, handle }), { method: 'DELETE' })).status).toBe(202);
    const { handle: fresh } = await service.open({ table });
    const answers = [...(await crowd(edge.url, shapePath(query))), await send(edge.url, shapePath(query))];
    for (const answer of answers) expectRefetch(answer, fresh);
    expect(answers.at(-1)?.headers['x-cache-status']).toBe('HIT');
    expect(origin.matching(table).length).toBe(1);
  });

  test('C158 a crowd follows a shape: a handful of requests per change, and all agree with the table', async () => {
    const table = await makeTable();
    const stopping = new AbortController();
    const agent = followerAgent();
    const followers = Array.from({ length: CROWD }, () => new Follower(edge.url, { table }, agent));
    const following = followers.map((follower) => follower.follow(stopping.signal));
    await waitFor(() => followers.every(({ live }) => live), {
      describe: () => followers.filter(({ live }) => live).length,
    });
    const before = origin.matching(table).length;
    expect(before).toBeLessThanOrEqual(4);

    const changes = 20;
    for (let n = 1; n <= changes; n += 1) {
      const id = (n % 10) + 1;
      await service.sql(`update ${table} set n = $1 where id = $2`, [n, id]);
      const arrived = (): boolean => followers.some(({ rows }) => valueOf(rows, id) === String(n));
      await waitFor(arrived);
    }
    const { rows: expected } = await service.sql<{ id: number; n: number }>(`select id, n from ${table} order by id`);
    const agrees = ({ rows }: Follower): boolean => expected.every(({ id, n }) => valueOf(rows, id) === String(n));
    await waitFor(() => followers.every(agrees), { describe: () => `${followers.filter(agrees).length} agree` });
    stopping.abort();
    await Promise.all(following);
    agent.destroy();

    expect(distinct(followers.map(({ rows }) => rows.size))).toEqual([10]);
    expect(distinct(followers.flatMap(({ statuses }) => [...statuses.keys()]))).toEqual([200]);
    // The figure is 3; one for the poll that is cut off at the end.
    expect(origin.matching(table).length - before).toBeLessThanOrEqual(3 * changes + 1);
  });

  test('C159 real clients get over a cached first answer of a dead handle, also one that is cached under expired_handle', async () => {
    const table = await makeTable();
    const params = { table };
    const url = `${edge.url}/v1/shape`;
    const stale = await send(service.cluster.url, shapePath({ table, offset: '-1' }));
    const before = new ShapeStream({ url, params, subscribe: false });
    expect((await new Shape(before).rows).length).toBe(10);
    const dead = before.shapeHandle ?? '';
    expect(dead).toBe(stale.headers['electric-handle']);
    expect((await service.send(shapePath({ table, handle: dead }), { method: 'DELETE' })).status).toBe(202);
    await service.sql(`insert into ${table} values (11, 0, 'owner1')`);

    const stopping = new AbortController();
    const open = (): Shape<Row> => new Shape<Row>(new ShapeStream({ url, params, signal: stopping.signal }));
    const first = open();
    await waitFor(() => first.currentRows.length === 11, { describe: () => first.currentRows.length });
    expect(first.stream.shapeHandle).not.toBe(dead);
    // It was the cache that gave it the dead handle: the API has been asked for the first answer only once.
    const started = origin.matching(table, 'offset=-1').map(({ url }) => new URLSearchParams(url.split('?')[1]));
    expect(started.filter((query) => !query.has('expired_handle')).length).toBe(1);
    expect(started.filter((query) => query.get('expired_handle') === dead).length).toBe(1);

    // This one knows that the handle is dead, and yet a cache gives it to it.
    replays.set(`expired_handle=${dead}`, stale);
    const second = open();
    await waitFor(() => second.currentRows.length === 11, { describe: () => second.currentRows.length });
    expect(second.stream.shapeHandle).toBe(first.stream.shapeHandle);
    const busted = origin.matching(table, 'offset=-1', 'cache-buster', `expired_handle=${dead}`);
    expect(busted.filter(({ url }) => !url.includes('&handle=')).length).toBe(1);

    await service.sql(`delete from ${table} where id <= 5`);
    const followed = (): boolean => [first, second].every((shape) => shape.currentRows.length === 6);
    await waitFor(followed);
    expect(followed()).toBe(true);
    stopping.abort();
  });
});

/** With an edge of their own, which they stop. */
describe.concurrent.each(['nginx', 'varnish'] as const)('%s that comes and goes', (kind) => {
  test('C263, C12 real clients that follow through it lose nothing', async () => {
    const table = await makeTable();
    const edge = await startEdge({ kind, origin: service.cluster.url });
    const stopping = new AbortController();
    const shapes = Array.from(
      { length: 5 },
      () =>
        new Shape<Row>(new ShapeStream({ url: `${edge.url}/v1/shape`, params: { table }, signal: stopping.signal })),
    );
    try {
      await Promise.all(shapes.map((shape) => shape.rows));
      const change = async (n: number): Promise<void> => {
        await service.sql(`update ${table} set n = $1 where id = 1`, [n]);
        await service.sql(`insert into ${table} values ($1, $1, 'new')`, [100 + n]);
      };
      const caughtUp = (n: number) => () =>
        shapes.every((shape) => {
          const found = new Map(shape.currentRows.map((row) => [row['id'], row['n']]));
          return found.get(1) === n && found.size === 10 + n;
        });
      await change(1);
      await waitFor(caughtUp(1));
      await edge.kill();
      await change(2);
      await edge.start();
      await change(3);
      await waitFor(caughtUp(3), { describe: () => shapes.map((shape) => shape.currentRows.length) });
      await edge.reload();
      await change(4);
      await waitFor(caughtUp(4), { describe: () => shapes.map((shape) => shape.currentRows.length) });
      expect(distinct(shapes.map((shape) => shape.currentRows.length))).toEqual([14]);
    } finally {
      stopping.abort();
      await edge.stop();
    }
  });
});

function valueOf(rows: Follower['rows'], id: number): string | null | undefined {
  return [...rows.values()].find((row) => row['id'] === String(id))?.['n'];
}
