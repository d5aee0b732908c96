import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openPgChangeSource, openPgSourceDatabase } from '@shapecast/change-source';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { createDatabase, defaultPostgresMajor, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';

const PAGE = readFileSync(new URL('../../docs/postgres.md', import.meta.url), 'utf8');
const [AUTOMATIC = '', BY_HAND = '', OPTIONAL = ''] = [...PAGE.matchAll(/```sql\n([^`]+)```/g)].map(
  ([, sql]) => sql as string,
);
const deps = { clock: systemClock, log: silentLogger };
const never = new AbortController().signal;

describe('what the page on Postgres says to run', () => {
  const suffix = randomBytes(6).toString('hex');
  let database: TestDatabase;
  let client: pg.Client;

  beforeEach(async () => {
    database = await createDatabase(sharedPostgresUrl());
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`create role app_owner_${suffix}`);
    await client.query('create table items (id int primary key)');
    await client.query(`alter table items owner to app_owner_${suffix}`);
  });

  afterEach(async () => {
    for (const role of [`shapecast_${suffix}`, `shapecast_reader_${suffix}`, `app_owner_${suffix}`]) {
      const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
      if (rowCount === 0) continue;
      await client.query(`reassign owned by ${role} to current_user`);
      await client.query(`drop owned by ${role}`);
      await client.query(`drop role ${role}`);
    }
    await client.end();
    await database.drop();
  });

  /** With roles of this test, which are those of the whole server. */
  async function run(sql: string): Promise<void> {
    const own = sql
      .replaceAll(/\b(shapecast_reader|shapecast|app_owner)\b/g, `$1_${suffix}`)
      .replaceAll(/database app\b/g, `database "${new URL(database.url).pathname.slice(1)}"`);
    await client.query(own);
  }

  /** As that role: a replication session, and a table that is published. */
  async function follow(role: string, manualPublishing: boolean): Promise<void> {
    const url = new URL(database.url);
    url.username = `${role}_${suffix}`;
    const options = { url: url.href, publicationName: 'electric_publication_default', manualPublishing };
    const source = openPgChangeSource({ ...options, slotName: `page_${suffix}`, temporarySlot: true }, deps);
    const session = await source.open(() => undefined, never);
    const catalog = openPgSourceDatabase(options, deps);
    try {
      const items = await catalog.introspect('public', 'items', never);
      if (items === undefined) throw new Error('there is no table');
      expect(await catalog.publish({ oid: items.oid, schema: 'public', name: 'items' }, never)).not.toBe('');
      expect((await catalog.publication.verify([items.oid], never)).flaws).toEqual([]);
    } finally {
      await catalog.close();
      await session.close();
    }
  }

  test('makes a role that can publish by itself', async () => {
    await run(AUTOMATIC);
    await follow('shapecast', false);
    // As the page says, the first is there from 16 on.
    await run(defaultPostgresMajor() >= 16 ? OPTIONAL : OPTIONAL.replace(/^.*pg_log_standby_snapshot.*$/m, ''));
  });

  test('makes a role that only reads, where all is done by hand', async () => {
    await run(BY_HAND);
    await follow('shapecast_reader', true);
  });
});
