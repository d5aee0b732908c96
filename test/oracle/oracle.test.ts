import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Chance, createOracleTable, writeRandomly, type WriterStats } from '../support/oracle.ts';
import { firstDifference, heldRows } from '../support/held-rows.ts';
import { StrictReader } from '../support/strict-reader.ts';
import { EVERY_CLAUSE } from './clause-pool.ts';
import { anyShape, createHolds, expectedRows, raisingShapes, wholeTable, type OracleShape } from './oracle-shape.ts';

/** More of everything by hand: another seed, more shapes per run, more batches, another major version of Postgres. */
const SEED = Number(process.env['ORACLE_SEED'] ?? 20261121);
const SHAPES = Number(process.env['ORACLE_SHAPES'] ?? Math.ceil(EVERY_CLAUSE.length / 4));
const ROUNDS = Number(process.env['ORACLE_ROUNDS'] ?? 2);
const TRANSACTIONS = Number(process.env['ORACLE_TRANSACTIONS'] ?? 150);
const VERSION = process.env['ORACLE_POSTGRES'];

/** The four tests take their clauses from here one after the other, so that together they have every one. */
const CLAUSES = new Chance(SEED).shuffle(EVERY_CLAUSE);

const SEALED_SOON = { ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '4000', SHAPECAST_SEAL_INTERVAL: '200ms' };

const modes = [
  ['dead processes are started again', true],
  ['the survivors take over', false],
] as const;

describe.each(modes)(`oracle, seed ${SEED}: %s`, (mode, autoRestart) => {
  const place = autoRestart ? 0 : 2 * SHAPES;
  let cluster: Cluster;
  let client: Client;
  /** Why shapes ended. */
  const reasons: string[] = [];
  const noteRotation = (_process: string, line: string) => {
    if (line.includes('"event":"shape_rotated"')) reasons.push((JSON.parse(line) as { reason: string }).reason);
  };

  beforeAll(async () => {
    const postgres = VERSION === undefined ? {} : { postgres: { version: Number(VERSION) } };
    // In one of the two, logs are read from compressed chunks while they grow.
    const env = autoRestart ? SEALED_SOON : {};
    cluster = await startCluster({
      routers: 2,
      apis: 2,
      replicators: 2,
      autoRestart,
      env,
      onLog: noteRotation,
      ...postgres,
    });
    client = new Client({ connectionString: cluster.databaseUrl, options: '-c TimeZone=UTC' });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  async function run(table: string, first: number, faults: () => Promise<void>, excused?: string): Promise<void> {
    reasons.length = 0;
    const seed = SEED + 1000 * first;
    const chance = new Chance(seed);
    await createOracleTable(client, table);
    await createHolds(client, table);
    const reading = new AbortController();
    const shapes: OracleShape[] = [];
    const done: Promise<void>[] = [];
    /** What no fault explains: a shape that was refused, or whose snapshot failed. */
    const failures: string[] = [];
    const follow = (shape: OracleShape): void => {
      shapes.push(shape);
      done.push(shape.reader.follow(reading.signal).catch((error: unknown) => void failures.push(String(error))));
    };
    let clauses = 0;
    // Shapes come into being while transactions are open and being applied.
    const create = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        const clause = CLAUSES[(first + clauses) % CLAUSES.length] as (typeof CLAUSES)[number];
        clauses += 1;
        follow(anyShape(cluster.url, table, clause, chance));
        await new Promise((resolve) => setTimeout(resolve, chance.int(120)));
      }
    };
    follow(wholeTable(cluster.url, table, chance));
    for (const shape of raisingShapes(cluster.url, table, chance)) follow(shape);
    await waitFor(() => failures.length > 0 || shapes.every(({ reader }) => reader.handle !== undefined), {
      timeoutMs: 60_000,
      describe: () => 'the first shapes have no handles',
    });
    const stats: WriterStats = { transactions: 0, changes: 0 };
    try {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const writing = new AbortController();
        const writers = [1, 2].map((n) =>
          writeRandomly(cluster.databaseUrl, table, new Chance(seed + 10 * round + n), stats, writing.signal),
        );
        const count = Math.ceil(SHAPES / ROUNDS);
        if (round === 1) {
          await create(Math.ceil(count / 2));
          await Promise.all([faults(), create(Math.floor(count / 2))]);
        } else await create(count);
        await waitFor(() => stats.transactions > round * TRANSACTIONS, {
          timeoutMs: 60_000,
          describe: () => `${stats.transactions} transactions`,
        });
        writing.abort();
        await Promise.all(writers);
        expect(failures).toEqual([]);
        await expectEqual(table, shapes, `${mode}, seed ${SEED}, batch ${round}`);
      }
      await expectFreshReadersEqual(table, shapes);
    } finally {
      reading.abort();
      await Promise.all(done);
    }
    const texts = (shape: OracleShape): string => `${shape.clause.where} ${JSON.stringify(shape.params)}`;
    expect(
      shapes.flatMap((shape) => shape.reader.violations.map((violation) => `${texts(shape)}: ${violation}`)),
    ).toEqual([]);
    const rotated = shapes.filter(({ reader }) => reader.rotations > 0);
    expect(reasons.filter((reason) => reason !== excused)).toEqual([]);
    expect(rotated.length, rotated.map(texts).join('\n')).toBeLessThanOrEqual(reasons.length);
    expect(shapes.filter(({ reader }) => reader.rows.size > 0).length).toBeGreaterThan(shapes.length / 2);
  }

  async function expectEqual(table: string, shapes: readonly OracleShape[], when: string): Promise<void> {
    const expected = new Map<OracleShape, string>();
    for (const shape of shapes) expected.set(shape, await expectedRows(client, table, shape));
    const differing = () => shapes.filter((shape) => heldRows(shape.reader) !== expected.get(shape));
    await waitFor(() => differing().length === 0, {
      timeoutMs: 60_000,
      describe: () => {
        const wrong = differing();
        const lines = wrong.slice(0, 5).map((shape) => {
          const difference = firstDifference(heldRows(shape.reader), expected.get(shape) as string);
          return `${JSON.stringify(shape.params)} (${shape.reader.rotations} rotations): ${difference}`;
        });
        return `${when}: ${wrong.length} of ${shapes.length} shapes differ from Postgres\n${lines.join('\n')}`;
      },
    });
  }

  /** What a client that comes later assembles from the same logs. */
  async function expectFreshReadersEqual(table: string, shapes: readonly OracleShape[]): Promise<void> {
    const differing: string[] = [];
    for (const shape of shapes) {
      const fresh = new StrictReader(cluster.url, shape.params);
      await fresh.catchUp(new AbortController().signal);
      const expected = await expectedRows(client, table, shape);
      if (heldRows(fresh) !== expected) {
        differing.push(`${JSON.stringify(shape.params)}: ${firstDifference(heldRows(fresh), expected)}`);
      }
      differing.push(...fresh.violations);
    }
    expect(differing).toEqual([]);
  }

  test('18.2.1 every reader ends equal to Postgres while shapes are created under writes', async () => {
    await run('oracle_calm', place, async () => {});
  });

  test('18.2.2 the same holds when a router and the leading replicator are killed half-way', async () => {
    const faults = async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const leader = await cluster.leader();
      await Promise.all([cluster.process('router-1').kill(), cluster.process(leader).kill()]);
    };
    // That of a small table, of which somebody had read already, is not gone on with (spec R 10.7.4).
    await run('oracle_faults', place + SHAPES, faults, 'The snapshot of the shape was interrupted.');
  });
});
