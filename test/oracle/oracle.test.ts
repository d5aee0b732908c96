import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Chance, createOracleTable, ORACLE_COLUMNS, randomClause, writeRandomly } from '../support/oracle.ts';
import { canonicalRows, selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';

const SEED = Number(process.env['ORACLE_SEED'] ?? 20261121);
const SHAPES = Number(process.env['ORACLE_SHAPES'] ?? 24);

const modes = [
  ['dead processes are started again', true],
  ['the survivors take over', false],
] as const;

describe.each(modes)(`oracle, seed ${SEED}: %s`, (_mode, autoRestart) => {
  let cluster: Cluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await startCluster({ routers: 2, apis: 2, replicators: 2, autoRestart });
    client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  async function run(table: string, faults: () => Promise<void>): Promise<void> {
    await createOracleTable(client, table);
    const writing = new AbortController();
    const reading = new AbortController();
    const stats = { transactions: 0, changes: 0 };
    const writers = [1, 2].map((n) =>
      writeRandomly(cluster.databaseUrl, table, new Chance(SEED + n), stats, writing.signal),
    );
    const chance = new Chance(SEED);
    const readers: { readonly where: string; readonly reader: StrictReader; readonly done: Promise<void> }[] = [];

    // Shapes come into being while transactions are open and being applied.
    const create = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        const where = chance.chance(0.1) ? '' : randomClause(chance);
        const params: Record<string, string> = { table, ...(where ? { where } : {}) };
        const reader = new StrictReader(cluster.url, params);
        readers.push({ where, reader, done: reader.follow(reading.signal) });
        await new Promise((resolve) => setTimeout(resolve, chance.int(250)));
      }
    };
    await create(SHAPES / 2);
    await Promise.all([faults(), create(SHAPES / 2)]);
    await waitFor(() => stats.transactions > 300, {
      timeoutMs: 60_000,
      describe: () => `${stats.transactions} transactions`,
    });
    writing.abort();
    await Promise.all(writers);

    const expected = new Map<string, string[]>();
    for (const { where } of readers) expected.set(where, await selectText(client, table, ORACLE_COLUMNS, where));
    const differing = () =>
      readers.filter(
        ({ where, reader }) => canonicalRows(reader.rows.values()).join('\n') !== expected.get(where)?.join('\n'),
      );
    try {
      await waitFor(() => differing().length === 0, {
        timeoutMs: 60_000,
        describe: () =>
          `seed ${SEED}: ${differing().length} of ${readers.length} shapes differ from Postgres, for example where ${differing()[0]?.where}`,
      });
    } finally {
      reading.abort();
      await Promise.all(readers.map(({ done }) => done));
    }
    expect(readers.flatMap(({ where, reader }) => reader.violations.map((text) => `${where}: ${text}`))).toEqual([]);
    expect(readers.filter(({ reader }) => reader.rotations > 0).map(({ where }) => where)).toEqual([]);
    expect(readers.reduce((sum, { reader }) => sum + reader.entries, 0)).toBeGreaterThan(readers.length);
  }

  test('every reader ends equal to Postgres while shapes are created under writes', async () => {
    await run('oracle_calm', async () => {});
  });

  test('the same holds when a router and the leading replicator are killed half-way', async () => {
    await run('oracle_faults', async () => {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const leader = await cluster.leader();
      await Promise.all([cluster.process('router-1').kill(), cluster.process(leader).kill()]);
    });
  });
});
