import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chance } from '../support/chance.ts';
import { ConformanceService, header, messages, rows, type Message } from './support/service.ts';
import { freshTable, withConnection } from './support/tables.ts';
import { SAMPLE_TYPES, TYPES_WITHOUT_INPUT, TYPE_SAMPLES } from './support/type-samples.ts';

const LONG_POLL_MS = 20_000;

let service: ConformanceService;

beforeAll(async () => {
  // Nothing but hints wakes a request here: without one it would be the timeout.
  service = await ConformanceService.start({
    env: { ELECTRIC_LONG_POLL_TIMEOUT: String(LONG_POLL_MS), SHAPECAST_NOTIFY_POLL: '60000' },
  });
  await service.sql(SAMPLE_TYPES);
});

afterAll(() => service.stop());

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The rows of a snapshot that is taken now: the clause makes it another shape than those before. */
let snapshots = 0;
async function snapshotOf(table: string, key = 'id'): Promise<readonly Message[]> {
  snapshots += 1;
  const { answer } = await service.open({ table, where: `${key} > -${snapshots}` });
  return rows(messages(answer));
}

/** What the log gets while `write` runs. */
async function loggedBy(table: string, write: () => Promise<unknown>): Promise<readonly Message[]> {
  const place = await service.read({ table });
  await write();
  const read = await waitFor(async () => {
    const next = await service.read({ table }, place);
    return rows(next.messages).length > 0 && next;
  });
  return rows(read.messages);
}

async function schemaOf(query: Record<string, string>): Promise<Record<string, unknown>> {
  const { answer } = await service.open(query);
  return JSON.parse(header(answer, 'electric-schema')) as Record<string, unknown>;
}

describe.concurrent('values (spec H 16)', () => {
  test('C180, C181, C183, C184, C185, C186, C188 every type has its text, in snapshot and log alike', async () => {
    const { rows: types } = await service.sql<{ typname: string }>(
      `SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typrelid = 0
       AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A'`,
    );
    const covered = TYPE_SAMPLES.map(([type]) =>
      type
        .replace(/\(.*/, '')
        .replace(/^char$/, 'bpchar')
        .replaceAll('"', ''),
    );
    const missing = types.map(({ typname }) => typname).filter((name) => !covered.includes(name));
    expect(missing.filter((name) => !TYPES_WITHOUT_INPUT.has(name))).toEqual([]);

    const columns = TYPE_SAMPLES.map(([type], i) => `c${i} ${type}`);
    const table = await freshTable(service, `id int PRIMARY KEY, ${columns.join()}`);
    const samples = TYPE_SAMPLES.map(([, expression]) => expression);
    const logged = await loggedBy(table, () => service.sql(`INSERT INTO ${table} VALUES (1, ${samples.join()})`));
    const snapshot = await snapshotOf(table);
    const expected = Object.fromEntries(TYPE_SAMPLES.map(([, , text], i) => [`c${i}`, text]));
    expect(logged).toHaveLength(1);
    expect(logged[0]?.value).toEqual({ id: '1', ...expected });
    expect(snapshot).toHaveLength(1);
    expect(snapshot[0]?.value).toEqual(logged[0]?.value);
    expect(snapshot[0]?.key).toBe(logged[0]?.key);
  });

  test('C182 what the writer or the database prefers does not show', async () => {
    const table = await freshTable(
      service,
      'id int PRIMARY KEY, at timestamptz, local timestamp, d date, i interval, b bytea, f float8',
    );
    const values = (id: number) =>
      `(${id}, '2026-01-31 13:05:00.25 Asia/Tokyo', '2026-01-31 13:05', '2026-01-31', '1 day 2 hours', '\\x0001ff', 0.1)`;
    const write = async () => {
      for (const [id, settings] of [
        [1, `SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'postgres_verbose'`],
        [2, `SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET bytea_output = 'escape'`],
        [3, `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = -5`],
      ] as const) {
        await withConnection(service.cluster.databaseUrl, async (client) => {
          await client.query(settings);
          await client.query(`INSERT INTO ${table} VALUES ${values(id)}`);
        });
      }
    };
    await loggedBy(table, write);
    const logged = await waitFor(async () => {
      const read = await service.read({ table });
      return rows(read.messages).length === 3 && rows(read.messages);
    });
    for (const row of [...logged, ...(await snapshotOf(table))]) {
      expect(row.value).toEqual({
        id: expect.any(String) as unknown,
        at: '2026-01-31 04:05:00.25+00',
        local: '2026-01-31 13:05:00',
        d: '2026-01-31',
        i: 'P1DT2H',
        b: '\\x0001ff',
        f: '0.1',
      });
    }
  });

  test('C187 NULL is null, for every type', async () => {
    const types = [...new Set(TYPE_SAMPLES.map(([type]) => type))].filter((type) => type !== 'positive');
    const table = await freshTable(service, `id int PRIMARY KEY, ${types.map((type, i) => `c${i} ${type}`).join()}`);
    const logged = await loggedBy(table, () => service.sql(`INSERT INTO ${table} VALUES (1)`));
    const expected = { id: '1', ...Object.fromEntries(types.map((_type, i) => [`c${i}`, null])) };
    expect(logged[0]?.value).toEqual(expected);
    expect((await snapshotOf(table))[0]?.value).toEqual(expected);
  });

  test('C103, VA-5 a row of 20 MB is one message, and the log goes on after it', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, big bytea');
    const bytes = 10_000_000;
    const big = `decode(repeat('00ff', ${bytes / 2}), 'hex')`;
    await service.sql(`INSERT INTO ${table} SELECT 1, ${big}`);
    await service.sql(`INSERT INTO ${table} VALUES (2, 'x')`);
    const read = await service.read({ table });
    const [whole, ...others] = rows(read.messages).toSorted(
      (a, b) => Number(a.value?.['id']) - Number(b.value?.['id']),
    );
    expect(others.map((row) => row.value)).toEqual([{ id: '2', big: '\\x78' }]);
    const text = whole?.value?.['big'] ?? '';
    expect(text.length).toBe(2 + 2 * bytes);
    expect(text === `\\x${'00ff'.repeat(bytes / 2)}`).toBe(true);

    const log = { table, handle: read.handle, live: 'true' };
    await service.sql(`INSERT INTO ${table} SELECT 3, ${big}`);
    const after = await service.shape({ ...log, offset: read.offset });
    expect(rows(messages(after))[0]?.value?.['big'] === text).toBe(true);
    await service.sql(`INSERT INTO ${table} VALUES (4, 'y')`);
    const last = await service.shape({ ...log, offset: header(after, 'electric-offset') });
    expect(rows(messages(last)).map((row) => row.value)).toEqual([{ id: '4', big: '\\x79' }]);
  });
});

describe.concurrent('the schema header (spec H 17)', () => {
  test('C189, C192 describes the selected columns, the key with its place', async () => {
    const key = { type: 'int4', not_null: true, pk_index: 0 };
    expect(await schemaOf({ table: 'items' })).toEqual({ id: key, title: { type: 'text' } });
    expect(await schemaOf({ table: 'users', columns: 'id,name' })).toEqual({ id: key, name: { type: 'text' } });
  });

  test('C190 describes types with their modifiers', async () => {
    const table = await freshTable(
      service,
      `id int PRIMARY KEY, a varchar(10), b char(5), c numeric(8,2), d timestamptz(3), e interval day to second(2),
       f int4[][], g bit(3), h numeric, i numeric(4,-2), j timestamp(0), k varbit, l varbit(7), m time(2), n timetz(4),
       o interval, p interval year, q interval(3), r varchar, s varchar(7)[], t feeling, u feeling[], v place, w label,
       x positive NOT NULL, y uuid, z timestamp`,
    );
    expect(await schemaOf({ table })).toEqual({
      id: { type: 'int4', not_null: true, pk_index: 0 },
      a: { type: 'varchar', max_length: 10 },
      b: { type: 'bpchar', length: 5 },
      c: { type: 'numeric', precision: 8, scale: 2 },
      d: { type: 'timestamptz', precision: 3 },
      e: { type: 'interval', fields: 'DAY TO SECOND', precision: 2 },
      f: { type: 'int4', dims: 2 },
      g: { type: 'bit', length: 3 },
      h: { type: 'numeric' },
      i: { type: 'numeric', precision: 4, scale: -2 },
      j: { type: 'timestamp', precision: 0 },
      k: { type: 'varbit' },
      l: { type: 'varbit', length: 7 },
      m: { type: 'time', precision: 2 },
      n: { type: 'timetz', precision: 4 },
      o: { type: 'interval' },
      p: { type: 'interval', fields: 'YEAR' },
      q: { type: 'interval', precision: 3 },
      r: { type: 'varchar' },
      s: { type: 'varchar', dims: 1, max_length: 7 },
      t: { type: 'feeling' },
      u: { type: 'feeling', dims: 1 },
      v: { type: 'place' },
      w: { type: 'label' },
      x: { type: 'positive', not_null: true },
      y: { type: 'uuid' },
      z: { type: 'timestamp' },
    });
  });

  test('C191 places in the key are counted in the key, not in the table', async () => {
    const column = (type: string, index: number) => ({ type, not_null: true, pk_index: index });
    expect(await schemaOf({ table: 'cpk' })).toEqual({
      first: column('text', 0),
      second: column('int4', 1),
      third: column('text', 2),
    });
  });

  test('C193 the header is ASCII, whatever the columns are called', async () => {
    const names = ['größe', '尺寸', '🎉', 'say "hi"', 'back\\slash', '__proto__', '7', 'tab\there'];
    const table = await freshTable(service, `id int PRIMARY KEY, ${names.map((name) => `${quoted(name)} int`).join()}`);
    await service.sql(`INSERT INTO ${table} VALUES (1, ${names.map((_name, i) => i).join()})`);
    const { answer } = await service.open({ table });
    const text = header(answer, 'electric-schema');
    expect(text).toMatch(/^[\x20-\x7e]*$/);
    const schema = JSON.parse(text) as Record<string, unknown>;
    expect(Object.keys(schema).toSorted()).toEqual(['id', ...names].toSorted());
    const value = rows(messages(answer))[0]?.value ?? {};
    expect(
      Object.entries(value)
        .filter(([name]) => name !== 'id')
        .toSorted(),
    ).toEqual(names.map((name, i) => [name, String(i)]).toSorted());
  });

  test('SC-1 every answer that is not live has it, HEAD and POST too', async () => {
    const { handle, offset } = await service.read({ table: 'wide' });
    const table = 'wide';
    const first = header((await service.open({ table })).answer, 'electric-schema');
    for (const query of [{ offset: '-1' }, { offset: 'now' }, { handle, offset: '0_0' }, { handle, offset }]) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        const answer = await service.shape({ table, ...query }, { method });
        expect(answer.headers['electric-schema'], `${method} ${JSON.stringify(query)}`).toBe(first);
      }
    }
  });
});

describe('wake-ups (spec H LV-4)', () => {
  test('C125 an insert at the moment of the request is never missed', async () => {
    const CLIENTS = 10;
    const ROUNDS = 100;
    const seed = Math.floor(Math.random() * 2 ** 31);
    const chance = new Chance(seed);
    const table = await freshTable(service, 'id int PRIMARY KEY, client int');
    const waits: number[] = [];
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_none, client) => {
        const shape = { table, where: `client = ${client}` };
        let { handle, offset } = await service.read(shape);
        for (let round = 0; round < ROUNDS; round += 1) {
          const id = client * ROUNDS + round;
          const [before, after] = [chance.next() * 4, chance.next() * 4];
          const inserted = pause(before).then(() => service.sql(`INSERT INTO ${table} VALUES (${id}, ${client})`));
          await pause(after);
          const began = performance.now();
          const answer = await service.shape({ ...shape, handle, offset, live: 'true' });
          waits.push(performance.now() - began);
          expect(
            rows(messages(answer)).map((row) => row.value?.['id']),
            `seed ${seed}`,
          ).toEqual([String(id)]);
          handle = header(answer, 'electric-handle');
          offset = header(answer, 'electric-offset');
          await inserted;
        }
      }),
    );
    expect(waits).toHaveLength(CLIENTS * ROUNDS);
    // A request that was not woken would find the insert when its time is up, and not before.
    expect(Math.max(...waits), `seed ${seed}`).toBeLessThan(LONG_POLL_MS / 2);
  });
});
