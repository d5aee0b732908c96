import { Client, DatabaseError } from 'pg';
import type { Chance } from '../support/chance.ts';

/** An ordinary table, and a partitioned one whose last partition comes and goes. */
export const TABLES = ['plain', 'parts'] as const;

/** Keys are 0 .. KEYS-1 and groups 0 .. GROUPS-1, so that changes meet. */
export const KEYS = 500;
export const GROUPS = 10;

const SETUP = `
  create table plain (id int primary key, grp int not null, body text);
  create table parts (id int, grp int, body text, primary key (id, grp)) partition by list (grp);
  create table parts_low partition of parts for values in (0, 1, 2, 3, 4);
  create table parts_high partition of parts for values in (5, 6, 7, 8);
  create table parts_last partition of parts for values in (9);`;

export async function createTables(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query(SETUP);
    for (const table of TABLES) {
      const rows = `select i, i % ${GROUPS}, 'row ' || i from generate_series(0, ${KEYS / 2}) i`;
      await client.query(`insert into ${table} ${rows}`);
    }
  });
}

export interface Written {
  transactions: number;
  failed: number;
  truncations: number;
  ddl: number;
}

/** Random transactions until the signal aborts. The database may go away at any moment; what it refuses is not written. */
export async function writeUntil(
  databaseUrl: string,
  chance: Chance,
  written: Written,
  signal: AbortSignal,
): Promise<void> {
  await insistently(databaseUrl, signal, async (client) => {
    try {
      await client.query('begin');
      const changes = 1 + chance.int(6);
      for (let i = 0; i < changes; i += 1) await client.query(change(chance, written));
      if (chance.chance(0.05)) await pause(chance.int(300), signal);
      await client.query(chance.chance(0.08) ? 'rollback' : 'commit');
      written.transactions += 1;
    } catch (error) {
      written.failed += 1;
      await client.query('rollback');
      if (!isExpected(error)) throw error;
    }
    await pause(chance.int(10), signal);
  });
}

function change(chance: Chance, written: Written): string {
  const table = chance.pick(TABLES);
  const id = chance.int(KEYS);
  const group = chance.int(GROUPS);
  const body = chance.pick([
    `'${'short '.repeat(chance.int(4))}'`,
    'null',
    // Stored apart, so that updates of other columns come without it.
    `(select string_agg(md5(i::text || ${chance.int(1e6)}), '') from generate_series(1, 150) i)`,
  ]);
  const kind = chance.next();
  if (kind < 0.3) return `insert into ${table} values (${id}, ${group}, ${body}) on conflict do nothing`;
  if (kind < 0.55) return `update ${table} set body = ${body} where id between ${id} and ${id + chance.int(4)}`;
  if (kind < 0.7) return `update ${table} set grp = ${group} where id = ${id}`;
  if (kind < 0.8) return `update ${table} set id = ${chance.int(KEYS)} where id = ${id}`;
  if (kind < 0.95) return `delete from ${table} where id = ${id}`;
  if (kind < 0.9993) {
    const rows = `select i, i % ${GROUPS}, ${body} from generate_series(0, ${KEYS - 1}, ${2 + chance.int(6)}) i`;
    return `insert into ${table} ${rows} on conflict do nothing`;
  }
  written.truncations += 1;
  return `truncate ${table}`;
}

/** What is altered besides rows: `tables` is what applications do, `everything` also what people do to the publication by hand. */
export type Alterations = 'nothing' | 'tables' | 'everything';

/** Alters the tables and their publication now and then. */
export async function alterUntil(
  databaseUrl: string,
  alterations: Exclude<Alterations, 'nothing'>,
  chance: Chance,
  written: Written,
  signal: AbortSignal,
): Promise<void> {
  let serial = 0;
  await insistently(databaseUrl, signal, async (client) => {
    await pause(300 + chance.int(2_000), signal);
    if (signal.aborted) return;
    serial += 1;
    try {
      await client.query(`set lock_timeout = '2s'`);
      await client.query(await alteration(client, alterations, chance, serial));
      written.ddl += 1;
    } catch (error) {
      written.failed += 1;
      if (!isExpected(error)) throw error;
    }
  });
}

async function alteration(client: Client, alterations: Alterations, chance: Chance, serial: number): Promise<string> {
  const table = chance.pick(TABLES);
  switch (chance.int(alterations === 'tables' ? 5 : 7)) {
    case 0:
      return `alter table ${table} add column extra_${Date.now()}_${serial} int default ${serial}`;
    case 1: {
      const extra = await one(
        client,
        `select attname from pg_attribute where attrelid = '${table}'::regclass and attname like 'extra%' and not attisdropped`,
      );
      return extra === undefined ? 'select 1' : `alter table ${table} drop column ${extra}`;
    }
    case 2: {
      const parent = await one(
        client,
        `select inhparent::text from pg_inherits where inhrelid = 'parts_last'::regclass`,
      );
      if (parent !== undefined) return 'alter table parts detach partition parts_last';
      return chance.chance(0.5)
        ? 'alter table parts attach partition parts_last for values in (9)'
        : 'drop table parts_last; create table parts_last partition of parts for values in (9)';
    }
    case 5: {
      const publication = await one(client, `select quote_ident(pubname) from pg_publication_tables limit 1`);
      return publication === undefined ? 'select 1' : `alter publication ${publication} drop table ${table}`;
    }
    case 6:
      return `alter table ${table} replica identity default`;
    case 3:
      return `vacuum full plain`;
    default:
      return `create table other_${Date.now()}_${serial} (id int primary key)`;
  }
}

async function one(client: Client, sql: string): Promise<string | undefined> {
  const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
  return rows[0]?.[0];
}

/** Of a server that says no for a reason: locks, deadlocks, a missing partition, changed columns. Nothing about syntax. */
function isExpected(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  const code = error.code ?? '';
  return (
    /^(23|40|53|55|57|08)/.test(code) || ['42703', '42701', '42704', '42P07', '42809', '42P17', '42804'].includes(code)
  );
}

/** Calls back with a connection, again and again, with another one after the database was gone. */
async function insistently(
  databaseUrl: string,
  signal: AbortSignal,
  act: (client: Client) => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await withClient(databaseUrl, async (client) => {
        while (!signal.aborted) await act(client);
      });
    } catch (error) {
      if (error instanceof DatabaseError && !isExpected(error)) throw error;
      await pause(100, signal);
    }
  }
}

export async function withClient<T>(databaseUrl: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done, { once: true });
  });
}
