import type { DirectSight, SlotSight } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import type { MessagingInspection, TxStreamSight } from '@shapecast/messaging';
import type { StoreServer } from '@shapecast/shape-store';
import { describe, expect, test } from 'vitest';
import type { CheckId } from './checks.ts';
import { judgeClock } from './clock.ts';
import type { Finding } from './finding.ts';
import { judgeNats } from './nats.ts';
import { judgeDirect } from './postgres.ts';
import { judgeRedis } from './redis.ts';

const CLOCK = { aheadMs: 3, roundTripMs: 2 };
const GIB = 1024 ** 3;

function statusOf(findings: readonly Finding[], id: CheckId): string | undefined {
  return findings.find((finding) => finding.id === id)?.status;
}

describe('Postgres', () => {
  const SLOT: SlotSight = {
    ...{ plugin: 'pgoutput', database: 'app', activePid: 5, lost: false, lostBecause: undefined },
    ...{ walStatus: 'reserved', safeBytes: undefined },
    wal: { current: 100n as Lsn, confirmed: 100n as Lsn, restart: 100n as Lsn },
  };
  const SIGHT: DirectSight = {
    server: { version: '18.1', versionNumber: 180_001, standby: false, walLevel: 'logical', database: 'app' },
    systemId: '1',
    role: { name: 'r', mayCreate: true, missingGrants: [] },
    room: {
      ...{ maxReplicationSlots: 10, replicationSlots: 1, maxWalSenders: 10, walSenders: 1 },
      ...{ maxSlotWalKeepSize: 20_480, walSenderTimeout: 60_000, idleReplicationSlotTimeout: 0 },
    },
    lockHolder: { pid: 5, application: 'shapecast', address: '10.0.0.1' },
    slot: SLOT,
    publication: {
      ...{ allOperations: true, allTables: false, owned: true, viaRoot: false, generatedColumns: true },
      tables: [],
    },
    clock: CLOCK,
  };
  const SETTINGS = { slotName: 's', publicationName: 'p', manualPublishing: false, ownQueryUrl: false };
  const judge = (change: Partial<DirectSight>, id: CheckId) =>
    statusOf(judgeDirect({ ...SIGHT, ...change }, SETTINGS), id);
  const version = (number: number) => ({ server: { ...SIGHT.server, versionNumber: number } });
  const room = (change: Partial<DirectSight['room']>) => ({ room: { ...SIGHT.room, ...change } });
  const kept = (bytes: number) => ({
    slot: { ...SLOT, wal: { current: BigInt(bytes) as Lsn, confirmed: 0n as Lsn, restart: 0n as Lsn } },
  });

  test('all is well', () => {
    expect(judgeDirect(SIGHT, SETTINGS).filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  test.each<[CheckId, string, Partial<DirectSight>]>([
    ['pg.version', 'fail', version(130_015)],
    ['pg.version', 'warn', version(140_017)],
    ['pg.version', 'ok', version(140_018)],
    ['pg.version', 'warn', version(190_000)],
    ['pg.primary', 'fail', { server: { ...SIGHT.server, standby: true } }],
    ['pg.wal_level', 'fail', { server: { ...SIGHT.server, walLevel: 'replica' } }],
    ['pg.slots', 'warn', room({ replicationSlots: 10 })],
    ['pg.slots', 'fail', { ...room({ replicationSlots: 10 }), slot: undefined }],
    ['pg.wal_senders', 'warn', room({ walSenders: 10 })],
    ['pg.wal_senders', 'fail', { ...room({ walSenders: 10 }), lockHolder: undefined }],
    ['pg.slot_wal_keep', 'warn', room({ maxSlotWalKeepSize: -1 })],
    ['pg.wal_sender_timeout', 'warn', room({ walSenderTimeout: 0 })],
    ['pg.idle_slot_timeout', 'warn', room({ idleReplicationSlotTimeout: 60 })],
    ['pg.idle_slot_timeout', 'ok', room({ idleReplicationSlotTimeout: undefined })],
    ['pg.lock', 'warn', { slot: { ...SLOT, activePid: undefined } }],
    ['pg.slot', 'fail', { slot: { ...SLOT, lost: true, lostBecause: 'wal_removed' } }],
    ['pg.slot_wal', 'ok', kept(4 * GIB)],
    ['pg.slot_wal', 'warn', kept(6 * GIB)],
    ['pg.slot_wal', 'fail', kept(16 * GIB)],
    ['pg.slot_wal', 'fail', { ...kept(16 * GIB), ...room({ maxSlotWalKeepSize: -1 }) }],
    ['pg.slot_wal', 'warn', { slot: { ...SLOT, walStatus: 'extended' } }],
    ['pg.slot_wal', 'fail', { slot: { ...SLOT, walStatus: 'unreserved' } }],
    ['pg.publication', 'fail', { publication: { ...SIGHT.publication!, viaRoot: true } }],
    ['pg.publication', 'warn', { publication: { ...SIGHT.publication!, owned: false, generatedColumns: false } }],
    ['pg.create', 'fail', { publication: { ...SIGHT.publication!, owned: false } }],
    ['pg.clock', 'skipped', { clock: undefined }],
  ])('%s is %s (%#)', (id, expected, change) => {
    expect(judge(change, id)).toBe(expected);
  });
});

describe('NATS', () => {
  const STREAM: TxStreamSight = {
    ...{ name: 'tx', replicas: 3, leaderless: false, behind: [], firstSeq: 1, lastSeq: 9 },
    ...{ bytes: 10, maxBytes: 100, maxAgeMs: 1_000, last: undefined, oldestNeededMs: 10, gap: false },
  };
  const SIGHT: MessagingInspection = {
    server: { version: '2.12.1', maxPayload: 1_048_576, cluster: 'c' },
    noJetStream: undefined,
    storage: { usedBytes: 1, maxBytes: 100 },
    source: { incarnation: 1, shards: 2, systemId: '1', timeline: 1, slotName: 's' },
    leader: undefined,
    routers: [],
    durable: new Map(),
    stream: STREAM,
    buckets: [{ name: 'KV_x', replicas: 3, leaderless: false, behind: [] }],
    clock: CLOCK,
  };
  const stream = (change: Partial<TxStreamSight>) => ({ stream: { ...STREAM, ...change } });
  const bucket = (change: object) => ({
    buckets: [{ name: 'KV_x', replicas: 3, leaderless: false, behind: [], ...change }],
  });
  const SETTINGS = { sourceId: 'a', streamReplicas: 3 };

  test('all is well', () => {
    expect(judgeNats(SIGHT, SETTINGS).filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  test.each<[CheckId, string, Partial<MessagingInspection>]>([
    ['nats.version', 'fail', { server: { ...SIGHT.server, version: '2.8.4' } }],
    ['nats.version', 'warn', { server: { ...SIGHT.server, version: '2.9.25' } }],
    ['nats.max_payload', 'warn', { server: { ...SIGHT.server, maxPayload: 64 * 1_048_576 } }],
    ['nats.storage', 'warn', { storage: { usedBytes: 70, maxBytes: 100 } }],
    ['nats.storage', 'ok', { storage: { usedBytes: 70, maxBytes: undefined } }],
    ['nats.stream', 'ok', { source: undefined, stream: undefined }],
    ['nats.stream', 'fail', { stream: undefined }],
    ['nats.stream', 'fail', stream({ leaderless: true })],
    ['nats.replicas', 'warn', stream({ replicas: 1 })],
    ['nats.replicas', 'warn', stream({ behind: ['n2'] })],
    ['nats.stream_fill', 'warn', stream({ bytes: 70 })],
    ['nats.stream_fill', 'fail', stream({ bytes: 90 })],
    ['nats.stream_fill', 'warn', stream({ maxBytes: undefined })],
    ['nats.stream_age', 'warn', stream({ oldestNeededMs: 100 })],
    ['nats.stream_age', 'fail', stream({ oldestNeededMs: 500 })],
    ['nats.stream_age', 'ok', stream({ oldestNeededMs: undefined })],
    ['nats.stream_age', 'fail', stream({ gap: true })],
    ['nats.buckets', 'warn', bucket({ replicas: 1 })],
    ['nats.buckets', 'warn', bucket({ behind: ['n2'] })],
    ['nats.buckets', 'fail', bucket({ leaderless: true })],
  ])('%s is %s (%#)', (id, expected, change) => {
    expect(statusOf(judgeNats({ ...SIGHT, ...change }, SETTINGS), id)).toBe(expected);
  });
});

describe('Redis', () => {
  const SERVER: StoreServer = {
    ...{ name: 'a:1', product: 'redis', version: '7.4.0', role: 'primary', inCluster: false, loading: false },
    ...{ usedBytes: 10, maxBytes: 100, evictionPolicy: 'noeviction', appendOnly: true, appendFailed: false },
    ...{ replicas: 1, appendFsync: 'everysec', minReplicasToWrite: 1, clock: CLOCK },
  };
  const judge = (change: Partial<StoreServer>, id: CheckId) =>
    statusOf(judgeRedis({ nodes: [{ ...SERVER, ...change }], cluster: undefined }, { cluster: false }), id);

  test('all is well', () => {
    const findings = judgeRedis({ nodes: [SERVER], cluster: undefined }, { cluster: false });
    expect(findings.filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  test.each<[CheckId, string, Partial<StoreServer>]>([
    ['redis.version', 'fail', { version: '6.2.14' }],
    ['redis.version', 'warn', { version: '7.0.15' }],
    ['redis.version', 'ok', { version: '7.2.4', product: 'valkey' }],
    ['redis.version', 'ok', { version: '8.0.0' }],
    ['redis.loading', 'fail', { loading: true }],
    ['redis.memory', 'warn', { usedBytes: 70 }],
    ['redis.memory', 'fail', { usedBytes: 90 }],
    ['redis.aof', 'fail', { appendFailed: true }],
    ['redis.fsync', 'skipped', { appendFsync: undefined }],
    ['redis.min_replicas', 'skipped', { minReplicasToWrite: undefined }],
  ])('%s is %s (%#)', (id, expected, change) => {
    expect(judge(change, id)).toBe(expected);
  });

  test('of several servers the worst is told, with its name', () => {
    const nodes = [SERVER, { ...SERVER, name: 'b:2', replicas: 0 }];
    const sight = { nodes, cluster: { state: 'ok', servedSlots: 16_384 } };
    expect(judgeRedis(sight, { cluster: true }).find(({ id }) => id === 'redis.replicas')).toMatchObject({
      status: 'warn',
      message: 'b:2: It has no replica.',
    });
  });

  test.each<[string, { readonly state: string; readonly servedSlots: number }]>([
    ['a slot that nobody serves', { state: 'ok', servedSlots: 16_383 }],
    ['a cluster that is down', { state: 'fail', servedSlots: 16_384 }],
    ['a server that is in no cluster', { state: 'disabled', servedSlots: 0 }],
  ])('%s fails', (_, cluster) => {
    expect(statusOf(judgeRedis({ nodes: [SERVER], cluster }, { cluster: true }), 'redis.cluster')).toBe('fail');
  });
});

test.each([
  [900, 10, 'ok'],
  [-900, 10, 'ok'],
  [-1_500, 10, 'warn'],
  [1_500, 10, 'warn'],
  // Half of the round trip may be the skew.
  [1_500, 2_000, 'ok'],
])('a clock that is %d ms ahead, told in %d ms, is %s', (aheadMs, roundTripMs, status) => {
  expect(judgeClock('nats.clock', 'NATS', { aheadMs, roundTripMs }).status).toBe(status);
});
