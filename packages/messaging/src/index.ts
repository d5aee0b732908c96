export type {
  PublishOptions,
  PublishOutcome,
  StoredMessage,
  TxStream,
  TxStreamId,
  TxStreamInfo,
  TxStreamRetention,
  TxStreams,
} from './tx-stream.ts';
export type { Hints, Rpc, StreamHandler } from './hints.ts';
export type { Registries, Registry, RegistryEntry } from './registry.ts';
export type { Messaging } from './messaging.ts';
export {
  BUCKETS,
  historyKey,
  isOfLife,
  processKey,
  tableKey,
  trialKey,
  usageKey,
  type FormatRecord,
  type HistoryRecord,
  type LeaderRecord,
  type ProcessRecord,
  type ReturnRecord,
  type RouterRecord,
  type SourceRecord,
  type GuardRecord,
  type TrialRecord,
  type UsageRecord,
} from './records.ts';
export { SharedPermits, type PermitLimit } from './shared-permits.ts';
export { readLiveRouters } from './live-routers.ts';
export { keepConditionRecord, type ConditionRecord } from './condition-records.ts';
export { SourceSleep } from './source-sleep.ts';
export { confirmInstallationId, Installation, readInstallationId } from './installation.ts';
export { SourceFormats } from './source-formats.ts';
export type { SourceDetails, SourceUsage, UsageReport } from './source-usage.ts';
export { UsageReporter } from './usage-reporter.ts';
export { UsageBoard, type ReportingProcess, type SourceSums } from './usage-board.ts';
export type { UsageSeries } from './usage-history.ts';
export { HandleRecords } from './handle-records.ts';
export { DurableCursorNote, lowestAppliedSeq, lowestDurableCursor, type DurableRecord } from './durable-cursors.ts';
export { RotationJournal, type RotationFailure } from './rotation-journal.ts';
export { ShardPins, type ShardPinRecord } from './shard-pins.ts';
export { decodeShardHint, encodeShardHint, type ShardHint } from './shard-hint.ts';
export type { SubsetMetadata, SubsetOrder, SubsetQuery } from './subset-query.ts';
export {
  ALL_EVENTS_SUBJECT,
  API_PROCESSES_SUBJECT,
  ddlHintSubject,
  eventsSubject,
  introspectSubject,
  newIncarnationSubject,
  publishTableSubject,
  releaseLeadershipSubject,
  shardHintSubject,
  subsetSubject,
  txStreamName,
  txSubject,
} from './subjects.ts';
export type { MessagingInspection, StoredSight, TxStreamSight } from './messaging-inspection.ts';
export { inspectNats } from './nats/inspect-nats.ts';
export { openNatsMessaging, type NatsMessagingOptions } from './nats/open-nats-messaging.ts';
export { openMemoryMessaging, type MemoryMessagingOptions } from './memory/open-memory-messaging.ts';
