import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';
import { send, type RawAnswer } from './support/http.ts';
import {
  ConformanceService,
  expectRefetch,
  expectUpToDate,
  header,
  messages,
  rows,
  shapePath,
  type Query,
} from './support/service.ts';
import { freshTable, walPosition, withConnection } from './support/tables.ts';

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({
    apis: 2,
    env: { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '10000' },
  });
});

afterAll(() => service.stop());

const ids = (answer: RawAnswer) => rows(messages(answer)).map((message) => Number(message.value?.['id']));
const isHeld = async (answer: Promise<unknown>) => (await Promise.race([answer, pause(150, 'held')])) === 'held';
const connected = <T>(task: (client: Client) => Promise<T>) => withConnection(service.cluster.databaseUrl, task);
const runAlone = (statement: string) => connected((client) => client.query(statement));

/**
 * A handle that must have ended: waits until every process says so and names the same one, which is returned. For a moment
 * one of them may remember the table as it was.
 */
async function successor(query: Query, handle: string, offset: string): Promise<string> {
  const ended = async () => {
    const answer = await service.shape({ ...query, handle, offset });
    expect([200, 409]).toContain(answer.status);
    const named = answer.headers['electric-handle'];
    if (answer.status !== 409 || named === undefined) return false;
    expectRefetch(answer, named);
    expect(named).not.toBe(handle);
    return (await service.open(query)).handle === named && named;
  };
  return waitFor(ended);
}

/** The rows of a shape as a client has them, however often it has to start over. */
async function rowsOf(query: Query): Promise<readonly Readonly<Record<string, string | null>>[]> {
  const reader = new StrictReader(service.cluster.url, query);
  await reader.catchUp(new AbortController().signal);
  expect(reader.violations).toEqual([]);
  return [...reader.rows.values()];
}

describe.concurrent('handles (spec H 8.1)', () => {
  test('C129 another handle than the current one is redirected to it', async () => {
    const table = await freshTable(service, undefined, 1);
    const { handle } = await service.open({ table });
    for (const query of [{}, { live: 'true' }, { live: 'true', live_sse: 'true' }]) {
      const answer = await service.shape({ table, offset: '0_0', handle: 'bogus', ...query });
      expectRefetch(answer, handle);
      expect(answer.headers['etag']).toBe(`"${handle}::"`);
    }
  });

  test('C130 without a shape one is made, and named', async () => {
    const table = await freshTable(service, undefined, 1);
    const answer = await service.shape({ table, offset: '0_0', handle: 'bogus' });
    const handle = header(answer, 'electric-handle');
    expectRefetch(answer, handle);
    expect((await service.open({ table })).handle).toBe(handle);
  });

  test('C131, C132 the handle of another definition is redirected', async () => {
    const table = await freshTable(service, undefined, 1);
    const { handle } = await service.open({ table });
    const other = await service.open({ table, where: 'id > 1' });
    const wide = await service.open({ table: 'wide' });
    expect(new Set([handle, other.handle, wide.handle]).size).toBe(3);
    expectRefetch(await service.shape({ table: 'wide', offset: '0_0', handle }), wide.handle);
    expectRefetch(await service.shape({ table, where: 'id > 1', offset: '0_0', handle }), other.handle);
    const made = await service.shape({ table, where: 'id > 2', offset: '0_0', handle });
    expectRefetch(made, header(made, 'electric-handle'));
    expect((await service.open({ table, where: 'id > 2' })).handle).toBe(made.headers['electric-handle']);
  });
});

describe.concurrent('what ends a handle, and what does not (spec H 8.2)', () => {
  test('C134, C135 TRUNCATE ends what is held, and what comes with the old handle', async () => {
    const table = await freshTable(service, undefined, 2);
    const { handle, offset } = await service.read({ table });
    const held = service.shape({ table, handle, offset, live: 'true' });
    expect(await isHeld(held)).toBe(true);
    await service.sql(`TRUNCATE ${table}`);
    const answer = await held;
    // Not at the timeout, which would be a 200; the handle is named if there is one by then.
    expectRefetch(answer, answer.headers['electric-handle']);
    const next = await successor({ table }, handle, offset);
    const { answer: first } = await service.open({ table });
    expect(first.headers['electric-handle']).toBe(next);
    expect(messages(first).map((message) => message.headers['control'])).toEqual(['snapshot-end']);
  });

  test('C136 a table that was dropped and made again is another one', async () => {
    const table = await freshTable(service, undefined, 2);
    const { handle, offset } = await service.read({ table });
    await service.sql(`DROP TABLE ${table}; CREATE TABLE ${table} (id int PRIMARY KEY, title text)`);
    await successor({ table }, handle, offset);
    await service.sql(`INSERT INTO ${table} VALUES (9, 'x')`);
    // A pod that has not heard of it yet shows the table that was for a moment, and nothing in between.
    const [was, is] = [['1', '2'], ['9']];
    await waitFor(async () => {
      const now = (await rowsOf({ table })).map((row) => row['id']);
      expect([was, [], is]).toContainEqual(now);
      return now.join() === is.join();
    });
    expect((await service.open({ table })).handle).not.toBe(handle);
  });

  test('C137 a new column ends the shapes of all columns, and no others', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v1 text, v2 text');
    const some = { table, columns: 'id,v1' };
    const [all, listed] = [await service.read({ table }), await service.read(some)];
    await service.sql(`ALTER TABLE ${table} ADD COLUMN v3 text DEFAULT 'new'`);
    await successor({ table }, all.handle, all.offset);
    await service.sql(`INSERT INTO ${table} VALUES (1, 'a', 'b', 'c')`);
    const answer = await service.shape({ ...some, handle: listed.handle, offset: listed.offset, live: 'true' });
    expect(rows(messages(answer)).map((row) => row.value)).toEqual([{ id: '1', v1: 'a' }]);
    const { answer: first } = await service.open({ table });
    expect(JSON.parse(header(first, 'electric-schema'))).toHaveProperty('v3');
  });

  test.each([
    ['renamed', {}, 'RENAME COLUMN v1 TO other'],
    ['given another type', {}, 'ALTER COLUMN v1 TYPE varchar(10)'],
    ['given another type', { columns: 'id,v1' }, 'ALTER COLUMN v1 TYPE varchar(10)'],
    ['given another length', { columns: 'id,v2' }, 'ALTER COLUMN v2 TYPE varchar(20)'],
    ['removed', {}, 'DROP COLUMN v1'],
  ])('C138 a selected column is %s: %o', async (_how, columns: Record<string, string>, change) => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v1 text, v2 varchar(9)');
    const query = { table, ...columns };
    const { handle, offset } = await service.read(query);
    const held = service.shape({ ...query, handle, offset, live: 'true' });
    expect(await isHeld(held)).toBe(true);
    await service.sql(`ALTER TABLE ${table} ${change}`);
    // With the first change under the new columns at the latest.
    await service.sql(`INSERT INTO ${table} (id) VALUES (1)`);
    expect((await held).status).toBe(409);
    await successor(query, handle, offset);
  });

  test('C139, SC-2 a column that may be NULL now ends nothing, and is no longer announced as NOT NULL', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v1 text NOT NULL');
    const { handle, offset, answers } = await service.read({ table });
    const schema = (answer: RawAnswer) => JSON.parse(header(answer, 'electric-schema')) as Record<string, unknown>;
    expect(schema(answers[0] as RawAnswer)['v1']).toEqual({ type: 'text', not_null: true });
    await service.sql(`ALTER TABLE ${table} ALTER COLUMN v1 DROP NOT NULL, ALTER COLUMN v1 SET DEFAULT 'x'`);
    await service.sql(`INSERT INTO ${table} VALUES (1, NULL)`);
    const live = await service.shape({ table, handle, offset, live: 'true' });
    expect(rows(messages(live)).map((row) => row.value)).toEqual([{ id: '1', v1: null }]);
    const after = await waitFor(async () => {
      const { answer } = await service.open({ table });
      return !JSON.stringify(schema(answer)).includes('"v1":{"type":"text","not_null"') && answer;
    });
    expect(schema(after)).toEqual({ id: { type: 'int4', not_null: true, pk_index: 0 }, v1: { type: 'text' } });
    expect(after.headers['electric-handle']).toBe(handle);
  });

  test('SC-2 a column that becomes NOT NULL is announced by new shapes only: older logs hold NULLs', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, v1 text');
    await service.sql(`INSERT INTO ${table} VALUES (1, NULL)`);
    const before = await service.open({ table });
    await service.sql(`UPDATE ${table} SET v1 = 'x'`);
    await service.sql(`ALTER TABLE ${table} ALTER COLUMN v1 SET NOT NULL`);
    const v1 = async (query: Query) => {
      const { answer } = await service.open({ table, ...query });
      return (JSON.parse(header(answer, 'electric-schema')) as Record<string, unknown>)['v1'];
    };
    let n = 0;
    await waitFor(async () => JSON.stringify(await v1({ where: `id <> ${(n += 1)}` })).includes('not_null'));
    const { answer, handle } = await service.open({ table });
    expect(handle).toBe(before.handle);
    expect(rows(messages(answer)).map(({ value }) => value)).toEqual([{ id: '1', v1: null }]);
    expect(await v1({})).toEqual({ type: 'text' });
  });

  test.each([
    ['gains a column', `ADD COLUMN more text DEFAULT 'm'`, ['id', 'more', 'title']],
    ['loses a column', 'DROP COLUMN title', ['id']],
    ['has a column of another type', 'ALTER COLUMN title TYPE varchar(30)', ['id', 'title']],
  ])('C142 a table that %s while its snapshot begins costs no 5xx', async (_how, change, columns) => {
    const table = await freshTable(service, undefined, 3);
    // Published already, so that nothing but the snapshot waits for the lock.
    await service.read({ table, columns: 'id' });
    const opening = await connected(async (client) => {
      await client.query('BEGIN');
      await client.query(`ALTER TABLE ${table} ${change}`);
      const answers = [service.shape({ table, offset: '-1' }), service.shape({ table, offset: 'now' })];
      await waitFor(async () => {
        const { rows: waiting } = await service.sql(
          `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`,
        );
        return waiting.length > 0;
      });
      await client.query('COMMIT');
      return answers;
    });
    const names = (list: Iterable<string>) => [...list].toSorted();
    for (const answer of await Promise.all(opening)) {
      expect([200, 409], answer.text).toContain(answer.status);
      if (answer.status !== 200) continue;
      const schema = names(Object.keys(JSON.parse(header(answer, 'electric-schema')) as object));
      for (const row of rows(messages(answer))) expect(names(Object.keys(row.value ?? {}))).toEqual(schema);
      // Whoever got the table as it was is sent on.
      if (schema.join() !== columns.join()) await successor({ table }, header(answer, 'electric-handle'), '0_inf');
    }
    await service.sql(`INSERT INTO ${table} (id) VALUES (9)`);
    await waitFor(async () => {
      const list = await rowsOf({ table });
      return list.length === 4 && list.every((row) => names(Object.keys(row)).join() === columns.join());
    });
  });
});

describe('processes that end (spec H 8.2)', () => {
  /** A shape with a snapshot and a log of several chunks, and everything that was read of it. */
  async function history() {
    const table = await freshTable(service);
    await service.sql(`INSERT INTO ${table} SELECT i, repeat('x', 1000) FROM generate_series(1, 30) i`);
    const { handle } = await service.read({ table });
    await service.sql(`UPDATE ${table} SET title = title || 'y'`);
    const read = await waitFor(async () => {
      const next = await service.read({ table });
      return rows(next.messages).length === 60 && next;
    });
    const from = ['-1', ...read.answers.map((answer) => header(answer, 'electric-offset'))];
    const answers = read.answers.map((answer, i) => ({
      path: shapePath({ table, offset: from[i], handle: i === 0 ? undefined : handle }),
      answer,
    }));
    return { table, handle, offset: read.offset, answers };
  }

  test('C128 an api process restarts while a request is held', async () => {
    const { table, handle, offset } = await history();
    const path = { table, handle, offset, live: 'true' };
    const held = service.shape(path).catch((error: Error) => error);
    expect(await isHeld(held)).toBe(true);
    for (const name of ['api-1', 'api-2']) await service.cluster.process(name).restart();
    await service.sql(`INSERT INTO ${table} VALUES (100, 'meanwhile')`);
    await service.cluster.waitReady();
    const first = await held;
    // A load balancer asks another process when the first one is gone; either way nothing is lost.
    if (!(first instanceof Error) && first.status === 200) expect(ids(first).every((id) => id === 100)).toBe(true);
    const again = await waitFor(async () => {
      const answer = await service.shape(path);
      return answer.status === 200 && answer;
    });
    expect(again.headers['electric-handle']).toBe(handle);
    expect(ids(again)).toEqual([100]);
  });

  test('C140 every process restarts: same handle, same offsets, same bodies', async () => {
    const { table, handle, offset, answers } = await history();
    expect(answers.length).toBeGreaterThan(5);
    await Promise.all(service.cluster.processes.map((process) => process.restart()));
    await service.cluster.waitReady();
    for (const { path, answer } of answers) {
      const again = await service.send(path);
      expect(again.status, again.text).toBe(200);
      for (const name of ['electric-handle', 'electric-offset', 'electric-schema', 'electric-up-to-date', 'etag']) {
        expect(again.headers[name], path).toBe(answer.headers[name]);
      }
      if (answer.headers['electric-up-to-date'] === undefined) expect(again.text === answer.text, path).toBe(true);
      else expect(rows(messages(again))).toEqual(rows(messages(answer)));
    }
    await service.sql(`INSERT INTO ${table} VALUES (100, 'after')`);
    const live = await service.shape({ table, handle, offset, live: 'true' });
    expect(ids(live)).toEqual([100]);
  });

  test('C127 the database is lost while a request is held', async () => {
    const { table, handle, offset } = await history();
    // A process that has never heard of the table cannot ask for it now.
    for (const name of ['api-1', 'api-2']) {
      await send(service.cluster.process(name).url, shapePath({ table, handle, offset }));
    }
    const held = service.shape({ table, handle, offset, live: 'true' });
    const other = service.shape({ table, handle, offset, live: 'true', cursor: '1' });
    expect(await isHeld(held)).toBe(true);
    const end = await walPosition(service);
    const postgres = service.cluster.server('postgres');
    await postgres.kill();
    const answers: RawAnswer[] = [];
    try {
      answers.push(await held, await other);
      // Nobody knows of changes now; the shape stays readable, and says up to where it is known (R 14.10).
      answers.push(await service.shape({ table, handle, offset, live: 'true' }));
      answers.push(await service.shape({ table, handle, offset }));
    } finally {
      await postgres.start();
    }
    for (const answer of answers) {
      expect(answer.status, answer.text).toBe(200);
      expectUpToDate(answer, true);
      expect(header(answer, 'electric-offset')).toBe(offset);
      expect(BigInt(messages(answer)[0]?.headers['global_last_seen_lsn'] as string) <= end).toBe(true);
    }
    await runAlone(`INSERT INTO ${table} VALUES (100, 'back')`);
    const news = await waitFor(async () => {
      const answer = await service.shape({ table, handle, offset, live: 'true' });
      expect(answer.status).toBe(200);
      return ids(answer).length > 0 && answer;
    });
    expect(ids(news)).toEqual([100]);
    await service.cluster.waitReady();
    await service.reconnect();
  });

  test('O 1.3.1 every process restarts while the database is away: what existed is served, and nothing else', async () => {
    const { table, handle, offset, answers } = await history();
    // Its shape is readable, whatever the table's name has in it.
    const odd = { table: '"Odd.Name"' };
    const oddRead = await service.read(odd);
    const postgres = service.cluster.server('postgres');
    await postgres.kill();
    try {
      await Promise.all(service.cluster.processes.map((process) => process.restart()));
      const serves = async (pod: string) => {
        const ask = (query: Query) => send(pod, shapePath(query));
        await waitFor(async () => (await ask({ table, offset: '-1' }).catch(() => undefined))?.status === 200);
        const held = ask({ table, handle, offset, live: 'true' });
        const refused = Promise.all([
          ask({ table, offset: '-1', where: 'id = 131' }),
          ask({ table: 'child', offset: '-1' }),
          ask({ table, handle, offset, columns: 'id,unheard_of' }),
        ]);
        expect(await isHeld(held)).toBe(true);
        for (const { path, answer } of answers) {
          const again = await send(pod, path);
          expect(again.status, again.text).toBe(200);
          for (const part of ['electric-handle', 'electric-offset', 'electric-schema', 'etag']) {
            expect(again.headers[part], path).toBe(answer.headers[part]);
          }
          expect(rows(messages(again))).toEqual(rows(messages(answer)));
        }
        const again = await ask({ ...odd, handle: oddRead.handle, offset: oddRead.offset });
        expect(again.status, again.text).toBe(200);
        expectUpToDate(await held, true);
        expect((await held).status).toBe(200);
        for (const answer of await refused) {
          expect(answer.status, answer.text).toBe(503);
          expect(Number(header(answer, 'retry-after'))).toBeGreaterThan(0);
        }
      };
      await Promise.all(['api-1', 'api-2'].map((name) => serves(service.cluster.process(name).url)));
    } finally {
      await postgres.start();
    }
    await service.cluster.waitReady();
    await runAlone(`INSERT INTO ${table} VALUES (100, 'back')`);
    const news = await waitFor(async () => {
      const answer = await service.shape({ table, handle, offset, live: 'true' });
      expect(answer.status, answer.text).toBe(200);
      return ids(answer).length > 0 && answer;
    });
    expect([ids(news), news.headers['electric-handle']]).toEqual([[100], handle]);
    // Routers ask a database that was away at growing intervals.
    await waitFor(async () => (await service.shape({ table, where: 'id = 131', offset: '-1' })).status === 200);
    await service.reconnect();
  });

  test('C141 the replication slot is dropped while nobody reads it: every handle ends, none comes back', async () => {
    const tables = ['items', 'wide', 'cpk', 'flags', 'nopk'];
    const before = await Promise.all(tables.map(async (table) => ({ table, ...(await service.read({ table })) })));
    const first = before[0] as (typeof before)[0];
    const held = service.shape({ table: first.table, handle: first.handle, offset: first.offset, live: 'true' });
    const replicator = service.cluster.process('replicator-1');
    await replicator.pause();
    await connected(async (client) => {
      await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      await waitFor(async () => {
        const { rows: slots } = await client.query('SELECT 1 FROM pg_replication_slots WHERE active');
        return slots.length === 0;
      });
      await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
      await client.query(`INSERT INTO items VALUES (1000, 'nobody saw this')`);
    });
    await replicator.restart();
    expect([200, 409]).toContain((await held).status);
    await waitFor(
      async () => (await service.shape({ table: 'items', offset: '-1' })).headers['electric-handle'] !== first.handle,
    );
    await service.cluster.waitReady();
    const old = new Set(before.map(({ handle }) => handle));
    for (const { table, handle, offset } of before) {
      const next = await successor({ table }, handle, offset);
      expect(old.has(next)).toBe(false);
      for (const live of [undefined, 'true']) {
        expectRefetch(await service.shape({ table, handle, offset, live }), next);
      }
    }
    const read = await service.read({ table: 'items' });
    expect(rows(read.messages).map((row) => row.value?.['id'])).toContain('1000');
  });
});
