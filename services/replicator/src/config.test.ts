import { isShapecastError } from '@shapecast/errors';
import { describe, expect, test } from 'vitest';
import { parseReplicatorConfig } from './config.ts';

const required = { DATABASE_URL: 'postgresql://me:secret@db/app', SHAPECAST_NATS_URL: 'nats://nats:4222' };

function problemOf(env: Record<string, string>): string {
  try {
    parseReplicatorConfig(env);
    return '';
  } catch (err) {
    return isShapecastError(err, 'INVALID_CONFIG') ? err.message : `not INVALID_CONFIG: ${String(err)}`;
  }
}

describe('replicator configuration', () => {
  test('a database and NATS are enough', () => {
    expect(parseReplicatorConfig(required)).toMatchObject({
      sourceId: 'single_stack',
      slotName: 'electric_slot_default',
      publicationName: 'electric_publication_default',
      shards: 8,
      streamReplicas: 3,
      confirmDelayMs: 240_000,
      maxFragmentBytes: 524_288,
      maxFragmentChanges: 500,
      windowBytes: 67_108_864,
      windowMessages: 4_096,
      walSenderTimeoutMs: 15_000,
      lockPollMs: 1_000,
      lockBreaker: true,
      healthPort: 3_001,
    });
  });

  test('the WAL guard refuses new shapes by default and leaves the budget to Postgres, and knows two more policies', () => {
    expect(parseReplicatorConfig(required)).toMatchObject({
      walGuard: 'shed',
      walBudgetBytes: undefined,
      walBudgetAgeMs: 0,
      walGuardIntervalMs: 10_000,
      walGuardPauseMs: 60_000,
    });
    const set = { SHAPECAST_WAL_BUDGET: '8GiB', SHAPECAST_WAL_BUDGET_AGE: '6h', SHAPECAST_WAL_GUARD: 'drop' };
    expect(parseReplicatorConfig({ ...required, ...set })).toMatchObject({
      walGuard: 'drop',
      walBudgetBytes: 8 * 1024 ** 3,
      walBudgetAgeMs: 6 * 3_600_000,
    });
    expect(problemOf({ ...required, SHAPECAST_WAL_GUARD: 'off' })).toContain('expected alarm, shed or drop');
  });

  test('an idle source keeps its connections, unless it may sleep after half a minute or longer', () => {
    expect(parseReplicatorConfig(required).idleTimeoutMs).toBe(0);
    const set = (value: string, more = {}) => ({ ...required, ...more, ELECTRIC_REPLICATION_IDLE_TIMEOUT: value });
    expect(parseReplicatorConfig(set('30s')).idleTimeoutMs).toBe(30_000);
    expect(problemOf(set('29s'))).toContain('ELECTRIC_REPLICATION_IDLE_TIMEOUT');
    expect(problemOf(set('29s'))).toContain('expected at least 30s, or 0');
    const temporary = { CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN: 'true' };
    expect(problemOf(set('1m', temporary))).toContain('ELECTRIC_REPLICATION_IDLE_TIMEOUT');
    expect(problemOf(set('0', temporary))).toBe('');
  });

  test('the stream id names slot and publication, as an unquoted SQL identifier', () => {
    expect(parseReplicatorConfig({ ...required, ELECTRIC_REPLICATION_STREAM_ID: 'Blue_2' })).toMatchObject({
      slotName: 'electric_slot_blue_2',
      publicationName: 'electric_publication_blue_2',
    });
    expect(problemOf({ ...required, ELECTRIC_REPLICATION_STREAM_ID: 'a-b' })).toMatch(/ELECTRIC_REPLICATION_STREAM_ID/);
  });

  test('a temporary slot may have a random name', () => {
    const random = { ...required, ELECTRIC_TEMPORARY_REPLICATION_SLOT_USE_RANDOM_NAME: 'true' };
    expect(parseReplicatorConfig(random).slotName).toBe('electric_slot_default');
    const temporary = { ...random, CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN: 'true' };
    expect(parseReplicatorConfig(temporary).slotName).toMatch(/^electric_slot_[0-9a-f]{32}$/);
  });

  test.each([
    ['twice the sync interval', { SHAPECAST_NATS_SYNC_INTERVAL: '5s' }, 10_000],
    ['nothing when NATS syncs always', { SHAPECAST_NATS_SYNC_INTERVAL: 'always' }, 0],
    ['what is set', { SHAPECAST_CONFIRM_DELAY: '3s', SHAPECAST_NATS_SYNC_INTERVAL: '5s' }, 3_000],
    ['nothing when set so', { SHAPECAST_CONFIRM_DELAY: '0' }, 0],
  ])('the confirm delay is %s', (_, env, expected) => {
    expect(parseReplicatorConfig({ ...required, ...env }).confirmDelayMs).toBe(expected);
  });

  test('fewer than three copies need a word of consent', () => {
    const env = { ...required, SHAPECAST_STREAM_REPLICAS: '1' };
    expect(problemOf(env)).toMatch(/SHAPECAST_ALLOW_UNSAFE=true/);
    expect(parseReplicatorConfig({ ...env, SHAPECAST_ALLOW_UNSAFE: 'true' }).streamReplicas).toBe(1);
  });

  test.each(['0', '3', '512', 'eight'])('%s shards are refused', (shards) => {
    expect(problemOf({ ...required, SHAPECAST_SHARDS: shards })).toMatch(/SHAPECAST_SHARDS/);
  });

  test.each(['1', '2', '64', '256'])('%s shards are accepted', (shards) => {
    expect(parseReplicatorConfig({ ...required, SHAPECAST_SHARDS: shards }).shards).toBe(Number(shards));
  });

  test('every wrong variable is named, and no secret', () => {
    const message = problemOf({ DATABASE_URL: 'mysql://me:secret@db', SHAPECAST_LOCK_POLL: 'soon' });
    expect(message).toMatch(/DATABASE_URL/);
    expect(message).toMatch(/SHAPECAST_NATS_URL/);
    expect(message).toMatch(/SHAPECAST_LOCK_POLL/);
    expect(message).not.toMatch(/secret/);
  });

  test('the names of the reference are understood', () => {
    const env = {
      ...required,
      ELECTRIC_DATABASE_ID: 'tenant',
      ELECTRIC_QUERY_DATABASE_URL: 'postgresql://me@pool/app',
    };
    expect(parseReplicatorConfig(env)).toMatchObject({ sourceId: 'tenant', queryUrl: 'postgresql://me@pool/app' });
  });
});
