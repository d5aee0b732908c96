import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

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
