import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ColumnInfo, RelationInfo } from '@shapecast/shape';
import { request, takeSnapshot } from '../../contract/change-source.contract.ts';
import { openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../../contract/recording-handler.contract.ts';

const never = new AbortController().signal;

/** Column type, value, and the text that clients see. */
const SAMPLES: readonly (readonly [type: string, value: string, text: string])[] = [
  ['bool', 'true', 't'],
  ['bool', 'false', 'f'],
  ['int2', '-32768', '-32768'],
  ['int8', '9007199254740993', '9007199254740993'],
  ['float4', '0.1', '0.1'],
  ['float8', '1e-7', '1e-07'],
  ['float8', `'NaN'`, 'NaN'],
  ['numeric(20,6)', '123456789.5', '123456789.500000'],
  ['char(6)', `'ab'`, 'ab    '],
  ['varchar(9)', `'ab  '`, 'ab  '],
  ['text', `'naïve ☃ 🎉 "quoted" \\ back'`, 'naïve ☃ 🎉 "quoted" \\ back'],
  ['text', `''`, ''],
  ['bytea', `'\\x00ff10'`, '\\x00ff10'],
  ['date', `'2026-12-31'`, '2026-12-31'],
  ['time', `'23:59:59.5'`, '23:59:59.5'],
  ['timetz', `'12:00:00+02'`, '12:00:00+02'],
  ['timestamp', `'2026-12-31 23:59:59.123456'`, '2026-12-31 23:59:59.123456'],
  ['timestamptz', `'2026-12-31 23:59:59+02'`, '2026-12-31 21:59:59+00'],
  ['interval', `'1 year 2 days 3:04:05'`, 'P1Y2DT3H4M5S'],
  ['uuid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['json', `'{"b": 1,  "a": [2]}'`, '{"b": 1,  "a": [2]}'],
  ['jsonb', `'{"b": 1,  "a": [2]}'`, '{"a": [2], "b": 1}'],
  ['inet', `'10.0.0.1/8'`, '10.0.0.1/8'],
  ['point', `'(1,2.5)'`, '(1,2.5)'],
  ['bit(3)', `B'101'`, '101'],
  ['tsvector', `'fat cat'`, `'cat' 'fat'`],
  ['int4range', `'[1,5)'`, '[1,5)'],
  ['int4multirange', `'{[1,3),[5,7)}'`, '{[1,3),[5,7)}'],
  ['int4[]', `'{1,NULL,3}'`, '{1,NULL,3}'],
  ['text[]', `'{{"a b",c},{"",NULL}}'`, '{{"a b",c},{"",NULL}}'],
  ['timestamptz[]', `array['2026-01-01 00:00:00+00'::timestamptz]`, '{"2026-01-01 00:00:00+00"}'],
  ['mood', `'so so'`, 'so so'],
  ['mood[]', `'{happy,"so so"}'`, '{happy,"so so"}'],
  ['pair', `row(1, 'x,y')`, '(1,"x,y")'],
  ['positive', '7', '7'],
  ['oid', '4000000000', '4000000000'],
];

describe('column types', () => {
  let world: PgWorld;

  beforeEach(async () => {
    world = await openPgWorld();
    await world.sql(`create type mood as enum ('happy', 'so so')`);
    await world.sql('create type pair as (n int, t text)');
    await world.sql('create domain positive as int check (value > 0)');
  });

  afterEach(() => world.close());

  test('T46 print the same in the stream and in a snapshot, whatever the database defaults to', async () => {
    const name = (await world.sql('select current_database() as name'))[0]?.['name'] as string;
    for (const setting of [
      `datestyle = 'German'`,
      `timezone = 'Asia/Tokyo'`,
      `intervalstyle = 'sql_standard'`,
      `bytea_output = 'escape'`,
      'extra_float_digits = -3',
    ]) {
      await world.sql(`alter database ${name} set ${setting}`);
    }
    const columns = SAMPLES.map(([type], index) => `c${index} ${type}`);
    await world.sql(`create table samples (id int primary key, ${columns.join(', ')})`);
    const session = await world.source.open(() => {}, never);
    const table = (await world.database.introspect('public', 'samples', never)) as RelationInfo;
    await world.database.publish(table, never);
    const handler = new RecordingHandler();
    const stream = run(session, handler);
    await world.sql(`insert into samples values (1, ${SAMPLES.map(([, value]) => value).join(', ')})`);
    await world.sql('insert into samples values (2)');
    const [full, empty] = await handler.waitForChanges(2);
    const wanted = { ...request(table), columns: table.columns.map((column) => column.name) };
    const { rows } = await takeSnapshot(world.database, wanted);
    const expected = ['1', ...SAMPLES.map(([, , text]) => text)];
    expect(rows[0]).toEqual(expected);
    expect(full).toMatchObject({ kind: 'insert', new: expected });
    expect(rows[1]).toEqual(['2', ...SAMPLES.map(() => null)]);
    expect(empty).toMatchObject({ kind: 'insert', new: rows[1] });
    await stream.stop();
  });

  test('are described with the element type of arrays, the own name of domains and the place in the key', async () => {
    await world.sql(`create schema other`);
    await world.sql(`create type other.level as enum ('low')`);
    await world.sql(
      `create table described (
         b int not null, "A" varchar(10), gone int, tags text[][] not null, moods mood[], level other.level,
         p positive, pairs pair, r int4range, vector int2vector, v numeric(10,2),
         sum int generated always as (b * 2) stored,
         primary key (v, b) include ("A"))`,
    );
    await world.sql('alter table described drop column gone');
    const table = (await world.database.introspect('public', 'described', never)) as RelationInfo;
    const short = (column: ColumnInfo) => [
      column.name,
      column.attnum,
      `${column.typeSchema}.${column.typeName}`,
      column.typeKind,
      column.dims,
      column.notNull,
      column.generated,
      column.pkIndex,
    ];
    expect(table.columns.map(short)).toEqual([
      ['b', 1, 'pg_catalog.int4', 'b', 0, true, 'none', 1],
      ['A', 2, 'pg_catalog.varchar', 'b', 0, false, 'none', undefined],
      ['tags', 4, 'pg_catalog.text', 'b', 2, true, 'none', undefined],
      ['moods', 5, 'public.mood', 'e', 1, false, 'none', undefined],
      ['level', 6, 'other.level', 'e', 0, false, 'none', undefined],
      ['p', 7, 'public.positive', 'd', 0, false, 'none', undefined],
      ['pairs', 8, 'public.pair', 'c', 0, false, 'none', undefined],
      ['r', 9, 'pg_catalog.int4range', 'r', 0, false, 'none', undefined],
      ['vector', 10, 'pg_catalog.int2vector', 'b', 0, false, 'none', undefined],
      ['v', 11, 'pg_catalog.numeric', 'b', 0, true, 'none', 0],
      ['sum', 12, 'pg_catalog.int4', 'b', 0, false, 'stored', undefined],
    ]);
    expect(table.columns.map((column) => column.typeMod).filter((mod) => mod !== -1)).toEqual([14, 655366]);
    expect(table.columns.find((column) => column.name === 'tags')?.typeOid).toBe(1009);
  });

  test('are described with the labels of enums in order, the type under domains, and the collation of the database', async () => {
    await world.sql(`create type step as enum ('one', 'three')`);
    await world.sql(`alter type step add value 'two' before 'three'`);
    await world.sql('create domain inner_dom as int8');
    await world.sql('create domain outer_dom as inner_dom');
    await world.sql('create domain many as int4[]');
    await world.sql('create table facts (a step, b step[], c outer_dom, d many, e int4)');
    const table = (await world.database.introspect('public', 'facts', never)) as RelationInfo;
    expect(table.columns.map(({ enumLabels, baseTypeOid }) => [enumLabels, baseTypeOid])).toEqual([
      [['one', 'two', 'three'], undefined],
      [['one', 'two', 'three'], undefined],
      [undefined, 20],
      [undefined, 1007],
      [undefined, undefined],
    ]);
    const [row] = await world.sql('select datcollate, datctype from pg_database where datname = current_database()');
    expect(table.databaseCollation).toMatchObject({ collate: row?.['datcollate'], ctype: row?.['datctype'] });
  });

  test.each([
    ['a view', 'create view v as select 1 as a'],
    ['a materialised view', 'create materialized view v as select 1 as a'],
    ['an unlogged table', 'create unlogged table v (a int)'],
    ['a table without columns', 'create table v ()'],
  ])('of %s are not described: it cannot be synced', async (_, statement) => {
    await world.sql(statement);
    expect(await world.database.introspect('public', 'v', never)).toBeUndefined();
  });

  test.each([
    ['pg_catalog', 'pg_class'],
    ['information_schema', 'sql_features'],
  ])("of Postgres's own schema %s are not described: they cannot be published", async (schema, table) => {
    expect(await world.database.introspect(schema, table, never)).toBeUndefined();
  });
});
