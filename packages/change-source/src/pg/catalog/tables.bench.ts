/**
 * What a round of the schema reconciler costs the database, by the number of tables: the first one of a router, which reads
 * every table in detail, and one in which nothing changed. Wall time of the statements on a server with nothing else to do, so at
 * least as much as the time the database worked. Prints JSON.
 *
 *     node packages/change-source/src/pg/catalog/tables.bench.ts
 */
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startPostgres } from '@shapecast/testkit';
import pg from 'pg';
import { openPgSourceDatabase } from '../pg-source-database.ts';

const TABLES = [100, 1_000, 10_000];
const ROUNDS = 10;

const server = await startPostgres();
const client = new pg.Client({ connectionString: server.url });
await client.connect();
const database = openPgSourceDatabase(
  { url: server.url, publicationName: 'bench' },
  { clock: systemClock, log: silentLogger },
);
const signal = new AbortController().signal;
try {
  await client.query('create publication bench');
  const oids: number[] = [];
  const results = [];
  for (const tables of TABLES) {
    for (let first = oids.length; first < tables; first += 100) await createTables(oids, first);
    const known = new Map<number, string>();
    const firstMs = await round(oids, known);
    const later = [];
    for (let i = 0; i < ROUNDS; i += 1) later.push(await round(oids, known));
    later.sort((a, b) => a - b);
    results.push({ tables, firstMs, laterMs: { median: later[ROUNDS / 2], longest: later.at(-1) } });
  }
  process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
} finally {
  await client.end();
  await database.close();
  await server.stop();
}

async function createTables(oids: number[], first: number): Promise<void> {
  const names = Array.from({ length: 100 }, (_, i) => `t${first + i}`);
  const columns =
    'id bigint primary key, owner uuid not null, title text, at timestamptz default now(), tags text[], n numeric(10, 2)';
  await client.query(
    names.map((name) => `create table ${name} (${columns}); alter table ${name} replica identity full`).join(';'),
  );
  await client.query(`alter publication bench add table ${names.join(', ')}`);
  const { rows } = await client.query<{ oid: number }>(
    `select oid::int from pg_class where relname = any($1) order by oid`,
    [names],
  );
  oids.push(...rows.map(({ oid }) => oid));
}

async function round(oids: readonly number[], known: Map<number, string>): Promise<number> {
  const began = performance.now();
  await database.readTables(
    { oids, known },
    (sights) => {
      for (const { oid, digest } of sights.tables) known.set(oid, digest);
    },
    signal,
  );
  return Math.round((performance.now() - began) * 10) / 10;
}
