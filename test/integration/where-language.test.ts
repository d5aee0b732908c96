import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

/** A router or an API that dies is not started again, so that a clause that brings one down fails the test. */
describe('the where language over HTTP', () => {
  let cluster: Cluster;
  let client: Client;
  const signal = new AbortController().signal;

  beforeAll(async () => {
    cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, autoRestart: false });
    client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  async function open(
    table: string,
    where: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<StrictReader> {
    const reader = new StrictReader(cluster.url, { table, where, ...more });
    await reader.catchUp(signal);
    return reader;
  }

  /** Waits until the reader has seen every commit so far. Nothing else tells that a change was rightly left out. */
  async function passCommits(reader: StrictReader): Promise<void> {
    const { rows } = await client.query<{ lsn: string }>(`select pg_current_wal_insert_lsn() - '0/0' as lsn`);
    // The server speaks of what is past the last commit: one more makes sure that there is something.
    await client.query(`select pg_logical_emit_message(true, 'test', '')`);
    const lsn = BigInt(rows[0]?.lsn ?? 0);
    await waitFor(
      async () => {
        await reader.catchUp(signal);
        return reader.watermark >= lsn - 1n;
      },
      { timeoutMs: 30_000, describe: () => `the reader is at ${reader.watermark}, Postgres at ${lsn}` },
    );
  }

  /** Waits for a row that a later transaction put into the shape: everything before it has been decided by then. */
  async function awaitRow(reader: StrictReader, id: number): Promise<void> {
    const has = (): boolean => [...reader.rows.values()].some((row) => row['id'] === String(id));
    await waitFor(
      async () => {
        await reader.catchUp(signal);
        return has();
      },
      { timeoutMs: 30_000, describe: () => `row ${id} is not among ${idsOf(reader).join()}` },
    );
  }

  async function expectEqual(reader: StrictReader, table: string, where: string): Promise<void> {
    const { rows } = await client.query<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0`,
      [table],
    );
    const columns = rows.map(({ name }) => name);
    expect([where, canonicalRows(reader.rows.values())]).toEqual([
      where,
      await selectText(client, table, columns, where),
    ]);
    expect([where, reader.violations]).toEqual([where, []]);
  }

  async function answer(
    params: Readonly<Record<string, string>>,
  ): Promise<{ status: number; body: unknown; handle: string | null }> {
    const url = new URL('/v1/shape', cluster.url);
    for (const [name, value] of Object.entries({ offset: '-1', ...params })) url.searchParams.set(name, value);
    const response = await fetch(url);
    return { status: response.status, body: await response.json(), handle: response.headers.get('electric-handle') };
  }

  describe('enums', () => {
    const clauses = [
      `mood > 'sad'`,
      `mood <= 'ok'`,
      `mood BETWEEN 'sad' AND 'ok'`,
      `mood = 'happy'`,
      `mood <> 'sad'`,
      `mood IN ('sad', 'happy')`,
      `mood NOT IN ('sad', 'happy')`,
      `mood::text LIKE '%l%'`,
      `mood IS NOT NULL`,
      `greatest(mood, 'ok') = 'happy'`,
      `moods @> '{ok}'`,
      `moods && '{sad,happy}'`,
      `mood = ANY (moods)`,
      `mood >= ALL (moods)`,
    ];
    const readers = new Map<string, StrictReader>();

    beforeAll(async () => {
      await client.query(`create type mood as enum ('sad', 'ok', 'happy')`);
      await client.query(`create table feelings (id int primary key, mood mood, moods mood[])`);
      await client.query(
        `insert into feelings values (1, 'sad', '{sad}'), (2, 'ok', '{ok,happy}'), (3, 'happy', '{}'), (4, null, null)`,
      );
      for (const where of clauses) readers.set(where, await open('feelings', where));
    });

    async function expectAllEqual(): Promise<void> {
      await Promise.all([...readers.values()].map((reader) => passCommits(reader)));
      for (const [where, reader] of readers) await expectEqual(reader, 'feelings', where);
    }

    test('are compared in the order of their declaration, in snapshot and stream', async () => {
      await expectAllEqual();
      await client.query(
        `insert into feelings values (5, 'happy', '{happy}'), (6, 'sad', '{ok,NULL}'), (7, 'ok', '{sad,ok}')`,
      );
      await client.query(`update feelings set mood = 'ok' where id in (1, 4)`);
      await client.query(`update feelings set mood = 'sad', moods = '{happy}' where id in (2, 3)`);
      await client.query(`update feelings set mood = null where id = 5`);
      await client.query(`delete from feelings where id = 7`);
      await expectAllEqual();
      expect([...readers].filter(([, reader]) => reader.rotations > 0).map(([where]) => where)).toEqual([]);
    });

    test('keep meaning what Postgres means when labels are added between the others', async () => {
      await client.query(`alter type mood add value 'gloomy' before 'sad'`);
      await client.query(`alter type mood add value 'well' after 'ok'`);
      await client.query(`alter type mood add value 'thrilled' after 'happy'`);
      await client.query(`insert into feelings values (11, 'gloomy', '{gloomy}'), (12, 'well', '{ok,well}')`);
      await expectAllEqual();
      await client.query(`insert into feelings values (13, 'thrilled', '{thrilled,sad}'), (14, 'ok', null)`);
      await client.query(`update feelings set mood = 'well' where id in (1, 6)`);
      await client.query(`update feelings set mood = 'gloomy' where id in (2, 5)`);
      await expectAllEqual();
      await client.query(`update feelings set mood = 'sad' where mood in ('gloomy', 'well')`);
      await client.query(`update feelings set mood = 'thrilled' where id = 14`);
      await expectAllEqual();
      // Clients may have to start over, but not for every row with a new label.
      for (const [where, reader] of readers) expect([where, reader.rotations <= 3]).toEqual([where, true]);
    });

    test('know a label that was just added', async () => {
      await client.query(`alter type mood add value 'serene' before 'happy'`);
      const where = `mood >= 'serene'`;
      const reader = await open('feelings', where);
      await client.query(
        `insert into feelings values (21, 'serene', null), (22, 'well', null), (23, 'thrilled', null)`,
      );
      await awaitRow(reader, 23);
      await expectEqual(reader, 'feelings', where);
    });
  });

  describe('types', () => {
    /** Column type, clause over `v`, a value that matches, one that does not. */
    const cases: readonly (readonly [type: string, where: string, inside: string, outside: string])[] = [
      ['posint', 'v BETWEEN 2 AND 5', '3', '7'],
      ['posint', 'v % 2 = 1 AND v + 1 > 3', '3', '2'],
      ['shortname', `v LIKE 'a%' OR lower(v) = 'x'`, 'X', 'b'],
      ['int4[]', `v @> '{1,2}'`, '{2,3,1}', '{1,NULL}'],
      ['int4[]', `v && ARRAY[7, 8]`, '{1,8}', '{}'],
      ['int4[]', `v <@ '{1,2,3}'`, '{}', '{4}'],
      ['text[]', `'x y' = ANY (v)`, '{"x y",NULL}', '{x,y}'],
      ['text[]', `v[2] = 'b' AND cardinality(v) < 4`, '{a,b}', '{b,a}'],
      ['jsonb', `v ->> 'kind' = 'note'`, '{"kind": "note"}', '{"kind": null}'],
      ['jsonb', `v @> '{"tags": ["a"]}'`, '{"n": 1, "tags": ["b", "a"]}', '{"tags": "a"}'],
      ['jsonb', `v = '{"a": 1.0}'`, '{"a": 1}', '{"a": "1"}'],
      ['jsonb', `v ? 'a' AND (v -> 'a') = '1'`, '{"a": 1}', '["b"]'],
      ['int4range', `v @> 5`, '[1,6)', '[1,5)'],
      ['int4range', `v && '[10,20]'`, '[20,)', 'empty'],
      ['tstzrange', `v @> timestamptz '2026-01-01T12:00:00+02:00'`, '[2026-01-01 09:00+00,)', '(,2026-01-01 10:00+00)'],
      ['daterange', `lower(v) >= '2026-01-01' AND NOT upper_inf(v)`, '[2026-02-01,2026-03-01)', '[2026-02-01,)'],
      ['inet', `v << '10.0.0.0/8'`, '10.1.2.3', '11.0.0.1'],
      ['inet', `v = '::1'`, '0:0:0:0:0:0:0:1', '::2'],
      ['cidr', `v >>= inet '192.168.1.1'`, '192.168.0.0/16', '192.168.2.0/24'],
      ['interval', `v = '30 days'`, '1 mon', '31 days'],
      ['interval', `v * 2 > '1 day 12:00'`, '20:00', '17:00'],
      ['numeric(10,2)', 'v / 3 > 1.5 AND round(v) = 5', '4.999', '4.49'],
      ['float8', `v = 'NaN' OR v < 0`, 'NaN', '-0'],
      ['char(5)', `v = 'ab' AND length(v) = 2`, 'ab', 'abc'],
      ['bytea', `v >= '\\x0aff' AND length(v) = 3`, '\\x0aff00', '\\x0aff'],
      ['date', `v - date '2026-01-01' BETWEEN 0 AND 30`, '2026-01-31', '2026-02-01'],
      ['time', `v + interval '1 hour' < '01:00'`, '23:30', '00:30'],
      [
        'timestamp',
        `date_trunc('month', v) = '2026-02-01' AND extract(dow FROM v) = 0`,
        '2026-02-01 23:59',
        '2026-02-02',
      ],
      [
        'timestamptz',
        `(v AT TIME ZONE 'Europe/Berlin')::date = '2026-03-29'`,
        '2026-03-28 23:30+00',
        '2026-03-29 22:00+00',
      ],
      ['text', `v SIMILAR TO '(a|b)+c?' OR v ILIKE 'É%'`, 'été', 'abcd'],
      ['text', `substring(v from 2) = 'bc' AND v COLLATE "C" < 'b'`, 'abc', 'bbc'],
      [
        'uuid',
        `v IN ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')`,
        'a0eebc999c0b4ef8bb6d6bb9bd380a11',
        'a0eebc999c0b4ef8bb6d6bb9bd380a12',
      ],
      ['int8', `v = 9007199254740993`, '9007199254740993', '9007199254740992'],
      ['int4', `CASE WHEN v > 0 THEN 100 / v = 25 ELSE false END`, '4', '0'],
      ['int4', `(v, w) IN ((1, 'a'), (2, 'b')) OR (v, w) > (7, 'a')`, '2', '3'],
    ];

    beforeAll(async () => {
      await client.query(`create domain posint as int4 check (value > 0)`);
      await client.query(`create domain shortname as varchar(8)`);
    });

    test.each(cases.map((one, i) => [...one, `typed_${i}`] as const))(
      '%s: %s',
      async (type, where, inside, outside, table) => {
        await client.query(`create table ${table} (id int primary key, v ${type}, w text)`);
        await client.query(`insert into ${table} values (1, $1, 'b'), (2, $2, 'b'), (3, null, 'b')`, [inside, outside]);
        const reader = await open(table, where);
        expect([...reader.rows.keys()]).toEqual([`"public"."${table}"/"1"`]);
        const { handle } = reader;
        await client.query(`insert into ${table} values (4, $1, 'b'), (5, $2, 'b'), (6, null, 'c')`, [inside, outside]);
        await client.query(`insert into ${table} values (7, $1, 'b')`, [inside]);
        await awaitRow(reader, 7);
        expect(idsOf(reader)).toEqual([1, 4, 7]);
        await client.query(`update ${table} set v = $1 where id in (1, 3)`, [outside]);
        await client.query(`update ${table} set v = $1 where id in (2, 6)`, [inside]);
        await client.query(`update ${table} set v = null where id = 4`);
        await client.query(`insert into ${table} values (8, $1, 'b')`, [inside]);
        await awaitRow(reader, 8);
        expect(idsOf(reader)).toEqual(where.includes('w)') ? [2, 7, 8] : [2, 6, 7, 8]);
        await expectEqual(reader, table, where);
        expect(reader.handle).toBe(handle);
      },
    );
  });

  test('a row that the clause raises an error for is not in the shape, and the stream goes on', async () => {
    await client.query(`create table quotients (id int primary key, i4 int, s text)`);
    const where = '10 / i4 > 1';
    const reader = await open('quotients', where);
    const casting = await open('quotients', `s::int8 = 7`);
    const rest = await open('quotients', `i4 IS NOT NULL`);
    const { handle } = reader;
    // After every step a row that is in all three.
    const step = async (id: number, text: string): Promise<void> => {
      await client.query(text);
      await client.query(`insert into quotients values (${id}, 5, '7')`);
      for (const one of [reader, casting, rest]) await awaitRow(one, id);
    };
    await step(
      91,
      `insert into quotients values (1, 5, '7'), (2, 0, 'x'), (3, null, ''), (4, 20, '9223372036854775808')`,
    );
    expect([idsOf(reader), idsOf(casting)]).toEqual([
      [1, 91],
      [1, 91],
    ]);
    await step(
      92,
      `update quotients set i4 = 0, s = 's' where id = 1; update quotients set i4 = 2, s = ' 7 ' where id = 2`,
    );
    expect([idsOf(reader), idsOf(casting)]).toEqual([
      [2, 91, 92],
      [2, 91, 92],
    ]);
    await step(93, `delete from quotients where id = 1; insert into quotients values (5, 1, null)`);
    expect([idsOf(reader), idsOf(casting)]).toEqual([
      [2, 5, 91, 92, 93],
      [2, 91, 92, 93],
    ]);
    await expectEqual(rest, 'quotients', 'i4 IS NOT NULL');
    for (const one of [reader, casting, rest]) {
      expect(one.violations).toEqual([]);
      expect(one.rotations).toBe(0);
    }
    expect(reader.handle).toBe(handle);
    expect(cluster.processes.filter(({ pid }) => !isAlive(pid)).map(({ name }) => name)).toEqual([]);
  });

  describe('a refusal', () => {
    beforeAll(async () => {
      await client.query(`create type level as enum ('low', 'high')`);
      await client.query(
        `create table refusals (id int primary key, i4 int, s text, de text collate "und-x-icu", b bool, d date, tz timestamptz,
           u uuid, e level, ia int4[], j jsonb, doc xml)`,
      );
    });

    const cases: readonly (readonly [
      where: string,
      message: string | RegExp,
      params?: Readonly<Record<string, string>>,
    ])[] = [
      ['i4 =', 'At location 19: syntax error at end of input'],
      ['i4 = 1; SELECT 1', 'unescaped ";" causing statement split'],
      ['i4 = 1 ORDER BY i4', 'malformed query ending with SQL clauses'],
      ['i4 = 1 LIMIT 1', 'malformed query ending with SQL clauses'],
      ['"No pe" = 1', 'At location 0: unknown reference "No pe"'],
      ['other.i4 = 1', 'At location 0: unknown reference other.i4'],
      ['i4 = $1', 'At location 5: parameter $1 was not provided'],
      ['i4 = $1', 'At location 5: invalid syntax for type int4: x', { 'params[1]': 'x' }],
      [`i4 = 'x'`, 'At location 5: invalid syntax for type int4: x'],
      ['i4', 'WHERE clause must return a boolean'],
      ['now() > tz', 'At location 0: unknown or unsupported function now/0'],
      [`tz > CURRENT_TIMESTAMP`, 'At location 5: SQLValueFunction is not supported in this context'],
      [`tz > 'now'`, 'At location 5: invalid syntax for type timestamptz: now'],
      [`s ~ 'x'`, 'At location 2: unknown binary operator "~"'],
      [`s > 1`, 'At location 2: Could not select an operator overload'],
      ['count(*) > 1', 'At location 0: aggregation is not supported in this context'],
      ['i4::uuid = u', 'At location 0: unknown cast from type int4 to type uuid'],
      [`s = 'é' AND s COLLATE "de_DE" < 'a'`, 'At location 14: CollateClause is not supported in this context'],
      [`e = 'middle'`, 'At location 4: invalid syntax for type enum level: middle'],
      [`e IN ('low', 'none')`, 'At location 13: invalid syntax for type enum level: none'],
      [`ia @> '{1}'::int8[]`, 'At location 3: Could not select an operator overload'],
      ['1 / 0 = 1', 'At location 2: Failed to apply function to constant arguments'],
      ['i4 IS TRUE', 'At location 3: argument of IS TRUE must be bool, not int4'],
      ['i4 IN (SELECT DISTINCT i4 FROM refusals GROUP BY i4)', /subquer|SELECT statement must not contain any clauses/],
      [
        `de < 'a'`,
        /^At location 3: ordering comparison on column "de" uses collation ".*", which cannot be evaluated outside Postgres; add COLLATE "C"$/,
      ],
      [`doc::text = 'x'`, /^At location \d+: /],
    ];

    test.each(cases.map(([where, message, params = {}]) => ({ where, message, params })))(
      'of $where $params',
      async ({ where, message, params }) => {
        const { status, body } = await answer({ table: 'refusals', where, ...params });
        expect({ status, body }).toEqual(badWhere(message));
      },
    );

    test.each([
      [{ 'params[a]': '1' }, 'Parameters can only use numbers as keys'],
      [{ 'params[1]': '1', 'params[3]': '1' }, 'Parameters must be numbered sequentially, starting from 1'],
    ])('of the parameters %j', async (params, message) => {
      const { status, body } = await answer({ table: 'refusals', where: 'i4 = $1', ...params });
      expect({ status, body }).toEqual({
        status: 400,
        body: { message: 'Invalid request', errors: { params: [message] } },
      });
    });

    test('leaves the server as it was', async () => {
      const { status } = await answer({ table: 'refusals', where: `de = 'a' AND e = 'low' AND doc IS NULL` });
      expect(status).toBe(200);
    });
  });

  describe('parameters', () => {
    const cases: readonly (readonly [type: string, where: string, params: readonly string[], value: string])[] = [
      ['int2', 'v = $1', ['-7'], '-7'],
      ['int4', 'v IN ($1, $2)', ['1', ' 2 '], '2'],
      ['int8', 'v > $1', ['9007199254740992'], '9007199254740993'],
      ['numeric', 'v = $1', ['1.50'], '1.5'],
      ['float4', 'v = $1', ['0.1'], '0.1'],
      ['float8', 'v BETWEEN $1 AND $2', ['-1e3', 'Infinity'], '1e300'],
      ['bool', 'v = $1', ['yes'], 't'],
      ['text', 'v = $1', [`it's $2 -- \\ "quoted"`], `it's $2 -- \\ "quoted"`],
      ['text', 'v LIKE $1', ['a\\_%'], 'a_b'],
      ['varchar(5)', 'v = $1 OR v = $2', ['ab', 'été'], 'été'],
      ['char(4)', 'v = $1', ['ab '], 'ab'],
      ['uuid', 'v = $1', ['{A0EEBC999C0B4EF8BB6D6BB9BD380A11}'], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['bytea', 'v = $1', ['\\x0AFF'], '\\x0aff'],
      ['date', 'v >= $1', ['2026-01-01'], '2026-01-01'],
      ['time', 'v = $1', ['09:30'], '09:30:00'],
      ['timestamp', 'v = $1', ['2026-01-01T10:00'], '2026-01-01 10:00:00'],
      ['timestamptz', 'v = $1', ['2026-01-01T10:00:00+02:00'], '2026-01-01 08:00:00+00'],
      ['interval', 'v = $1', ['P1M'], '30 days'],
      ['json_note', 'v = $1', ['high'], 'high'],
      ['json_note[]', 'v @> $1', ['{high}'], '{low,high}'],
      ['int4[]', 'v && $1', ['{1,2}'], '{2}'],
      ['int4', 'v = ANY ($1)', ['{1,2,NULL}'], '2'],
      ['text[]', '$1 = ANY (v)', ['a b'], '{"a b"}'],
      ['jsonb', 'v @> $1', ['{"a":1}'], '{"a": 1.0, "b": 2}'],
      ['int4range', 'v @> $1::int4', ['3'], '[1,5)'],
      ['inet', 'v <<= $1', ['10.0.0.0/8'], '10.2.3.4'],
      ['int4', 'v + $1 = $2 AND v > $1', ['1', '4'], '3'],
    ];

    beforeAll(() => client.query(`create type json_note as enum ('low', 'high')`));

    test.each(cases.map((one, i) => [...one, `bound_${i}`] as const))(
      '%s: %s with %j',
      async (type, where, values, value, table) => {
        await client.query(`create table ${table} (id int primary key, v ${type})`);
        await client.query(`insert into ${table} values (1, $1), (2, null)`, [value]);
        const params = Object.fromEntries(values.map((text, i) => [`params[${i + 1}]`, text]));
        const reader = await open(table, where, params);
        await client.query(`insert into ${table} values (4, null)`);
        await client.query(`insert into ${table} values (3, $1)`, [value]);
        await awaitRow(reader, 3);
        expect(idsOf(reader)).toEqual([1, 3]);
        const literal = where.replace(
          /\$(\d)/g,
          (_, n: string) => `'${(values[Number(n) - 1] as string).replaceAll("'", "''")}'`,
        );
        const { status, handle } = await answer({ table, where: literal });
        expect({ status, handle }).toEqual({ status: 200, handle: reader.handle });
      },
    );
  });

  describe('equal clauses', () => {
    beforeAll(() =>
      client.query(
        `create table spellings (id int primary key, i4 int, "Mixed" text, s text, ts timestamptz, ia int4[])`,
      ),
    );

    test.each([
      [
        `i4 <> 7 AND s = 'a'`,
        `I4!=7 and (S = 'a')`,
        `((i4) <> (7))\n\tAND /* c */ spellings.s = 'a' -- end`,
        `"i4" <> '7' AND s = $$a$$`,
      ],
      [`s LIKE 'a%'`, `s ~~ 'a%'`, `s like E'a\\u0025'`, `(s) LIKE $$a%$$`],
      [`i4 IN (1, 2)`, `i4 in (1,2)`, `i4 IN ((1), ('2'))`],
      [
        `ts >= '2026-01-01'`,
        `ts >= '2026-01-01 00:00:00+00'::timestamptz`,
        `ts >= timestamptz '2025-12-31T23:00:00-01:00'`,
      ],
      [`"Mixed" IS NULL`, `"Mixed" ISNULL`, `(public.spellings."Mixed") IS NULL`],
      [`i4 BETWEEN 1 AND 5`, `i4 >= 1 AND i4 <= 5`],
      [`NOT i4 = 1 OR s IS NOT NULL`, `(NOT (i4 = 1)) OR s NOTNULL`],
      [`ia @> '{1,2}'`, `ia @> ' { 1 , 2 } '`, `ia @> '{1,2}'::int[]`],
      [`CAST(i4 AS int8) = 1`, `i4::bigint = 1`],
    ])('%s', async (...spellings) => {
      const answers: (string | null)[] = [];
      for (const where of spellings) answers.push((await answer({ table: 'spellings', where })).handle);
      expect(answers).toEqual(spellings.map(() => expect.stringMatching(/^\d+-\d+$/) as string));
      expect(spellings.map((where, i) => [where, answers[i]])).toEqual(spellings.map((where) => [where, answers[0]]));
    });

    test('differ when they mean something else', async () => {
      const clauses = [
        `s = 'a'`,
        `s = 'A'`,
        `s = 'a '`,
        `"Mixed" = 'a'`,
        `s <> 'a'`,
        `s LIKE 'a'`,
        `s IS NOT DISTINCT FROM 'a'`,
      ];
      const handles = new Set<string | null>();
      for (const where of clauses) handles.add((await answer({ table: 'spellings', where })).handle);
      expect(handles.size).toBe(clauses.length);
    });
  });
});

/** Keys of the rows in the shape, ascending. */
function idsOf(reader: StrictReader): number[] {
  return [...reader.rows.values()].map((row) => Number(row['id'])).sort((a, b) => a - b);
}

function badWhere(message: string | RegExp): unknown {
  const text = typeof message === 'string' ? message : (expect.stringMatching(message) as string);
  return { status: 400, body: { message: 'Invalid request', errors: { where: [text] } } };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
