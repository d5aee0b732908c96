import type { Client } from 'pg';
import type { Chance } from '../../support/chance.ts';
import { ALTERED, GROUPS, KEYS } from '../model/tables.ts';
import { insistently, isExpected, pause } from './connection.ts';
import type { Written } from './writers.ts';

/** What is altered besides rows: `tables` is what applications do, `everything` also what people do to the publication by hand. */
export type Alterations = 'nothing' | 'tables' | 'everything';

/** Alters the tables that are meant for it, writes to them, and alters their publication. */
export async function alterUntil(
  databaseUrl: string,
  alterations: Alterations,
  chance: Chance,
  written: Written,
  signal: AbortSignal,
): Promise<void> {
  let serial = 0;
  await insistently(databaseUrl, signal, async (client) => {
    for (let i = 0; i < 10 && !signal.aborted; i += 1) {
      await attempt(client, written, async () => client.query(write(chance)));
      await pause(50 + chance.int(250), signal);
    }
    if (signal.aborted) return;
    serial += 1;
    await client.query(`set lock_timeout = '2s'`);
    await attempt(client, written, async () => {
      await client.query(await alteration(client, alterations, chance, serial));
      written.ddl += 1;
    });
  });
}

async function attempt(client: Client, written: Written, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    written.failed += 1;
    if (!isExpected(error)) throw error;
    await client.query('rollback');
  }
}

function write(chance: Chance): string {
  const table = chance.pick(ALTERED);
  const id = chance.int(KEYS);
  return chance.chance(0.7)
    ? `insert into ${table} (id, grp, n, body) values (${id}, ${chance.int(GROUPS)}, ${chance.int(100)}, 'short ${id}') on conflict do nothing`
    : `delete from ${table} where id = ${id}`;
}

async function alteration(client: Client, alterations: Alterations, chance: Chance, serial: number): Promise<string> {
  const table = chance.pick(ALTERED);
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
        `select inhparent::text from pg_inherits where inhrelid = 'altered_last'::regclass`,
      );
      if (parent !== undefined) return 'alter table altered_parts detach partition altered_last';
      return chance.chance(0.5)
        ? 'alter table altered_parts attach partition altered_last for values in (9)'
        : 'drop table altered_last; create table altered_last partition of altered_parts for values in (9)';
    }
    case 3:
      return `vacuum full altered`;
    case 5: {
      const publication = await one(
        client,
        `select quote_ident(pubname) from pg_publication_tables where pubname like 'electric%' limit 1`,
      );
      return publication === undefined ? 'select 1' : `alter publication ${publication} drop table ${table}`;
    }
    case 6:
      return `alter table ${table} replica identity default`;
    default:
      return `create table other_${Date.now()}_${serial} (id int primary key)`;
  }
}

async function one(client: Client, sql: string): Promise<string | undefined> {
  const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
  return rows[0]?.[0];
}
