import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { classifyDatabaseError, type DatabaseErrorClass } from './database-error.ts';

/** Errors as servers and driver really raise them; those of slots and privileges are with the set-up that meets them. */
describe('a database error of a real server', () => {
  let server: TestPostgres;
  let admin: pg.Client;

  beforeAll(async () => {
    server = await startPostgres({ password: 'correct', settings: { max_wal_senders: '1' } });
    admin = await connected(server.url);
    await admin.query(`create role barred password 'correct' nologin`);
    await admin.query(`create role plain password 'correct' login`);
  });
  afterAll(async () => {
    await admin?.end().catch(() => {});
    await server?.stop();
  });

  async function connected(url: string, more: object = {}): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url, ...more });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  function urlOf(change: Partial<Pick<URL, 'username' | 'password' | 'pathname' | 'port'>>): string {
    return Object.assign(new URL(server.url), change).href;
  }

  async function failure(attempt: Promise<unknown>): Promise<DatabaseErrorClass> {
    try {
      await attempt;
    } catch (error) {
      return classifyDatabaseError(error);
    }
    throw new Error('nothing failed');
  }

  test.each([
    ['a wrong password', { password: 'wrong' }, 'invalid_username_or_password', 'slow'],
    ['a role that does not exist', { username: 'nobody' }, 'invalid_username_or_password', 'slow'],
    ['a role that may not log in', { username: 'barred' }, 'authorization_failure', 'slow'],
    ['a database that does not exist', { pathname: '/nowhere' }, 'database_does_not_exist', 'slow'],
    ['a port where nobody listens', { port: '1' }, 'connection_refused', 'backoff'],
  ])('%s', async (_what, change, type, retry) => {
    expect(await failure(connected(urlOf(change)))).toMatchObject({ type, retry });
  });

  test('replication for a role that may not', async () => {
    const url = urlOf({ username: 'plain' });
    const refused = await failure(connected(url, { replication: 'database' }));
    expect(refused).toMatchObject({ type: 'insufficient_privileges', retry: 'slow' });
    expect(refused.message).toMatch(/^User does not have the REPLICATION attribute/);
  });

  test('no walsender left', async () => {
    // The session before may still be ending, in the only place.
    const first = await waitFor(() => connected(server.url, { replication: 'database' }).catch(() => undefined));
    const refused = failure(connected(server.url, { replication: 'database' }));
    expect(await refused).toMatchObject({ type: 'insufficient_resources', retry: 'backoff' });
    await first.end();
  });

  test('a replication command where none is understood', async () => {
    expect(await failure(admin.query('IDENTIFY_SYSTEM'))).toMatchObject({ type: 'syntax_error', retry: 'slow' });
  });

  test('a query that was cancelled, and a session that was ended', async () => {
    const other = await connected(server.url);
    const pid = (await other.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
    for (const [how, type] of [
      ['pg_cancel_backend', 'query_canceled'],
      ['pg_terminate_backend', 'database_server_shutting_down'],
    ] as const) {
      const failed = failure(other.query(`select pg_sleep(60), '${how}'`));
      const sleeps = `select 1 from pg_stat_activity where pid = $1 and query like $2 and state = 'active'`;
      await waitFor(async () => (await admin.query(sleeps, [pid, `%sleep%${how}%`])).rowCount === 1);
      await admin.query(`select ${how}($1)`, [pid]);
      expect(await failed).toMatchObject({ type, retry: 'backoff' });
    }
  });

  test('a server that shuts down once its sessions have ended', async () => {
    process.kill(server.pid as number, 'SIGTERM');
    const refused = await waitFor(async () => {
      const found = await failure(connected(server.url).then((client) => client.end())).catch(() => undefined);
      return found?.type === 'database_server_unavailable' ? found : undefined;
    });
    expect(refused).toMatchObject({ type: 'database_server_unavailable', retry: 'backoff' });
    await admin.end();
    await waitFor(() => server.pid === undefined);
    expect(await failure(connected(server.url))).toMatchObject({ type: 'connection_refused', retry: 'backoff' });
  });
});
