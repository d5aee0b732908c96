import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send, type RawAnswer } from './support/http.ts';
import { ids, isHeld, placesOf } from './support/places.ts';
import { ConformanceService, expectRefetch, header, rows, shapePath } from './support/service.ts';
import { freshTable } from './support/tables.ts';

const LIVE_CACHE = 'public, max-age=5, stale-while-revalidate=5';
const CATCH_UP_CACHE = 'public, max-age=60, stale-while-revalidate=300';

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({ apis: 2, env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '10000' } });
});

afterAll(() => service.stop());

const { tailOf, insert, entriesAfter } = placesOf(() => service);

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
