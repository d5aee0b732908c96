import { keepConditionRecord, type ConditionRecord, type RegistryEntry } from '@shapecast/messaging';
import { ConditionBoard, silentLogger, systemClock, type ConditionName } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SourceConditions, type SourceFacts } from './source-conditions.ts';
import { ApiFixture } from './testing/api-fixture.ts';

const ACTIVE: SourceFacts = { read: true, known: true, leading: true, routers: 2, unowned: 0 };
const LEADERLESS: SourceFacts = { ...ACTIVE, leading: false };

type Told = Partial<Record<ConditionName, boolean | string>>;

function record(role: ConditionRecord['role'], told: Told): RegistryEntry<ConditionRecord> {
  const conditions = Object.fromEntries(
    Object.entries(told).map(([name, value]) => [
      name,
      { ok: value === true, since: '', ...(typeof value === 'string' ? { error: value } : {}) },
    ]),
  );
  return { key: `s.${role}-${Math.random()}`, value: { role, conditions }, revision: 1 };
}

function conditionsOf(facts: SourceFacts, ...records: RegistryEntry<ConditionRecord>[]): SourceConditions {
  const conditions = new SourceConditions(systemClock);
  conditions.update(facts, records);
  return conditions;
}

const LOCKED = { pg_lock_acquired: true };
const OPEN = { ...LOCKED, replication_client_ready: true };

describe('the first condition that is missing decides what waiting requests are told', () => {
  const hint =
    "Check that you don't have pending transactions in the database. Electric has to wait for all pending transactions to commit or rollback before it can create the replication slot.";
  test.each<[string, SourceFacts, RegistryEntry<ConditionRecord>[], string | undefined]>([
    ['nothing is missing', ACTIVE, [], undefined],
    ['the registries cannot be read', { ...LEADERLESS, read: false }, [], 'shape metadata to be loaded'],
    ['no replicator runs', LEADERLESS, [], 'stack restart'],
    ['no router runs', { ...ACTIVE, routers: 0, unowned: 8 }, [], 'stack restart'],
    [
      'the lock is held elsewhere',
      LEADERLESS,
      [record('replicator', { pg_lock_acquired: false, replication_client_ready: false })],
      'Postgres lock acquisition',
    ],
    [
      'the slot cannot be made yet',
      LEADERLESS,
      [record('replicator', { ...LOCKED, replication_client_ready: false })],
      `replication client to be ready. ${hint}`,
    ],
    [
      'the history is not proven yet',
      LEADERLESS,
      [record('replicator', { ...OPEN, integrity_checks_passed: false })],
      'integrety checks',
    ],
    ['the source was never set up', { ...ACTIVE, known: false, unowned: undefined }, [], 'shape metadata to be loaded'],
    ['a shard has no owner', { ...ACTIVE, unowned: 1 }, [], 'shape data to be loaded'],
  ])('when %s', (_name, facts, records, expected) => {
    const missing = conditionsOf(facts, ...records).missing;
    expect(missing).toBe(expected === undefined ? undefined : `Timeout waiting for ${expected}`);
  });

  test('and the pools of the database have texts of their own', () => {
    const refused = record('router', { admin_connection_pool_ready: 'refused', snapshot_connection_pool_ready: false });
    const conditions = conditionsOf(ACTIVE, refused);
    expect(conditions.missing).toBeUndefined();
    expect(conditions.text('admin_connection_pool_ready')).toBe(
      'Timeout waiting for database connection pool (metadata) to be ready: refused',
    );
    expect(conditions.text('snapshot_connection_pool_ready')).toBe(
      'Timeout waiting for database connection pool (snapshot) to be ready',
    );
  });

  test('with the reason that a process knows of it', () => {
    const reason = { pg_lock_acquired: 'password authentication failed', replication_client_ready: false };
    expect(conditionsOf(LEADERLESS, record('replicator', reason)).missing).toBe(
      'Timeout waiting for Postgres lock acquisition: password authentication failed',
    );
  });

  test('of several reasons the newest, however often the older ones are told again', () => {
    let now = 0;
    const boards = [1, 2].map(() => new ConditionBoard({ ...systemClock, now: () => now, wall: () => now }));
    const records = (): RegistryEntry<ConditionRecord>[] =>
      boards.map((board, i) => ({
        key: `s.replicator-${i}`,
        value: { role: 'replicator', conditions: board.report() },
        revision: 1,
      }));
    boards[0]?.set('pg_lock_acquired', false, 'wal_level is replica');
    now = 60_000;
    boards[1]?.set('pg_lock_acquired', false, 'password authentication failed');
    now = 120_000;
    boards[0]?.set('pg_lock_acquired', false, 'wal_level is replica');
    expect(conditionsOf(LEADERLESS, ...records()).missing).toMatch(/: password authentication failed$/);
    boards[0]?.set('pg_lock_acquired', false, 'too many connections');
    expect(conditionsOf(LEADERLESS, ...records()).missing).toMatch(/: too many connections$/);
  });

  test('of several replicators the one that got furthest counts', () => {
    const behind = record('replicator', { pg_lock_acquired: 'refused', replication_client_ready: false });
    const ahead = record('replicator', { ...LOCKED, replication_client_ready: 'transactions are open' });
    expect(conditionsOf(LEADERLESS, behind, ahead).missing).toMatch(/replication slot\.: transactions are open$/);
  });

  test('a leader of a version that tells no conditions is as good as any', () => {
    expect(conditionsOf(ACTIVE).report()).toMatchObject({
      pg_lock_acquired: { ok: true },
      replication_client_ready: { ok: true },
      integrity_checks_passed: { ok: true },
    });
  });
});

test('every condition of the reference can be seen by itself, with the time of its last change', () => {
  let now = 0;
  const conditions = new SourceConditions({ ...systemClock, now: () => now, wall: () => now });
  const pools = { admin_connection_pool_ready: true, snapshot_connection_pool_ready: true };
  now = 1_000;
  conditions.update(ACTIVE, [record('router', pools)]);
  now = 2_000;
  conditions.update({ ...ACTIVE, unowned: 3 }, [record('router', pools)]);
  expect(
    Object.fromEntries(Object.entries(conditions.report()).map(([k, v]) => [k, [v.ok, v.since.slice(17, 19)]])),
  ).toEqual({
    pg_lock_acquired: [true, '01'],
    replication_client_ready: [true, '01'],
    admin_connection_pool_ready: [true, '01'],
    snapshot_connection_pool_ready: [true, '01'],
    shape_log_collector_ready: [false, '02'],
    supervisor_processes_ready: [true, '01'],
    integrity_checks_passed: [true, '01'],
    shape_metadata_ready: [true, '01'],
  });
});

test('a request that needs a leader waits, and is told what a replicator says the matter is', async () => {
  const api = new ApiFixture({ readyTimeoutMs: 300 });
  onTestFinished(() => api.stop());
  await api.start();
  await api.router.lead(false);
  const board = new ConditionBoard(systemClock);
  board.set('pg_lock_acquired', false, 'cannot reach postgresql://me:hunter2@db/app');
  const stop = new AbortController();
  const telling = keepConditionRecord(
    { registries: api.messaging.registries, clock: systemClock, log: silentLogger },
    { source: api.source, instance: 'r1' },
    () => ({ role: 'replicator', conditions: board.report() }),
    stop.signal,
  );
  const why = 'Timeout waiting for Postgres lock acquisition: cannot reach postgresql://***@db/app';
  await waitFor(() => api.api.report()['missing'] === why);
  const refused = await api.send('/v1/shape?table=items&offset=-1');
  expect([refused.status, refused.headers['retry-after'], refused.text]).toEqual([
    503,
    '5',
    JSON.stringify({ message: why }),
  ]);

  board.set('pg_lock_acquired', true);
  board.set('replication_client_ready', false);
  await waitFor(() => /replication client/.test(String(api.api.report()['missing'])));
  stop.abort();
  await telling;
  await waitFor(() => api.api.report()['missing'] === 'Timeout waiting for stack restart');
});
