import net, { type AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { createDatabase, sharedPostgresUrl, waitFor, type TestDatabase } from '@shapecast/testkit';
import type { ConnectionPermits } from './connection-budget.ts';
import { LazyPool, type LazyPoolOptions } from './lazy-pool.ts';
import { PgServer } from './server.ts';
import { rowOf } from './sql/query.ts';

const never = new AbortController().signal;

describe('a pool', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  const pools: LazyPool[] = [];
  const application = `pool_${randomBytes(4).toString('hex')}`;

  beforeEach(async () => {
    database = await createDatabase(sharedPostgresUrl());
    admin = new pg.Client({ connectionString: sharedPostgresUrl() });
    await admin.connect();
  });
  afterEach(async () => {
    for (const pool of pools.splice(0)) pool.close();
    await admin.end();
    await database.drop();
  });

  function open(options: Partial<LazyPoolOptions> = {}, url: string = database.url): LazyPool {
    const defaults = { maxConnections: 2, acquireTimeoutMs: 20_000, applicationName: application };
    const pool = new LazyPool(new PgServer(url), { ...defaults, ...options });
    pools.push(pool);
    return pool;
  }

  const backends = async () => {
    const { rows } = await admin.query<{ n: number }>(
      'select count(*)::int as n from pg_stat_activity where application_name = $1 and datname = $2',
      [application, database.name],
    );
    return rows[0]?.n;
  };
  const pid = async (pool: LazyPool) => pool.use(never, async (db) => (await rowOf(db, 'select pg_backend_pid()'))[0]);

  /** Holds a connection until told to give it back. */
  async function hold(pool: LazyPool): Promise<() => Promise<void>> {
    let give = () => {};
    const held = new Promise<void>((resolve) => (give = resolve));
    let done: Promise<void> = Promise.resolve();
    await new Promise<void>((taken, failed) => {
      done = pool.use(never, () => {
        taken();
        return held;
      });
      done.catch(failed);
    });
    return () => {
      give();
      return done;
    };
  }

  test('closes what nobody uses when it is told that nobody will, and what is lent stays', async () => {
    const pool = open();
    const give = await hold(pool);
    await pid(pool);
    await waitFor(async () => (await backends()) === 2);
    pool.closeIdle();
    await waitFor(async () => (await backends()) === 1);
    await give();
    expect(await pid(pool)).toBeDefined();
    pool.closeIdle();
    await waitFor(async () => (await backends()) === 0);
    expect(await pid(pool)).toBeDefined();
  });

  test('opens no more connections than it may, and serves everybody in order', async () => {
    const pool = open();
    const order: number[] = [];
    const uses = Array.from({ length: 10 }, (_, index) =>
      pool.use(never, async (db) => {
        order.push(index);
        await db.query('select pg_sleep(0.02)');
        return backends();
      }),
    );
    expect(Math.max(...(await Promise.all(uses)).map(Number))).toBeLessThanOrEqual(2);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('keeps a connection for the next caller, and replaces one that broke', async () => {
    const pool = open();
    const first = await pid(pool);
    expect(await pid(pool)).toBe(first);
    await admin.query('select pg_terminate_backend($1)', [first]);
    await waitFor(async () => (await backends()) === 0);
    const second = await waitFor(() => pid(pool).catch(() => undefined));
    expect(second).not.toBe(first);
  });

  test('throws a connection away whose user failed, in a transaction perhaps', async () => {
    const pool = open({ maxConnections: 1 });
    const first = await pid(pool);
    const failing = pool.use(never, async (db) => {
      await db.query('begin');
      throw new Error('oops');
    });
    await expect(failing).rejects.toThrow('oops');
    expect(await pid(pool)).not.toBe(first);
  });

  test('lets a caller wait for so long and no longer, and leave', async () => {
    const pool = open({ maxConnections: 1, acquireTimeoutMs: 60 });
    const give = await hold(pool);
    const late = { code: 'SOURCE_UNAVAILABLE', details: { type: 'pool_timeout' } };
    await expect(pid(pool)).rejects.toMatchObject(late);
    await expect(pool.use(never, async () => 1, 5)).rejects.toMatchObject(late);
    const leaving = new AbortController();
    const waiting = pool.use(leaving.signal, async () => 1);
    leaving.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await give();
    expect(await pool.use(never, async () => 1)).toBe(1);
    expect(await backends()).toBe(1);
  });

  test('that cannot fill fails with what the server said', async () => {
    const url = new URL(database.url);
    url.pathname = '/nowhere';
    const pool = open({ failAfterMs: 60_000 }, url.href);
    // Not worth waiting for: somebody has to change something.
    await expect(pid(pool)).rejects.toMatchObject({ details: { type: 'database_does_not_exist' } });
  });

  test('asks a server that refuses at growing intervals, however many wait', async () => {
    let attempts = 0;
    const server = net.createServer((socket) => {
      attempts += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => void server.close());
    const url = new URL(database.url);
    url.port = String((server.address() as AddressInfo).port);
    url.searchParams.set('sslmode', 'disable');
    const { clock, leap } = leapingClock();
    const pool = open({ failAfterMs: 5_000, clock }, url.href);
    const waiting = Array.from({ length: 20 }, () => pid(pool).catch((error: unknown) => error));
    await waitFor(() => attempts === 2);
    let done = false;
    void Promise.all(waiting).then(() => (done = true));
    await waitFor(() => {
      leap(1_000);
      return done;
    });
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', details: { type: 'connection_closed' } });
    }
    const before = attempts;
    await expect(pid(pool)).rejects.toMatchObject({ details: { type: 'connection_closed' } });
    expect(attempts).toBe(before);
    // Two at first, then one at a time, each after twice the wait, for 5 s.
    expect(attempts).toBeLessThanOrEqual(6);
  });

  test('that shares a budget gives back what others wait for', async () => {
    const listeners = new Set<(part: 'admin' | 'snapshots') => void>();
    let free = 1;
    let wanted = false;
    const permits: ConnectionPermits = {
      acquire: async (_part, signal) => {
        await waitFor(() => free > 0 || signal.aborted);
        signal.throwIfAborted();
        free -= 1;
        return () => void (free += 1);
      },
      contended: () => wanted,
      onContended: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const pool = open({ permits, part: 'snapshots' });
    await pid(pool);
    expect([free, await backends()]).toEqual([0, 1]);
    for (const listener of listeners) listener('admin');
    expect(free).toBe(0);
    for (const listener of listeners) listener('snapshots');
    await waitFor(() => free === 1);
    expect(await backends()).toBe(0);
    const give = await hold(pool);
    wanted = true;
    await give();
    await waitFor(() => free === 1);
    expect(await backends()).toBe(0);
    pool.close();
    expect(listeners.size).toBe(0);
  });

  test('lets go of everything when it is closed', async () => {
    const pool = open({ maxConnections: 1 });
    const give = await hold(pool);
    const waiting = pid(pool);
    pool.close();
    await expect(waiting).rejects.toThrow('pool is closed');
    await expect(pid(pool)).rejects.toThrow('pool is closed');
    await give();
    await waitFor(async () => (await backends()) === 0);
    expect(await backends()).toBe(0);
  });
});

/** Real time, in which timers can be made to go off early. */
function leapingClock() {
  let leapt = 0;
  const timers = new Set<{ readonly at: number; readonly go: () => void }>();
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + leapt,
    after: (ms, callback) => {
      const go = () => {
        timers.delete(timer);
        cancel();
        callback();
      };
      const timer = { at: clock.now() + ms, go };
      const cancel = systemClock.after(ms, go);
      timers.add(timer);
      return () => {
        timers.delete(timer);
        cancel();
      };
    },
  };
  const leap = (ms: number) => {
    leapt += ms;
    for (const timer of [...timers]) if (timer.at <= clock.now()) timer.go();
  };
  return { clock, leap };
}
