import type { StoreInspection, StoreServer } from '@shapecast/shape-store';
import { shareText, sizeText } from '../output/quantities.ts';
import type { CheckId } from './checks.ts';
import { judgeClock } from './clock.ts';
import { failureOf } from './failure.ts';
import { fail, ok, skipped, type Finding, type Status } from './finding.ts';

export interface RedisSettings {
  /** The settings say that it is a cluster. */
  readonly cluster: boolean;
}

const SLOTS = 16_384;
const MEMORY_WARN = 0.7;
const MEMORY_FAIL = 0.9;

/** What is said of one server; with several, the worst of them is told, with its name. */
type Verdict = readonly [status: Status, message: string, next?: string];

export function judgeRedis(sight: StoreInspection, settings: RedisSettings): readonly Finding[] {
  const { nodes } = sight;
  const of = (id: CheckId, judge: (server: StoreServer) => Verdict) => worst(id, nodes, judge);
  const servers = nodes.length === 1 ? `at ${nodes[0]?.name}` : `, ${nodes.length} primaries`;
  return [
    ok('redis.reachable', `Redis answers ${servers}.`.replace(' ,', ',')),
    of('redis.version', judgeVersion),
    of('redis.primary', ({ role }) =>
      role === 'primary'
        ? ['ok', 'It is a primary.']
        : [
            'fail',
            'It is a replica and takes no writes.',
            'Point SHAPECAST_REDIS_URL at the primary, or at the sentinels.',
          ],
    ),
    of('redis.loading', ({ loading }) =>
      loading
        ? ['fail', 'It is still reading its data.', 'Wait; with gigabytes of data this takes minutes.']
        : ['ok', 'Its data is loaded.'],
    ),
    judgeCluster(sight, settings),
    of('redis.eviction', judgeEviction),
    of('redis.memory', judgeMemory),
    of('redis.aof', judgeAppendOnly),
    of('redis.fsync', judgeFsync),
    of('redis.replicas', ({ replicas }) =>
      replicas > 0
        ? ['ok', `It has ${replicas === 1 ? '1 replica' : `${replicas} replicas`}.`]
        : ['warn', 'It has no replica.', 'For production give each primary a replica in another zone.'],
    ),
    of('redis.min_replicas', judgeMinReplicas),
    worstClock(nodes),
  ];
}

export function judgeRedisUnreachable(error: unknown): Finding {
  const { message, kind } = failureOf(error);
  const unauthorized = kind === 'unauthorized';
  const next = unauthorized
    ? 'Correct user and password in SHAPECAST_REDIS_URL; special characters are percent-encoded.'
    : 'Start Redis, or correct SHAPECAST_REDIS_URL and SHAPECAST_REDIS_CA_FILE.';
  return fail('redis.reachable', message, next);
}

function judgeVersion({ product, version }: StoreServer): Verdict {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const name = product === 'valkey' ? `Valkey, compatible with Redis ${version}` : `Redis ${version}`;
  if (major < 7) return ['fail', `${name}: too old.`, 'Upgrade to 7.2 or later.'];
  if (major === 7 && minor < 2) {
    return ['warn', `${name} cannot say what is on its disk (WAITAOF).`, 'Upgrade to 7.2 or later for production.'];
  }
  return ['ok', `${name}.`];
}

function judgeEviction({ evictionPolicy }: StoreServer): Verdict {
  if (evictionPolicy === 'noeviction') return ['ok', 'maxmemory-policy is noeviction.'];
  const next = 'Set maxmemory-policy noeviction, and keep caches in another Redis: no new shapes are made meanwhile.';
  return ['fail', `maxmemory-policy is ${evictionPolicy}: logs would lose entries.`, next];
}

function judgeMemory({ usedBytes, maxBytes }: StoreServer): Verdict {
  if (maxBytes === 0) {
    const next = 'Set maxmemory, so that Shapecast can keep free what changes need (SHAPECAST_REDIS_HIGH_WATER).';
    return ['warn', `It uses ${sizeText(usedBytes)}, and maxmemory is not set.`, next];
  }
  const what = `It uses ${sizeText(usedBytes)} of ${sizeText(maxBytes)} (${shareText(usedBytes, maxBytes)}).`;
  const next = 'Give it more memory, or have fewer shapes: docs/expiry.md.';
  if (usedBytes >= maxBytes * MEMORY_FAIL) return ['fail', what, next];
  return usedBytes >= maxBytes * MEMORY_WARN ? ['warn', what, next] : ['ok', what];
}

function judgeAppendOnly({ appendOnly, appendFailed }: StoreServer): Verdict {
  if (!appendOnly) {
    const what = 'The append-only file is off: a restart loses all shapes.';
    return ['fail', what, 'Set appendonly yes.'];
  }
  return appendFailed
    ? ['fail', 'The last write to the append-only file failed.', 'Look whether the disk of Redis is full.']
    : ['ok', 'The append-only file is on.'];
}

function judgeFsync({ appendOnly, appendFsync }: StoreServer): Verdict {
  if (!appendOnly) return ['skipped', 'Not checked: the append-only file is off.'];
  if (appendFsync === undefined) return ['skipped', 'Not checked: this user may not read settings (CONFIG GET).'];
  return appendFsync === 'no'
    ? ['fail', 'appendfsync is no: a crash loses half a minute.', 'Set appendfsync everysec.']
    : ['ok', `appendfsync is ${appendFsync}.`];
}

function judgeMinReplicas({ minReplicasToWrite: least }: StoreServer): Verdict {
  if (least === undefined) return ['skipped', 'Not checked: this user may not read settings (CONFIG GET).'];
  return least > 0
    ? ['ok', `min-replicas-to-write is ${least}.`]
    : [
        'warn',
        'min-replicas-to-write is 0: a primary that was cut off takes writes that are lost.',
        'Set min-replicas-to-write 1 once there is a replica.',
      ];
}

function judgeCluster({ nodes, cluster }: StoreInspection, settings: RedisSettings): Finding {
  const id = 'redis.cluster';
  if (!settings.cluster) {
    const inCluster = nodes.some((server) => server.inCluster);
    return inCluster
      ? fail(id, 'Redis is a cluster, and the settings say that it is none.', 'Set SHAPECAST_REDIS_CLUSTER=true.')
      : ok(id, 'Redis is no cluster.');
  }
  if (cluster === undefined || cluster.state === 'disabled') {
    return fail(id, 'Redis is no cluster, and the settings say that it is one.', 'Unset SHAPECAST_REDIS_CLUSTER.');
  }
  const what = `The cluster is ${cluster.state}, ${cluster.servedSlots} of ${SLOTS} slots are served.`;
  if (cluster.state === 'ok' && cluster.servedSlots === SLOTS) return ok(id, what);
  return fail(id, what, 'Start the nodes that are away: redis-cli --cluster check names them.');
}

const BADNESS: Readonly<Record<Status, number>> = { ok: 0, skipped: 1, warn: 2, fail: 3 };

function worst(id: CheckId, nodes: readonly StoreServer[], judge: (server: StoreServer) => Verdict): Finding {
  const all = nodes.map((server) => ({ server, verdict: judge(server) }));
  const [first] = all.toSorted((a, b) => BADNESS[b.verdict[0]] - BADNESS[a.verdict[0]]);
  if (first === undefined) return skipped(id, 'Not checked: no server was found.');
  const [status, text, next] = first.verdict;
  // Of one server the others need not be told apart.
  const message = nodes.length > 1 && status !== 'ok' ? `${first.server.name}: ${text}` : text;
  return { id, status, message, ...(next === undefined ? {} : { next }) };
}

function worstClock(nodes: readonly StoreServer[]): Finding {
  const offsets = nodes.flatMap(({ clock }) => clock ?? []);
  const [furthest] = offsets.toSorted((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs));
  return judgeClock('redis.clock', 'Redis', furthest);
}
