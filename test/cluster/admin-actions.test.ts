import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** What an operator does to a running cluster, by the command line, over real servers (spec O 10.1). */

const PROGRAM = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
const ADMIN_TOKEN = 'hunter2-of-the-admin-api';
const ROWS = 2_000;

let cluster: Cluster;
let db: Client;

beforeAll(async () => {
  cluster = await startCluster({
    ...{ routers: 2, apis: 1, replicators: 2 },
    env: {
      ...{ ELECTRIC_INSECURE: 'true', ELECTRIC_LONG_POLL_TIMEOUT: '2s' },
      ...{ SHAPECAST_ADMIN_TOKEN: ADMIN_TOKEN, SHAPECAST_ADMIN_PORT: '0' },
    },
  });
  db = new Client({ connectionString: cluster.databaseUrl });
  await db.connect();
  await db.query('create table items (id int primary key, owner text, v text)');
  await db.query('create table others (id int primary key, v text)');
  await db.query(`insert into items select n, 'o' || n % 7, repeat('x', 50) from generate_series(1, ${ROWS}) n`);
});
afterAll(async () => {
  await db.end();
  await cluster.stop();
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function shapecast(...args: readonly string[]): Promise<Ran> {
  const env = {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: join(tmpdir(), 'shapecast-compile-cache'),
    SHAPECAST_ADMIN_TOKEN: ADMIN_TOKEN,
    SHAPECAST_ADMIN_URL: `http://127.0.0.1:${adminPort()}`,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env, timeout: 120_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

/** Any free one was taken: the log says which. */
function adminPort(): number {
  const log = readFileSync(join(cluster.logDir, 'replicator-1.log'), 'utf8');
  const line = log.split('\n').find((one) => one.includes('admin API listens')) ?? '';
  return Number(/"port":(\d+)/.exec(line)?.[1]);
}

async function json<T>(...args: readonly string[]): Promise<T> {
  const { out, err } = await shapecast(...args, '--json');
  if (out === '') throw new Error(err);
  return JSON.parse(out) as T;
}

interface Read {
  readonly status: number;
  readonly handle: string;
  readonly offset: string;
  readonly rows: readonly unknown[];
}

async function read(query: string): Promise<Read> {
  const response = await fetch(`${cluster.url}/v1/shape?${query}`);
  const body = await response.json();
  return {
    status: response.status,
    handle: response.headers.get('electric-handle') ?? '',
    offset: response.headers.get('electric-offset') ?? '',
    rows: Array.isArray(body) ? body : [],
  };
}

/** Reads a shape to its end; the handle that it has now. */
async function begin(definition: string): Promise<Read> {
  let answer = await waitFor(async () => {
    const one = await read(`${definition}&offset=-1`);
    return one.status === 200 ? one : undefined;
  });
  for (let more = true; more;) {
    const next = await read(`${definition}&handle=${answer.handle}&offset=${answer.offset}`);
    more = next.rows.length > 0 && next.offset !== answer.offset;
    answer = next;
  }
  return answer;
}

interface Source {
  readonly leader?: string;
  readonly incarnation: number;
  readonly status: string;
}

const shown = () => json<Source>('sources', 'show', 'single_stack');

test('a check of a shape compares it with the database while that is written to, and finds rows that were changed behind its back', async () => {
  const { handle } = await begin(`table=items&where=${encodeURIComponent(`owner <> 'o3'`)}`);
  const writing = new AbortController();
  const writes = (async () => {
    for (let n = 1; !writing.signal.aborted; n += 1) {
      const id = 1 + ((n * 37) % ROWS);
      await db.query('update items set v = $2, owner = $3 where id = $1', [id, `v${n}`, `o${n % 7}`]);
      await db.query('delete from items where id = $1', [1 + ((n * 53) % ROWS)]);
      await db.query(`insert into items values ($1, 'o1', 'new') on conflict do nothing`, [1 + ((n * 71) % ROWS)]);
    }
  })();
  try {
    for (let round = 0; round < 3; round += 1) {
      const { code, out, err } = await shapecast('shapes', 'check', handle);
      expect([code, out, err]).toEqual([
        0,
        expect.stringMatching(/^The shape is what the database says: \d+ rows/),
        '',
      ]);
    }
  } finally {
    writing.abort();
    await writes;
  }
  // What no replication slot ever sees: as if a change had been lost.
  await db.query(`insert into items values (5001, 'o1', 'here'), (5002, 'o1', 'here') on conflict do nothing`);
  await waitFor(async () => (await shapecast('shapes', 'check', handle)).code === 0);
  await db.query('alter table items disable trigger all');
  await db.query('begin');
  await db.query('alter publication electric_publication_default drop table items');
  await db.query(`update items set v = 'hunter2' where id = 5001`);
  await db.query('delete from items where id = 5002');
  await db.query('commit');
  const found = await shapecast('shapes', 'check', handle);
  // Either the check sees the difference, or the routers have noticed first that the table is not published, and ended the shape.
  expect(found.code).toBe(1);
  expect(found.out + found.err).toMatch(/1 missing|1 too many, 1 different|ended while|no shape of this handle/);
  expect(found.out + found.err).not.toContain('hunter2');
});

test('shapes are rotated by handle, by table and all together: their readers get 409', async () => {
  const gone = async ({ handle, offset }: Read, definition: string) =>
    (await read(`${definition}&handle=${handle}&offset=${offset}`)).status === 409;
  const one = await begin('table=items&where=id<100');
  const two = await begin('table=items&where=id<200');
  const other = await begin('table=others');
  expect(await shapecast('shapes', 'rotate', one.handle, '--reason', 'rows were repaired')).toMatchObject({ code: 0 });
  await waitFor(() => gone(one, 'table=items&where=id<100'));
  expect(await gone(two, 'table=items&where=id<200')).toBe(false);
  const table = await shapecast('shapes', 'rotate', '--table', 'public.items', '--reason', 'rows were repaired');
  expect(table).toMatchObject({ code: 0, out: expect.stringContaining('were rotated') as string });
  await waitFor(() => gone(two, 'table=items&where=id<200'));
  expect(await gone(other, 'table=others')).toBe(false);
  expect(await shapecast('shapes', 'rotate', '--all', 'single_stack', '--reason', 'r')).toMatchObject({ code: 0 });
  await waitFor(() => gone(other, 'table=others'));
  const { journal } = (await (
    await fetch(`http://127.0.0.1:${adminPort()}/admin/sources/single_stack/rotations`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    })
  ).json()) as { journal: readonly { readonly reason: string }[] };
  expect(journal.map(({ reason }) => reason)).toContain('An operator rotated the shape: rows were repaired');
  expect((await begin('table=others')).handle).not.toBe(other.handle);
});

test('a shard moves to another router while its shapes are read, and keeps them', async () => {
  interface Listed {
    readonly shards: readonly { readonly shard: number; readonly router?: string; readonly shapes?: number }[];
  }
  const shape = await begin('table=others');
  const listed = () => json<Listed>('shards', 'list');
  const { shards } = await waitFor(async () => {
    const all = await listed();
    return all.shards.some(({ shapes = 0 }) => shapes > 0) && all.shards.every(({ router }) => router)
      ? all
      : undefined;
  });
  const moving = shards.find(({ shapes = 0 }) => shapes > 0);
  const to = moving?.router === 'router-1' ? 'router-2' : 'router-1';
  expect(await shapecast('shards', 'move', String(moving?.shard), '--to', to)).toMatchObject({ code: 0 });
  await waitFor(async () => (await listed()).shards[moving?.shard ?? -1]?.router === to);
  await db.query(`insert into others values (1, 'after the move')`);
  await waitFor(async () => {
    const { status, rows } = await read(`table=others&handle=${shape.handle}&offset=${shape.offset}`);
    expect(status).toBe(200);
    return JSON.stringify(rows).includes('after the move');
  });
  expect(await shapecast('shards', 'move', String(moving?.shard), '--back')).toMatchObject({ code: 0 });
  await waitFor(async () => (await listed()).shards[moving?.shard ?? -1]?.router === moving?.router);
});

test('the leader makes room for the other replicator, and no shape ends by it', async () => {
  const shape = await begin('table=others');
  const before = await waitFor(async () => {
    const source = await shown();
    return source.leader === undefined ? undefined : source;
  });
  expect(await shapecast('sources', 'release', 'single_stack')).toMatchObject({ code: 0 });
  const other = before.leader === 'replicator-1' ? 'replicator-2' : 'replicator-1';
  await waitFor(async () => (await shown()).leader === other);
  await db.query(`insert into others values (2, 'under the other leader')`);
  await waitFor(async () => {
    const { status, rows } = await read(`table=others&handle=${shape.handle}&offset=${shape.offset}`);
    expect(status).toBe(200);
    return JSON.stringify(rows).includes('under the other leader');
  });
  expect((await shown()).incarnation).toBe(before.incarnation);
});

test('a new incarnation is begun on request: every reader starts over, and goes on in it', async () => {
  const shape = await begin('table=others');
  const { incarnation } = await shown();
  expect((await shapecast('sources', 'new-incarnation', 'single_stack', '--reason', 'r')).code).toBe(2);
  const order = ['--confirm', 'single_stack', '--reason', 'the database was repaired by hand'];
  expect(await shapecast('sources', 'new-incarnation', 'single_stack', ...order)).toMatchObject({ code: 0, err: '' });
  await waitFor(async () => (await shown()).incarnation === incarnation + 1);
  await waitFor(async () => {
    const { status } = await read(`table=others&handle=${shape.handle}&offset=${shape.offset}`);
    return status === 409;
  });
  const again = await begin('table=others');
  await db.query(`insert into others values (3, 'in the next incarnation')`);
  await waitFor(async () => {
    const { rows } = await read(`table=others&handle=${again.handle}&offset=${again.offset}`);
    return JSON.stringify(rows).includes('in the next incarnation');
  });
  const { code } = await shapecast('shapes', 'check', again.handle);
  expect(code).toBe(0);
  const logs = ['replicator-1', 'replicator-2'].map((name) =>
    readFileSync(join(cluster.logDir, `${name}.log`), 'utf8'),
  );
  expect(logs.join()).toContain('"reason":"requested_by_operator"');
  expect(logs.join()).toContain('the database was repaired by hand');
});
