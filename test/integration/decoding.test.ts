import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPgChangeSource, openPgSourceDatabase, type SourceDatabase } from '@shapecast/change-source';
import type { Cell, Change, RowChange, TransactionPart } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { createDatabase, startPostgres, waitFor, type TestDatabase, type TestPostgres } from '@shapecast/testkit';
import { SAMPLE_TYPES, TYPE_SAMPLES, type TypeSample } from '../conformance/support/type-samples.ts';

/**
 * Values beside those of the HTTP specification: (type, expression, text). What differs between the versions is not among
 * them, so each version has to give the same text.
 */
const MORE_SAMPLES: readonly TypeSample[] = [
  ['numeric', `'Infinity'`, 'Infinity'],
  ['numeric', `'-Infinity'`, '-Infinity'],
  ['numeric[]', `'{NaN,Infinity,1.50,NULL}'`, '{NaN,Infinity,1.50,NULL}'],
  ['text[][]', `'{{a,NULL},{"b ","{}"}}'`, '{{a,NULL},{"b ","{}"}}'],
  ['int4[][][]', `'{{{1},{NULL}},{{3},{4}}}'`, '{{{1},{NULL}},{{3},{4}}}'],
  ['bytea[]', `array['\\x00'::bytea, null, '\\xff']`, '{"\\\\x00",NULL,"\\\\xff"}'],
  ['char(4)[]', `array['ab'::char(4), null]`, '{"ab  ",NULL}'],
  ['place[]', `array[row(1, 'a,"b"', null)::place, null]`, '{"(1,\\"a,\\"\\"b\\"\\"\\",)",NULL}'],
  ['positive[]', `'{1,NULL}'`, '{1,NULL}'],
  ['feelings', `array['great']::feeling[]`, '{great}'],
  ['pricerange', `'empty'`, 'empty'],
  ['int4range[]', `'{"[1,2]","(,)"}'`, '{"[1,3)","(,)"}'],
  ['timestamp', `'infinity'`, 'infinity'],
  ['timestamptz', `'-infinity'`, '-infinity'],
  ['timestamp', `'4713-01-01 00:00:00 BC'`, '4713-01-01 00:00:00 BC'],
  ['timestamptz', `'0044-03-15 12:00+01 BC'`, '0044-03-15 11:00:00+00 BC'],
  ['timestamptz', `'294276-12-31 23:59:59.999999+00'`, '294276-12-31 23:59:59.999999+00'],
  ['timestamp(0)', `'2026-01-31 13:05:00.75'`, '2026-01-31 13:05:01'],
  ['interval', `'-178000000 years'`, 'P-178000000Y'],
  ['interval day to second(1)', `'3 4:05:06.78'`, 'P3DT4H5M6.8S'],
  ['interval', `'1 mon -1 day +00:00:00.000001'`, 'P1M-1DT0.000001S'],
  ['float4', '3.4028235e38', '3.4028235e+38'],
  ['float8', '5e-324', '5e-324'],
  ['float8', `'-0'`, '-0'],
  ['varchar(3)', `'äöü'`, 'äöü'],
  ['json', `E'{"a":\\n 1.0}'`, '{"a":\n 1.0}'],
  ['jsonb', `'{"a": 1.0, "b": 1e3}'`, '{"a": 1.0, "b": 1000}'],
];

const MORE_TYPES = 'CREATE DOMAIN feelings AS feeling[] CHECK (cardinality(value) > 0);';
const SAMPLES = [...TYPE_SAMPLES, ...MORE_SAMPLES];
const never = new AbortController().signal;

describe.each([14, 15, 16, 17, 18])('decoding what Postgres %i sends', (version) => {
  let server: TestPostgres;
  let created: TestDatabase;
  let client: Client;
  let database: SourceDatabase;
  let parts: TransactionPart[];
  let stop: () => Promise<void>;

  beforeAll(async () => {
    server = await startPostgres({ version });
    created = await createDatabase(server.url);
    client = new Client({ connectionString: created.url });
    await client.connect();
    await client.query(SAMPLE_TYPES + MORE_TYPES);
    const { url } = created;
    const names = { slotName: `slot_${randomBytes(4).toString('hex')}`, publicationName: 'decoding' };
    const deps = { clock: systemClock, log: silentLogger };
    const session = await openPgChangeSource({ url, ...names }, deps).open(() => {}, never);
    database = openPgSourceDatabase({ url, publicationName: names.publicationName }, deps);
    parts = [];
    const streaming = new AbortController();
    const onParts = async (given: readonly TransactionPart[]) => void parts.push(...given);
    const done = session.stream({ onParts, onIdle: () => {} }, streaming.signal);
    stop = async () => {
      streaming.abort();
      await done;
      await session.close();
    };
  });

  afterAll(async () => {
    await stop();
    await database.close();
    await client.end();
    await server.stop();
  });

  async function publish(name: string): Promise<void> {
    const relation = await database.introspect('public', name, never);
    if (relation === undefined) throw new Error(`there is no table ${name}`);
    await database.publish(relation, never);
  }

  async function table(name: string, columns: string): Promise<void> {
    await client.query(`create table ${name} (${columns})`);
    await publish(name);
  }

  /** The changes of the next transaction, after which nothing else was delivered. */
  async function changesOf(write: () => Promise<unknown>): Promise<readonly Change[]> {
    parts.length = 0;
    await write();
    await waitFor(() => parts.some((part) => part.commit), { describe: () => `${parts.length} parts` });
    expect(parts.filter((part) => part.commit)).toHaveLength(1);
    const changes = parts.flatMap((part) => part.changes);
    expect(changes.map((change) => change.op)).toEqual(changes.map((_change, i) => 2 * i));
    return changes;
  }

  const run = (...statements: string[]) => changesOf(() => client.query(['begin', ...statements, 'commit'].join(';')));

  /** By column name. */
  const row = ({ relation }: Change, cells: readonly Cell[]): Record<string, Cell> =>
    Object.fromEntries(relation.columns.map(({ name }, i) => [name, cells[i] as Cell]));

  async function snapshot(name: string, columns: readonly string[]): Promise<readonly (readonly Cell[])[]> {
    const relation = await database.introspect('public', name, never);
    const rows: (readonly Cell[])[] = [];
    await database.snapshot(
      { schema: 'public', table: name, oid: relation?.oid ?? 0, columns, where: '', rows: true },
      { onSnapshot: async () => 'use', onRows: async (batch) => void rows.push(...batch) },
      never,
    );
    return rows;
  }

  test('every type has its text, in the stream as in a snapshot', async () => {
    const names = SAMPLES.map((_sample, i) => `c${i}`);
    await table('values', `id int primary key, ${SAMPLES.map(([type], i) => `c${i} ${type}`).join()}`);
    const [insert] = await run(`insert into values values (1, ${SAMPLES.map(([, expression]) => expression).join()})`);
    const expected = Object.fromEntries(SAMPLES.map(([, , text], i) => [`c${i}`, text]));
    expect(insert?.kind === 'insert' && row(insert, insert.new)).toEqual({ id: '1', ...expected });
    expect(await snapshot('values', ['id', ...names])).toEqual([['1', ...SAMPLES.map(([, , text]) => text)]]);

    const [update] = await run(`update values set id = 2`);
    expect(update?.kind === 'update' && [row(update, update.new), row(update, update.old), update.changed]).toEqual([
      { id: '2', ...expected },
      { id: '1', ...expected },
      [0],
    ]);
    const [gone] = await run('delete from values');
    expect(gone?.kind === 'delete' && row(gone, gone.old)).toEqual({ id: '2', ...expected });
  });

  test('a value that was stored apart and not touched is as it was', async () => {
    await table('toasted', 'id int primary key, n int, t text, j jsonb, a text[], b bytea');
    await client.query('alter table toasted alter t set storage external, alter a set storage external');
    const large = `repeat(md5('x'), 4000), to_jsonb(repeat(md5('y'), 90000)), array[repeat(md5('z'), 4000), null]`;
    await run(`insert into toasted select 1, 0, ${large}, decode(repeat('00ff', 90000), 'hex')`);
    const before = await snapshot('toasted', ['id', 'n', 't', 'j', 'a', 'b']);
    const [update] = (await run('update toasted set n = n + 1')) as [RowChange];
    const cells = update.kind === 'update' ? update.new : [];
    expect(cells.map((cell) => cell?.length)).toEqual([1, 1, 128_000, 2_880_002, 128_007, 360_002]);
    expect(update).toMatchObject({ kind: 'update', changed: [1] });
    const after = await snapshot('toasted', ['id', 'n', 't', 'j', 'a', 'b']);
    expect(after.map((each) => each.map((cell, i) => cell === cells[i]))).toEqual([cells.map(() => true)]);
    expect(before[0]?.map((cell, i) => cell === cells[i])).toEqual([true, false, true, true, true, true]);
  });

  test('T13 a truncation names each published table it reached, and no other', async () => {
    await table('trunk', 'id int primary key');
    await table('branch', 'id int primary key, trunk int references trunk');
    await table('apart', 'id int primary key');
    await client.query('create table leaf (id int primary key, branch int references branch)');
    // Postgres names a table before it truncates it; those that are not published it leaves out.
    const changes = await run(
      'insert into apart values (1)',
      'truncate trunk, apart restart identity cascade',
      'insert into trunk values (1)',
    );
    expect(changes.map(({ kind, relation }) => `${kind} ${relation.name}`).toSorted()).toEqual([
      'insert apart',
      'insert trunk',
      'truncate apart',
      'truncate branch',
      'truncate trunk',
    ]);
    expect(changes.map(({ kind }) => kind)).toEqual(['insert', 'truncate', 'truncate', 'truncate', 'insert']);
  });

  test('a change without its whole old row is named unusable, whatever the replica identity', async () => {
    await table('identity', 'id int primary key, n int not null, note text');
    await client.query('create unique index identity_n on identity (n)');
    const kinds = async (...statements: string[]) =>
      (await run(...statements)).map((change) =>
        change.kind === 'unusable' ? `unusable: ${change.reason}` : change.kind,
      );
    expect(await kinds(`insert into identity values (1, 1, 'a')`, 'update identity set n = 2')).toEqual([
      'insert',
      'update',
    ]);
    await client.query('alter table identity replica identity default');
    expect(
      await kinds(
        `update identity set note = 'b'`,
        'update identity set id = 2',
        `insert into identity values (3, 3, 'c')`,
        'delete from identity where id = 2',
      ),
    ).toEqual(['unusable: no_old_row', 'unusable: no_old_row', 'insert', 'unusable: no_old_row']);
    await client.query('alter table identity replica identity using index identity_n');
    expect(await kinds('update identity set n = 4', 'delete from identity')).toEqual([
      'unusable: no_old_row',
      'unusable: no_old_row',
    ]);
    await client.query('alter table identity replica identity full');
    expect(await kinds(`insert into identity values (5, 5, 'd')`, `update identity set note = null`)).toEqual([
      'insert',
      'update',
    ]);
  });

  test('what a savepoint took back never happened, and subtransactions count as one', async () => {
    await table('nested', 'id int primary key');
    const changes = await run(
      'insert into nested values (1)',
      'savepoint a',
      'insert into nested values (2)',
      'savepoint b',
      'insert into nested values (3)',
      'rollback to b',
      'insert into nested values (4)',
      'release a',
      'savepoint c',
      'insert into nested values (5)',
      'rollback to c',
      // More than the 64 that a backend keeps in shared memory: their parents are looked up on disk.
      `do $$ begin for i in 100..169 loop
         begin insert into nested values (i); exception when others then raise; end;
         begin insert into nested values (-i); raise 'taken back'; exception when raise_exception then null; end;
       end loop; end $$`,
    );
    const expected = [1, 2, 4, ...Array.from({ length: 70 }, (_, i) => 100 + i)].map(String);
    expect(changes.map((change) => (change.kind === 'insert' ? change.new[0] : change.kind))).toEqual(expected);
    expect(new Set(parts.map((part) => part.xid)).size).toBe(1);
  });

  test('T11 COPY of exactly as many rows as a part holds, one less and one more', async () => {
    await table('copied', 'id int primary key, note text');
    for (const rows of [499, 500, 501, 1_000]) {
      const file = `${server.dataDir}/copy-${rows}`;
      await client.query(`copy (select i, 'note' || chr(9) || i from generate_series(1, ${rows}) i) to '${file}'`);
      const changes = await run('delete from copied', `copy copied from '${file}'`);
      const inserts = changes.filter((change) => change.kind === 'insert');
      expect(inserts.map((change) => change.new[0])).toEqual(Array.from({ length: rows }, (_, i) => String(i + 1)));
      expect(inserts.at(-1)?.new[1]).toBe(`note\t${rows}`);
      expect(parts.every((part) => part.changes.length > 0 && part.changes.length <= 500)).toBe(true);
    }
  });

  test('T14 transactions come in the order of their commits, however their changes lie in the WAL', async () => {
    await table('interleaved', 'id int primary key');
    const other = new Client({ connectionString: created.url });
    await other.connect();
    parts.length = 0;
    await client.query('begin; insert into interleaved values (1)');
    await other.query('begin; insert into interleaved values (2)');
    await client.query('insert into interleaved values (3)');
    await other.query('insert into interleaved values (4); commit');
    await client.query('insert into interleaved values (5); commit');
    await other.end();
    await waitFor(() => parts.flatMap((part) => part.changes).length === 5);
    const ids = parts.map((part) => part.changes.map((change) => change.kind === 'insert' && change.new[0]));
    expect(ids).toEqual([
      ['2', '4'],
      ['1', '3', '5'],
    ]);
    const [first, second] = parts;
    expect(first && second && first.lsn < second.lsn && first.endLsn <= second.lsn).toBe(true);
    expect(first && second && first.xid > second.xid).toBe(true);
  });

  test('generated columns are in the stream where the version can publish them', async () => {
    await table('computed', 'id int primary key, n int, twice int generated always as (n * 2) stored');
    const [insert] = await run('insert into computed values (1, 21)');
    const expected = version >= 18 ? { id: '1', n: '21', twice: '42' } : { id: '1', n: '21' };
    expect(insert?.kind === 'insert' && row(insert, insert.new)).toEqual(expected);
    expect(await snapshot('computed', Object.keys(expected))).toEqual([Object.values(expected)]);
  });

  test('a partition that was written to before it was attached is streamed once its root is published again', async () => {
    await table('root', 'id int, v text) partition by list (id');
    await table('seen', 'id int primary key');
    await client.query(`create table made (id int, v text); insert into made values (1, 'before')`);
    // By now the walsender has come across the other one.
    await run('insert into seen values (1)');
    await client.query('alter table root attach partition made for values in (1, 2)');
    await publish('root');
    const [insert] = await run(`insert into root values (2, 'after')`);
    expect(insert).toMatchObject({ kind: 'insert', new: ['2', 'after'], relation: { name: 'made', ancestors: [{}] } });
  });

  test('messages, origins and transactions without published changes disturb nothing', async () => {
    await table('plain', 'id int primary key');
    await client.query('create table unpublished (id int)');
    const changes = await changesOf(async () => {
      await client.query('insert into unpublished values (1)');
      await client.query(`select pg_logical_emit_message(true, 'a', 'b'), pg_logical_emit_message(false, 'a', 'b')`);
      await client.query(`begin; select pg_logical_emit_message(true, 'a', 'b'); insert into plain values (1); commit`);
    });
    expect(changes.map((change) => `${change.kind} ${change.relation.name}`)).toEqual(['insert plain']);
  });
});
