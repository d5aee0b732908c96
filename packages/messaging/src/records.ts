import { createHash } from 'node:crypto';

/** Registry bucket of sources: key is the source id. Written by the leading replicator with compare-and-set. */
export interface SourceRecord {
  /** Grows; a new one starts whenever continuity cannot be proven (spec R 6.5). */
  readonly incarnation: number;
  /** Number of shards, fixed for the incarnation. */
  readonly shards: number;
  readonly systemId: string;
  readonly timeline: number;
  readonly slotName: string;
}

/** Registry bucket with expiry: key is the source id. Says who leads; advisory, never a fence (spec R 4.5). */
export interface LeaderRecord {
  readonly holder: string;
  readonly epoch: number;
  readonly incarnation: number;
  readonly walSenderPid: number;
  /** Reads transactions from Postgres and stores them. */
  readonly streaming: boolean;
}

/** Registry bucket with expiry: key is `<source>.<router id>`. */
export interface RouterRecord {
  readonly id: string;
  /** Shards owned at the moment; information only. */
  readonly owned: readonly number[];
}

export const BUCKETS = {
  sources: { name: 'shapecast_sources' },
  leaders: { name: 'shapecast_leaders', ttlMs: 10_000 },
  routers: { name: 'shapecast_routers', ttlMs: 5_000 },
  /**
   * Key is `tableKey`, value the table as a router last saw it in the catalog. Perhaps out of date: with it shapes that exist are
   * found while the source is away (O 1.3.1), and nothing else is decided.
   */
  tables: { name: 'shapecast_tables' },
} as const;

/** Key of a table in its bucket: a digest, as names may have any characters, and those of requests any length. */
export function tableKey(source: string, schema: string, table: string): string {
  return `${source}.${createHash('sha256')
    .update(JSON.stringify([schema, table]))
    .digest('base64url')}`;
}
