import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { CountingReader } from '../bench/counting-reader.ts';
import { peakRssMiB } from '../bench/cpu.ts';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

/** The full size of A3 is 1024 MiB, and 10,000,000 rows. */
const MIB = Number(process.env['SHAPECAST_TEST_BIG_MIB'] ?? 256);
const ROWS = Number(process.env['SHAPECAST_TEST_BIG_ROWS'] ?? 300_000);
/** Per process (R 9.5.1). One that kept the transaction, decoded, would not fit. */
const LIMIT_MIB = 512;
/** Of a row, old and new together, as pgoutput has it. */
const MAX_ROW_BYTES = 4 * 1024 * 1024;
/** What a message has beside the text of an `id` of one digit and a `body`: kind, table, tuple; twice kind and length. */
const INSERT_OVERHEAD = 8 + 2 * 5 + 1;

const never = new AbortController().signal;
let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({
    routers: 2,
    apis: 1,
    replicators: 1,
    env: { SHAPECAST_MAX_ROW_BYTES: '4MiB', ELECTRIC_EXPERIMENTAL_MAX_TXN_SIZE: '1000000' },
  });
  client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

test('A3 a transaction of any size arrives whole under the same handles, with bounded memory in every process', async () => {
  await client.query('create table large (id int primary key, grp int not null, body text not null)');
  await client.query(`insert into large values (0, 0, 'before')`);
  const all = new CountingReader(cluster.url, { table: 'large', columns: 'id,grp' });
  const some = new StrictReader(cluster.url, { table: 'large', where: 'grp = 7' });
  const none = new StrictReader(cluster.url, { table: 'large', where: 'grp < 0' });
  await all.catchUp();
  await some.catchUp(never);
  await none.catchUp(never);
  const width = Math.max(1, Math.floor((MIB * 1024 * 1024) / ROWS));
  await client.query(
    `insert into large select i, i % 1000, left(repeat(md5(i::text), ${Math.ceil(width / 32)}), ${width})
     from generate_series(1, $1::int) i`,
    [ROWS],
  );
  // Most of it is still to be applied.
  const late = new StrictReader(cluster.url, { table: 'large', where: 'grp = 8' });
  await late.catchUp(never);
  await waitFor(
    async () => {
      await some.catchUp(never);
      if (some.rows.size > 0) await all.catchUp();
      return all.rows >= ROWS + 1;
    },
    { timeoutMs: 1_800_000, intervalMs: 250, describe: () => `${all.rows} and ${some.rows.size} rows` },
  );
  await late.catchUp(never);
  await none.catchUp(never);
  expect({ rows: all.rows, sum: all.sum, rotations: all.rotations, violations: all.violations }).toEqual({
    rows: ROWS + 1,
    sum: (BigInt(ROWS) * BigInt(ROWS + 1)) / 2n,
    rotations: 0,
    violations: [],
  });
  expect(all.lasts).toBe(1);
  for (const [reader, where] of [
    [some, 'grp = 7'],
    [late, 'grp = 8'],
    [none, 'grp < 0'],
  ] as const) {
    const rows = await selectText(client, 'large', ['id', 'grp', 'body'], where);
    expect(canonicalRows(reader.rows.values()).join('\n') === rows.join('\n')).toBe(true);
    expect([reader.violations, reader.rotations]).toEqual([[], 0]);
  }
  const peaks = cluster.processes.map((process) => ({ name: process.name, mib: peakRssMiB(process.pid) }));
  expect(peaks.length).toBe(4);
  expect(peaks.filter(({ mib }) => mib > LIMIT_MIB)).toEqual([]);
}, 3_600_000);

/** Until the reader has what Postgres has. */
async function expectEqual(reader: StrictReader, table: string, columns: readonly string[]): Promise<void> {
  const expected = await selectText(client, table, columns, '');
  await waitFor(
    async () => {
      await reader.catchUp(never);
      return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
    },
    { describe: () => `${reader.rows.size} rows, Postgres ${expected.length}` },
  );
  expect(reader.violations).toEqual([]);
}

test('rows up to the limit arrive; beyond it the shapes of their table start over, and no others (R 9.5.2, 9.5.3)', async () => {
  await client.query('create table wide (id int primary key, body text); create table narrow (id int primary key)');
  const wide = new StrictReader(cluster.url, { table: 'wide' });
  const ids = new StrictReader(cluster.url, { table: 'wide', columns: 'id', where: 'id > 0' });
  const narrow = new StrictReader(cluster.url, { table: 'narrow' });
  for (const reader of [wide, ids, narrow]) await reader.catchUp(never);
  const insert = (id: number, bytes: number) =>
    `insert into wide select ${id}, repeat('x', ${bytes - INSERT_OVERHEAD})`;

  // Exactly at the limit, and others of several messages each, one of them in another alphabet.
  await client.query(insert(1, MAX_ROW_BYTES));
  await client.query(`insert into wide select 2, repeat('ä"☃', 300000)`);
  await client.query(
    `begin; insert into narrow values (1); ${insert(3, 2_000_000)}; insert into narrow values (2); commit`,
  );
  for (const reader of [wide, ids]) await waitFor(async () => (await reader.catchUp(never), reader.rows.size === 3));
  expect([wide.rotations, ids.rotations]).toEqual([0, 0]);
  await expectEqual(wide, 'wide', ['id', 'body']);

  // One byte more, in the middle of a transaction that others have a part in.
  const handles = [wide.handle, ids.handle];
  await client.query(
    `begin; insert into narrow values (3); ${insert(4, MAX_ROW_BYTES + 1)}; insert into wide values (5, 'after');
     insert into narrow values (4); commit`,
  );
  await waitFor(async () => (await narrow.catchUp(never), narrow.rows.size === 4));
  await expectEqual(wide, 'wide', ['id', 'body']);
  await expectEqual(ids, 'wide', ['id']);
  expect([wide.rotations, ids.rotations, narrow.rotations]).toEqual([1, 1, 0]);
  expect([wide.handle, ids.handle]).not.toEqual(handles);

  // Old and new row count together.
  await client.query(`update wide set body = body || 'y' where id = 3`);
  await expectEqual(wide, 'wide', ['id', 'body']);
  expect(wide.rotations).toBe(1);
  await client.query(`update wide set body = body || 'y' where id = 1`);
  await waitFor(async () => (await wide.catchUp(never), wide.rotations === 2));
  await client.query(`insert into wide values (6, 'goes on')`);
  await expectEqual(wide, 'wide', ['id', 'body']);
  await expectEqual(narrow, 'narrow', ['id']);
  expect([wide.rotations, narrow.rotations]).toEqual([2, 0]);
});

test('a change that comes without its old row ends the shapes of its table only, and has the table repaired (R 10.2.3)', async () => {
  await client.query('create table bare (id int primary key, v text); create table whole (id int primary key, v text)');
  await client.query(`insert into bare values (1, 'a'), (2, 'a'); insert into whole values (1, 'a')`);
  const bare = new StrictReader(cluster.url, { table: 'bare' });
  const whole = new StrictReader(cluster.url, { table: 'whole' });
  await bare.catchUp(never);
  await whole.catchUp(never);
  await client.query('alter table bare replica identity default');
  await client.query(
    `begin; update whole set v = 'b'; update bare set v = 'b' where id = 1; delete from bare where id = 2;
     insert into bare values (3, 'c'); commit`,
  );
  await waitFor(async () => (await bare.catchUp(never), bare.rotations > 0));
  await expectEqual(bare, 'bare', ['id', 'v']);
  await expectEqual(whole, 'whole', ['id', 'v']);
  await waitFor(async () => {
    const { rows } = await client.query(`select relreplident as identity from pg_class where relname = 'bare'`);
    return (rows[0] as { identity: string }).identity === 'f';
  });
  const rotations = bare.rotations;
  await client.query(`update bare set v = 'd'`);
  await expectEqual(bare, 'bare', ['id', 'v']);
  expect([bare.rotations - rotations, whole.rotations]).toEqual([0, 0]);
});

test('T12 a key change that comes last in its transaction arrives with both halves, also where a record ends', async () => {
  await client.query('create table keyed (id int primary key, v text)');
  const reader = new StrictReader(cluster.url, { table: 'keyed' });
  await reader.catchUp(never);
  for (const before of [0, 498, 499, 500]) {
    const last = 10_000 + before;
    await client.query(
      `begin; insert into keyed select ${1_000 * before} + i, 'x' from generate_series(1, ${before}) i;
       insert into keyed values (${-last}, 'moves'); update keyed set id = ${last} where id = ${-last}; commit`,
    );
    await expectEqual(reader, 'keyed', ['id', 'v']);
  }
  expect(reader.rotations).toBe(0);
});
