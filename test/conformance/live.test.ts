import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService } from '../support/service.ts';
import { send } from './support/http.ts';
import { ids, isHeld, lsnOf, placesOf, vouched } from './support/places.ts';
import {
  ConformanceService,
  expectInvalid,
  expectUpToDate,
  header,
  messages,
  rows,
  shapePath,
} from './support/service.ts';
import { freshTable, transaction, walPosition } from './support/tables.ts';

const LIVE_CACHE = 'public, max-age=5, stale-while-revalidate=5';
const CATCH_UP_CACHE = 'public, max-age=60, stale-while-revalidate=300';

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({ apis: 2, env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '10000' } });
});

afterAll(() => service.stop());

const { tailOf, insert, entriesAfter } = placesOf(() => service);

describe.concurrent('offsets (spec H 9)', () => {
  test('C105 now creates the shape and skips its history', async () => {
    const table = await freshTable(service, undefined, 2);
    const answer = await service.shape({ table, offset: 'now' });
    expect(answer.status).toBe(200);
    expect(messages(answer)).toHaveLength(1);
    expectUpToDate(answer, true);
    expect(answer.headers).toMatchObject({
      'electric-offset': '0_inf',
      'electric-has-data': 'false',
      'cache-control': CATCH_UP_CACHE,
    });
    expect(JSON.parse(header(answer, 'electric-schema'))).toHaveProperty('id');
    expect(answer.headers).not.toHaveProperty('electric-cursor');
  });

  test('OF-7 now vouches for a position like every answer without news', async () => {
    const table = await freshTable(service);
    const other = await tailOf();
    await insert(other.table, 2);
    const lsn = lsnOf(messages(await entriesAfter(other.place))[0]);
    // Not the first answer: a shape whose snapshot is being taken has nothing yet to vouch for.
    await waitFor(async () => {
      const answer = await service.shape({ table, offset: 'now' });
      expect(answer.headers['electric-offset']).toBe('0_inf');
      return vouched(answer) >= lsn;
    });
  });

  test('C106 now on a shape with changes is its tail, whatever handle was sent', async () => {
    const { table, handle, place } = await tailOf();
    await insert(table, 2);
    const tail = header(await entriesAfter(place), 'electric-offset');
    const answer = await service.shape({ table, offset: 'now', handle: 'bogus' });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'electric-offset': tail, 'electric-handle': handle });
    expect(messages(answer)).toHaveLength(1);
  });

  test('C107 a reader that began at now gets what comes, and nothing older', async () => {
    const table = await freshTable(service, undefined, 2);
    const now = await service.shape({ table, offset: 'now' });
    const [handle, offset] = [header(now, 'electric-handle'), header(now, 'electric-offset')];
    await insert(table, 3);
    const answer = await service.shape({ table, handle, offset, live: 'true' });
    expect(ids(answer)).toEqual([3]);
  });

  test('C108 the beginning ignores the handle', async () => {
    const { table, handle } = await tailOf();
    const answer = await service.shape({ table, offset: '-1', handle: 'bogus' });
    expect(answer.status).toBe(200);
    expect(answer.headers['electric-handle']).toBe(handle);
  });

  test('C109 leading zeros are no other place', async () => {
    const { table, handle } = await tailOf();
    const answer = await service.shape({ table, handle, offset: '0_00' });
    const normal = await service.shape({ table, handle, offset: '0_0' });
    expect(answer.headers['etag']).toBe(normal.headers['etag']);
    expect(answer.headers['etag']).toContain(':0_0:');
    expect(answer.headers['electric-offset']).toBe(normal.headers['electric-offset']);
  });

  test('C110 an offset far beyond the tail is refused after a wait', async () => {
    const { table, handle } = await tailOf();
    const offset = `${10n ** 18n}_0`;
    for (const live of [undefined, 'true']) {
      const answer = service.shape({ table, handle, offset, live });
      expect(await isHeld(answer)).toBe(true);
      expectInvalid(await answer, { offset: ['out of bounds for this shape'] });
    }
  });

  test('C111 an offset beyond the tail is served once the tail has come there', async () => {
    const { table, handle } = await tailOf();
    for (const [round, live] of [undefined, 'true'].entries()) {
      const offset = `${(await walPosition(service)) + 1n}_0`;
      const answer = service.shape({ table, handle, offset, live });
      expect(await isHeld(answer)).toBe(true);
      await insert(table, 10 + round);
      expect((await answer).status, (await answer).text).toBe(200);
      expect(ids(await answer)).toEqual([10 + round]);
    }
  });

  test('C112 a rotation during the wait is a 409', async () => {
    const { table, handle } = await tailOf();
    const answer = service.shape({ table, handle, offset: `${10n ** 18n}_0` });
    expect(await isHeld(answer)).toBe(true);
    await service.sql(`TRUNCATE ${table}`);
    expect((await answer).status).toBe(409);
  });

  test('C113, OF-9 any place between two entries is an offset', async () => {
    const [one, two] = [await tailOf(), await tailOf()];
    await transaction(
      service.cluster.databaseUrl,
      `INSERT INTO ${two.table} VALUES (8, 'x'), (9, 'x')`,
      `INSERT INTO ${one.table} VALUES (8, 'x')`,
      `INSERT INTO ${two.table} VALUES (10, 'x')`,
      `INSERT INTO ${one.table} VALUES (9, 'x')`,
    );
    const all = await entriesAfter(one.place);
    const [first, last] = rows(messages(all));
    const lsn = lsnOf(first);
    const [at, end] = [first, last].map((entry) => entry?.headers['op_position'] as number) as [number, number];
    // Positions count the changes of the other table too (OF-5).
    expect(at).toBeGreaterThanOrEqual(2);
    expect(end).toBeGreaterThan(at + 1);
    const { table, handle } = one;
    for (const [op, expected] of [
      ['0', [8, 9]],
      [String(at - 1), [8, 9]],
      [String(at), [9]],
      [String(end - 1), [9]],
      [String(end), []],
    ] as const) {
      const answer = await service.shape({ table, handle, offset: `${lsn}_${op}` });
      expect(ids(answer), `from ${op}`).toEqual(expected);
      expect(answer.headers['electric-offset']).toBe(`${lsn}_${end}`);
    }
    expect(ids(await service.shape({ table, handle, offset: `${lsn - 1n}_inf` }))).toEqual([8, 9]);
  });
});

describe.concurrent('live (spec H 11)', () => {
  test('C115 an insert wakes a held request', async () => {
    const { table, place } = await tailOf();
    const answer = service.shape({ ...place, live: 'true' });
    expect(await isHeld(answer)).toBe(true);
    await insert(table, 2);
    const { status, headers } = await answer;
    expect(status).toBe(200);
    expect(ids(await answer)).toEqual([2]);
    expect(messages(await answer)).toHaveLength(2);
    expectUpToDate(await answer, true);
    expect(headers).toMatchObject({ 'electric-has-data': 'true', 'cache-control': LIVE_CACHE });
    expect(headers['electric-cursor']).toMatch(/^\d+$/);
    expect(headers).not.toHaveProperty('electric-schema');
  });

  test('C116 an answer with entries vouches for the last of them, however busy other tables are', async () => {
    const [{ table, handle, offset }, other] = [await tailOf(), await tailOf()];
    let at = offset;
    for (let id = 2; id < 12; id += 1) {
      const answer = service.shape({ table, handle, offset: at, live: 'true' });
      await Promise.all([insert(table, id), insert(other.table, id), insert(other.table, id + 100)]);
      expect(vouched(await answer)).toBe(lsnOf(messages(await answer)[0]));
      at = header(await answer, 'electric-offset');
    }
    // Also when the service is known to be further.
    await insert(other.table, 500);
    const last = await waitFor(async () => {
      const answer = await service.shape({ table, handle, offset });
      const tail = lsnOf(rows(messages(answer)).at(-1));
      return vouched(answer) > tail && tail;
    });
    expect(vouched(await service.shape({ table, handle, offset, live: 'true' }))).toBe(last);
  });

  test('C117 the timeout is a 200 with a body', async () => {
    const { offset, place } = await tailOf();
    const answer = await service.shape({ ...place, live: 'true' });
    expect(answer.status).toBe(200);
    expect(messages(answer)).toHaveLength(1);
    expectUpToDate(answer, true);
    expect(answer.headers).toMatchObject({
      'electric-has-data': 'false',
      'electric-offset': offset,
      'cache-control': LIVE_CACHE,
    });
    expect(answer.headers['electric-cursor']).toMatch(/^\d+$/);
    expect(answer.headers).not.toHaveProperty('electric-schema');
  });

  test('C118 a timeout vouches for what other tables committed', async () => {
    const [{ place }, other] = [await tailOf(), await tailOf()];
    const answer = service.shape({ ...place, live: 'true' });
    await insert(other.table, 2);
    const lsn = lsnOf(messages(await entriesAfter(other.place))[0]);
    expect(vouched(await answer) >= lsn).toBe(true);
  });

  test('C118 no answer vouches for an entry that comes later', async () => {
    const { table, handle, offset } = await tailOf();
    let writing = true;
    const writer = (async () => {
      for (let id = 2; writing; id += 1) {
        await insert(table, id);
        if (id % 10 === 0) await pause(20);
      }
    })();
    const received: bigint[] = [];
    const at: { offset: string; highest: bigint }[] = [0, 1, 2].map(() => ({ offset, highest: 0n }));
    await Promise.all(
      at.map(async (client, n) => {
        for (let i = 0; i < 60; i += 1) {
          // One follows live, one with plain requests, one in turn.
          const live = n === 0 || (n === 2 && i % 2 === 0) ? 'true' : undefined;
          const answer = await service.shape({ table, handle, offset: client.offset, live });
          for (const entry of rows(messages(answer))) {
            received.push(lsnOf(entry));
            expect(lsnOf(entry) > client.highest).toBe(true);
          }
          client.offset = header(answer, 'electric-offset');
          const upToDate = answer.headers['electric-up-to-date'] !== undefined;
          if (!upToDate) continue;
          expect(vouched(answer) >= client.highest).toBe(true);
          client.highest = vouched(answer);
        }
      }),
    );
    writing = false;
    await writer;
    expect(received.length).toBeGreaterThan(10);
  });

  test('C119, C120 behind the tail the answer comes at once, a chunk at a time', async () => {
    const { table, place } = await tailOf();
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('x', 1000) FROM generate_series(2, 30) i`);
    await entriesAfter(place);
    const answer = await service.shape({ ...place, live: 'true' });
    expect(ids(answer).length).toBeLessThan(29);
    expectUpToDate(answer, false);
    expect(answer.headers['electric-cursor']).toMatch(/^\d+$/);
    const at = { ...place, offset: header(answer, 'electric-offset') };
    expect(ids(await service.shape({ ...at, live: 'true' }))[0]).toBe((ids(answer).at(-1) ?? 0) + 1);
  });

  test('C121 a place in the snapshot is held like its end', async () => {
    const { table, handle } = await tailOf();
    const place = { table, handle, offset: '0_0', live: 'true' };
    const [quiet, woken] = [service.shape(place), service.shape({ ...place, cursor: '1' })];
    expect(await isHeld(Promise.race([quiet, woken]))).toBe(true);
    expect((await quiet).headers).toMatchObject({ 'electric-offset': '0_inf', 'electric-has-data': 'false' });
    expect((await woken).headers['electric-offset']).toBe('0_inf');
    const answer = service.shape(place);
    await insert(table, 2);
    expect(ids(await answer)).toEqual([2]);
    expect(header(await answer, 'electric-offset')).toMatch(/^[1-9]\d*_\d+$/);
  });

  test('C123 what is outside the clause does not wake', async () => {
    const { table, place } = await tailOf({ where: 'id > 10' }, 20);
    const whole = await tailOf({ table });
    const answer = service.shape({ ...place, live: 'true' });
    await insert(table, 0);
    await service.sql(`UPDATE ${table} SET title = 'other' WHERE id = 5`);
    await service.sql(`DELETE FROM ${table} WHERE id = 7`);
    await waitFor(async () => rows((await service.read({ table }, whole)).messages).length === 3);
    expect(await isHeld(answer)).toBe(true);
    await insert(table, 21);
    expect(ids(await answer)).toEqual([21]);
  });

  test('C124 a transaction comes as a whole', async () => {
    const { table, place } = await tailOf();
    const answer = service.shape({ ...place, live: 'true' });
    expect(await isHeld(answer)).toBe(true);
    await transaction(
      service.cluster.databaseUrl,
      `INSERT INTO ${table} VALUES (2, 'x')`,
      `UPDATE ${table} SET title = 'y' WHERE id = 2`,
      `DELETE FROM ${table} WHERE id = 1`,
    );
    const list = messages(await answer);
    expect(list.map(({ headers }) => [headers['operation'], headers['last']])).toEqual([
      ['insert', undefined],
      ['update', undefined],
      ['delete', true],
      [undefined, undefined],
    ]);
    expectUpToDate(await answer, true);
  });

  test('C126 a client that leaves gives its place back', async () => {
    const { cluster } = service;
    const { place } = await tailOf();
    const api = await startService('api', {
      SHAPECAST_NATS_URL: cluster.natsUrl,
      SHAPECAST_REDIS_URL: cluster.redisUrl,
      ELECTRIC_LONG_POLL_TIMEOUT: '60000',
      ELECTRIC_MAX_CONCURRENT_REQUESTS: '{"initial":4,"existing":4}',
    });
    try {
      const path = shapePath({ ...place, live: 'true' });
      const caughtUp = async () => (await send(api.url, shapePath(place))).status === 200;
      await waitFor(() => caughtUp().catch(() => false));
      for (let round = 0; round < 3; round += 1) {
        const client = new AbortController();
        const held = Array.from({ length: 8 }, () =>
          send(api.url, path, { signal: client.signal }).catch(() => ({ status: 0 })),
        );
        // Four known and four new ones are in progress, so there is no room for a fifth.
        await waitFor(async () => (await send(api.url, shapePath(place))).status === 503);
        client.abort();
        expect((await Promise.all(held)).filter(({ status }) => status === 0).length).toBeGreaterThanOrEqual(4);
        await waitFor(caughtUp);
      }
    } finally {
      await api.stop();
    }
  });
});

describe('many clients', () => {
  test('C122 a thousand held requests get one body', async () => {
    const { table, handle, offset, place } = await tailOf();
    const { url } = service.cluster.process('api-1');
    // The process learns the handle, so that its clients count as those of a shape that exists.
    await send(url, shapePath(place));
    const path = shapePath({ table, handle, offset, live: 'true', cursor: '40' });
    const answers = Array.from({ length: 1_000 }, () => send(url, path));
    expect(await isHeld(Promise.race(answers))).toBe(true);
    await insert(table, 2);
    const all = await Promise.all(answers);
    expect(new Set(all.map((answer) => answer.text)).size).toBe(1);
    expect(new Set(all.map((answer) => answer.headers['electric-offset'])).size).toBe(1);
    expect(ids(all[0]!)).toEqual([2]);
  });
});
