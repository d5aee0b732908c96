import { request } from 'node:http';
import { Client } from 'pg';
import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCors } from './cors.cases.ts';
import type { RawAnswer } from './support/http.ts';
import { header, shapePath, ConformanceService, type Query } from './support/service.ts';

const INITIAL = 1;
const EXISTING = 3;

let postgres: TestPostgres;
let service: ConformanceService;

/** The services connect as an ordinary role that owns its database, so that privileges mean something. */
beforeAll(async () => {
  postgres = await startPostgres();
  const admin = new Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`create role app login replication password 'app'`);
  await admin.query('create database app owner app');
  await admin.end();
  const url = Object.assign(new URL(postgres.url), { username: 'app', password: 'app', pathname: '/app' });
  service = await ConformanceService.start({
    databaseUrl: url.href,
    env: {
      ELECTRIC_MAX_CONCURRENT_REQUESTS: JSON.stringify({ initial: INITIAL, existing: EXISTING }),
      ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '100000000',
      // C249 needs a reader that depends on the storage until its end.
      SHAPECAST_CHUNK_CACHE_BYTES: '0',
      SHAPECAST_READY_TIMEOUT: '1s',
    },
  });
  await service.db.query(`
    insert into items select i, 'item ' || i from generate_series(1, 10) i;
    create table locked (id int primary key);
    create table hidden (id int primary key);
    revoke select on hidden from app;
    create table large (id int primary key, filling text);
    insert into large select i, repeat('x', 1000) from generate_series(1, 40000) i`);
});
afterAll(async () => {
  await service.stop();
  await postgres.stop();
});

function expectUnavailable(answer: RawAnswer, retryAfter: number | undefined, known: boolean): string {
  expect(answer.status, answer.text).toBe(503);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'surrogate-control': 'no-store',
  });
  expect(answer.headers['electric-internal-known-error']).toBe(known ? 'true' : undefined);
  if (retryAfter !== undefined) expect(answer.headers['retry-after']).toBe(String(retryAfter));
  expect(Number(header(answer, 'retry-after'))).toBeGreaterThan(0);
  expect(answer.text).not.toMatch(/postgres(ql)?:\/\/|\.ts:|\bselect\b .*\bfrom\b/i);
  expectCors(answer);
  return (JSON.parse(answer.text) as { message: string }).message;
}

function expectRejected(answer: RawAnswer, kind: 'initial' | 'existing', limit: number): void {
  expectUnavailable(answer, undefined, true);
  expect(JSON.parse(answer.text)).toEqual({
    code: 'concurrent_request_limit_exceeded',
    message: `Concurrent ${kind} request limit exceeded (limit: ${limit}), please retry`,
  });
  const retryAfter = Number(header(answer, 'retry-after'));
  expect([6, 7, 8, 9, 10]).toContain(retryAfter);
}

/** A request that is given up before its answer is complete: resolves once it is on its way and can be cut. */
function begin(query: Query, method = 'GET'): { readonly answered: Promise<void>; readonly cut: () => void } {
  const { hostname, port } = new URL(service.cluster.process('api-1').url);
  const outgoing = request({ hostname, port, path: shapePath(query), method, agent: false });
  outgoing.on('error', () => {});
  const answered = new Promise<void>((resolve) =>
    outgoing.once('response', (answer) => {
      answer.on('error', () => {});
      answer.pause();
      resolve();
    }),
  );
  outgoing.end();
  return { answered, cut: () => outgoing.destroy() };
}

/** Resolves once new requests are admitted: only then is every permit back, the one initial and all the others. */
async function expectAllPermitsBack(handle: string): Promise<void> {
  await waitFor(async () => (await service.shape({ offset: '-1', where: 'id > 5' })).status === 200);
  await waitFor(async () => {
    const answers = await Promise.all(
      Array.from({ length: EXISTING }, () => service.shape({ offset: '-1', handle, where: 'id < 0' })),
    );
    return answers.every(({ status }) => status === 200);
  });
}

describe('admission', () => {
  test('C239-C242, C244, AD-2 to AD-6 with the one initial request in progress', async () => {
    const { handle, offset } = await service.read();
    const lock = new Client({ connectionString: service.cluster.databaseUrl });
    await lock.connect();
    await lock.query('begin; lock table locked in access exclusive mode');
    const pending = service.shape({ table: 'locked', offset: '-1' });
    let refused: RawAnswer | undefined;
    const query = { table: 'wide', offset: '-1', where: 'id = 239' };
    await waitFor(async () => {
      refused = await service.shape(query);
      return refused.status === 503;
    });
    expectRejected(refused as RawAnswer, 'initial', INITIAL);

    // C242, AD-2: only the handle decides.
    const admitted = await Promise.all([
      service.shape({ offset, handle }),
      service.shape({ offset: '-1', handle }),
      service.shape({ offset: 'now', handle }),
    ]);
    expect(admitted.map(({ status }) => status)).toEqual([200, 200, 200]);
    expectRejected(await service.shape({ offset: '0_0', handle: 'unknown' }), 'initial', INITIAL);
    expectRejected(await service.shape({ offset: '-1', handle: '' }), 'initial', INITIAL);

    // AD-3: before the body, the parameters and the table.
    for (const path of ['/v1/shape', '/v1/shape?offset=foo', '/v1/shape?table=none&offset=-1', '/v1/shape?x=%zz']) {
      expectRejected(await service.send(path), 'initial', INITIAL);
      expect((await service.send(path, { method: 'HEAD' })).status).toBe(503);
      const post = await service.send(path, { method: 'POST', body: '{' });
      expect([post.status, post.headers['cache-control']]).toEqual([503, 'no-cache']);
      expect(Number(header(post, 'retry-after'))).toBeGreaterThanOrEqual(6);
    }

    // C240, AD-6: nothing was created, and what is not counted goes through.
    const removal = await service.shape({ ...query, offset: '-1' }, { method: 'DELETE' });
    expect([removal.status, removal.text]).toEqual([404, '{"message":"No existing shape found"}']);
    expect((await service.send('/v1/health')).status).toBe(200);
    expect((await service.send('/v1/shape', { method: 'OPTIONS' })).status).toBe(204);

    expect(expectUnavailable(await pending, 10, true)).toBe('Snapshot timed out while waiting for a table lock');
    await lock.query('rollback');
    await lock.end();
    expect((await service.shape(query)).status).toBe(200);
    expect((await service.shape({ table: 'locked', offset: '-1' })).status).toBe(200);
  });

  test('AD-1 existing requests have a limit of their own', async () => {
    const { handle, offset } = await service.read({ where: 'id > 100' });
    const query = { where: 'id > 100', handle, offset };
    const polls = Array.from({ length: EXISTING }, () => service.shape({ ...query, live: 'true' }));
    let refused: RawAnswer | undefined;
    await waitFor(async () => {
      refused = await service.shape(query);
      return refused.status === 503;
    });
    expectRejected(refused as RawAnswer, 'existing', EXISTING);
    expect((await service.shape({ offset: '-1', where: 'id > 101' })).status).toBe(200);
    expect((await Promise.all(polls)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await service.shape(query)).status).toBe(200);
  });

  test('AD-5 a slow download does not stand in the way of new shapes', async () => {
    const slow = begin({ table: 'large', offset: '-1' });
    await slow.answered;
    for (let i = 0; i < 3; i += 1) {
      expect((await service.shape({ offset: '-1', where: `id > ${200 + i}` })).status).toBe(200);
    }
    slow.cut();
  });

  test('C243 every permit comes back, however a request ended', async () => {
    const { handle, offset, answers } = await service.read({ where: 'id < 0' });
    const tag = { 'if-none-match': header(answers[0] as RawAnswer, 'etag') };
    const query = { where: 'id < 0', handle, offset };
    const all = () => [
      service.shape({ offset: 'foo' }),
      service.shape({ offset: '-1', table: 'none' }),
      service.shape({ offset: '-1', where: '1 x 1' }),
      service.shape({ offset: '0_0', handle: 'bogus' }),
      service.shape({ where: 'id < 0', offset: '-1' }, { headers: tag }),
      service.shape({ ...query, offset: '0_0' }, { method: 'HEAD' }),
      service.shape({ offset: '-1' }, { method: 'POST', body: '{' }),
      service.shape({ offset: '-1' }, { method: 'POST', body: '[]' }),
      service.send(`/v1/shape?handle=${handle}&x=%zz`),
    ];
    const cut: readonly Query[] = [
      { ...query, live: 'true' },
      { ...query, live: 'true', live_sse: 'true' },
      { table: 'large', offset: '-1' },
      { table: 'locked', offset: '-1', where: 'id > 0' },
    ];
    for (let round = 0; round < 6; round += 1) {
      const requests = all();
      const broken = cut.map((each) => begin(each));
      await Promise.race(broken.map(({ answered }) => answered));
      for (const each of broken) each.cut();
      await Promise.all(requests);
    }
    await service.shape({ ...query, offset: '99999999999999_0' });
    await expectAllPermitsBack(handle);
  });
});

describe('errors', () => {
  test('C245 without the privilege the database says what is missing', async () => {
    const message = expectUnavailable(await service.shape({ table: 'hidden', offset: '-1' }), 10, true);
    expect(message).toMatch(/^Unable to create initial snapshot: .*permission denied/);
    await service.db.query('grant select on hidden to app');
    await waitFor(async () => (await service.shape({ table: 'hidden', offset: '-1' })).status === 200);
  });

  test('C246, C247 without the database existing shapes are served, and nothing else', async () => {
    const { handle, offset, answers } = await service.read();
    await service.db.end();
    await postgres.kill();
    const read = await service.shape({ offset: '-1' });
    expect([read.status, read.text]).toEqual([200, answers[0]?.text]);
    expect((await service.shape({ offset: '0_0', handle })).status).toBe(200);
    expect((await service.shape({ offset, handle })).status).toBe(200);
    const held = await service.shape({ offset, handle, live: 'true' });
    expect([held.status, held.headers['electric-up-to-date']]).toEqual([200, '']);
    for (const query of [{ table: 'cpk' }, { table: 'items', where: 'id = 246' }]) {
      expectUnavailable(await service.shape({ ...query, offset: '-1' }), undefined, false);
    }
    await postgres.start();
    await service.cluster.waitReady();
    expect((await service.shape({ offset: '0_0', handle })).status).toBe(200);
    await waitFor(async () => (await service.shape({ table: 'cpk', offset: '-1' })).status === 200);
  });

  test('C249 a body that the storage cannot finish does not look complete', async () => {
    // Complete in the store, and not in the memory of the pod.
    const query = { table: 'large', where: 'id > 1' };
    const head = await service.shape({ ...query, offset: '-1' }, { method: 'HEAD' });
    const at = { handle: header(head, 'electric-handle'), offset: header(head, 'electric-offset') };
    expect((await service.shape({ ...query, ...at })).status).toBe(200);
    const { hostname, port } = new URL(service.cluster.process('api-1').url);
    const outgoing = request({ hostname, port, path: shapePath({ ...query, offset: '-1' }), agent: false });
    const parts: Buffer[] = [];
    const outcome = new Promise<'complete' | 'broken'>((resolve, reject) => {
      outgoing.once('error', reject);
      outgoing.once('response', (answer) => {
        if (answer.statusCode !== 200) return reject(new Error(`status ${answer.statusCode}`));
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.once('data', () => {
          answer.pause();
          service.cluster
            .server('redis')
            .kill()
            .then(() => answer.resume(), reject);
        });
        answer.once('end', () => resolve('complete'));
        answer.once('error', () => resolve('broken'));
      });
    });
    outgoing.end();
    expect(await outcome).toBe('broken');
    const text = Buffer.concat(parts).toString();
    expect(text.startsWith('[{')).toBe(true);
    expect(() => JSON.parse(text) as unknown).toThrow();
  });
});
