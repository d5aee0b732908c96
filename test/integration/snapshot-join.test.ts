import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

/** 18.2.4 asks for thousands of shapes and 100,000 rows; by default fewer, so that the suite stays short. */
const RACE_SHAPES = Number(process.env['SHAPECAST_TEST_RACE_SHAPES'] ?? 150);
const RACE_ROWS = Number(process.env['SHAPECAST_TEST_RACE_ROWS'] ?? 15_000);

describe('a shape created while others write', () => {
  let cluster: Cluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await startCluster({ routers: 2, apis: 1, replicators: 1 });
    client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  async function expectEqual(reader: StrictReader, table: string): Promise<void> {
    const expected = await selectText(client, table, ['id', 'v'], '');
    const signal = new AbortController().signal;
    await waitFor(
      async () => {
        await reader.catchUp(signal);
        return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
      },
      { timeoutMs: 30_000, describe: () => `reader has ${reader.rows.size} rows, Postgres ${expected.length}` },
    );
    expect(reader.violations).toEqual([]);
    expect(reader.rotations).toBe(0);
  }

  test('a transaction that is open when the shape is created arrives once, on a table that is not published yet', async () => {
    await client.query('create table fresh (id int primary key, v text)');
    await client.query(`insert into fresh values (1, 'before')`);
    const writer = new Client({ connectionString: cluster.databaseUrl });
    await writer.connect();
    await writer.query('begin');
    await writer.query(`insert into fresh values (2, 'open'), (3, 'open')`);
    await writer.query(`update fresh set v = 'open' where id = 1`);
    const reader = new StrictReader(cluster.url, { table: 'fresh' });
    const created = reader.catchUp(new AbortController().signal);
    await waitFor(
      async () => {
        const { rows } = await client.query(
          `select 1 from pg_stat_activity where wait_event_type = 'Lock' or query like '%pg_locks%'`,
        );
        return rows.length > 0;
      },
      { timeoutMs: 20_000, describe: () => 'nobody looks at the open transaction' },
    ).catch(() => undefined);
    await writer.query('commit');
    await writer.end();
    await created;
    await expectEqual(reader, 'fresh');
  });

  test('a transaction that is open when a second shape is created on a published table arrives once', async () => {
    await client.query('create table published (id int primary key, v text)');
    await client.query(`insert into published values (1, 'before')`);
    const first = new StrictReader(cluster.url, { table: 'published' });
    await first.catchUp(new AbortController().signal);
    const writer = new Client({ connectionString: cluster.databaseUrl });
    await writer.connect();
    await writer.query('begin');
    await writer.query(`insert into published values (2, 'open')`);
    const second = new StrictReader(cluster.url, { table: 'published', where: 'id > 0' });
    const caughtUp = second.catchUp(new AbortController().signal);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await writer.query(`update published set v = 'open' where id = 1`);
    await writer.query('commit');
    await writer.end();
    await caughtUp;
    await expectEqual(second, 'published');
    await expectEqual(first, 'published');
  });

  test('18.2.4 shapes created around a large transaction and under constant load miss no row and have none twice', async () => {
    await client.query('create table raced (id int primary key, owner int, v text)');
    await client.query(`insert into raced select i, i % ${RACE_SHAPES}, 'start' from generate_series(1, 2000) i`);
    await new StrictReader(cluster.url, { table: 'raced', where: 'id < 0' }).catchUp(new AbortController().signal);
    let writing = true;
    const load = [1, 2].map(async (n) => {
      const writer = new Client({ connectionString: cluster.databaseUrl });
      await writer.connect();
      for (let i = 0; writing; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        const id = 1 + ((i * 13 + n * 577) % 2000);
        const owner = (id + i) % RACE_SHAPES;
        if (i % 3 === 0) await writer.query('delete from raced where id = $1', [id]);
        else if (i % 3 === 1)
          await writer.query('update raced set owner = $2, v = $3 where id = $1', [id, owner, `${n} ${i}`]);
        else
          await writer.query('insert into raced values ($1, $2, $3) on conflict do nothing', [id, owner, `${n} ${i}`]);
      }
      await writer.end();
    });
    const large = async () => {
      const writer = new Client({ connectionString: cluster.databaseUrl });
      await writer.connect();
      await writer.query(
        `insert into raced select i, i % ${RACE_SHAPES}, 'large' from generate_series(10001, ${10_000 + RACE_ROWS}) i`,
      );
      await writer.end();
    };
    const readers: StrictReader[] = [];
    let committing: Promise<void> | undefined;
    try {
      const create = async (owner: number) => {
        // Before it, while it is decoded and applied, and after.
        if (owner === Math.floor(RACE_SHAPES / 4)) committing = large();
        const reader = new StrictReader(cluster.url, { table: 'raced', where: `owner = ${owner}` });
        readers[owner] = reader;
        await reader.catchUp(new AbortController().signal);
      };
      for (let owner = 0; owner < RACE_SHAPES; owner += 10) {
        const end = Math.min(RACE_SHAPES, owner + 10);
        await Promise.all(Array.from({ length: end - owner }, (_, i) => create(owner + i)));
      }
      await committing;
    } finally {
      writing = false;
      await Promise.all(load);
    }
    expect(readers).toHaveLength(RACE_SHAPES);
    for (const [owner, reader] of readers.entries()) {
      const expected = await selectText(client, 'raced', ['id', 'owner', 'v'], `owner = ${owner}`);
      await waitFor(
        async () => {
          await reader.catchUp(new AbortController().signal);
          return canonicalRows(reader.rows.values()).join('\n') === expected.join('\n');
        },
        {
          timeoutMs: 30_000,
          describe: () => `shape ${owner} has ${reader.rows.size} rows, Postgres ${expected.length}`,
        },
      );
      expect([reader.violations, reader.rotations]).toEqual([[], 0]);
    }
  });

  test('shapes created while writes run start exactly where their snapshot ends', async () => {
    await client.query('create table busy (id int primary key, v text)');
    await client.query(`insert into busy select i, 'start' from generate_series(1, 200) i`);
    let writing = true;
    const writers = [1, 2, 3].map(async (n) => {
      const writer = new Client({ connectionString: cluster.databaseUrl });
      await writer.connect();
      for (let i = 0; writing; i += 1) {
        // Every change belongs to every shape of this test, so a flood here would be one of thirty times its size there.
        await new Promise((resolve) => setTimeout(resolve, 2));
        const id = 1 + ((i * 7 + n * 31) % 200);
        await writer.query(`delete from busy where id = $1`, [id]);
        await writer.query(`insert into busy values ($1, $2) on conflict do nothing`, [id, `w${n} ${i}`]);
      }
      await writer.end();
    });
    const readers: StrictReader[] = [];
    try {
      for (let i = 0; i < 30; i += 1) {
        const reader = new StrictReader(cluster.url, { table: 'busy', where: `id > ${-i}` });
        readers.push(reader);
        await reader.catchUp(new AbortController().signal);
      }
    } finally {
      writing = false;
      await Promise.all(writers);
    }
    for (const reader of readers) await expectEqual(reader, 'busy');
  });
});
