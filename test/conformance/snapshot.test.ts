import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';
import { canonicalRows, selectText } from '../support/rows.ts';
import { send } from './support/http.ts';
import {
  ConformanceService,
  expectUpToDate,
  header,
  messages,
  rows,
  shapePath,
  type Message,
  type ShapeRead,
} from './support/service.ts';
import { freshTable, withConnection } from './support/tables.ts';

const THRESHOLD = 10_000;
const DIGITS = expect.stringMatching(/^\d+$/) as unknown;
const ARRAY = expect.any(Array) as unknown;

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({
    apis: 2,
    env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: String(THRESHOLD) },
  });
});

afterAll(() => service.stop());

describe.concurrent('snapshot, chunks, up-to-date (spec H 10)', () => {
  const ids = (list: readonly Message[]) => rows(list).map((message) => Number(message.value?.['id']));
  const ascending = (list: readonly number[]) => list.toSorted((a, b) => a - b);
  const upTo = (count: number) => Array.from({ length: count }, (_none, i) => i + 1);

  /** The answers of a read as what asks for them again: path and body. */
  function pages(table: string, read: ShapeRead): readonly { readonly path: string; readonly text: string }[] {
    let offset = '-1';
    return read.answers.map((answer) => {
      const handle = offset === '-1' ? undefined : read.handle;
      const path = shapePath({ table, offset, handle });
      offset = header(answer, 'electric-offset');
      return { path, text: answer.text };
    });
  }

  test('C089, C090 a snapshot is its rows and its end, and then the log is up to date', async () => {
    const table = await freshTable(service, undefined, 2);
    const { handle, answer } = await service.open({ table });
    const list = messages(answer);
    expect(ascending(ids(list))).toEqual([1, 2]);
    expect(list).toHaveLength(3);
    for (const row of rows(list)) {
      expect(row.headers).toEqual({ operation: 'insert', relation: ['public', table] });
    }
    expect(list[2]).toEqual({
      headers: {
        control: 'snapshot-end',
        xmin: DIGITS,
        xmax: DIGITS,
        xip_list: ARRAY,
      },
    });
    expect(answer.headers).toMatchObject({ 'electric-offset': '0_0', 'electric-has-data': 'true' });
    expect(answer.headers).not.toHaveProperty('electric-cursor');
    expectUpToDate(answer, false);

    const next = await service.shape({ table, handle, offset: '0_0' });
    expect(next.status).toBe(200);
    expect(messages(next)).toEqual([{ headers: { control: 'up-to-date', global_last_seen_lsn: DIGITS } }]);
    expect(next.headers).toMatchObject({ 'electric-offset': '0_inf', 'electric-has-data': 'true' });
    expectUpToDate(next, true);
  });

  test('C091 an empty table is a snapshot-end', async () => {
    const table = await freshTable(service);
    const { answer } = await service.open({ table });
    expect(messages(answer).map((message) => message.headers['control'])).toEqual(['snapshot-end']);
    expect(answer.headers['electric-offset']).toBe('0_0');
    expectUpToDate(answer, false);
  });

  test('C092, C093 chunks end at the threshold, hold every row once, and never change', async () => {
    const table = await freshTable(service);
    await service.sql(`INSERT INTO ${table} SELECT i, repeat(chr(97 + i % 26), 1000) FROM generate_series(1, 100) i`);
    const read = await service.read({ table });
    const chunks = read.answers.slice(0, -1);
    expect(chunks.length).toBeGreaterThan(5);
    expect(chunks.map((answer) => answer.headers['electric-offset'])).toEqual(chunks.map((_chunk, i) => `0_${i}`));
    for (const chunk of chunks.slice(0, -1)) expect(chunk.bytes.length).toBeGreaterThan(THRESHOLD);
    expect(ascending(ids(read.messages))).toEqual(upTo(100));
    const controls = read.messages.map((message) => message.headers['control']);
    expect(controls.indexOf('snapshot-end')).toBe(100);
    expect(controls.filter((control) => control === 'snapshot-end')).toHaveLength(1);
    for (const chunk of chunks) expectUpToDate(chunk, false);
    expectUpToDate(read.answers.at(-1)!, true);

    const asked = pages(table, read).slice(0, -1).toReversed();
    for (const api of ['api-1', 'api-2']) {
      const { url } = service.cluster.process(api);
      for (const { path, text } of asked) expect((await send(url, path)).text === text, `${api} ${path}`).toBe(true);
    }
  });

  test.each([
    ['exactly', 0, ['0_0', '0_1'], 1],
    ['but for a byte', -1, ['0_0'], 2],
  ])('C094 a last row that fills a chunk %s', async (_how, missing, offsets, firstLength) => {
    const table = await freshTable(service);
    const message = (title: string) =>
      JSON.stringify({
        key: `"public"."${table}"/"1"`,
        value: { id: '1', title },
        headers: { operation: 'insert', relation: ['public', table] },
      });
    // One byte more for the separator (CH-1).
    const room = THRESHOLD - 1 - message('').length + missing;
    await service.sql(`INSERT INTO ${table} VALUES (1, repeat('x', $1))`, [room]);
    const { answers } = await service.read({ table });
    const chunks = answers.slice(0, -1);
    expect(chunks.map((answer) => answer.headers['electric-offset'])).toEqual(offsets);
    expect(messages(chunks[0]!)).toHaveLength(firstLength);
    expect(messages(chunks.at(-1)!).at(-1)?.headers['control']).toBe('snapshot-end');
    if (chunks.length === 2) expect(messages(chunks[1]!)).toHaveLength(1);
  });

  test('C096 first requests at the same moment share a handle and one query', async () => {
    const table = await freshTable(service, undefined, 10);
    const apis = service.cluster.processes.filter((process) => process.role === 'api');
    const path = shapePath({ table, offset: '-1' });
    const answers = await Promise.all([...apis, ...apis, ...apis].map(({ url }) => send(url, path)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect(new Set(answers.map((answer) => answer.headers['electric-handle'])).size).toBe(1);
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    // Making the primary key scanned it too, while it was empty.
    const scanned = async () => {
      const { rows: found } = await service.sql<{ seq_tup_read: string }>(
        'SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = $1',
        [table],
      );
      return Number(found[0]?.seq_tup_read);
    };
    // A session reports its statistics when it is idle for a while, and at most once a second.
    await waitFor(async () => (await scanned()) > 0);
    await pause(1_500);
    expect(await scanned()).toBe(10);
  });

  test('C097 a change that commits after the snapshot follows it', async () => {
    const table = await freshTable(service, undefined, 1);
    const { handle } = await service.open({ table });
    await service.sql(`INSERT INTO ${table} VALUES (2, 'two')`);
    const answer = await waitFor(async () => {
      const next = await service.shape({ table, handle, offset: '0_0' });
      return messages(next).length > 1 && next;
    });
    const [change] = messages(answer);
    expect(change?.value).toEqual({ id: '2', title: 'two' });
    expect(messages(answer)).toHaveLength(2);
    const { lsn, op_position: op } = change?.headers as { lsn: string; op_position: number };
    expect(answer.headers['electric-offset']).toBe(`${lsn}_${op}`);
    expectUpToDate(answer, true);
  });

  test('C098 changes concurrent with the snapshot query come once, under load', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v text');
    await service.sql(`INSERT INTO ${table} SELECT i, 'start' FROM generate_series(1, 100) i`);
    let writing = true;
    const writers = [1, 2].map((n) =>
      withConnection(service.cluster.databaseUrl, async (client) => {
        for (let i = 0; writing; i += 1) {
          const id = 1 + ((i * 7 + n * 31) % 100);
          await client.query('BEGIN');
          await client.query(`DELETE FROM ${table} WHERE id = $1`, [id]);
          await client.query(`INSERT INTO ${table} VALUES ($1, $2) ON CONFLICT DO NOTHING`, [id, `w${n} ${i}`]);
          await client.query('COMMIT');
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }),
    );
    const readers: StrictReader[] = [];
    const { signal } = new AbortController();
    try {
      for (let i = 0; i < 20; i += 1) {
        const reader = new StrictReader(service.cluster.url, { table, where: `id > ${-i}` });
        readers.push(reader);
        await reader.catchUp(signal);
      }
    } finally {
      writing = false;
      await Promise.all(writers);
    }
    const expected = await withConnection(service.cluster.databaseUrl, (client) =>
      selectText(client, table, ['id', 'v'], ''),
    );
    for (const reader of readers) {
      const equal = async () => {
        await reader.catchUp(signal);
        return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
      };
      await waitFor(equal, { describe: () => `${reader.rows.size} rows instead of ${expected.length}` });
      expect(reader.violations).toEqual([]);
    }
  });

  test('C099, C100 a transaction of several chunks comes in order, once, and its chunks never change', async () => {
    const table = await freshTable(service);
    const { handle } = await service.read({ table });
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('x', 1000) FROM generate_series(1, 50) i`);
    const first = await waitFor(async () => {
      const answer = await service.shape({ table, handle, offset: '0_inf' });
      return messages(answer).length > 1 && answer;
    });
    const read = await service.read({ table }, { handle, offset: '0_inf' });
    expect(read.answers.length).toBeGreaterThan(2);
    for (const answer of read.answers.slice(0, -1)) {
      expectUpToDate(answer, false);
      expect(answer.bytes.length).toBeGreaterThan(THRESHOLD);
    }
    expect(ids(read.messages)).toEqual(upTo(50));
    const changes = rows(read.messages);
    expect(changes.map((change) => change.headers['last'])).toEqual(upTo(50).map((n) => (n === 50 ? true : undefined)));

    await service.sql(`INSERT INTO ${table} SELECT i, repeat('y', 1000) FROM generate_series(51, 80) i`);
    await service.sql(`DELETE FROM ${table} WHERE id < 5`);
    const more = await waitFor(async () => {
      const after = await service.read({ table }, { handle, offset: '0_inf' });
      return rows(after.messages).length === 84 && after;
    });
    expect(ids(more.messages).slice(0, 80)).toEqual(upTo(80));
    const again = await service.shape({ table, handle, offset: '0_inf' });
    expect(again.text).toBe(first.text);
    expect(again.headers['electric-offset']).toBe(first.headers['electric-offset']);
    expectUpToDate(again, false);
  });

  test('C101, C102 log=changes_only is another shape, without rows', async () => {
    const table = await freshTable(service, undefined, 2);
    const full = await service.open({ table });
    const { handle, answer } = await service.open({ table, log: 'changes_only' });
    expect(handle).not.toBe(full.handle);
    expect(messages(answer).map((message) => message.headers['control'])).toEqual(['snapshot-end']);
    expect((await service.open({ table, log: 'full' })).handle).toBe(full.handle);
    await service.sql(`INSERT INTO ${table} VALUES (3, 'three')`);
    const read = await waitFor(async () => {
      const next = await service.read({ table, log: 'changes_only' }, { handle, offset: '0_0' });
      return rows(next.messages).length > 0 && next;
    });
    expect(ids(read.messages)).toEqual([3]);
  });

  test('C104 a quiet shape vouches for more and more while its tail stays', async () => {
    const [table, other] = [await freshTable(service, undefined, 1), await freshTable(service)];
    const { handle, offset } = await service.read({ table });
    const busy = await service.read({ table: other });
    const vouched = async () => {
      const answer = await service.shape({ table, handle, offset });
      expect(answer.headers['electric-offset']).toBe(offset);
      expectUpToDate(answer, true);
      return BigInt(messages(answer)[0]?.headers['global_last_seen_lsn'] as string);
    };
    let before = await vouched();
    for (const id of [1, 2, 3]) {
      await service.sql(`INSERT INTO ${other} VALUES (${id}, 'x')`);
      const read = await waitFor(async () => {
        const next = await service.read({ table: other }, { handle: busy.handle, offset: '0_inf' });
        return rows(next.messages).length === id && next;
      });
      const lsn = BigInt(rows(read.messages).at(-1)?.headers['lsn'] as string);
      // The other shape's shard is another one, which may be a step behind.
      const now = await waitFor(async () => {
        const position = await vouched();
        expect(position >= before).toBe(true);
        return position >= lsn && position;
      });
      expect(now > before).toBe(true);
      before = now;
    }
  });

  test('CH-10 a request at the tail that is not live is answered at once', async () => {
    const table = await freshTable(service, undefined, 1);
    const { handle, offset } = await service.read({ table });
    const held = service.shape({ table, handle, offset, live: 'true' });
    for (let i = 0; i < 5; i += 1) {
      const answer = await service.shape({ table, handle, offset });
      expect(messages(answer)).toHaveLength(1);
      expect(answer.headers).toMatchObject({ 'electric-has-data': 'true', 'electric-offset': offset });
    }
    // All of them came before the held request ended without news.
    const winner = await Promise.race([held, Promise.resolve('not waiting')]);
    expect(winner).toBe('not waiting');
    expect((await held).headers['electric-has-data']).toBe('false');
  });
});

describe('a snapshot that is slow (spec H CH-8)', () => {
  test('C095 its chunks are there as soon as they are full, and the next one is waited for', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v text');
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('x', 300) FROM generate_series(1, 100000) i`);
    const { hostname, port } = new URL(service.cluster.url);
    const firstByte = Promise.withResolvers<string>();
    const get = request({ hostname, port, path: shapePath({ table, offset: '-1' }) }, (incoming) => {
      incoming.once('data', () => firstByte.resolve(String(incoming.headers['electric-handle'])));
      incoming.resume();
    });
    get.on('error', firstByte.reject).end();
    const handle = await firstByte.promise;
    const postgres = service.cluster.server('postgres');
    await postgres.pause();
    let waiting: Promise<unknown> | undefined;
    let chunk = 0;
    const seen = new Set<number>();
    try {
      // What Postgres has sent can be read to its end; then a request waits, because the rest is to come.
      while (waiting === undefined) {
        const answer = service.shape({ table, handle, offset: `0_${chunk}` });
        const pause = new Promise<undefined>((resolve) => setTimeout(resolve, 1_000, undefined));
        const done = await Promise.race([answer, pause]);
        if (done === undefined) waiting = answer;
        else {
          expect(header(done, 'electric-offset')).toBe(`0_${chunk + 1}`);
          for (const row of rows(messages(done))) seen.add(Number(row.value?.['id']));
          expect(messages(done).at(-1)?.headers['control']).toBeUndefined();
          chunk += 1;
        }
      }
      expect(seen.size).toBeLessThan(100_000);
    } finally {
      await postgres.resume();
    }
    const answer = await service.shape({ table, handle, offset: `0_${chunk}` });
    expect(header(answer, 'electric-offset')).toBe(`0_${chunk + 1}`);
    expect(await waiting).toMatchObject({ status: 200, text: answer.text });
  });
});
