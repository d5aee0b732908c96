import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, waitFor, type Cluster, type ClusterOptions } from '@shapecast/testkit';
import { Chance } from '../support/chance.ts';
import { Checker } from './checker/checker.ts';
import { History } from './history.ts';
import { SETUP, TABLES, ALTERED } from './model/tables.ts';
import type { FaultKind } from './nemesis/fault.ts';
import { committed, Nemesis } from './nemesis/nemesis.ts';
import { storedUpTo } from './nemesis/tx-stream.ts';
import { AlteredReaders } from './readers/altered-readers.ts';
import { Crowd } from './readers/crowd.ts';
import { catchUpFigures, surroundings, violationText, type ChaosReport } from './report.ts';
import { createTruthSlot, followProgress, followTruth } from './truth/truth-slot.ts';
import { Truth } from './truth/truth.ts';
import { alterUntil, type Alterations } from './writers/alterations.ts';
import { pause, withClient } from './writers/connection.ts';
import { seedRows, truncateUntil, writeLargeUntil, writeUntil, type Written } from './writers/writers.ts';

export interface ChaosOptions {
  /** Of what happens; when it meets what is up to the machine. */
  readonly seed: number;
  readonly minutes: number;
  /** From the beginning of one fault to that of the next. */
  readonly everyMs: number;
  readonly faults: readonly FaultKind[];
  readonly alter: Alterations;
  /** Shapes may end for reasons that the run did not give them: for faults that end them by design. */
  readonly rotationsAllowed: boolean;
  readonly cluster?: Pick<ClusterOptions, 'nats' | 'redis'>;
  /** Folder for the history and the logs of all processes. */
  readonly out?: string;
  readonly onProgress?: (line: string) => void;
}

/** Short periods, so that much happens in a short time; logs are read from sealed chunks while they grow. */
const ENV = {
  SHAPECAST_LOG_LEVEL: 'info',
  ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '100000',
  SHAPECAST_SEAL_INTERVAL: '500ms',
  ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD: '1s',
  ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD: '1s',
  ELECTRIC_LONG_POLL_TIMEOUT: '4s',
};

/** A reader that lacks something for longer than this when nothing is wrong any more hangs. */
const STALE_MS = 60_000;
const LARGE_EVERY_MS = 20_000;
const TRUNCATE_EVERY_MS = 40_000;
const SETTLE_MS = 100;
const PROGRESS_MS = 15_000;

/**
 * Writers, readers of several kinds, faults, and a checker that holds every answer against what Postgres had (spec R 18.2.1,
 * 18.2.2). Ends with the first violation, or when the time is over, all is healed, and everybody has everything.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const history = new History(options.out);
  const rotationReasons: Record<string, number> = {};
  const clocks = await mkdtemp(join(tmpdir(), 'shapecast-clocks-'));
  const entry = new URL('./nemesis/jumping-clock.ts', import.meta.url).pathname;
  const cluster = await startCluster({
    entries: { replicator: entry, router: entry, api: entry },
    routers: 2,
    apis: 2,
    replicators: 2,
    nats: 3,
    redis: 'replica',
    proxies: true,
    edge: 'nginx',
    ...options.cluster,
    env: { ...ENV, SHAPECAST_CHAOS_CLOCKS: clocks },
    onLog: (name, line) => {
      history.log(name, line);
      noteRotation(line, rotationReasons);
    },
    onEvent: (event) => history.note('cluster', event),
  });
  try {
    return await run(cluster, history, { ...options, clocks }, rotationReasons);
  } finally {
    await cluster.stop();
    await history.close();
    await rm(clocks, { recursive: true });
  }
}

async function run(
  cluster: Cluster,
  history: History,
  options: ChaosOptions & { readonly clocks: string },
  rotationReasons: Record<string, number>,
): Promise<ChaosReport> {
  const { seed, alter, onProgress = () => {} } = options;
  const url = cluster.databaseUrl;
  const written: Written = { transactions: 0, failed: 0, large: 0, truncations: 0, ddl: 0 };
  const [over, calm, gone] = [new AbortController(), new AbortController(), new AbortController()];
  const truth = new Truth();
  const checker: Checker = new Checker(truth, {
    staleMs: STALE_MS,
    rotationsNeedReasons: !options.rotationsAllowed && alter !== 'everything',
    epoch: performance.timeOrigin,
    onViolation: (violation) => {
      history.note('checker', 'violation', violation);
      if (checker.violations.length > 1) return;
      onProgress(surroundings(violation, { history, truth, checker }));
      over.abort();
    },
  });
  const deps = { checker, history };
  await withClient(url, (client) => client.query(SETUP));
  await createTruthSlot(url);
  await withClient(url, async (client) => {
    for (const table of [...TABLES.map(({ name }) => name), ...ALTERED]) await client.query(seedRows(table, 200));
  });

  let failure: Error | undefined;
  const background = (work: Promise<unknown>): Promise<void> =>
    work.then(
      () => undefined,
      (error: unknown) => {
        failure ??= error instanceof Error ? error : new Error(String(error));
        over.abort();
      },
    );
  const following = [
    background(
      followTruth(
        url,
        truth,
        {
          onTransaction: ({ lsn, xid, changes, truncated }) =>
            history.note('truth', 'commit', {
              lsn,
              xid,
              truncated,
              changes: changes
                .slice(0, 20)
                .map(({ table, key, before, after }) => [table, key, before?.['n'], after?.['n']]),
              rows: changes.length,
            }),
          onAdvance: () => {},
        },
        gone.signal,
      ),
    ),
    background(
      followProgress(
        url,
        async (progress) => {
          truth.expect(progress.askedAt, progress.flushed);
          await checker.confirmed(progress, () => storedUpTo(cluster.natsUrl));
        },
        gone.signal,
      ),
    ),
  ];
  const settling = setInterval(() => checker.settle(performance.now()), SETTLE_MS);
  const crowd = new Crowd(deps, cluster, new Chance(seed + 1));
  const altered =
    alter === 'nothing' ? undefined : new AlteredReaders(cluster.url, () => checker.mayHaveGoneBack(performance.now()));
  const readers = [
    background(crowd.read(gone.signal)),
    ...(altered === undefined ? [] : [background(altered.read(gone.signal))]),
  ];
  const nemesis = new Nemesis(
    { cluster, ...deps, chance: new Chance(seed + 2) },
    { kinds: options.faults, everyMs: options.everyMs, clocks: options.clocks },
    over.signal,
  );
  const started = performance.now();
  const ticker = setInterval(() => onProgress(progressLine(checker, written, started)), PROGRESS_MS);
  try {
    const everybody = (): boolean => checker.tracks.length > 0 && checker.tracks.every((track) => track.watermark > 0n);
    await waitFor(() => failure !== undefined || over.signal.aborted || everybody(), {
      timeoutMs: 2 * STALE_MS,
      describe: () => checker.tracks.filter((track) => track.watermark === 0n).map(({ kind }) => kind.name),
    });
    checker.storedFrom(await committed(url));
    const actor = (n: number): Chance => new Chance(seed + 100 + n);
    const writers = [
      writeUntil(url, actor(1), written, calm.signal),
      writeUntil(url, actor(2), written, calm.signal),
      writeLargeUntil(url, actor(3), written, LARGE_EVERY_MS, calm.signal),
      truncateUntil(url, actor(4), written, TRUNCATE_EVERY_MS, calm.signal),
      ...(alter === 'nothing' ? [] : [alterUntil(url, alter, actor(5), written, calm.signal)]),
    ].map(background);
    const harm = background(nemesis.run());
    await pause(options.minutes * 60_000, over.signal);
    over.abort();
    await harm;
    if (failure === undefined && checker.violations.length === 0) {
      // Some more writes in peace, then silence.
      await pause(1_000);
      calm.abort();
      await Promise.all(writers);
      checker.allHealed(performance.now(), await committed(url), ['the end']);
      await waitFor(() => failure !== undefined || checker.violations.length > 0 || quiet(checker), {
        timeoutMs: 3 * STALE_MS,
        describe: () => `${checker.open} comparisons and ${checker.catchUp.waiting} readers' progress open`,
      });
      for (const text of (await altered?.differences(url)) ?? []) checker.differs(text);
    }
    calm.abort();
    await Promise.all(writers);
  } finally {
    for (const controller of [over, calm, gone]) controller.abort();
    clearInterval(ticker);
    clearInterval(settling);
    await Promise.all([...readers, ...following]);
  }
  if (failure !== undefined) throw failure;
  const { explained, ...counts } = checker.counts();
  return {
    seed,
    minutes: Math.round((performance.now() - started) / 6_000) / 10,
    ...written,
    committed: truth.transactions,
    rowChanges: truth.changes,
    readers: checker.tracks.length,
    handles: checker.handles.size,
    revived: checker.handles.revived,
    ...counts,
    distinctEntries: checker.bytes.entries,
    faults: checker.faults.byKind(),
    failedFaults: nemesis.failed,
    explained,
    rotationReasons,
    catchUp: catchUpFigures(checker),
    violations: checker.violations.map(violationText),
  };
}

function quiet(checker: Checker): boolean {
  return checker.open === 0 && checker.catchUp.waiting === 0;
}

function progressLine(checker: Checker, written: Written, started: number): string {
  const { compared, entries, rotations } = checker.counts();
  const seconds = Math.round((performance.now() - started) / 1_000);
  return (
    `${seconds} s: ${written.transactions} transactions, ${checker.faults.all.length} faults, ${entries} entries, ` +
    `${compared} up-to-dates compared, ${rotations} rotations, ${checker.open} open, ${checker.violations.length} violations`
  );
}

function noteRotation(line: string, rotations: Record<string, number>): void {
  if (!line.includes('"event":"shape_rotated"')) return;
  const { reason } = JSON.parse(line) as { readonly reason?: string };
  const kind = (reason ?? 'no reason').replaceAll(/\d+/g, 'N').replaceAll(/"[^"]*"/g, '"..."');
  rotations[kind] = (rotations[kind] ?? 0) + 1;
}
