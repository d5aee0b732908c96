export type { PublishOutcome, StoredMessage, TxStream, TxStreamId, TxStreamInfo, TxStreams } from './tx-stream.ts';
export type { Hints, Rpc, StreamHandler } from './hints.ts';
export type { Registries, Registry, RegistryEntry } from './registry.ts';
export type { Messaging } from './messaging.ts';
export { BUCKETS, tableKey, type LeaderRecord, type RouterRecord, type SourceRecord } from './records.ts';
export { decodeShardHint, encodeShardHint, type ShardHint } from './shard-hint.ts';
export type { SubsetMetadata, SubsetOrder, SubsetQuery } from './subset-query.ts';
export {
  introspectSubject,
  publishTableSubject,
  shardHintSubject,
  subsetSubject,
  txStreamName,
  txSubject,
} from './subjects.ts';
export { openNatsMessaging, type NatsMessagingOptions } from './nats/open-nats-messaging.ts';
export { openMemoryMessaging, type MemoryMessagingOptions } from './memory/open-memory-messaging.ts';
