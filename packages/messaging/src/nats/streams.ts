import { DiscardPolicy, RetentionPolicy, StorageType, StoreCompression, type StreamConfig } from '@nats-io/jetstream';
import { txStreamName, txSubject } from '../subjects.ts';
import type { TxStreamId } from '../tx-stream.ts';

/** How tx streams are stored (spec R 9.1.1). */
export interface TxStreamSettings {
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly duplicateWindowMs: number;
}

export type TxStreamConfig = Partial<StreamConfig> & { readonly name: string };

const NANOS = 1_000_000;

/**
 * A tx stream, as data. `discard: new`: a full stream refuses (backpressure to Postgres) and never drops what a router still
 * needs (spec R 9.1.2). Settings a server older than 2.10 does not know are only sent to newer ones.
 */
export function txStreamConfig(id: TxStreamId, settings: TxStreamSettings, modern: boolean): TxStreamConfig {
  return {
    name: txStreamName(id),
    subjects: [txSubject(id)],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    num_replicas: settings.replicas,
    max_age: settings.maxAgeMs * NANOS,
    max_bytes: settings.maxBytes,
    duplicate_window: settings.duplicateWindowMs * NANOS,
    allow_direct: true,
    deny_delete: false,
    deny_purge: false,
    ...(modern ? { compression: StoreCompression.S2, metadata: { 'shapecast.source': id.source } } : {}),
  };
}

/**
 * What to change so that an existing stream follows the settings of today, or undefined when it does. A limit is never made
 * narrower than what is stored: a full stream stays as large as it is.
 */
export function txStreamChanges(
  have: StreamConfig,
  want: TxStreamConfig,
  storedBytes: number,
): Partial<StreamConfig> | undefined {
  const changes: Partial<StreamConfig> = {};
  if (have.discard !== want.discard) changes.discard = DiscardPolicy.New;
  if (have.max_age !== want.max_age && want.max_age !== undefined) changes.max_age = want.max_age;
  if (have.duplicate_window !== want.duplicate_window && want.duplicate_window !== undefined) {
    changes.duplicate_window = want.duplicate_window;
  }
  if (have.num_replicas !== want.num_replicas && want.num_replicas !== undefined)
    changes.num_replicas = want.num_replicas;
  if (have.max_bytes !== want.max_bytes && want.max_bytes !== undefined && want.max_bytes > storedBytes) {
    changes.max_bytes = want.max_bytes;
  }
  return Object.keys(changes).length === 0 ? undefined : changes;
}
