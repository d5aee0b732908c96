import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import type { RawAnswer } from './support/http.ts';
import {
  ConformanceService,
  expectInvalid,
  expectRefetch,
  expectUpToDate,
  header,
  messages,
  rows,
  shapePath,
  type Query,
} from './support/service.ts';
import { SubsetClient, type SubsetBody } from './support/subset-client.ts';

let service: ConformanceService;
beforeAll(async () => {
  service = await ConformanceService.start();
  await service.db.query(`
    INSERT INTO items SELECT n, 'row ' || n FROM generate_series(1, 5) n;
    INSERT INTO users VALUES (1, 'ann', 'x'), (2, 'bob', 'y');
    INSERT INTO moods VALUES (1, 'sad'), (2, 'ok');
    CREATE TABLE texts (id int PRIMARY KEY, title text COLLATE "en-x-icu", doc json);
    INSERT INTO texts VALUES (1, 'b'), (2, 'A'), (3, NULL), (4, 'a'), (5, 'B');
  `);
}, 120_000);
afterAll(() => service.stop());

const subset = (parameters: Query, query: Query = { offset: '-1' }): Promise<RawAnswer> =>
  service.shape({ ...query, ...prefixed(parameters) });
const post = (query: Query, body: unknown): Promise<RawAnswer> =>
  service.send(shapePath(query), { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const prefixed = (parameters: Query): Query =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`subset__${name}`, value]));

/** The body of a subset answer; fails for anything else. */
function subsetOf(answer: RawAnswer): SubsetBody {
  expect({ status: answer.status, text: answer.text.slice(0, 300) }).toMatchObject({ status: 200 });
  expect(answer.headers).toMatchObject({ 'electric-snapshot': 'true', 'cache-control': 'no-cache' });
  return JSON.parse(answer.text) as SubsetBody;
}
const ids = (answer: RawAnswer): (string | null | undefined)[] =>
  subsetOf(answer).data.map(({ value }) => value?.['id']);
function expectRefused(answer: RawAnswer, field: string, text: unknown): void {
  expectInvalid(answer, { subset: { [field]: [text] } });
}

/** Changes an item and waits until the log of all items has that. */
async function update(id: number, title: string) {
  await service.db.query('UPDATE items SET title = $2 WHERE id = $1', [id, title]);
  return waitFor(
    async () => {
      const { handle, offset: tail, messages: all } = await service.read();
      const changed = all.find(({ value, headers }) => headers['operation'] === 'update' && value?.['title'] === title);
      return changed && { handle, tail, changed };
    },
    { describe: () => 'the log lacks the update' },
  );
}

describe('a subset snapshot', () => {
  test('C194 answers with metadata and data, and headers of its own', async () => {
    const answer = await subset({ limit: '10', order_by: 'id' });
    expect(Object.keys(subsetOf(answer))).toEqual(['metadata', 'data']);
    expect(header(answer, 'content-type')).toBe('application/json; charset=utf-8');
    expect(header(answer, 'electric-handle')).not.toBe('');
    expect(header(answer, 'electric-offset')).toBe('0_0');
    expect(JSON.parse(header(answer, 'electric-schema'))).toEqual({
      id: { type: 'int4', pk_index: 0, not_null: true },
      title: { type: 'text' },
    });
    for (const name of ['etag', 'electric-up-to-date', 'electric-cursor', 'electric-has-data']) {
      expect(answer.headers).not.toHaveProperty(name);
    }
    const head = await service.shape({ offset: '-1', subset__where: 'true' }, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'electric-snapshot': 'true' } });
  });

  test('C195 says what it was read at, and marks every row with it', async () => {
    const { metadata, data } = subsetOf(await subset({ limit: '10', order_by: 'id' }));
    expect(metadata.xmin).toMatch(/^\d+$/);
    expect(metadata.xmax).toMatch(/^\d+$/);
    expect(metadata.database_lsn).toMatch(/^\d+$/);
    expect(metadata.xip_list.every((xid) => /^\d+$/.test(xid))).toBe(true);
    expect(Number.isInteger(metadata.snapshot_mark)).toBe(true);
    expect(metadata.snapshot_mark).toBeGreaterThanOrEqual(0);
    expect(metadata.snapshot_mark).toBeLessThan(2 ** 31);
    expect(data.length).toBeGreaterThan(0);
    expect(data.every(({ headers }) => headers['snapshot_mark'] === metadata.snapshot_mark)).toBe(true);
  });

  test('C196 has rows like those of the snapshot, key by key', async () => {
    const { data } = subsetOf(await subset({ order_by: 'id' }));
    const snapshot = new Map(rows((await service.read()).messages).map((row) => [row.key, row]));
    expect(data.length).toBeGreaterThan(0);
    for (const { key, value, headers } of data) {
      expect(value).toEqual(snapshot.get(key as string)?.value);
      const { snapshot_mark: _mark, ...others } = headers;
      expect(others).toEqual({ operation: 'insert', relation: ['public', 'items'] });
    }
    const { changed } = await update(5, 'again');
    expect(changed.key).toBe(data.find(({ value }) => value?.['id'] === '5')?.key);
  });

  test('C197 takes parameters as JSON in a string and in brackets', async () => {
    const where = { subset__where: 'id > $1', subset__order_by: 'id', offset: '-1' };
    expect(ids(await service.shape({ ...where, subset__params: '{"1":"2"}' }))).toEqual(['3', '4', '5']);
    expect(ids(await service.shape({ ...where, 'subset__params[1]': '2' }))).toEqual(['3', '4', '5']);
    expect(ids(await post({ offset: '-1' }, { where: 'id > $1', order_by: 'id', params: { 1: 2 } }))).toEqual([
      '3',
      '4',
      '5',
    ]);
  });

  test('C198 refuses parameters that are no object', async () => {
    expectRefused(await subset({ params: '[1]' }), 'params', 'params must be a JSON object');
    expectRefused(await subset({ params: 'x' }), 'params', 'params must be valid JSON');
  });

  test('C199 has no limit without an order', async () => {
    const text = 'order_by is required when limit or offset is present';
    expectRefused(await subset({ limit: '1' }), 'order_by', text);
    expectRefused(await subset({ offset: '1' }), 'order_by', text);
  });

  test('C200 refuses limits and offsets that are none', async () => {
    const order = { order_by: 'id' };
    expectRefused(await subset({ ...order, limit: '0' }), 'limit', 'must be greater than 0');
    expectRefused(await subset({ ...order, offset: '-1' }), 'offset', 'must be greater than or equal to 0');
    expectRefused(await subset({ ...order, limit: 'x' }), 'limit', 'is invalid');
  });

  test.each([
    ['lower(title)', 'At location 0: FuncCall expressions are not allowed in ORDER BY clauses'],
    ['(SELECT 1)', 'At location 0: SubLink expressions are not allowed in ORDER BY clauses'],
    ['CASE WHEN true THEN 1 END', 'At location 0: CaseExpr expressions are not allowed in ORDER BY clauses'],
    ['title::int', 'At location 5: TypeCast expressions are not allowed in ORDER BY clauses'],
    ['id; DROP TABLE items', 'Unexpected `;` in order by'],
    ['id, $1', 'At location 4: parameter $1 is not supported in ORDER BY clauses'],
  ])('C201 executes nothing to order by: %s', async (order_by, text) => {
    expectRefused(await subset({ order_by }), 'order_by', text);
    const { rows: found } = await service.db.query('SELECT count(*)::int AS n FROM items');
    expect(found).toEqual([{ n: 5 }]);
  });

  test('C202 has the right rows in the right order', async () => {
    const texts = { table: 'texts', offset: '-1' };
    const all = ['5', '1', '2', '4', '3'];
    expect(ids(await subset({ order_by: 'title DESC NULLS LAST, id' }, texts))).toEqual(all);
    expect(ids(await subset({ order_by: 'title DESC NULLS LAST, id', limit: '2', offset: '1' }, texts))).toEqual(
      all.slice(1, 3),
    );
    expect(ids(await subset({ order_by: 'title, id DESC', limit: '9' }, texts))).toEqual(['4', '2', '1', '5', '3']);
    expect(ids(await subset({ order_by: '"title" NULLS FIRST', limit: '1' }, texts))).toEqual(['3']);
  });

  test('C202 compares by the order it sorts by, so that pages join', async () => {
    const page = { order_by: 'title, id', limit: '2' };
    const texts = { table: 'texts', offset: '-1' };
    const first = ids(await subset({ ...page, where: 'title IS NOT NULL' }, texts));
    const next = { ...page, where: 'title > $1', params: '{"1":"A"}' };
    expect([...first, ...ids(await subset(next, texts))]).toEqual(['4', '2', '1', '5']);
    expectRefused(
      await subset({ order_by: 'doc' }, texts),
      'order_by',
      'At location 0: could not identify an ordering operator for type json',
    );
  });

  test('C203 has no subqueries', async () => {
    const text = 'Subqueries are not allowed in subsets';
    expectRefused(await subset({ where: 'id IN (SELECT id FROM items)' }), 'where', text);
  });

  test('C204 stays inside its shape', async () => {
    const shape = { where: 'id = 1 OR id = 2', offset: '-1' };
    expect(ids(await subset({ where: 'id = 3' }, shape))).toEqual([]);
    expect(ids(await subset({ where: 'id = 3 OR id = 2' }, shape))).toEqual(['2']);
  });

  test('C205 refers to nothing but queryable columns', async () => {
    const shape = { table: 'users', queryable_columns: 'id,name', offset: '-1' };
    const text = 'At location 0: unknown reference secret_token';
    expectRefused(await subset({ where: `secret_token = 'x'` }, shape), 'where', text);
    expectRefused(await subset({ order_by: 'secret_token' }, shape), 'order_by', text);
    const { data } = subsetOf(await subset({ where: `name = 'ann'` }, shape));
    expect(data.map(({ value }) => value)).toEqual([{ id: '1', name: 'ann' }]);
    // The shape's own clause is the proxy's.
    const own = { ...shape, where: `secret_token = 'y'` };
    expect(ids(await subset({ order_by: 'id' }, own))).toEqual(['2']);
  });

  test('C206 compares enums with their labels', async () => {
    const moods = { table: 'moods', offset: '-1' };
    expect(ids(await subset({ where: `mood = 'sad'` }, moods))).toEqual(['1']);
    expectRefused(await subset({ where: `mood = 'nope'` }, moods), 'where', expect.stringContaining('nope'));
    expectRefused(
      await subset({ where: 'mood = $1', params: '{"1":"nope"}' }, moods),
      'where',
      expect.stringContaining('nope'),
    );
  });

  test('C206 tells what only Postgres can refuse', async () => {
    const answer = await subset({ where: '10 / (id - 1) = 5' });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({
      errors: { subset: { where: [expect.stringContaining('division by zero')] } },
    });
  });

  test('C207 ignores what it does not know', async () => {
    expect(ids(await subset({ foo: '1' })).toSorted()).toEqual(['1', '2', '3', '4', '5']);
    expect(ids(await subset({ where_expr: '{"x":1}', order_by_expr: '[' })).toSorted()).toHaveLength(5);
  });

  test('C208 C215 follows a shape that ended', async () => {
    const query = { where: 'id < 100' };
    const { handle } = await service.open(query);
    const gone = await service.send(shapePath({ ...query, handle }), { method: 'DELETE' });
    expect(gone.status).toBe(202);
    const answer = await subset({ where: 'true' }, { ...query, offset: '0_inf', handle });
    const current = (await service.open(query)).handle;
    expectRefetch(answer, current);
    expect(current).not.toBe(handle);
    const posted = await post({ ...query, offset: '0_inf', handle }, { where: 'true' });
    expect({ status: posted.status, handle: posted.headers['electric-handle'], text: posted.text }).toEqual({
      status: 409,
      handle: current,
      text: '[{"headers":{"control":"must-refetch"}}]',
    });
    expect(posted.headers['cache-control']).toBe('no-cache');
  });

  test('C209 never moves a client past what it has not read', async () => {
    const { handle, tail } = await update(4, 'changed');
    expect(tail).not.toBe('0_inf');
    for (const offset of ['0_0', '0_inf', '1_0', tail]) {
      const answer = await subset({ where: 'true' }, { offset, handle });
      expect(subsetOf(answer).data).toHaveLength(5);
      expect(header(answer, 'electric-offset')).toBe(offset);
    }
    const now = await subset({ where: 'true' }, { offset: 'now' });
    expect(header(now, 'electric-offset')).toBe(tail);
  });

  test('SU-4 validates the other parameters as usual', async () => {
    expectInvalid(await subset({ where: 'true' }, {}), { offset: ["can't be blank"] });
    expectInvalid(await subset({ where: 'true' }, { offset: '0_0' }), { handle: ["can't be blank when offset != -1"] });
    expectInvalid(await subset({ where: 'nope = 1' }, { offset: '-1', where: 'x = 1' }), {
      where: ['At location 0: unknown reference x'],
    });
  });

  test('50,000 rows arrive, each once and in order', async () => {
    await service.db.query(`INSERT INTO wide SELECT n, repeat('x', 100), 'y', 'z' FROM generate_series(1, 50000) n`);
    const answer = await subset({ order_by: 'id DESC' }, { table: 'wide', log: 'changes_only', offset: 'now' });
    const { data } = subsetOf(answer);
    expect(data.length).toBe(50_000);
    expect(data.every(({ value }, index) => value?.['id'] === String(50_000 - index))).toBe(true);
    expect(header(answer, 'electric-offset')).toBe('0_inf');
  });
});

describe('POST', () => {
  test('C210 takes a subset in its body', async () => {
    expect(ids(await post({ offset: '-1' }, { where: 'id = 1' }))).toEqual(['1']);
  });

  test('C211 takes parameters of the shape beside it', async () => {
    const answer = await post({ offset: '-1' }, { subset: { where: 'id = 1' }, replica: 'full' });
    expect(ids(answer)).toEqual(['1']);
    expect(header(answer, 'electric-handle')).toBe((await service.open({ replica: 'full' })).handle);
  });

  test.each([[''], ['{}'], ['{"foo":1}']])('C212 without a subset answers with the log: %s', async (body) => {
    const answer = await post({ offset: '-1' }, body);
    expect(answer.status).toBe(200);
    expect(rows(messages(answer)).length).toBeGreaterThan(0);
    expectUpToDate(answer, false);
    expect(header(answer, 'cache-control')).toBe('no-cache');
    expect(answer.headers).not.toHaveProperty('electric-snapshot');
  });

  test("C213 leaves the URL's offset alone", async () => {
    await service.db.query(`INSERT INTO items SELECT n, 'more' FROM generate_series(6, 8) n`);
    const answer = await post({ offset: '-1' }, { offset: 5, order_by: 'id' });
    expect(ids(answer)).toEqual(['6', '7', '8']);
    expect(header(answer, 'electric-offset')).toBe('0_0');
    await service.db.query('DELETE FROM items WHERE id > 5');
  });

  test('C214 refuses bodies that are none', async () => {
    const refused = async (body: string) => {
      const answer = await post({ offset: '-1' }, body);
      return { status: answer.status, body: JSON.parse(answer.text) as unknown };
    };
    expect(await refused('{')).toEqual({
      status: 400,
      body: { error: 'Invalid JSON in request body', details: expect.any(String) as string },
    });
    expect(await refused('[1]')).toEqual({ status: 400, body: { error: 'Request body must be a JSON object' } });
    expect(await refused(JSON.stringify({ where: 'x'.repeat(9_000_000) }))).toEqual({
      status: 413,
      body: { error: 'Request body too large' },
    });
    const notAnObject = await post({ offset: '-1' }, { subset: 'x' });
    expect(JSON.parse(notAnObject.text)).toEqual({ message: 'Invalid request', errors: { subset: ['is invalid'] } });
  });
});

describe('a client that joins subsets and log', () => {
  const WORKERS = 10;
  const RUNS = 100;
  const seed = Number(process.env['SHAPECAST_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

  test('C216 ends up with the table, in 1,000 interleavings', { timeout: 300_000 }, async () => {
    await service.db.query('CREATE TABLE joined (id int PRIMARY KEY, worker int NOT NULL, n int NOT NULL)');
    // Publishing a table waits for the transactions that write to it.
    await service.open({ table: 'joined' });
    const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker));
    const found = (await Promise.all(workers)).flat();
    expect(found.length).toBe(WORKERS * RUNS);
    expect(found.filter(({ client, table, regressions }) => client !== table || regressions.length > 0)).toEqual([]);
    // The test would show nothing if tables stayed empty, or if no log ever repeated what a subset had shown.
    expect(found.filter(({ rows: count }) => count > 0).length).toBeGreaterThan(RUNS);
    expect(found.filter(({ dropped }) => dropped > 0).length).toBeGreaterThan(RUNS);
  });

  async function work(worker: number) {
    const random = generator(seed + worker);
    const [one, other] = [await connect(), await connect()];
    try {
      const outcomes = [];
      for (let run = 0; run < RUNS; run += 1) outcomes.push(await interleave({ worker, run, random, one, other }));
      return outcomes;
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  }

  interface Run {
    readonly worker: number;
    readonly run: number;
    readonly random: (below: number) => number;
    /** Commits at once; writes even ids. */
    readonly one: Client;
    /** Leaves transactions open over the steps that follow; writes odd ids, so that neither waits for the other. */
    readonly other: Client;
  }

  async function interleave({ worker, run, random, one, other }: Run) {
    const base = (worker * RUNS + run) * 20;
    const client = new SubsetClient(service, {
      table: 'joined',
      where: `worker = ${worker}`,
      log: 'changes_only',
      replica: 'full',
    });
    const trace: string[] = [];
    let open = false;
    let written = 0;
    const write = (db: Client) => {
      const id = base + 2 * random(5) + (db === other ? 1 : 0);
      const n = (written += 1);
      const remove = random(3) === 0;
      trace.push(`${db === other ? 'open ' : ''}${remove ? 'delete' : 'put'} ${id}`);
      return remove
        ? db.query('DELETE FROM joined WHERE id = $1', [id])
        : db.query('INSERT INTO joined VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = $3', [id, worker, n]);
    };
    const subsetOfRun = (from: number, to: number) => {
      trace.push(`subset ${from} to ${to}`);
      return client.subset({ where: 'id >= $1 AND id < $2', params: JSON.stringify({ 1: from, 2: to }) });
    };
    const steps: (() => Promise<unknown>)[] = [
      () => write(one),
      async () => {
        if (!open) await other.query('BEGIN');
        open = true;
        await write(other);
      },
      async () => {
        if (!open) return;
        open = false;
        const end = random(4) === 0 ? 'ROLLBACK' : 'COMMIT';
        trace.push(end);
        await other.query(end);
      },
      () => subsetOfRun(base + random(5), base + 5 + random(6)),
      () => Promise.all([write(one), subsetOfRun(base, base + 10)]),
      async () => {
        if (!open) return Promise.all([write(one), client.follow()]);
        open = false;
        trace.push('COMMIT during a subset');
        return Promise.all([other.query('COMMIT'), subsetOfRun(base, base + 10)]);
      },
      async () => {
        trace.push('follow');
        await client.follow();
      },
    ];
    for (let left = 3 + random(6); left > 0; left -= 1) await steps[random(steps.length)]?.();
    // All of the run's rows are loaded at some time; what comes after that is up to the log.
    await Promise.all([write(one), subsetOfRun(base, base + 10)]);
    if (open) await other.query('COMMIT');
    await one.query('INSERT INTO joined VALUES ($1, $2, 0)', [base + 19, worker]);
    const last = `"public"."joined"/"${base + 19}"`;
    while (!client.rows.has(last)) await client.follow({ live: true });
    const { rows: table } = await one.query<{ id: number; n: number }>(
      'SELECT id, n FROM joined WHERE id >= $1 AND id < $2 ORDER BY id',
      [base, base + 10],
    );
    const own = [...client.rows.values()]
      .map(({ id, n }) => ({ id: Number(id), n: Number(n) }))
      .filter(({ id }) => id >= base && id < base + 10)
      .sort((a, b) => a.id - b.id);
    return {
      rows: table.length,
      dropped: client.dropped,
      regressions: client.regressions,
      client: JSON.stringify(own),
      table: JSON.stringify(table),
      trace,
      seed,
    };
  }

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: service.cluster.databaseUrl });
    await client.connect();
    return client;
  }
});

/** Integers from a seed (mulberry32). */
function generator(from: number): (below: number) => number {
  let state = from >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
