import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import {
  DDL_CASES,
  DDL_SHAPES,
  DEFAULT_WRITE,
  endsByWrite,
  inSchema,
  setUpCase,
  shapeParams,
  type DdlCase,
  type DdlKind,
  type DdlShape,
} from '../support/ddl-cases.ts';

interface Message {
  readonly value?: Readonly<Record<string, string | null>>;
}

/** A shape as one client reads it, without ever starting over. */
class Shape {
  ended = false;
  /** Ids that were read under the first handle. */
  readonly ids = new Set<string>();
  readonly #url: string;
  readonly #params: Readonly<Record<string, string>>;
  #handle: string | undefined;
  #offset = '-1';

  constructor(url: string, params: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#params = params;
  }

  /** Reads what there is. False when a first request has to be repeated. */
  async read(): Promise<boolean> {
    for (let more = !this.ended; more;) {
      const url = new URL('/v1/shape', this.#url);
      const place = { offset: this.#offset, ...(this.#handle && { handle: this.#handle }) };
      for (const [name, value] of Object.entries({ ...this.#params, ...place })) url.searchParams.set(name, value);
      const answer = await fetch(url);
      // The table may be gone, or be one that cannot be asked for any more: for this reader the shape has ended.
      if (answer.status === 409 || answer.status === 400) {
        if (this.#handle === undefined && answer.status === 409) return false;
        expect(this.#handle, await answer.text()).toBeDefined();
        this.ended = true;
        return true;
      }
      if (answer.status !== 200) return false;
      for (const { value } of (await answer.json()) as Message[]) if (value?.['id']) this.ids.add(value['id']);
      this.#handle = answer.headers.get('electric-handle') as string;
      this.#offset = answer.headers.get('electric-offset') as string;
      more = answer.headers.get('electric-up-to-date') === null;
    }
    return true;
  }
}

interface Run {
  readonly name: string;
  readonly schema: string;
  readonly each: DdlCase;
  readonly shapes: ReadonlyMap<DdlShape, Shape>;
}

let cluster: Cluster;
let db: Client;

/** Nothing is compared unless somebody asks: so each way of noticing is on its own. */
const NEVER_MS = '86400000';

beforeAll(async () => {
  cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    env: { ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD: NEVER_MS },
  });
  db = new Client({ connectionString: cluster.databaseUrl });
  await db.connect();
});

afterAll(async () => {
  await db.end();
  await cluster.stop();
});

async function run(statement: string, schema: string, refused?: RegExp): Promise<void> {
  const done = db.query(inSchema(statement, schema));
  if (refused) await expect(done).rejects.toThrow(refused);
  else await done;
}

/** The tables of these cases, each with its shapes read to their ends. */
async function open(prefix: string, kind: DdlKind, cases: readonly DdlCase[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const [i, each] of cases.filter(({ on }) => on.includes(kind)).entries()) {
    const schema = `${prefix}${i}`;
    for (const statement of setUpCase(kind)) await run(statement, schema);
    const shapes = DDL_SHAPES.map((shape): [DdlShape, Shape] => [
      shape,
      new Shape(cluster.url, { table: `${schema}.t`, ...shapeParams(each, shape) }),
    ]);
    runs.push({ name: `${each.title} (${kind})`, schema, each, shapes: new Map(shapes) });
  }
  // A few at a time, as if clients came one after the other.
  const waiting = runs.flatMap(({ shapes }) => [...shapes.values()]).values();
  const reader = async () => {
    for (const shape of waiting) await waitFor(() => shape.read());
  };
  await Promise.all(Array.from({ length: 12 }, reader));
  for (const { shapes } of runs)
    for (const shape of shapes.values()) expect([...shape.ids].sort()).toEqual(['1', '101']);
  return runs;
}

/** A table of no case, and a shape of it. */
async function sentinel(name: string): Promise<Shape> {
  await db.query(`create table ${name} (id int primary key, v int)`);
  const shape = new Shape(cluster.url, { table: name });
  await waitFor(() => shape.read());
  return shape;
}

/** Waits until a look has found what was done before. */
async function endSentinel(table: string, shape: Shape): Promise<void> {
  await db.query(`alter table ${table} add c int`);
  await waitFor(async () => (await shape.read()) && shape.ended);
}

/** What became of the shapes, by case. */
function outcomes(runs: readonly Run[]): Record<string, string> {
  return Object.fromEntries(
    runs.map(({ name, shapes }) => [name, DDL_SHAPES.filter((shape) => shapes.get(shape)?.ended).join(' ') || 'none']),
  );
}

function expected(runs: readonly Run[], ends: (each: DdlCase) => readonly DdlShape[]): Record<string, string> {
  return Object.fromEntries(runs.map(({ name, each }) => [name, ends(each).join(' ') || 'none']));
}

describe('A24 DDL', () => {
  /** Does the statements and a write after them, and waits until every shape has ended or shows the write. */
  async function alterAndWrite(runs: readonly Run[]): Promise<void> {
    for (const { each, schema } of runs) {
      const ddl = each.ddl.map((statement) => inSchema(statement, schema));
      // What is repaired when it is noticed is followed by the write at once.
      if (each.write?.startsWith('update')) await db.query([...ddl, inSchema(each.write, schema)].join('; '));
      else {
        for (const statement of each.ddl) await run(statement, schema, each.refused);
        await run(each.write ?? DEFAULT_WRITE, schema);
      }
    }
    const wanted = expected(runs, (each) => endsByWrite(each) ?? []);
    for (const { shapes } of runs) {
      for (const shape of shapes.values()) {
        await waitFor(async () => (await shape.read()) && (shape.ended || shape.ids.has('2')), {
          describe: () => ({ outcomes: outcomes(runs), wanted }),
        });
      }
    }
    expect(outcomes(runs)).toEqual(wanted);
    for (const { name, shapes } of runs) {
      for (const [shape, { ended, ids }] of shapes) if (ended) expect(ids, `${name} ${shape}`).not.toContain('2');
    }
  }

  test('followed by a write ends the shapes it concerns before they show the write, and no other shape', async () => {
    const cases = DDL_CASES.filter((each) => endsByWrite(each) !== undefined);
    await alterAndWrite(await open('w', 'table', cases));
    // The stream shows partitions, and that makes the router compare the catalog: no difference can be told between the two.
    const same = cases.filter((each) => endsByWrite(each)?.length && endsByWrite(each)?.join() === each.ends.join());
    await alterAndWrite(await open('x', 'partitioned', same));
  });

  test('that nothing follows ends the same shapes when the catalog is compared, at once where there is a trigger', async () => {
    const runs = [...(await open('c', 'table', DDL_CASES)), ...(await open('d', 'partitioned', DDL_CASES))];
    const sentinels: (readonly [string, Shape])[] = [];
    for (const name of ['last_1', 'last_2', 'last_3', 'last_4']) sentinels.push([name, await sentinel(name)]);
    await db.query(await readFile(new URL('../../deploy/postgres/ddl-trigger.sql', import.meta.url), 'utf8'));
    for (const { each, schema } of runs) {
      for (const statement of each.ddl) await run(statement, schema, each.refused);
    }
    const read = () => Promise.all(runs.flatMap(({ shapes }) => [...shapes.values()].map((shape) => shape.read())));
    const wanted = expected(runs, (each) => each.ends);
    for (const [table, shape] of sentinels.slice(0, 2)) await endSentinel(table, shape);
    // The look that ended the second one began after all that the first one found was done.
    await read();
    expect(outcomes(runs)).toEqual(wanted);

    // Shapes that are made now know the tables as they are: no look ends them again.
    const { rows: kept } = await db.query<{ schema: string }>(
      `select nspname as schema from pg_namespace where to_regclass(nspname || '.t') is not null and nspname ~ '^[cd][0-9]+$'`,
    );
    const generated = runs.find(({ each }) => each.ddl[0]?.includes('generated'))?.schema;
    const renewed = new Map(
      kept.map(({ schema }) => {
        // Before version 18 there are no shapes of generated columns.
        const columns = schema === generated ? { columns: 'id' } : undefined;
        return [schema, new Shape(cluster.url, { table: `${schema}.t`, ...columns })];
      }),
    );
    for (const shape of renewed.values()) await waitFor(() => shape.read());
    for (const [table, shape] of sentinels.slice(2)) await endSentinel(table, shape);
    for (const [schema, shape] of renewed) {
      await shape.read();
      const { rows } = await db.query<{ id: string }>(`select id::text from ${schema}.t`);
      expect([schema, shape.ended, [...shape.ids].sort()]).toEqual([schema, false, rows.map(({ id }) => id).sort()]);
    }
    const repaired = runs.find(({ each }) => each.ddl[0]?.includes('replica identity')) as Run;
    const identity = `select relreplident from pg_class where oid = '${repaired.schema}.t'::regclass`;
    await waitFor(async () => (await db.query<{ relreplident: string }>(identity)).rows[0]?.relreplident === 'f');
  });

  test('on partitions while no router runs is noticed by the next one (7.15)', async () => {
    await db.query(`create table part (id int primary key) partition by range (id);
      create table part_1 partition of part for values from (0) to (100);
      create table part_2 partition of part for values from (100) to (200);
      insert into part values (1), (101);
      create table same (id int primary key) partition by range (id);
      create table same_1 partition of same for values from (0) to (100);
      drop event trigger shapecast_ddl`);
    const left = new Shape(cluster.url, { table: 'part' });
    const kept = new Shape(cluster.url, { table: 'same' });
    for (const shape of [left, kept]) await waitFor(() => shape.read());
    await cluster.process('router-1').kill();
    await db.query('alter table part detach partition part_2; drop table part_2');
    await cluster.waitReady();
    await waitFor(async () => (await left.read()) && left.ended);
    const again = new Shape(cluster.url, { table: 'part' });
    await waitFor(() => again.read());
    expect([...again.ids]).toEqual(['1']);
    expect((await kept.read()) && kept.ended).toBe(false);
  });
});
