import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService, type Service } from '../support/service.ts';
import { EventStream } from './support/event-stream.ts';
import { send } from './support/http.ts';
import {
  ConformanceService,
  expectInvalid,
  expectRefetch,
  header,
  messages,
  rows,
  shapePath,
  type Message,
} from './support/service.ts';
import { freshTable, transaction } from './support/tables.ts';

const SECRET = 's3cr3t';

/** With the lifetime and keep-alive of the protocol. */
let service: ConformanceService;
/** On the same servers, with short ones, a secret, and room for few requests. */
let short: Service;

beforeAll(async () => {
  service = await ConformanceService.start({ env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '10000' } });
  short = await startService('api', {
    SHAPECAST_NATS_URL: service.cluster.natsUrl,
    SHAPECAST_REDIS_URL: service.cluster.redisUrl,
    ELECTRIC_INSECURE: 'false',
    ELECTRIC_SECRET: SECRET,
    ELECTRIC_LONG_POLL_TIMEOUT: '1000',
    SHAPECAST_SSE_KEEPALIVE: '200ms',
    SHAPECAST_SSE_TIMEOUT: '1500ms',
    ELECTRIC_MAX_CONCURRENT_REQUESTS: '{"initial":10,"existing":10}',
  });
  await waitFor(() =>
    send(short.url, '/v1/health').then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
});

afterAll(async () => {
  await short.stop();
  await service.stop();
});

async function tailOf(extra: Record<string, string> = {}, initialRows = 1) {
  const table = await freshTable(service, undefined, initialRows);
  const { handle, offset } = await service.read({ table, ...extra });
  return { table, handle, offset, place: { table, ...extra, handle, offset } };
}

const insert = (table: string, ...list: readonly number[]) =>
  service.sql(`INSERT INTO ${table} VALUES ${list.map((id) => `(${id}, 'row ${id}')`).join()}`);

const LIVE = { live: 'true', live_sse: 'true' };
const open = (query: Record<string, string>, options: Parameters<typeof EventStream.open>[2] = {}) =>
  EventStream.open(service.cluster.url, shapePath({ ...query, ...LIVE }), options);
const openShort = (query: Record<string, string>) =>
  EventStream.open(short.url, shapePath({ ...query, ...LIVE, secret: SECRET }));

const ids = (list: readonly Message[]) => rows(list).map((message) => Number(message.value?.['id']));
const lsnOf = (message: Message | undefined) => message?.headers['lsn'] as string;
const vouched = (list: readonly Message[]) => list.at(-1)?.headers['global_last_seen_lsn'] as string;
/** Whether the stream is open still, after a while in which it would have been closed. */
const staysOpen = async (stream: EventStream) => (await Promise.race([stream.end(), pause(300, 'open')])) === 'open';

describe.concurrent('server-sent events (spec H 12)', () => {
  test('C217 the headers are there at once, and say what the stream is', async () => {
    const { handle, offset, place } = await tailOf();
    const stream = await open(place, { headers: { accept: '*/*', 'last-event-id': '17' } });
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'public, max-age=59',
      'electric-handle': handle,
      'electric-offset': offset,
      'electric-up-to-date': '',
      'electric-has-data': 'true',
    });
    expect(stream.headers['electric-cursor']).toMatch(/^\d+$/);
    expect(stream.headers).not.toHaveProperty('electric-schema');
    expect(stream.headers).not.toHaveProperty('etag');
    expect(stream.text).toBe('');
    expect(await staysOpen(stream)).toBe(true);
    stream.close();
  });

  test('SS-2 a HEAD has the headers and no stream', async () => {
    const { place } = await tailOf();
    const stream = await open(place, { method: 'HEAD' });
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'public, max-age=59',
    });
    await stream.end();
    expect(stream).toMatchObject({ status: 200, text: '', broken: false });
  });

  test('C218, C224, SS-7 a batch ends with an up-to-date of its own position, however busy other tables are', async () => {
    const [{ table, place }, other] = [await tailOf(), await tailOf()];
    const stream = await open(place);
    for (let id = 2; id < 10; id += 1) {
      await Promise.all([insert(other.table, id), insert(table, id), insert(other.table, id + 100)]);
      await insert(other.table, id + 200);
      const list = await stream.upToDate((all) => ids(all).length === id - 1);
      expect(ids(list).at(-1)).toBe(id);
      expect(vouched(list)).toBe(lsnOf(rows(list).at(-1)));
      expect(list.length).toBe(2 * (id - 1));
    }
    stream.close();
  });

  test('C221 the old name of the parameter means the same', async () => {
    const { table, place } = await tailOf();
    const queries = [{ experimental_live_sse: 'true' }, { experimental_live_sse: 'true', live_sse: 'true' }];
    const streams = await Promise.all(
      queries.map((query) => EventStream.open(service.cluster.url, shapePath({ ...place, live: 'true', ...query }))),
    );
    await insert(table, 2);
    for (const stream of streams) {
      expect(stream.headers['content-type']).toBe('text/event-stream');
      expect(ids(await stream.upToDate())).toEqual([2]);
      stream.close();
    }
  });

  test('C222 live_sse wins over its old name', async () => {
    const { place } = await tailOf();
    const query = { ...place, live: 'true', live_sse: 'false', experimental_live_sse: 'true' };
    const answer = await service.shape(query);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(messages(answer)).toHaveLength(1);
  });

  test('C223 a client goes on from the position of an up-to-date', async () => {
    const { table, place } = await tailOf();
    const stream = await open(place);
    await transaction(
      service.cluster.databaseUrl,
      `INSERT INTO ${table} VALUES (2, 'x'), (3, 'x'), (4, 'x')`,
      `UPDATE ${table} SET title = 'y' WHERE id = 2`,
    );
    const list = await stream.upToDate((all) => ids(all).length === 4);
    stream.close();
    expect(new Set(rows(list).map(lsnOf)).size).toBe(1);
    const again = await open({ ...place, offset: `${vouched(list)}_0` });
    expect(again.status).toBe(200);
    await insert(table, 5);
    const more = await again.upToDate((all) => ids(all).includes(5));
    // What of the transaction is repeated is its end, in order.
    expect([2, 3, 4, 2, 5].join()).toMatch(new RegExp(`${ids(more).join()}$`));
    again.close();
  });

  test('C225 a rotation ends the stream, also when the successor is known', async () => {
    const { table, handle, offset, place } = await tailOf();
    const [quiet, busy] = [await open(place), await open(place)];
    await insert(table, 2);
    await busy.upToDate();
    await service.sql(`TRUNCATE ${table}`);
    const successor = await waitFor(async () => {
      const next = await service.open({ table });
      return next.handle !== handle && next.handle;
    });
    // Long before the minute of their lives is over, which is what this test would wait for.
    const began = performance.now();
    await Promise.all([quiet.end(), busy.end()]);
    expect(performance.now() - began).toBeLessThan(30_000);
    for (const stream of [quiet, busy]) {
      expect(stream.broken).toBe(false);
      expect(stream.messages.at(-1)?.headers['control']).toBe('up-to-date');
      expect(stream.text).not.toContain('must-refetch');
    }
    expectRefetch(await service.shape({ table, handle, offset, ...LIVE }), successor);
  });

  test('C226, SS-6, SS-8 a backlog is sent whole, and the stream stays open', async () => {
    const { table, handle, offset, place } = await tailOf();
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('x', 1000) FROM generate_series(2, 60) i`);
    await insert(table, 61);
    await waitFor(async () => ids((await service.read({ table }, { handle, offset })).messages).length === 60);
    const stream = await open(place);
    expect(stream.headers['electric-offset']).toBe(offset);
    expect(stream.headers).not.toHaveProperty('electric-up-to-date');
    const list = await stream.upToDate();
    expect(ids(list)).toEqual(Array.from({ length: 60 }, (_none, i) => i + 2));
    expect(list.filter((message) => message.headers['control'] !== undefined)).toHaveLength(1);
    expect(vouched(list)).toBe(lsnOf(rows(list).at(-1)));
    expect(await staysOpen(stream)).toBe(true);
    await insert(table, 62);
    expect(ids(await stream.upToDate((all) => ids(all).includes(62))).at(-1)).toBe(62);
    stream.close();
  });

  test('C227, SS-1 what is refused is refused as JSON', async () => {
    const { table, handle, place } = await tailOf();
    const answers = {
      invalid: await service.shape({ ...place, ...LIVE, offset: 'x' }),
      beginning: await service.shape({ table, offset: '-1', ...LIVE }),
      unknown: await service.shape({ ...place, ...LIVE, handle: 'bogus' }),
      beyond: await service.shape({ ...place, ...LIVE, offset: `${10n ** 18n}_0` }),
      noSecret: await send(short.url, shapePath({ ...place, ...LIVE })),
    };
    for (const answer of Object.values(answers)) {
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    }
    expectInvalid(answers.invalid, { offset: ['has invalid format'] });
    expectInvalid(answers.beginning, { live: ["can't be true when offset == -1"] });
    expectRefetch(answers.unknown, handle);
    expectInvalid(answers.beyond, { offset: ['out of bounds for this shape'] });
    expect(answers.noSecret.status).toBe(401);
  });
});

describe('lifetime of a stream (spec H 12)', () => {
  test('C219, C220 a silent stream says that it is alive, and ends cleanly when its time is up', async () => {
    const { place } = await tailOf();
    const stream = await openShort(place);
    expect(stream.headers['cache-control']).toBe('public, max-age=1');
    await stream.end();
    expect(stream.broken).toBe(false);
    expect(stream.text).toMatch(/^(: keep-alive\n\n){2,}$/);
  });

  test('SS-1 without room for a stream it is refused with a 503', async () => {
    const { place } = await tailOf();
    const streams = await Promise.all(Array.from({ length: 30 }, () => openShort(place)));
    const refused = streams.filter((stream) => stream.status === 503);
    expect(refused.length).toBeGreaterThan(0);
    for (const stream of refused) {
      expect(stream.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(stream.headers['retry-after']).toMatch(/^\d+$/);
    }
    for (const stream of streams) stream.close();
  });

  test('SS-5, SS-6 under load streams end between batches, and who reconnects misses nothing', async () => {
    const { table, place } = await tailOf();
    let writing = true;
    let written = 1;
    const writer = (async () => {
      while (writing) {
        written += 2;
        await transaction(
          service.cluster.databaseUrl,
          `INSERT INTO ${table} VALUES (${written - 1}, 'x'), (${written}, repeat('x', 3000))`,
        );
      }
    })();
    const received = new Set<number>();
    let offset = place.offset;
    for (let life = 0; life < 3; life += 1) {
      const stream = await waitFor(async () => {
        const next = await openShort({ ...place, offset });
        return next.status === 200 && next;
      });
      await stream.end();
      expect(stream.broken).toBe(false);
      expect(stream.text.endsWith('\n\n')).toBe(true);
      const list = stream.messages;
      expect(list.at(-1)?.headers['control']).toBe('up-to-date');
      for (const id of ids(list)) received.add(id);
      offset = `${vouched(list)}_0`;
      if (life === 1) {
        writing = false;
        await writer;
        await insert(table, (written += 1));
      }
    }
    expect([...received].toSorted((a, b) => a - b)).toEqual(Array.from({ length: written - 1 }, (_none, i) => i + 2));
  });
});

describe('slow readers (spec H SS-10)', () => {
  const ROWS = 1_000;
  const ROW_BYTES = 100_000;

  const residentBytes = async (pid: number) => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  };

  test('C228 a client that reads nothing while 100 MB are written is not buffered for', async () => {
    const { table, handle, offset, place } = await tailOf();
    const { url, pid } = service.cluster.process('api-1');
    // Six that read nothing, and one that reads everything: neither is a reason to keep what was written.
    const { hostname, port } = new URL(url);
    const stalled = Array.from({ length: 6 }, () => {
      const outgoing = request({ hostname, port, path: shapePath({ ...place, ...LIVE }), agent: false });
      outgoing.on('error', () => undefined).end();
      return outgoing;
    });
    await waitFor(async () => (await send(url, shapePath(place))).status === 200);
    const before = await residentBytes(pid);
    let highest = before;
    let last = '';
    let events = 0;
    const reading = request({ hostname, port, path: shapePath({ ...place, ...LIVE }), agent: false }, (incoming) => {
      incoming.on('error', () => undefined);
      incoming.on('data', (part: Buffer) => {
        events += part.toString('latin1').split('"operation":').length - 1;
        last = part.toString('latin1').slice(-200);
      });
    });
    reading.on('error', () => undefined).end();
    for (let from = 2; from < ROWS + 2; from += 50) {
      await service.sql(
        `INSERT INTO ${table} SELECT i, repeat(chr(97 + i % 26), ${ROW_BYTES}) FROM generate_series(${from}, ${from + 49}) i`,
      );
      highest = Math.max(highest, await residentBytes(pid));
    }
    await waitFor(
      async () => {
        highest = Math.max(highest, await residentBytes(pid));
        return events >= ROWS * 0.9 && last.includes('up-to-date');
      },
      { describe: () => ({ events, last }) },
    );
    // What a process takes to pass the log on at all is some 100 MB, however much it is; six backlogs are six times this much.
    expect(highest - before).toBeLessThan(2 * ROWS * ROW_BYTES);
    expect(header(await send(url, shapePath({ table, handle, offset })), 'electric-handle')).toBe(handle);
    for (const client of [...stalled, reading]) client.destroy();
  });
});
