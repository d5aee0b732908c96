import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cell } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import { deps, openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import type { SnapshotRequest, SnapshotTable } from '../../change-source.ts';
import { keyOf, type KeyTexts } from '../../keyset.ts';
import type { SourceDatabase } from '../../source-database.ts';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const never = new AbortController().signal;

/** Columns of a key and SQL for rows of it. What is in a table is as mixed as its type allows. */
const KEYS: Readonly<Record<string, { readonly columns: readonly string[]; readonly rows: string }>> = {
  int8: {
    columns: ['int8'],
    rows: `select n * 3000000000 from generate_series(-60, 60) n union values (9223372036854775807), (-9223372036854775808)`,
  },
  uuid: { columns: ['uuid'], rows: `select md5(n::text)::uuid from generate_series(1, 120) n` },
  'text in the order of the database': {
    columns: ['text'],
    rows: `select unnest(array['a', 'A', 'b', 'B', 'ä', 'z', 'Z', 'é', '_', '-a', ' a', '', 'a/b', 'a''b', 'a\\b', '"', 'ß', 'ss', '10', '9', 'ü', '日本', 'a//', '/'])`,
  },
  'text in the order of ICU': {
    columns: ['text collate "de-x-icu"'],
    rows: `select unnest(array['a', 'A', 'b', 'B', 'ä', 'Ä', 'z', 'Z', 'é', 'e', 'f', '_', '-', 'ae', 'ad', 'af', 'ß', 'ss', 'st', '日本'])`,
  },
  'text in an order that takes cases for equal': {
    columns: ['text collate blind'],
    rows: `select unnest(array['a', 'B', 'c', 'D', 'é', 'Z', 'Ö', 'x', 'y', ''])`,
  },
  varchar: { columns: ['varchar(20) collate "C"'], rows: `select unnest(array['a', 'A', 'b', 'ä', 'a b', 'ab', ' '])` },
  'char(n)': { columns: ['char(5)'], rows: `select unnest(array['a', 'ab', 'abcde', 'a b', 'B', 'é'])` },
  numeric: {
    columns: ['numeric'],
    rows: `select (n / 7.0)::numeric from generate_series(-50, 50) n union select unnest(array['NaN', '1e400', '-1e400', '1.10', '0.000000000000000000001', 'Infinity', '-Infinity'])::numeric`,
  },
  float8: {
    columns: ['float8'],
    rows: `select n / 7.0::float8 from generate_series(-50, 50) n union select unnest(array['NaN', 'Infinity', '-Infinity', '1e-300', '0.1', '0.30000000000000004', '4.9e-324'])::float8`,
  },
  timestamptz: {
    columns: ['timestamptz'],
    rows: `select '2024-03-30 23:59:59.999999+02'::timestamptz + n * interval '17 minutes 0.000001 s' from generate_series(-60, 60) n
      union select unnest(array['infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '1883-11-18 12:03:57+00'])::timestamptz`,
  },
  'date and bool': {
    columns: ['date', 'bool'],
    rows: `select date '2024-01-01' + n, b from generate_series(-20, 20) n, unnest(array[true, false]) b`,
  },
  'bytea, not in the order of columns': {
    columns: ['bytea', 'int2'],
    rows: `select decode(md5(n::text), 'hex'), (n % 3)::int2 from generate_series(1, 60) n union select '\\x'::bytea, 1::int2`,
  },
  'text and int': {
    columns: ['text', 'int4'],
    rows: `select t, n from unnest(array['a', 'A', 'ä', 'b', '']) t, generate_series(-10, 10) n`,
  },
};

describe('snapshots in the order of the key', () => {
  let world: PgWorld;
  let database: SourceDatabase;

  beforeAll(async () => {
    world = await openPgWorld();
    database = openPgSourceDatabase({ url: world.url, publicationName: world.publicationName }, deps);
    await world.sql(`create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  });

  afterAll(async () => {
    await database.close();
    await world.close();
  });

  const create = async (name: string, columns: readonly string[], rows: string): Promise<RelationInfo> => {
    const names = columns.map((_, i) => `k${i}`);
    const list = columns.map((type, i) => `k${i} ${type}`).join(', ');
    await world.sql(`create table ${name} (v text default 'v', ${list}, primary key (${names.join(', ')}))`);
    await world.sql(`insert into ${name} (${names.join(', ')}) select * from (${rows}) r order by random()`);
    await world.sql(`cluster ${name} using ${name}_pkey`);
    await world.sql(`analyze ${name}`);
    return (await database.introspect('public', name, never)) as RelationInfo;
  };

  const requestOf = (
    { schema, name, oid }: RelationInfo,
    key: readonly string[],
    after?: { readonly order: string; readonly key: KeyTexts },
  ): SnapshotRequest => ({
    schema,
    table: name,
    oid,
    columns: ['v', ...key],
    where: '',
    rows: true,
    keyset: { key, minBytes: 0, ...(after ? { after } : {}) },
  });

  const read = async (request: SnapshotRequest) => {
    let table: SnapshotTable = {};
    const keys: KeyTexts[] = [];
    await database.snapshot(
      request,
      {
        onSnapshot: async (_info, about) => {
          table = about;
          return 'use';
        },
        onRows: async (rows: readonly (readonly Cell[])[]) => {
          for (const row of rows) keys.push(keyOf(row, request.columns, request.keyset?.key ?? []) as KeyTexts);
        },
      },
      never,
    );
    return { ...table, keys };
  };

  test.each(Object.entries(KEYS))(
    '%s: goes on behind any row without missing or repeating one',
    async (_, { columns, rows }) => {
      const names = columns.map((_type, i) => `k${i}`).reverse();
      const name = `t${Math.random().toString(36).slice(2)}`;
      await create(name, columns, rows);
      // The key's columns in another order than the table's.
      await world.sql(`alter table ${name} drop constraint ${name}_pkey, add primary key (${names.join(', ')})`);
      await world.sql(`cluster ${name} using ${name}_pkey`);
      const table = (await database.introspect('public', name, never)) as RelationInfo;
      const whole = await read(requestOf(table, names));
      const order = whole.order as string;
      expect(order).toBeTypeOf('string');
      const count = Number((await world.sql(`select count(*)::text n from ${name}`))[0]?.['n']);
      expect(whole.keys).toHaveLength(count);
      const at = [0, 1, Math.floor(count / 3), Math.floor(count / 2), count - 2, count - 1];
      for (const i of at) {
        const rest = await read(requestOf(table, names, { order, key: whole.keys[i] as KeyTexts }));
        expect([rest.order, rest.keys]).toEqual([order, whole.keys.slice(i + 1)]);
      }
      const bounds = [at[1], at[2], at[2], at[3]].map((i) => whole.keys[i as number] as KeyTexts);
      const places = await database.placeKeys({ order, bounds, keys: whole.keys }, never);
      expect(places).toEqual(
        whole.keys.map((_key, i) => [at[1], at[2], at[2], at[3]].filter((bound) => i > (bound as number)).length),
      );
    },
  );

  test('more keys than one statement takes are placed', async () => {
    const table = await create('many', ['int4'], 'select generate_series(1, 1300)');
    const { order, keys } = await read(requestOf(table, ['k0']));
    const places = await database.placeKeys(
      { order: order as string, bounds: [['650']], keys: keys.toReversed() },
      never,
    );
    expect(places).toEqual([...Array<number>(650).fill(1), ...Array<number>(650).fill(0)]);
    expect(await database.placeKeys({ order: order as string, bounds: [['650']], keys: [] }, never)).toEqual([]);
  });

  test('goes on with a where clause, which counts as a whole', async () => {
    const table = await create('clauses', ['int4'], 'select generate_series(1, 30)');
    const request = { ...requestOf(table, ['k0']), where: `"k0" < 5 OR "k0" > 25` };
    const { order } = await read(request);
    const keyset = { key: ['k0'], minBytes: 0, after: { order: order as string, key: ['3'] } };
    const rest = await read({ ...request, keyset });
    expect(rest.keys.flat()).toEqual(['4', '26', '27', '28', '29', '30']);
  });

  describe('are not taken', () => {
    const orderOf = async (table: RelationInfo, change: Partial<SnapshotRequest> = {}, key = ['k0']) => {
      const { order, keys } = await read({ ...requestOf(table, key), ...change });
      return { order, rows: keys.length };
    };

    test('of small tables', async () => {
      const table = await create('small', ['int4'], 'select generate_series(1, 30)');
      const asked = { keyset: { key: ['k0'], minBytes: 1_000_000 } };
      expect(await orderOf(table, asked)).toEqual({ order: undefined, rows: 30 });
    });

    test('where the order would cost a page for every row', async () => {
      await create('sorted', ['uuid'], `select md5(n::text)::uuid from generate_series(1, 60000) n`);
      await world.sql(`create table scattered (like sorted including all)`);
      await world.sql(`insert into scattered select * from sorted order by random()`);
      await world.sql(`analyze scattered`);
      // As if they were larger than the server's memory.
      const [name] = await world.sql('select quote_ident(current_database()) as db');
      await world.sql(`alter database ${name?.['db'] as string} set effective_cache_size = '8kB'`);
      const ordersOf = openPgSourceDatabase({ url: world.url, publicationName: world.publicationName }, deps);
      const told = new Map<string, boolean>();
      for (const table of ['sorted', 'scattered']) {
        const info = (await database.introspect('public', table, never)) as RelationInfo;
        const onSnapshot = async (_: unknown, { order }: SnapshotTable) => {
          told.set(table, order !== undefined);
          return 'use' as const;
        };
        await ordersOf.snapshot(requestOf(info, ['k0']), { onSnapshot, onRows: async () => {} }, never);
      }
      await ordersOf.close();
      expect(told).toEqual(
        new Map([
          ['sorted', true],
          ['scattered', false],
        ]),
      );
    });

    test('of a table with others below it, and of keys whose texts are not their values', async () => {
      const parent = await create('parent', ['int4'], 'select generate_series(1, 30)');
      await world.sql('create table child () inherits (parent)');
      expect((await orderOf(parent)).order).toBeUndefined();
      await world.sql(`create type mood as enum ('sad', 'glad')`);
      const moods = await create('moods', ['mood'], `select unnest(enum_range(null::mood))`);
      expect((await orderOf(moods)).order).toBeUndefined();
      const money = await create('money_keys', ['money'], `select n::money from generate_series(1, 30) n`);
      expect((await orderOf(money)).order).toBeUndefined();
    });

    test('where the role may not ask which timeline it is', async () => {
      await world.sql('revoke execute on function pg_walfile_name(pg_lsn) from public');
      await world.sql('create role plain login; grant select on all tables in schema public to plain');
      try {
        const url = new URL(world.url);
        url.username = 'plain';
        const plain = openPgSourceDatabase({ url: url.href, publicationName: world.publicationName }, deps);
        const table = await create('guarded', ['int4'], 'select generate_series(1, 30)');
        await world.sql('grant select on guarded to plain');
        let told: SnapshotTable | undefined;
        const onSnapshot = async (_: unknown, about: SnapshotTable) => {
          told = about;
          return 'use' as const;
        };
        await plain.snapshot(requestOf(table, ['k0']), { onSnapshot, onRows: async () => {} }, never);
        expect(told).toEqual({ estimatedRows: 30 });
        await plain.close();
      } finally {
        await world.sql('grant execute on function pg_walfile_name(pg_lsn) to public');
        await world.sql('drop owned by plain; drop role plain');
      }
    });
  });

  test.each([
    ['truncated', 'truncate changing'],
    ['written anew', 'vacuum full changing'],
    ['given a column of the same name anew', 'alter table changing drop v; alter table changing add v text'],
    ['sorted otherwise', 'alter table changing alter k0 type text collate "C"'],
    ['above others now', 'create table below_changing () inherits (changing)'],
  ])('do not go on in a table that was %s', async (_, change) => {
    await world.sql('drop table if exists changing cascade');
    const table = await create('changing', ['text'], 'select generate_series(1, 30)::text');
    const { order } = await read(requestOf(table, ['k0']));
    await world.sql(change);
    const after = { order: order as string, key: ['15'] };
    await expect(read(requestOf(table, ['k0'], after))).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      details: { type: 'not_resumable' },
    });
  });
});
