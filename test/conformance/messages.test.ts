import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ConformanceService,
  header,
  messages,
  rows,
  type Message,
  type Query,
  type ShapeRead,
} from './support/service.ts';
import { freshTable, transaction, withConnection } from './support/tables.ts';

let service: ConformanceService;

beforeAll(async () => {
  service = await ConformanceService.start({ apis: 2 });
});

afterAll(() => service.stop());

const DIGITS = expect.stringMatching(/^\d+$/) as unknown;
const NUMBER = expect.any(Number) as unknown;
const NUMBERS = [NUMBER] as unknown;

const run = (...statements: readonly string[]) => transaction(service.cluster.databaseUrl, ...statements);

/** The entries after a place, once there are `count`. */
async function entries(query: Query, from: ShapeRead, count = 1): Promise<readonly Message[]> {
  const read = await waitFor(
    async () => {
      const next = await service.read(query, from);
      return rows(next.messages).length >= count && next;
    },
    { describe: () => `no ${count} entries of ${JSON.stringify(query)}` },
  );
  return rows(read.messages);
}

/** What a shape's log gets from one transaction. */
async function logged(query: Query, ...statements: readonly string[]): Promise<readonly Message[]> {
  const place = await service.read(query);
  await run(...statements);
  return entries(query, place);
}

/** Headers of an entry of a change; each of them and no other. */
const change = (operation: string, table: string, more: object = { last: true }) => ({
  operation,
  relation: ['public', table],
  txids: NUMBERS,
  lsn: DIGITS,
  op_position: NUMBER,
  ...more,
});

const key = (table: string, ...values: readonly string[]) =>
  `"public"."${table}"${values.map((value) => `/"${value}"`).join('')}`;

/** The three-column table of the cases, with one row. */
const wide = async () => {
  const table = await freshTable(service, 'id int PRIMARY KEY, v1 text, v2 text, v3 text');
  await service.sql(`INSERT INTO ${table} VALUES (1, 'a', 'b', NULL)`);
  return table;
};

describe.concurrent('changes (spec H 14)', () => {
  test('C161, MS-3 an insert has all columns and these headers', async () => {
    const table = await wide();
    expect(await logged({ table }, `INSERT INTO ${table} VALUES (2, 'x', NULL, 'z')`)).toEqual([
      {
        key: key(table, '2'),
        value: { id: '2', v1: 'x', v2: null, v3: 'z' },
        headers: change('insert', table),
      },
    ]);
  });

  test('C162 an update has the key and what changed', async () => {
    const table = await wide();
    expect(await logged({ table }, `UPDATE ${table} SET v2 = 'B', v1 = v1, v3 = NULL WHERE id = 1`)).toEqual([
      { key: key(table, '1'), value: { id: '1', v2: 'B' }, headers: change('update', table) },
    ]);
  });

  test('C163 with replica=full an update has the row, and what changed as it was', async () => {
    const table = await wide();
    const update = `UPDATE ${table} SET v2 = 'B', v3 = 'C', v1 = v1 WHERE id = 1`;
    expect(await logged({ table, replica: 'full' }, update)).toEqual([
      {
        key: key(table, '1'),
        value: { id: '1', v1: 'a', v2: 'B', v3: 'C' },
        old_value: { v2: 'b', v3: null },
        headers: change('update', table),
      },
    ]);
  });

  test.each([
    ['default', { id: '1' }],
    ['full', { id: '1', v1: 'a', v2: 'b', v3: null }],
  ])('C164 a delete with replica=%s', async (replica, value) => {
    const table = await wide();
    expect(await logged({ table, replica }, `DELETE FROM ${table}`)).toEqual([
      { key: key(table, '1'), value, headers: change('delete', table) },
    ]);
  });

  test('C165 an update without a change that is selected is no entry, and wakes nobody', async () => {
    const table = await wide();
    const query = { table, columns: 'id,v1' };
    const [place, all] = [await service.read(query), await service.read({ table })];
    const held = service.shape({ ...query, handle: place.handle, offset: place.offset, live: 'true' });
    await run(`UPDATE ${table} SET v2 = 'B'`);
    await run(`UPDATE ${table} SET v1 = v1`);
    await run(`UPDATE ${table} SET v3 = 'end'`);
    // The shape of all columns shows how far the service is, and that the second one is no entry there either.
    expect((await entries({ table }, all, 2)).map((entry) => entry.value)).toEqual([
      { id: '1', v2: 'B' },
      { id: '1', v3: 'end' },
    ]);
    expect(await Promise.race([held, pause(100, 'held')])).toBe('held');
    await run(`UPDATE ${table} SET v1 = 'A', v2 = 'C'`);
    expect(rows(messages(await held)).map((entry) => entry.value)).toEqual([{ id: '1', v1: 'A' }]);
  });

  test('C166 an update of the key is a delete and an insert that name each other', async () => {
    const table = await wide();
    for (const replica of ['default', 'full']) {
      const [from, to] = replica === 'default' ? ['1', '7'] : ['7', '1'];
      const list = await logged({ table, replica }, `UPDATE ${table} SET id = ${to}, v1 = v1 || '+'`);
      const v1 = replica === 'default' ? 'a' : 'a+';
      expect(list).toEqual([
        {
          key: key(table, from),
          value: replica === 'default' ? { id: from } : { id: from, v1, v2: 'b', v3: null },
          headers: change('delete', table, { key_change_to: key(table, to) }),
        },
        {
          key: key(table, to),
          value: { id: to, v1: `${v1}+`, v2: 'b', v3: null },
          headers: change('insert', table, { key_change_from: key(table, from), last: true }),
        },
      ]);
      const [first, second] = list.map((entry) => entry.headers['op_position'] as number);
      expect(second).toBe((first ?? 0) + 1);
    }
  });

  test('C167 an update that takes the key across the clause is an insert or a delete', async () => {
    const table = await freshTable(service);
    await service.sql(`INSERT INTO ${table} VALUES (5, 'five')`);
    const query = { table, where: 'id > 10' };
    expect(await logged(query, `UPDATE ${table} SET id = 15`)).toEqual([
      { key: key(table, '15'), value: { id: '15', title: 'five' }, headers: change('insert', table) },
    ]);
    expect(await logged(query, `UPDATE ${table} SET id = 5`)).toEqual([
      { key: key(table, '15'), value: { id: '15' }, headers: change('delete', table) },
    ]);
  });

  test('C168 an update that takes the row across the clause is an insert or a delete', async () => {
    const table = await freshTable(service, undefined, 1);
    const query = { table, where: `title = 'x'` };
    expect(await logged(query, `UPDATE ${table} SET title = 'x'`)).toEqual([
      { key: key(table, '1'), value: { id: '1', title: 'x' }, headers: change('insert', table) },
    ]);
    expect(await logged(query, `UPDATE ${table} SET title = 'y'`)).toEqual([
      { key: key(table, '1'), value: { id: '1' }, headers: change('delete', table) },
    ]);
  });

  test('C169 the transaction is named as its writer sees it', async () => {
    const table = await freshTable(service);
    const place = await service.read({ table });
    const xid = await withConnection(service.cluster.databaseUrl, async (client) => {
      await client.query('BEGIN');
      await client.query(`INSERT INTO ${table} VALUES (1, 'x')`);
      const { rows: found } = await client.query<{ xid: string; xmin: string }>(
        `SELECT pg_current_xact_id()::xid::text AS xid, xmin::text FROM ${table}`,
      );
      await client.query('COMMIT');
      expect(found[0]?.xid).toBe(found[0]?.xmin);
      return Number(found[0]?.xid);
    });
    const [entry] = await entries({ table }, place);
    expect(entry?.headers['txids']).toEqual([xid]);
  });

  test('C170, MS-5 the last entry of a transaction is marked in each shape, and nothing of it follows', async () => {
    const [one, two] = [await wide(), await wide()];
    const shapes: readonly Query[] = [
      { table: one },
      { table: two },
      { table: one, where: 'id = 3' },
      { table: two, columns: 'id,v1' },
    ];
    const places = await Promise.all(shapes.map((shape) => service.read(shape)));
    await run(
      `INSERT INTO ${one} VALUES (2, 'x')`,
      `INSERT INTO ${one} VALUES (3, 'x')`,
      `INSERT INTO ${two} VALUES (2, 'x')`,
      `UPDATE ${one} SET v1 = 'y' WHERE id = 2`,
      `UPDATE ${two} SET v2 = 'y' WHERE id = 2`,
    );
    const lasts = await Promise.all(
      shapes.map(async (shape, i) => {
        const list = await entries(shape, places[i] as ShapeRead);
        expect(new Set(list.map((entry) => entry.headers['lsn'])).size).toBe(1);
        return list.map((entry) => entry.headers['last'] ?? false);
      }),
    );
    expect(lasts).toEqual([[false, false, true], [false, true], [true], [true]]);
  });

  test('C171 a TOASTed value that did not change is no change, and replica=full has it', async () => {
    const table = await freshTable(service, 'id int PRIMARY KEY, big text, n int');
    await service.sql(`ALTER TABLE ${table} ALTER COLUMN big SET STORAGE EXTERNAL`);
    await service.sql(`INSERT INTO ${table} VALUES (1, repeat('0123456789abcdef', 65536), 1)`);
    const [place, full] = [await service.read({ table }), await service.read({ table, replica: 'full' })];
    await run(`UPDATE ${table} SET n = 2`);
    const [small] = await entries({ table }, place);
    expect(small?.value).toEqual({ id: '1', n: '2' });
    const [entry] = await entries({ table, replica: 'full' }, full);
    expect(entry?.old_value).toEqual({ n: '1' });
    expect(entry?.value?.['n']).toBe('2');
    expect(entry?.value?.['big'] === '0123456789abcdef'.repeat(65_536)).toBe(true);
  });

  test('C178 two changes of one row are two entries', async () => {
    const table = await wide();
    const list = await logged(
      { table },
      `UPDATE ${table} SET v1 = 'first'`,
      `UPDATE ${table} SET v1 = 'second'`,
      `DELETE FROM ${table}`,
      `INSERT INTO ${table} VALUES (1, 'third')`,
    );
    expect(list.map(({ value, headers }) => [headers['operation'], value?.['v1'], headers['last']])).toEqual([
      ['update', 'first', undefined],
      ['update', 'second', undefined],
      ['delete', undefined, undefined],
      ['insert', 'third', true],
    ]);
    const ops = list.map((entry) => entry.headers['op_position'] as number);
    expect(ops).toEqual(ops.toSorted((a, b) => a - b));
    expect(new Set(ops).size).toBe(4);
  });

  test('C179 what a savepoint rolled back is absent', async () => {
    const table = await wide();
    const list = await logged(
      { table },
      `INSERT INTO ${table} VALUES (2, 'kept')`,
      'SAVEPOINT one',
      `INSERT INTO ${table} VALUES (3, 'lost')`,
      `UPDATE ${table} SET v1 = 'lost'`,
      'ROLLBACK TO one',
      'SAVEPOINT two',
      `INSERT INTO ${table} VALUES (4, 'kept')`,
      'RELEASE two',
      'SAVEPOINT three',
      `DELETE FROM ${table}`,
      'ROLLBACK TO three',
    );
    expect(list.map((entry) => [entry.value?.['id'], entry.value?.['v1'], entry.headers['last']])).toEqual([
      ['2', 'kept', undefined],
      ['4', 'kept', true],
    ]);
  });
});

describe.concurrent('keys (spec H 15)', () => {
  test('C172 without a primary key all columns are the key', async () => {
    const list = await logged({ table: 'nopk' }, `INSERT INTO nopk VALUES ('a', NULL)`);
    expect(list[0]?.key).toBe('"public"."nopk"/"a"/_');
    const updated = await logged({ table: 'nopk' }, `UPDATE nopk SET b = 'b/'`);
    expect(updated).toEqual([
      {
        key: '"public"."nopk"/"a"/_',
        value: { a: 'a', b: null },
        headers: change('delete', 'nopk', { key_change_to: '"public"."nopk"/"a"/"b//"' }),
      },
      {
        key: '"public"."nopk"/"a"/"b//"',
        value: { a: 'a', b: 'b/' },
        headers: change('insert', 'nopk', { key_change_from: '"public"."nopk"/"a"/_', last: true }),
      },
    ]);
    const deleted = await logged({ table: 'nopk' }, 'DELETE FROM nopk');
    expect(deleted).toEqual([
      { key: '"public"."nopk"/"a"/"b//"', value: { a: 'a', b: 'b/' }, headers: change('delete', 'nopk') },
    ]);
  });

  /** Statements that make a row, change it and take it away, and the row's key. */
  const CASES: readonly {
    readonly title: string;
    readonly table: string;
    readonly create?: string;
    readonly insert: string;
    readonly update?: string;
    readonly key: string;
    readonly relation?: readonly string[];
  }[] = [
    { title: 'items', table: 'items', insert: `(1, 'x')`, update: `title = 'y'`, key: '"public"."items"/"1"' },
    {
      title: 'wide',
      table: 'wide',
      insert: `(9223372036854775807, 'a', 'b', 'c')`,
      update: `v2 = 'y'`,
      key: '"public"."wide"/"9223372036854775807"',
    },
    {
      title: 'nopk',
      table: 'nopk2',
      create: 'a text, b text',
      insert: `('"q"', 'x/y.z')`,
      key: '"public"."nopk2"/""q""/"x//y.z"',
    },
    { title: 'C173 cpk', table: 'cpk', insert: `(2, 'x/y', '')`, key: '"public"."cpk"/"x//y"/"2"/""' },
    { title: 'users', table: 'users', insert: `(1, 'n', 's')`, update: `name = 'm'`, key: '"public"."users"/"1"' },
    { title: 'moods', table: 'moods', insert: `(1, 'sad')`, update: `mood = 'ok'`, key: '"public"."moods"/"1"' },
    { title: 'flags', table: 'flags', insert: `(true, 1)`, update: 'n = 2', key: '"public"."flags"/"t"' },
    { title: 'parent', table: 'parent', insert: `(1, true)`, update: 'active = false', key: '"public"."parent"/"1"' },
    { title: 'child', table: 'child', insert: `(1, 2, 3)`, update: 'n = 4', key: '"public"."child"/"1"' },
    {
      title: 'C174 "Odd.Name"',
      table: '"Odd.Name"',
      insert: `(1, 'x', 'y')`,
      update: `"a,b" = 'z'`,
      key: '"public"."Odd..Name"/"1"',
      relation: ['public', 'Odd.Name'],
    },
    {
      title: 'names with slashes, dots and quotes',
      table: '"a/b.""c"""',
      create: 'id int PRIMARY KEY, v int',
      insert: '(1, 1)',
      update: 'v = 2',
      key: '"public"."a//b.."c""/"1"',
      relation: ['public', 'a/b."c"'],
    },
    {
      title: 'text',
      table: 'text_key',
      create: 'k text PRIMARY KEY, v int',
      insert: `(E'a/b"c\\\\.d\\n//é', 1)`,
      update: 'v = 2',
      key: '"public"."text_key"/"a//b"c\\.d\n////é"',
    },
    {
      title: 'an empty text',
      table: 'empty_key',
      create: 'k text PRIMARY KEY, v int',
      insert: `('', 1)`,
      update: 'v = 2',
      key: '"public"."empty_key"/""',
    },
    {
      title: 'char(n)',
      table: 'char_key',
      create: 'k char(5) PRIMARY KEY, v int',
      insert: `('ab', 1)`,
      update: 'v = 2',
      key: '"public"."char_key"/"ab   "',
    },
    {
      title: 'inet',
      table: 'inet_key',
      create: 'k inet PRIMARY KEY, v int',
      insert: `('10.0.0.1', 1)`,
      update: 'v = 2',
      key: '"public"."inet_key"/"10.0.0.1"',
    },
    {
      title: 'timestamptz',
      table: 'time_key',
      create: 'k timestamptz PRIMARY KEY, v int',
      insert: `('2026-01-31 13:05+02', 1)`,
      update: 'v = 2',
      key: '"public"."time_key"/"2026-01-31 11:05:00+00"',
    },
    {
      title: 'float8',
      table: 'float_key',
      create: 'k float8 PRIMARY KEY, v int',
      insert: `(1e-7, 1)`,
      update: 'v = 2',
      key: '"public"."float_key"/"1e-07"',
    },
    {
      title: 'bytea',
      table: 'bytea_key',
      create: 'k bytea PRIMARY KEY, v int',
      insert: `('\\x0001ff', 1)`,
      update: 'v = 2',
      key: '"public"."bytea_key"/"\\x0001ff"',
    },
    {
      title: 'interval',
      table: 'interval_key',
      create: 'k interval PRIMARY KEY, v int',
      insert: `('1 day 2 hours', 1)`,
      update: 'v = 2',
      key: '"public"."interval_key"/"P1DT2H"',
    },
  ];

  test.each(CASES)('C175, KY-1 to KY-3 the key of a row of $title is one wherever it appears', async (given) => {
    const { table, create, insert, update, relation } = given;
    if (create !== undefined) await service.sql(`CREATE TABLE ${table} (${create})`);
    const place = await service.read({ table });
    await run(`INSERT INTO ${table} VALUES ${insert}`);
    const [inserted] = await entries({ table }, place);
    // The same rows as another shape, whose snapshot is taken now.
    const snapshot = rows(messages((await service.open({ table, replica: 'full' })).answer));
    if (update !== undefined) await run(`UPDATE ${table} SET ${update}`);
    await run(`DELETE FROM ${table}`);
    const list = [inserted, ...snapshot, ...(await entries({ table }, place, update === undefined ? 2 : 3))];
    expect(list.map((entry) => entry?.headers['operation'])).toEqual([
      'insert',
      'insert',
      'insert',
      ...(update === undefined ? ['delete'] : ['update', 'delete']),
    ]);
    for (const entry of list) expect(entry?.key).toBe(given.key);
    for (const entry of list) expect(entry?.headers['relation']).toEqual(relation ?? ['public', table]);
  });
});

describe.concurrent('positions (spec H MS-9)', () => {
  test('MS-9 shapes of one source are comparable, also when they are quiet', async () => {
    const tables = await Promise.all(Array.from({ length: 6 }, () => freshTable(service)));
    const places = await Promise.all(tables.map((table) => service.read({ table })));
    const [busy, ...quiet] = tables as [string, ...string[]];
    await run(`INSERT INTO ${busy} VALUES (1, 'x')`);
    const [entry] = await entries({ table: busy }, places[0] as ShapeRead);
    const lsn = BigInt(entry?.headers['lsn'] as string);
    const answers = await Promise.all(
      quiet.map((table, i) => {
        const { handle, offset } = places[i + 1] as ShapeRead;
        return service.shape({ table, handle, offset, live: 'true' });
      }),
    );
    for (const answer of answers) {
      expect(header(answer, 'electric-has-data')).toBe('false');
      expect(BigInt(messages(answer)[0]?.headers['global_last_seen_lsn'] as string) >= lsn).toBe(true);
    }
  });

  test('MS-9 what a shape vouches for never decreases, from whichever process and in whatever mode', async () => {
    const [table, other] = [await freshTable(service), await freshTable(service)];
    const { handle, offset } = await service.read({ table });
    const place = { table, handle, offset };
    let highest = 0n;
    let tail = offset;
    for (let i = 0; i < 30; i += 1) {
      await run(`INSERT INTO ${i % 3 === 0 ? table : other} VALUES (${i}, 'x')`);
      const mode = [{ ...place, offset: tail }, { table, offset: 'now' }, place][i % 3] as Query;
      const answer = await service.shape(mode);
      const position = BigInt(messages(answer).at(-1)?.headers['global_last_seen_lsn'] as string);
      for (const entry of rows(messages(answer))) expect(BigInt(entry.headers['lsn'] as string) <= position).toBe(true);
      expect(position >= highest, `${position} after ${highest}`).toBe(true);
      highest = position;
      tail = header(answer, 'electric-offset');
    }
  });
});
