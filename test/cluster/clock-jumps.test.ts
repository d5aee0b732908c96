import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictReader } from '../support/strict-reader.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const entry = new URL('../support/entries/shifted-clock.ts', import.meta.url).pathname;

let shifts: string;
let cluster: Cluster;
let database: pg.Client;
let reader: StrictReader;
let reading: Promise<void>;
let writing: Promise<void>;
const stop = new AbortController();
let written = 0;

beforeAll(async () => {
  shifts = await mkdtemp(join(tmpdir(), 'shapecast-clocks-'));
  // Hosts that disagree from the beginning, by an hour in both directions.
  await Promise.all([set('router-2', HOUR), set('api-2', -HOUR), set('replicator-2', HOUR)]);
  cluster = await startCluster({
    entries: { replicator: entry, router: entry, api: entry },
    env: {
      OTEL_CLOCK_SHIFTS: shifts,
      // What waits for time to pass comes round often.
      ELECTRIC_CLEANUP_INTERVAL_MS: '200',
      SHAPECAST_SEAL_INTERVAL: '200ms',
      SHAPECAST_CONFIRM_DELAY: '1s',
    },
  });
  database = new pg.Client({ connectionString: cluster.databaseUrl });
  await database.connect();
  await database.query(`create table items (id int primary key, note text not null)`);
  await database.query(`create table others (id int primary key, note text not null)`);
  await database.query(`insert into others select n, repeat('x', 200) from generate_series(1, 30000) n`);
  reader = new StrictReader(cluster.url, { table: 'items' });
  await reader.catchUp(stop.signal);
  reading = reader.follow(stop.signal);
  writing = write();
});
afterAll(async () => {
  stop.abort();
  await Promise.all([reading, writing]);
  await database.end();
  await cluster.stop();
  await rm(shifts, { recursive: true, force: true });
});

async function write(): Promise<void> {
  while (!stop.signal.aborted) {
    await database.query(`insert into items values ($1, 'written')`, [written + 1]);
    written += 1;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** In one piece: the process reads it all the time. */
async function set(name: string, ms: number): Promise<void> {
  await writeFile(join(shifts, `${name}.new`), String(ms));
  await rename(join(shifts, `${name}.new`), join(shifts, name));
}

interface Report {
  readonly incarnation?: number;
  readonly events?: Readonly<Record<string, number>>;
  readonly status: string;
}

/** What must not happen because of a clock, counted over all processes. */
async function upheavals(): Promise<Readonly<Record<string, number>>> {
  const total: Record<string, number> = {};
  for (const process of cluster.processes.filter(({ role }) => role !== 'api')) {
    const report = (await (await fetch(`${process.url}/health`)).json()) as Report;
    for (const name of [
      'shard_owner_changed',
      'leader_changed',
      'incarnation_changed',
      'shape_rotated',
      'stream_gap',
    ]) {
      total[name] = (total[name] ?? 0) + (report.events?.[name] ?? 0);
    }
  }
  return total;
}

/** Everything that is written from now on for a while reaches the reader. */
async function goesOn(): Promise<void> {
  const upTo = written + 60;
  await waitFor(() => reader.rows.size >= upTo, { describe: () => `${reader.rows.size} rows of ${upTo}` });
}

async function jump(ms: number, names = cluster.processes.map(({ name }) => name)): Promise<void> {
  await Promise.all(names.map((name) => set(name, ms)));
  await goesOn();
}

const handleOf = (answers: readonly Response[]) => answers[0]?.headers.get('electric-handle') ?? '';

test('F98 clocks that jump by an hour or a day, on any role and in both directions, end and lose nothing', async () => {
  await goesOn();
  const before = await upheavals();
  const { handle } = reader;
  const handles = new Set([handle]);
  for (const role of ['router', 'api', 'replicator'] as const) {
    const names = cluster.processes.filter((process) => process.role === role).map(({ name }) => name);
    await jump(HOUR, names);
    await jump(-HOUR, names);
  }
  await jump(DAY);
  await jump(-DAY);
  // A snapshot in the middle of jumps.
  for (const [n, ms] of [HOUR, -HOUR].entries()) {
    const other = new StrictReader(cluster.url, { table: 'others', where: `id > ${n}` });
    const read = other.catchUp(stop.signal);
    await jump(ms);
    await read;
    expect(other.rows.size).toBe(30_000 - n);
    expect([other.rotations, other.violations]).toEqual([0, []]);
    expect(handles).not.toContain(other.handle);
    handles.add(other.handle);
  }
  expect(reader.violations).toEqual([]);
  expect(reader.rotations).toBe(0);
  expect(reader.handle).toBe(handle);
  expect(await upheavals()).toEqual(before);
});

test('a handle that ended is not issued again by pods and routers whose clocks went back', async () => {
  const params = new URLSearchParams({ table: 'others', where: 'id < 10', offset: '-1' });
  const read = async () =>
    (await fetch(`${cluster.url}/v1/shape?${params.toString()}`)).headers.get('electric-handle') as string;
  const first = await read();
  await database.query('truncate others');
  await jump(-DAY);
  const second = await waitFor(async () => {
    const now = await read();
    return now !== first && now !== null ? now : undefined;
  });
  expect(Number(second.split('-')[1])).toBeGreaterThan(Number(first.split('-')[1]));
});

test('answers of pods whose clocks disagree carry the same caching headers, and what one pod tagged the other knows', async () => {
  const apis = cluster.processes.filter(({ role }) => role === 'api');
  await Promise.all(apis.map(({ name }, n) => set(name, n === 0 ? HOUR : -HOUR)));
  await goesOn();
  const at = new URLSearchParams({ table: 'items', offset: '-1' });
  const answers = await Promise.all(apis.map(({ url }) => fetch(`${url}/v1/shape?${at.toString()}`)));
  const named = (name: string) => new Set(answers.map(({ headers }) => headers.get(name)));
  for (const name of ['cache-control', 'etag', 'electric-handle', 'electric-offset']) expect(named(name).size).toBe(1);
  // They do disagree: what is new is asked for at another place by the readers of each (seconds).
  const tail = new URLSearchParams({
    ...Object.fromEntries(at),
    live: 'true',
    offset: '0_inf',
    handle: handleOf(answers),
  });
  const live = await Promise.all(apis.map(({ url }) => fetch(`${url}/v1/shape?${tail.toString()}`)));
  const [ahead, behind] = live.map(({ headers }) => Number(headers.get('electric-cursor')));
  expect((ahead as number) - (behind as number)).toBeGreaterThan(7_000);
  const [etag] = named('etag');
  for (const { url } of apis) {
    const again = await fetch(`${url}/v1/shape?${at.toString()}`, { headers: { 'if-none-match': String(etag) } });
    expect(again.status).toBe(304);
  }
});
