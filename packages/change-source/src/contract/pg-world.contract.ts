import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { createDatabase, sharedPostgresUrl } from '@shapecast/testkit';
import { openPgGuardedSlot } from '../pg/pg-guarded-slot.ts';
import { openPgChangeSource, type PgChangeSourceOptions } from '../pg/pg-change-source.ts';
import { openPgSourceDatabase, type PgSourceDatabaseOptions } from '../pg/pg-source-database.ts';
import type { ContractWorld, ItemChange } from './change-source.contract.ts';

export const deps = { clock: systemClock, log: silentLogger };

/** A database of its own on a Postgres server, with a source on it. */
export interface PgWorld extends ContractWorld {
  readonly url: string;
  readonly slotName: string;
  readonly publicationName: string;
  readonly client: pg.Client;
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Another connection; closed with the world. */
  connect(): Promise<pg.Client>;
}

export interface PgWorldOptions {
  readonly clock?: Clock;
  readonly adminUrl?: string;
  readonly source?: Partial<PgChangeSourceOptions>;
  readonly database?: Partial<PgSourceDatabaseOptions>;
}

export async function openPgWorld(options: PgWorldOptions = {}): Promise<PgWorld> {
  const created = await createDatabase(options.adminUrl ?? sharedPostgresUrl());
  const { url } = created;
  const clients: pg.Client[] = [];
  const connect = async () => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    clients.push(client);
    return client;
  };
  const client = await connect();
  await client.query('create table items (id text primary key, value text)');
  const clocked = { ...deps, clock: options.clock ?? systemClock };
  const names = { slotName: `slot_${randomBytes(6).toString('hex')}`, publicationName: 'Pub "quoted"' };
  const source = openPgChangeSource({ url, ...names, lockPollMs: 20, ...options.source }, clocked);
  const database = openPgSourceDatabase({ url, publicationName: names.publicationName, ...options.database }, clocked);
  return {
    ...names,
    url,
    source,
    database,
    slot: openPgGuardedSlot({ url, slotName: names.slotName }, clocked),
    client,
    connect,
    sql: async (text, values) => (await client.query<Record<string, unknown>>(text, values)).rows,
    transaction: (changes) => transaction(client, changes),
    close: async () => {
      await database.close();
      await Promise.all(clients.map((each) => each.end().catch(() => {})));
      await created.drop();
    },
  };
}

async function transaction(client: pg.Client, changes: readonly ItemChange[]): Promise<void> {
  const statements = changes.map((change) => {
    switch (change.kind) {
      case 'insert':
        return `insert into items values (${literal(change.id)}, ${literal(change.value)})`;
      case 'update':
        return `update items set id = ${literal(change.newId ?? change.id)}, value = ${literal(change.value)} where id = ${literal(change.id)}`;
      case 'delete':
        return `delete from items where id = ${literal(change.id)}`;
      case 'truncate':
        return 'truncate items';
    }
  });
  await client.query(['begin', ...statements, 'commit'].join('; '));
}

function literal(value: string | null): string {
  return value === null ? 'null' : pg.escapeLiteral(value);
}
