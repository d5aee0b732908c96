import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { peakRssMiB } from '../bench/cpu.ts';
import { StrictReader } from '../support/strict-reader.ts';

const ROWS = 200_000;
/** Per process. The text of the transaction alone is about 400 MB: a process that kept it, decoded, would not fit. */
const LIMIT_MIB = 600;

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ routers: 2, apis: 1, replicators: 1 });
  client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await cluster.stop();
});

test('a transaction of 200,000 rows passes with bounded memory in every process', async () => {
  await client.query('create table large (id int primary key, grp int not null, body text not null)');
  await client.query(`insert into large values (0, 0, 'before')`);
  const signal = new AbortController().signal;
  const all = new StrictReader(cluster.url, { table: 'large', columns: 'id,grp' });
  const some = new StrictReader(cluster.url, { table: 'large', where: 'grp = 7' });
  await all.catchUp(signal);
  await some.catchUp(signal);
  await client.query(
    `insert into large select i, i % 1000, repeat(md5(i::text), 60) from generate_series(1, $1::int) i`,
    [ROWS],
  );
  await client.query('update large set grp = 7 where id = 0');
  await waitFor(
    async () => {
      await all.catchUp(signal);
      await some.catchUp(signal);
      return all.rows.size === ROWS + 1 && some.rows.size === ROWS / 1000 + 1;
    },
    { timeoutMs: 110_000, intervalMs: 500, describe: () => `${all.rows.size} and ${some.rows.size} rows` },
  );
  expect([...all.violations, ...some.violations]).toEqual([]);
  expect([all.rotations, some.rotations]).toEqual([0, 0]);
  const peaks = cluster.processes.map((process) => ({ name: process.name, mib: peakRssMiB(process.pid) }));
  expect(peaks.length).toBe(4);
  expect(peaks.filter(({ mib }) => mib > LIMIT_MIB)).toEqual([]);
});
