/** Every check, in the order of the report. Ids are API: alerts and scripts branch on them. `docs/cli.md` says what to do about each. */
export const CHECKS = {
  'config.valid': 'the settings that the checks need can be read',
  'pg.reachable': 'Postgres answers on DATABASE_URL',
  'pg.version': 'its version is supported',
  'pg.primary': 'it is a primary',
  'pg.wal_level': 'wal_level is logical',
  'pg.replication': 'a replication connection can be made',
  'pg.create': 'the role may make and alter the publication',
  'pg.grants': 'the role has what is good to have',
  'pg.slots': 'there is room for one more replication slot',
  'pg.wal_senders': 'there is room for one more WAL sender',
  'pg.slot_wal_keep': 'max_slot_wal_keep_size is set',
  'pg.wal_sender_timeout': 'wal_sender_timeout is on',
  'pg.idle_slot_timeout': 'idle_replication_slot_timeout is off',
  'pg.lock': 'who holds the lock of the source',
  'pg.publication': 'the publication publishes everything it has to',
  'pg.tables': 'its tables have neither row filters nor column lists, and can be followed',
  'pg.replica_identity': 'their replica identity is FULL',
  'pg.slot': 'the slot is ours, and somebody reads from it',
  'pg.slot_wal': 'Postgres does not keep too much WAL for the slot',
  'pg.clock': 'its clock agrees with that of this machine',
  'pg.query_url': 'the query URL reaches the same primary and database',
  'pg.privileges': 'the role of the query URL may read the published tables',
  'pg.row_security': 'no policies filter what that role reads',
  'nats.reachable': 'NATS answers on SHAPECAST_NATS_URL',
  'nats.version': 'its version is supported',
  'nats.max_payload': 'max_payload is 1 to 8 MiB',
  'nats.jetstream': 'JetStream is on',
  'nats.storage': 'JetStream has storage left',
  'nats.stream': 'the tx stream of the source is there',
  'nats.replicas': 'the tx stream has enough copies, and all are up to date',
  'nats.stream_fill': 'the tx stream is far from max_bytes',
  'nats.stream_age': 'no shard is close to losing records by age',
  'nats.buckets': 'the registries have as many copies, and all are up to date',
  'nats.clock': 'its clock agrees with that of this machine',
  'redis.reachable': 'Redis answers on SHAPECAST_REDIS_URL',
  'redis.version': 'its version is supported',
  'redis.primary': 'the servers take writes',
  'redis.loading': 'no server is still reading its data',
  'redis.cluster': 'cluster mode is as the settings say, and all slots are served',
  'redis.eviction': 'nothing is evicted',
  'redis.memory': 'maxmemory is set, and there is room',
  'redis.aof': 'the append-only file is on and can be written',
  'redis.fsync': 'it is flushed to the disk at least every second',
  'redis.replicas': 'every primary has a replica',
  'redis.min_replicas': 'a primary without a replica takes no writes',
  'redis.clock': 'its clock agrees with that of this machine',
  'api.health': 'the API is active',
} as const satisfies Record<string, string>;

export type CheckId = keyof typeof CHECKS;

export const GROUPS = ['config', 'pg', 'nats', 'redis', 'api'] as const;
export type Group = (typeof GROUPS)[number];

/** All checks of a group, or those of several. */
export function checksOf(...groups: readonly Group[]): readonly CheckId[] {
  return (Object.keys(CHECKS) as CheckId[]).filter((id) => groups.some((group) => id.startsWith(`${group}.`)));
}
