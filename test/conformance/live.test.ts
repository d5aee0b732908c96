import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService } from '../support/service.ts';
import { send, type RawAnswer } from './support/http.ts';
import {
  ConformanceService,
  expectInvalid,
  expectRefetch,
  expectUpToDate,
  header,
  messages,
  rows,
  shapePath,
  type Message,
} from './support/service.ts';
import { freshTable, transaction, walPosition } from './support/tables.ts';

const LIVE_CACHE = 'public, max-age=5, stale-while-revalidate=5';
const CATCH_UP_CACHE = 'public, max-age=60, stale-while-revalidate=300';

const ids = (answer: RawAnswer) => rows(messages(answer)).map((message) => Number(message.value?.['id']));
const lsnOf = (message: Message | undefined) => BigInt(message?.headers['lsn'] as string);
const vouched = (answer: RawAnswer) => BigInt(messages(answer).at(-1)?.headers['global_last_seen_lsn'] as string);
/** Whether the request is still unanswered. */
const isHeld = async (answer: Promise<unknown>) => (await Promise.race([answer, pause(150, 'held')])) === 'held';

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({ apis: 2, env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '10000' } });
});

afterAll(() => service.stop());

/** A shape of a table of its own, read to its tail. */
async function tailOf(query: Record<string, string> = {}, initialRows = 1) {
  const table = query['table'] ?? (await freshTable(service, undefined, initialRows));
  const read = await service.read({ table, ...query });
  const place = { table, ...query, handle: read.handle, offset: read.offset };
  return { table, handle: read.handle, offset: read.offset, place };
}

const insert = (table: string, ...list: readonly number[]) =>
  service.sql(`INSERT INTO ${table} VALUES ${list.map((id) => `(${id}, 'row ${id}')`).join()}`);

/** Reads on without waiting until there are entries. */
const entriesAfter = (place: Record<string, string>) =>
  waitFor(async () => {
    const answer = await service.shape(place);
    expect(answer.status, answer.text).toBe(200);
    return rows(messages(answer)).length > 0 && answer;
  });

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

describe.concurrent('caching (spec H 20)', () => {
  test('C143, C144 the beginning is cached long, what follows for a minute', async () => {
    const { table, handle } = await tailOf();
    const first = await service.shape({ table, offset: '-1' });
    expect(first.headers).toMatchObject({
      'cache-control': 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746',
      etag: `"${handle}:-1:0_0"`,
    });
    const next = await service.shape({ table, handle, offset: '0_0' });
    expect(next.headers).toMatchObject({ 'cache-control': CATCH_UP_CACHE, etag: `"${handle}:0_0:0_inf"` });
  });

  test.each(['GET', 'HEAD', 'POST'])('C145 a matching tag is a 304: %s', async (method) => {
    const { table, handle } = await tailOf();
    const query = { table, offset: '-1' };
    const etag = `"${handle}:-1:0_0"`;
    for (const tags of [etag, `"x", ${etag}`, `${etag} ,"x"`, `"x",${handle}:-1:0_0`]) {
      const answer = await service.shape(query, { method, headers: { 'if-none-match': tags } });
      expect(answer.status, tags).toBe(304);
      expect(answer.text).toBe('');
      const initial = 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746';
      expect(answer.headers).toMatchObject({
        etag,
        'cache-control': method === 'POST' ? 'no-cache' : initial,
        'electric-handle': handle,
        'electric-offset': '0_0',
        'electric-has-data': 'true',
      });
      for (const name of ['schema', 'up-to-date', 'cursor']) {
        expect(answer.headers).not.toHaveProperty(`electric-${name}`);
      }
    }
    const atTail = { table, handle, offset: '0_0' };
    const tail = await service.shape(atTail, { method, headers: { 'if-none-match': `"${handle}:0_0:0_inf"` } });
    expect(tail.status).toBe(304);
    expect(tail.headers).toMatchObject({ 'electric-up-to-date': '', 'electric-offset': '0_inf' });
    const other = await service.shape(query, { method, headers: { 'if-none-match': `"${handle}:-1:0_1"` } });
    expect(other.status).toBe(200);
  });

  test('C146 a tag of the time before a change is no match', async () => {
    const { table, handle } = await tailOf();
    await insert(table, 2);
    const place = { table, handle, offset: '0_0' };
    await entriesAfter(place);
    const answer = await service.shape(place, { headers: { 'if-none-match': `"${handle}:0_0:0_inf"` } });
    expect(answer.status).toBe(200);
    expect(ids(answer)).toEqual([2]);
  });

  test('C147, C148 answers without news have tags of their own, and no tag ends a held request', async () => {
    const { table, handle, place, offset } = await tailOf();
    const live = { ...place, live: 'true', cursor: '7' };
    const timeouts = [await service.shape(live), await service.shape(live)];
    const tags = timeouts.map((answer) => header(answer, 'etag'));
    expect(new Set(tags).size).toBe(2);
    for (const tag of tags) {
      expect(tag.startsWith(`"${handle}:${offset}:${offset}:`)).toBe(true);
      expect(tag.length).toBeGreaterThan(`"${handle}:${offset}:${offset}:"`.length);
    }
    const now = [0, 1].map(() => service.shape({ table, offset: 'now' }));
    expect(new Set((await Promise.all(now)).map((answer) => answer.headers['etag'])).size).toBe(2);

    const known = { headers: { 'if-none-match': `${tags.join()}, "${handle}:${offset}:${offset}"` } };
    const held = service.shape(live, known);
    const stream = service.shape({ ...live, live_sse: 'true' }, known);
    expect(await isHeld(Promise.race([held, stream]))).toBe(true);
    await insert(table, 2);
    expect(ids(await held)).toEqual([2]);
    await service.sql(`TRUNCATE ${table}`);
    expect(await stream).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    expect((await stream).text).toContain('"id":"2"');
  });

  test('C149 a live request behind the tail may be a 304', async () => {
    const { table, place } = await tailOf();
    await insert(table, 2);
    await entriesAfter(place);
    const live = { ...place, live: 'true' };
    const data = await service.shape(live);
    const etag = header(data, 'etag');
    const answer = await service.shape(live, { headers: { 'if-none-match': etag } });
    expect(answer.status).toBe(304);
    expect(answer.text).toBe('');
    expect(answer.headers).toMatchObject({
      etag,
      'cache-control': LIVE_CACHE,
      'electric-offset': data.headers['electric-offset'],
      'electric-up-to-date': '',
    });
    expect(answer.headers['electric-cursor']).toMatch(/^\d+$/);
    expect(answer.headers).not.toHaveProperty('electric-schema');
  });

  const EPOCH_MS = Date.UTC(2024, 9, 9);
  const INTERVAL = 2n;
  const elapsed = () => BigInt(Math.floor((Date.now() - EPOCH_MS) / 1000));
  const cursorOf = (answer: RawAnswer) => BigInt(header(answer, 'electric-cursor'));

  /** A live request that is answered at once. */
  async function behind() {
    const { table, place } = await tailOf();
    await insert(table, 2);
    await entriesAfter(place);
    return (cursor?: string) => service.shape({ ...place, live: 'true', ...(cursor !== undefined && { cursor }) });
  }

  test('C150, C151, C152 the cursor is the end of the interval, or ahead of the one that came', async () => {
    const ask = await behind();
    const before = elapsed();
    const first = cursorOf(await ask());
    expect(first % INTERVAL).toBe(0n);
    expect(first >= before && first <= elapsed() + INTERVAL).toBe(true);
    expect(cursorOf(await ask(String(first))) > first).toBe(true);
    const ahead = 999_999_999_999n;
    for (let i = 0; i < 10; i += 1) {
      const next = cursorOf(await ask(String(ahead)));
      expect(next > ahead && next <= ahead + 3_600n, String(next)).toBe(true);
    }
  });

  test('C153, CA-6 a cursor that is no number counts as none, and none changes what is returned', async () => {
    const ask = await behind();
    const { text } = await ask();
    for (const cursor of ['', 'abc', '1.5', '-3', '1e9', '0', '99999999999999999999']) {
      const before = elapsed();
      const answer = await ask(cursor);
      expect(answer.status, cursor).toBe(200);
      expect(answer.text).toBe(text);
      const next = cursorOf(answer);
      if (cursor.startsWith('9')) expect(next > BigInt(cursor)).toBe(true);
      else expect(next % INTERVAL === 0n && next >= before && next <= elapsed() + INTERVAL, cursor).toBe(true);
    }
  });

  test('C154 clients of one interval get one cursor, from whichever process', async () => {
    const ask = await behind();
    const interval = () => elapsed() / INTERVAL;
    await waitFor(async () => {
      const before = interval();
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask('12')));
      if (interval() !== before) return false;
      // Within a second after the end of an interval the rounding decides, so at most its two ends are seen.
      const cursors = new Set(answers.map((answer) => String(cursorOf(answer))));
      expect([...cursors].length).toBeLessThanOrEqual(2);
      return cursors.size === 1;
    });
    const ahead = await Promise.all(Array.from({ length: 10 }, () => ask('999999999999')));
    for (const answer of ahead) expect(cursorOf(answer) > 999_999_999_999n).toBe(true);
  });

  test('C155 only live answers have a cursor', async () => {
    const { table, place } = await tailOf();
    for (const query of [
      { table, offset: '-1' },
      { table, offset: 'now' },
      { ...place, cursor: '5' },
    ]) {
      const answer = await service.shape(query);
      expect(answer.status).toBe(200);
      expect(answer.headers).not.toHaveProperty('electric-cursor');
    }
  });

  test('C156 a 409 is cached for a minute if it names a handle, else for a second', async () => {
    const { table, handle, place } = await tailOf();
    const named = await service.shape({ table, offset: '0_0', handle: 'bogus' });
    expectRefetch(named, handle);
    expect(named.headers['etag']).toBe(`"${handle}::"`);
    const post = await service.shape({ table, offset: '0_0', handle: 'bogus' }, { method: 'POST' });
    expect(post.headers).toMatchObject({ 'cache-control': 'no-cache', 'electric-handle': handle });
    const held = service.shape({ ...place, live: 'true' });
    expect(await isHeld(held)).toBe(true);
    await service.sql(`TRUNCATE ${table}`);
    expectRefetch(await held);
    expect((await held).headers).not.toHaveProperty('etag');
  });

  test('C157 no other error is stored', async () => {
    const { table, handle } = await tailOf();
    const bad: [Record<string, string>, number][] = [
      [{ table }, 400],
      [{ table, offset: 'x' }, 400],
      [{ table: 'nothing', offset: '-1' }, 400],
      [{ table, offset: '-1', where: 'nope' }, 400],
      [{ table, handle, offset: `${10n ** 18n}_0` }, 400],
    ];
    for (const [query, status] of bad) {
      for (const method of ['GET', 'HEAD']) {
        const { headers, ...answer } = await service.shape(query, { method });
        expect(answer.status, JSON.stringify(query).slice(0, 100)).toBe(status);
        expect(headers).toMatchObject({ 'cache-control': 'no-store', 'surrogate-control': 'no-store' });
      }
      const { headers } = await service.shape(query, { method: 'POST' });
      expect(headers['cache-control']).toBe('no-cache');
      expect(headers).not.toHaveProperty('surrogate-control');
    }
    const drop = await service.shape({ table: 'nothing' }, { method: 'DELETE' });
    expect(drop.status).toBeGreaterThanOrEqual(400);
    expect(drop.headers['cache-control']).toBe('no-cache');
  });

  test('C160 one URL is one answer, whichever process is asked', async () => {
    const table = await freshTable(service);
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('é"\\', 300) FROM generate_series(1, 30) i`);
    const { handle } = await service.read({ table });
    await service.sql(`UPDATE ${table} SET title = title || 'x'`);
    await service.sql(`DELETE FROM ${table}`);
    const read = await waitFor(async () => {
      const next = await service.read({ table }, { handle, offset: '0_inf' });
      return rows(next.messages).length === 60 && next;
    });
    const offsets = ['0_inf', ...read.answers.map((answer) => header(answer, 'electric-offset'))].slice(0, -1);
    expect(offsets.length).toBeGreaterThan(2);
    const paths = [
      shapePath({ table, offset: '-1' }),
      shapePath({ table, handle, offset: '0_0' }),
      ...offsets.map((offset) => shapePath({ table, handle, offset })),
    ];
    const NAMES = ['electric-offset', 'electric-handle', 'electric-schema', 'etag', 'cache-control'];
    for (const path of paths) {
      const [one, two] = await Promise.all(
        ['api-1', 'api-2'].map((name) => send(service.cluster.process(name).url, path)),
      );
      expect(one!.status).toBe(200);
      for (const name of NAMES) expect(two!.headers[name]).toBe(one!.headers[name]);
      // The last answer vouches for a position that goes on.
      if (one!.headers['electric-up-to-date'] === undefined) expect(two!.bytes.equals(one!.bytes), path).toBe(true);
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
