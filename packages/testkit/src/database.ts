import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database of its own on a server that tests share. */
export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** Ends its sessions, drops its replication slots and the database itself. */
  drop(): Promise<void>;
}

/** Creates an empty database with a random name; `adminUrl` is a superuser on the same server. */
export async function createDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, async (client) => client.query(`CREATE DATABASE ${name} TEMPLATE template0`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, name, drop: () => withClient(adminUrl, (client) => dropDatabase(client, name)) };
}

async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`).catch(ignoreMissing);
  for (;;) {
    // A walsender may not hold its slot any more when we look, or take it again when its client reconnects in between.
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    const slots = await client.query<{ slot_name: string; active: boolean }>(
      'SELECT slot_name, active FROM pg_replication_slots WHERE database = $1',
      [name],
    );
    if (slots.rows.length === 0) break;
    for (const slot of slots.rows.filter((row) => !row.active)) {
      await client.query('SELECT pg_drop_replication_slot($1)', [slot.slot_name]).catch(ignoreInUse);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

async function withClient<T>(url: string, task: (client: pg.Client) => Promise<T>): Promise<Awaited<T>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await task(client);
  } finally {
    await client.end();
  }
}

function ignoreMissing(error: { readonly code?: string }): void {
  if (error.code !== '3D000') throw error as Error;
}

function ignoreInUse(error: { readonly code?: string }): void {
  if (error.code !== '55006' && error.code !== '42704') throw error as Error;
}
