import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chance } from '../support/chance.ts';
import { Checker } from './checker/checker.ts';
import type { RuleName } from './checker/events.ts';
import { History } from './history.ts';
import { TrackedShape } from './model/shape.ts';
import { SETUP, TABLES } from './model/tables.ts';
import { committed } from './nemesis/nemesis.ts';
import { storedUpTo } from './nemesis/tx-stream.ts';
import type { Plant } from './planted/plant.ts';
import { PollingReader } from './readers/polling-reader.ts';
import { createTruthSlot, followProgress, followTruth } from './truth/truth-slot.ts';
import { Truth } from './truth/truth.ts';
import { withClient } from './writers/connection.ts';
import { seedRows, writeUntil, type Written } from './writers/writers.ts';

/** Which rule finds each bug. */
const FOUND_BY: Readonly<Record<Plant, readonly RuleName[]>> = {
  'skip an append': ['state', 'protocol'],
  'double an append': ['protocol', 'bytes'],
  'serve past visible': ['protocol', 'state'],
  'lose what leaves a shape': ['state', 'protocol'],
  'confirm early': ['confirmed'],
  'lose a transaction': ['state', 'protocol'],
  'other bytes from one pod': ['bytes'],
  'hide a change': ['state', 'protocol'],
  'end a shape for nothing': ['rotation'],
  // The last: it leaves shards behind that believe to be further than they are.
  'tell a watermark too early': ['state'],
};

/** The services with bugs that they are given on purpose, in a cluster of their own; one bug after the other. */
describe('the checker finds', () => {
  const truth = new Truth();
  const over = new AbortController();
  let cluster: Cluster;
  let folder: string;
  let background: Promise<unknown>[] = [];
  let current: Checker | undefined;
  /** So that every bug meets shapes that nobody has read before. */
  let serial = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shapecast-planted-'));
    const plant = join(folder, 'plant');
    await writeFile(plant, '');
    cluster = await startCluster({
      replicators: 1,
      routers: 1,
      apis: 2,
      entries: {
        replicator: new URL('./planted/replicator.ts', import.meta.url).pathname,
        router: new URL('./planted/router.ts', import.meta.url).pathname,
        api: new URL('./planted/api.ts', import.meta.url).pathname,
      },
      env: {
        SHAPECAST_CHAOS_PLANT: plant,
        ELECTRIC_LONG_POLL_TIMEOUT: '2s',
        ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '20000',
        SHAPECAST_CONFIRM_DELAY: '100ms',
      },
    });
    const url = cluster.databaseUrl;
    await withClient(url, (client) => client.query(SETUP));
    await createTruthSlot(url);
    await withClient(url, async (client) => {
      for (const { name } of TABLES) await client.query(seedRows(name, 100));
    });
    background = [
      followTruth(url, truth, { onTransaction: () => {}, onAdvance: () => {} }, over.signal),
      followProgress(
        url,
        async (progress) => {
          truth.expect(progress.askedAt, progress.flushed);
          await current?.confirmed(progress, () => storedUpTo(cluster.natsUrl));
        },
        over.signal,
      ),
    ];
  });

  afterAll(async () => {
    over.abort();
    await Promise.all(background);
    await cluster.stop();
    await rm(folder, { recursive: true });
  });

  /** Readers and writers until the checker has found something, or until `enough`. */
  async function checked(plant: Plant | '', enough: (checker: Checker) => boolean): Promise<Checker> {
    const history = new History(undefined);
    const checker = new Checker(truth, {
      staleMs: 60_000,
      rotationsNeedReasons: true,
      epoch: performance.timeOrigin,
      onViolation: () => {},
    });
    serial += 1;
    const own = { kind: 'compare', column: 'n', op: '<', value: 90 + serial } as const;
    const end = new AbortController();
    const pods = cluster.processes.filter(({ role }) => role === 'api').map((pod) => pod.url);
    const shapes = ['plain', 'parts', 'names'].map((table) => new TrackedShape(table, own));
    const readers = shapes.flatMap((shape) =>
      pods.map((url, i) => {
        const kind = { name: `${shape.table} ${i}`, shape, throughCache: false, seesBytes: true };
        return new PollingReader({ checker, history }, kind, { url });
      }),
    );
    const work = readers.map((reader) => reader.follow(end.signal));
    const written: Written = { transactions: 0, failed: 0, large: 0, truncations: 0, ddl: 0 };
    try {
      await waitFor(() => readers.every(({ upToDate }) => upToDate));
      checker.storedFrom(await committed(cluster.databaseUrl));
      current = checker;
      work.push(writeUntil(cluster.databaseUrl, new Chance(serial), written, end.signal));
      await writeFile(join(folder, 'plant'), plant);
      if (plant === 'serve past visible') work.push(writeManyRows(cluster.databaseUrl, end.signal));
      await waitFor(() => {
        checker.settle(performance.now());
        return enough(checker);
      });
    } finally {
      current = undefined;
      await writeFile(join(folder, 'plant'), '');
      end.abort();
      await Promise.all(work);
    }
    return checker;
  }

  test('nothing where there is nothing', async () => {
    const checker = await checked('', (each) => each.violations.length > 0 || each.counts().compared > 60);
    expect(checker.violations).toEqual([]);
    expect(checker.counts().entries).toBeGreaterThan(60);
  });

  test.each(Object.entries(FOUND_BY) as [Plant, readonly RuleName[]][])('%s', async (plant, rules) => {
    const checker = await checked(plant, ({ violations }) => violations.some(({ rule }) => rules.includes(rule)));
    expect(checker.violations.map(({ rule }) => rule)).toContainEqual(expect.stringMatching(rules.join('|')));
  });
});

/** Transactions that the stream has in several messages. */
async function writeManyRows(databaseUrl: string, signal: AbortSignal): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    for (let i = 1; !signal.aborted; i += 1) {
      const from = 10_000 * i;
      await client.query(`insert into plain select i, 1, 1, 'short' from generate_series(${from}, ${from + 2_000}) i`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  });
}
