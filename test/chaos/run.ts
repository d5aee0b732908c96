import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { Chance } from '../support/chance.ts';
import { firstDifference, heldRows } from '../support/held-rows.ts';
import { selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';
import { harmUntil } from './faults.ts';
import {
  alterUntil,
  createTables,
  GROUPS,
  KEYS,
  pause,
  TABLES,
  withClient,
  writeUntil,
  type Alterations,
  type Written,
} from './tables.ts';

export interface ChaosOptions {
  /** Of what happens; when it meets what is up to the machine. */
  readonly seed: number;
  /** Of writing and harm, each followed by a comparison in peace. */
  readonly rounds: number;
  readonly roundMs: number;
  readonly alter: Alterations;
  readonly onProgress?: (line: string) => void;
  /** Gets every line that the processes write. */
  readonly onLog?: (process: string, line: string) => void;
}

export interface ChaosReport extends Written {
  readonly faults: Readonly<Record<string, number>>;
  /** Why shapes ended, in the words of the log, and how often. */
  readonly rotations: Readonly<Record<string, number>>;
  readonly entries: number;
  readonly readers: number;
  /** What must not be; empty when all is well. */
  readonly violations: readonly string[];
}

interface Followed {
  readonly table: string;
  readonly where: string;
  readonly columns: readonly string[] | undefined;
  readonly reader: StrictReader;
}

/** Short periods, so that much happens in a short time; logs are read from sealed chunks while they grow. */
const ENV = {
  SHAPECAST_LOG_LEVEL: 'info',
  ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '4000',
  SHAPECAST_SEAL_INTERVAL: '200ms',
  ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD: '1s',
  ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD: '1s',
  ELECTRIC_LONG_POLL_TIMEOUT: '5s',
};

/**
 * Readers follow shapes of two tables while rows are written, tables altered, and processes and servers of the cluster killed,
 * stopped, paused and cut off. After each round it becomes quiet, and every reader must hold what Postgres has; so must readers
 * that come then. A reader that sees a row twice, misses one, or is sent back in time says so (spec R 18.2.1, 18.2.2).
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const rotations: Record<string, number> = {};
  const cluster = await startCluster({
    routers: 2,
    apis: 2,
    replicators: 2,
    env: ENV,
    onLog: (name, line) => {
      options.onLog?.(name, line);
      noteRotation(line, rotations);
    },
  });
  try {
    return await run(cluster, options, rotations);
  } finally {
    await cluster.stop();
  }
}

async function run(cluster: Cluster, options: ChaosOptions, rotations: Record<string, number>): Promise<ChaosReport> {
  const { seed, rounds, roundMs, alter, onProgress = () => {} } = options;
  const chance = new Chance(seed);
  const written: Written = { transactions: 0, failed: 0, truncations: 0, ddl: 0 };
  const faults: Record<string, number> = {};
  const failures: string[] = [];
  await createTables(cluster.databaseUrl);
  const followed = shapes(cluster.url, chance);
  const reading = new AbortController();
  const readers = followed.map(({ reader }) =>
    reader.follow(reading.signal).catch((error: unknown) => void failures.push(String(error))),
  );
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const writing = new AbortController();
      const { signal } = writing;
      const actor = (n: number) => new Chance(seed + 100 * round + n);
      const actors = [
        writeUntil(cluster.databaseUrl, actor(1), written, signal),
        writeUntil(cluster.databaseUrl, actor(2), written, signal),
        harmUntil(cluster, actor(3), (name) => (faults[name] = (faults[name] ?? 0) + 1), signal),
        comeAndGo(cluster.url, actor(4), failures, signal),
        ...(alter === 'nothing' ? [] : [alterUntil(cluster.databaseUrl, alter, actor(5), written, signal)]),
      ];
      await Promise.race([pause(roundMs), Promise.all(actors)]);
      writing.abort();
      await Promise.all(actors);
      await cluster.waitReady();
      await expectEqual(cluster, followed, failures, `seed ${seed}, round ${round}`);
      await expectFreshEqual(cluster, followed, failures);
      const bad = failures.length + violationsOf(followed).length;
      onProgress(
        `round ${round}: ${written.transactions} transactions, ${written.ddl} alterations, ${sum(faults)} faults, ` +
          `${sum(rotations)} rotations, ${bad} violations`,
      );
      if (failures.length > 0) break;
    }
  } finally {
    reading.abort();
    await Promise.all(readers);
  }
  const entries = followed.reduce((sum, { reader }) => sum + reader.entries, 0);
  return {
    ...written,
    faults,
    rotations,
    entries,
    readers: followed.length,
    violations: [...failures, ...violationsOf(followed)],
  };
}

function violationsOf(followed: readonly Followed[]): string[] {
  return followed.flatMap(({ reader, ...shape }) =>
    reader.violations.map((violation) => `${JSON.stringify(shape)}: ${violation}`),
  );
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function shapes(url: string, chance: Chance): Followed[] {
  const list: Followed[] = [];
  const follow = (table: string, where: string, columns?: readonly string[], more: Record<string, string> = {}) => {
    const params = { table, ...(where && { where }), ...(columns && { columns: columns.join() }), ...more };
    list.push({ table, where, columns, reader: new StrictReader(url, params) });
  };
  for (const table of TABLES) {
    follow(table, '');
    follow(table, '', undefined, { replica: 'full' });
    follow(table, '', ['id', 'grp']);
    follow(table, `id < ${chance.int(KEYS)}`, ['id', 'grp', 'body'], { replica: 'full' });
    follow(table, `body is null`, ['id', 'grp', 'body']);
    follow(table, `grp in (1, 5, 9)`);
    for (let grp = 0; grp < GROUPS; grp += 3) follow(table, `grp = ${grp}`, ['id', 'grp', 'body']);
  }
  return list;
}

/** Clients that read a shape nobody else has, and leave. */
async function comeAndGo(url: string, chance: Chance, failures: string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const where = `id % ${2 + chance.int(50)} = ${chance.int(50)}`;
    const reader = new StrictReader(url, { table: chance.pick(TABLES), where });
    const leave = AbortSignal.any([signal, AbortSignal.timeout(200 + chance.int(2_000))]);
    await reader.follow(leave).catch((error: unknown) => void failures.push(`${where}: ${String(error)}`));
    failures.push(...reader.violations.map((violation) => `${where}: ${violation}`));
    await pause(chance.int(300), signal);
  }
}

async function expectEqual(cluster: Cluster, followed: readonly Followed[], failures: string[], when: string) {
  const expected = await withClient(cluster.databaseUrl, async (client) => {
    const all = new Map<Followed, string>();
    for (const shape of followed) {
      const { rows } = await client.query<{ attname: string }>(
        `select attname from pg_attribute where attrelid = '${shape.table}'::regclass and attnum > 0 and not attisdropped`,
      );
      const columns = shape.columns ?? rows.map(({ attname }) => attname);
      all.set(shape, (await selectText(client, shape.table, columns, shape.where)).join('\n'));
    }
    return all;
  });
  const differing = () => followed.filter((shape) => heldRows(shape.reader) !== expected.get(shape));
  await waitFor(() => failures.length > 0 || differing().length === 0, {
    timeoutMs: 120_000,
    intervalMs: 100,
  }).catch(() => {
    for (const shape of differing()) {
      const { reader, table, where, columns } = shape;
      failures.push(
        `${when}: ${table} ${columns?.join() ?? '*'} where ${where} (${reader.handle}, ${reader.offset}): ${firstDifference(heldRows(reader), expected.get(shape) ?? '')}`,
      );
    }
  });
}

/** What a client that comes later assembles from the same logs. */
async function expectFreshEqual(cluster: Cluster, followed: readonly Followed[], failures: string[]): Promise<void> {
  for (const { table, where, columns, reader } of followed) {
    const params = { table, ...(where && { where }), ...(columns && { columns: columns.join() }) };
    const fresh = new StrictReader(cluster.url, params);
    await fresh.catchUp(AbortSignal.timeout(60_000));
    if (heldRows(fresh) !== heldRows(reader)) {
      failures.push(`a fresh reader of ${table} where ${where}: ${firstDifference(heldRows(fresh), heldRows(reader))}`);
    }
    failures.push(...fresh.violations);
  }
}

function noteRotation(line: string, rotations: Record<string, number>): void {
  if (!line.includes('"event":"shape_rotated"')) return;
  const { reason } = JSON.parse(line) as { readonly reason?: string };
  const kind = (reason ?? 'no reason').replaceAll(/\d+/g, 'N').replaceAll(/"[^"]*"/g, '"..."');
  rotations[kind] = (rotations[kind] ?? 0) + 1;
}
