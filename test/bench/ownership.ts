import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startCluster, waitFor, type Cluster, type ClusterProcess } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

export interface OwnershipOptions {
  readonly runs: number;
  /** Further shapes, on the same table, that match nothing: what whoever takes a shard over has to load. */
  readonly shapes: number;
}

const SHARDS = 8;
/** Enough for each of them to have some. */
const GROUPS = 24;
const WRITE_EVERY_MS = 20;
const SAMPLE_MS = 2;

/**
 * How long readers get no changes when shards change hands, with default settings. Every 20 ms a transaction writes a row for each
 * of 24 shapes; a reader's pause is the longest that one of them took from its commit to the reader. Pauses are of the shapes whose
 * shard moved: those that waited longest. In the end every reader must have every row once, and none must have been told to start over.
 */
export async function ownership(options: OwnershipOptions): Promise<Readonly<Record<string, unknown>>> {
  const env = { SHAPECAST_LOG_LEVEL: 'warning' };
  const cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, autoRestart: false, env });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  const stop = new AbortController();
  try {
    await client.query('create table owned (id bigserial primary key, g int not null)');
    await idleShapes(cluster, options.shapes);
    const readers = Array.from(
      { length: GROUPS },
      (_, g) => new StrictReader(cluster.url, { table: 'owned', where: `g = ${g}` }),
    );
    const following = readers.map((reader) => reader.follow(stop.signal));
    await waitFor(() => readers.every((reader) => reader.handle !== undefined));
    const load = new Load(client, readers);
    const stopWriting = new AbortController();
    const writing = load.write(AbortSignal.any([stop.signal, stopWriting.signal]));
    // Only the first failure is told.
    writing.catch(() => undefined);
    const sampling = load.sample(stop.signal);
    await load.caughtUp();

    const steady = await load.pauseDuring(() => sleep(2_000));
    const scaled = await scale(cluster, load);
    const pauses: Record<string, unknown> = {};
    for (const [way, act] of Object.entries(WAYS)) {
      const longest: number[] = [];
      for (let run = 0; run < options.runs; run += 1) {
        // A router of its own for each run: one that goes again and again is not trusted with shards for a while.
        const guest = way === 'join' ? undefined : await cluster.add('router');
        await settled(cluster);
        longest.push(
          await load.pauseDuring(
            () => act(cluster, guest),
            () => settled(cluster, guest),
          ),
        );
        const last = cluster.processes.filter(({ role }) => role === 'router').at(-1) as ClusterProcess;
        if (way !== 'leave') await cluster.remove(last.name);
        await settled(cluster);
      }
      longest.sort((one, other) => one - other);
      pauses[way] = { medianMs: longest[Math.floor(longest.length / 2)], longestMs: longest.at(-1) };
    }
    stopWriting.abort();
    await writing;
    await load.caughtUp();
    stop.abort();
    await Promise.all([...following, sampling]);
    const sum = (of: (reader: StrictReader) => number) => readers.reduce((total, reader) => total + of(reader), 0);
    return {
      runs: options.runs,
      shapes: GROUPS + options.shapes,
      steadyMs: steady,
      ...scaled,
      pauses,
      transactions: load.written,
      lost: readers.filter((reader) => reader.rows.size !== load.written).length,
      mustRefetch: sum(({ rotations }) => rotations),
      violations: sum(({ violations }) => violations.length),
    };
  } finally {
    stop.abort();
    await client.end();
    await cluster.stop();
  }
}

/** What becomes of a router that owns shards; `join`: another one comes and takes some. */
const WAYS: Readonly<Record<string, (cluster: Cluster, guest: ClusterProcess | undefined) => Promise<unknown>>> = {
  join: (cluster) => cluster.add('router'),
  leave: (cluster, guest) => cluster.remove(guest?.name ?? ''),
  kill: async (_, guest) => guest?.kill('SIGKILL'),
  freeze: async (_, guest) => guest?.pause(),
};

/** Routers come and go under load: 1, 4, 2. */
async function scale(cluster: Cluster, load: Load): Promise<Readonly<Record<string, unknown>>> {
  const more = () => Promise.all(Array.from({ length: 3 }, () => cluster.add('router')));
  const toFourMs = await load.pauseDuring(more, () => settled(cluster));
  const routers = cluster.processes.filter(({ role }) => role === 'router');
  const fewer = () => Promise.all(routers.slice(2).map(({ name }) => cluster.remove(name)));
  const toTwoMs = await load.pauseDuring(fewer, () => settled(cluster));
  return { scale: { toFourMs, toTwoMs } };
}

interface RouterReport {
  readonly status?: string;
  readonly owned?: number;
}

/** Every router but `gone` has the shards that it should have, and one at least, and all shards are somewhere. */
async function settled(cluster: Cluster, gone?: ClusterProcess): Promise<void> {
  const asked = cluster.processes.filter((router) => router.role === 'router' && router !== gone);
  let reports: readonly (RouterReport | undefined)[] = [];
  await waitFor(
    async () => {
      reports = await Promise.all(asked.map(report));
      const owned = reports.reduce((sum, each) => sum + (each?.owned ?? 0), 0);
      return owned === SHARDS && reports.every((each) => each?.status === 'active' && (each.owned ?? 0) > 0);
    },
    { intervalMs: 50, describe: () => JSON.stringify(reports.map((each) => each && [each.status, each.owned])) },
  );
}

async function report({ url }: ClusterProcess): Promise<RouterReport | undefined> {
  const answer = await fetch(`${url}/health`).catch(() => undefined);
  return (await answer?.json().catch(() => undefined)) as RouterReport | undefined;
}

async function idleShapes(cluster: Cluster, count: number): Promise<void> {
  for (let from = 0; from < count; from += 50) {
    const some = Array.from({ length: Math.min(50, count - from) }, (_, i) => {
      const params = new URLSearchParams({ table: 'owned', where: `g = ${1_000 + from + i}`, offset: '-1' });
      return created(`${cluster.url}/v1/shape?${params.toString()}`);
    });
    await Promise.all(some);
  }
}

async function created(url: string): Promise<void> {
  const answer = await fetch(url);
  await answer.text();
  if (answer.status === 200) return;
  await sleep(1_000);
  return created(url);
}

/** Writes, and tells how long each transaction took to each reader. */
class Load {
  readonly #client: Client;
  readonly #readers: readonly StrictReader[];
  readonly #committedAt: number[] = [];
  readonly #seen: number[];
  #longest = 0;

  constructor(client: Client, readers: readonly StrictReader[]) {
    this.#client = client;
    this.#readers = readers;
    this.#seen = readers.map(() => 0);
  }

  get written(): number {
    return this.#committedAt.length;
  }

  async write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#client.query(`insert into owned (g) select g from generate_series(0, ${GROUPS - 1}) g`);
      this.#committedAt.push(performance.now());
      await sleep(WRITE_EVERY_MS);
    }
  }

  async sample(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = performance.now();
      for (const [i, reader] of this.#readers.entries()) {
        const seen = Math.min(reader.entries, this.written);
        for (let n = this.#seen[i] ?? 0; n < seen; n += 1) {
          this.#longest = Math.max(this.#longest, now - (this.#committedAt[n] ?? now));
        }
        this.#seen[i] = seen;
      }
      await sleep(SAMPLE_MS);
    }
  }

  /** Every reader has what is written by now. */
  async caughtUp(): Promise<void> {
    const { written } = this;
    await waitFor(() => this.#seen.every((seen) => seen >= written), { describe: () => this.#seen.join() });
  }

  /** The longest pause, in milliseconds, of any reader from `act` until things are `settled`. */
  async pauseDuring(act: () => Promise<unknown>, until: () => Promise<unknown> = async () => {}): Promise<number> {
    this.#longest = 0;
    await act();
    await until();
    await this.caughtUp();
    return Math.round(this.#longest);
  }
}
