import type { TxStreamId } from './tx-stream.ts';

/** Every subject is built here and nowhere else. Source ids are `[A-Za-z0-9_-]+`. */

export function txSubject(id: TxStreamId): string {
  return `shapecast.tx.${id.source}.${id.incarnation}`;
}

/** Filter for the subjects of all incarnations of a source. */
export function txSubjectsOf(source: string): string {
  return `shapecast.tx.${source}.*`;
}

export function txStreamName(id: TxStreamId): string {
  return `shapecast_tx_${id.source}_${id.incarnation}`;
}

/** Hints of one shard: which handles changed. */
export function shardHintSubject(source: string, incarnation: number, shard: number): string {
  return `shapecast.hint.${source}.${incarnation}.${shard}`;
}

/** State events of a source (spec O 1.4), as JSON, for whoever runs the platform. */
export function eventsSubject(source: string): string {
  return `shapecast.events.${source}`;
}

/** Tells routers that DDL may have committed; the payload is empty. */
export function ddlHintSubject(source: string): string {
  return `shapecast.ddl.${source}`;
}

/** Asks a router for a table's catalog entry. */
export function introspectSubject(source: string): string {
  return `shapecast.rpc.${source}.introspect`;
}

/** Asks the leading replicator to publish a table. */
export function publishTableSubject(source: string): string {
  return `shapecast.rpc.${source}.publish`;
}

/** Asks the leading replicator to make room for another one, in good order. */
export function releaseLeadershipSubject(source: string): string {
  return `shapecast.rpc.${source}.release`;
}

/** Asks the leading replicator to begin a new incarnation, for the reason given. */
export function newIncarnationSubject(source: string): string {
  return `shapecast.rpc.${source}.new-incarnation`;
}

/** Asks a router for the rows of a subset snapshot; the answer is a stream. */
export function subsetSubject(source: string): string {
  return `shapecast.rpc.${source}.subset`;
}

/** What each process does for each source: `UsageReport`. */
export const USAGE_SUBJECT = 'shapecast.usage.report';

/** Asks every process for a report of everything, when the payload is empty, or for a detail of a source: `UsageQuestion`. */
export const USAGE_ASK_SUBJECT = 'shapecast.usage.ask';

/** Where the answers to one question go. */
export function usageAnswerSubject(question: string): string {
  return `shapecast.usage.answer.${question}`;
}

/** Events of all sources. */
export const ALL_EVENTS_SUBJECT = 'shapecast.events.*';

/** Each API process says now and then that it lives: limits of sources are shared between them. */
export const API_PROCESSES_SUBJECT = 'shapecast.apis';
