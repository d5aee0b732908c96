import type { ClockOffset } from '@shapecast/service-kit';
import type { DurableRecord } from './durable-cursors.ts';
import type { LeaderRecord, RouterRecord, SourceRecord } from './records.ts';

/** What somebody sees who looks NATS over without changing anything: facts, which others judge. */
export interface MessagingInspection {
  readonly server: MessagingServer;
  /** Undefined while JetStream is on; else why it is not. What follows is then empty. */
  readonly noJetStream: string | undefined;
  /** Of the account; `maxBytes` is undefined without a limit. */
  readonly storage: { readonly usedBytes: number; readonly maxBytes: number | undefined } | undefined;
  /** Undefined for a source that was never set up. */
  readonly source: SourceRecord | undefined;
  /** Undefined while nobody leads. */
  readonly leader: LeaderRecord | undefined;
  readonly routers: readonly RouterRecord[];
  /** By shard: how far those have come for sure that have told. */
  readonly durable: ReadonlyMap<number, DurableRecord>;
  /** The tx stream of the current incarnation. */
  readonly stream: TxStreamSight | undefined;
  /** Registries that exist. */
  readonly buckets: readonly StoredSight[];
  /** Undefined where the server does not tell its time: before 2.10, or without a stream. */
  readonly clock: ClockOffset | undefined;
}

export interface MessagingServer {
  readonly version: string;
  /** Bytes. */
  readonly maxPayload: number;
  /** Name of the cluster; undefined for a single server. */
  readonly cluster: string | undefined;
}

/** Something that JetStream stores. */
export interface StoredSight {
  readonly name: string;
  /** Copies that it is to have. */
  readonly replicas: number;
  /** Several copies, and none of them leads: nothing can be written. */
  readonly leaderless: boolean;
  /** Servers whose copy is behind, or that are away. */
  readonly behind: readonly string[];
}

export interface TxStreamSight extends StoredSight {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly bytes: number;
  /** Undefined without a limit, like the next. */
  readonly maxBytes: number | undefined;
  readonly maxAgeMs: number | undefined;
  /** The newest record that is stored, encoded. */
  readonly last: Uint8Array | undefined;
  /**
   * How long ago the oldest record was stored that some shard has not taken over for sure; undefined when there is none, or the
   * shards have not told.
   */
  readonly oldestNeededMs: number | undefined;
  /** The stream begins after records that some shard still needs. */
  readonly gap: boolean;
}
