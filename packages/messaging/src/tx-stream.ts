/** Names one tx stream: a stretch of a source's history known to be unbroken. */
export interface TxStreamId {
  readonly source: string;
  readonly incarnation: number;
}

/** A stored message. Sequences start at 1, are consecutive, and are only meaningful together with `createdAt` of the stream. */
export interface StoredMessage {
  readonly seq: number;
  readonly payload: Uint8Array;
  /** When it was stored, in milliseconds since 1970 by the clock of the storage. */
  readonly publishedMs: number;
  /**
   * Trace that it belongs to, as its publisher gave it. May be a getter that reads headers: who traces nothing does not ask. From
   * another process, so it may be any text.
   */
  readonly traceparent?: string | undefined;
}

/** What goes with a payload. */
export interface PublishOptions {
  /** What is stored last, or nothing is. */
  readonly expectedLastSeq: number;
  /** The same for the same message, however often it is published. */
  readonly msgId: string;
  /** W3C `traceparent` of the trace that the message belongs to; what is longer than such a thing can be is left out. */
  readonly traceparent?: string | undefined;
}

/**
 * What came of a conditional publish. `stored` is only given for sequence `expectedLastSeq + 1`, so an id known to the
 * server under another sequence counts as `conflict` (spec R 9.3.1a). A lost answer is an error (STREAM_UNAVAILABLE):
 * publish the same again with the same id.
 */
export type PublishOutcome =
  { readonly kind: 'stored'; readonly seq: number } | { readonly kind: 'conflict'; readonly lastSeq: number };

export interface TxStreamInfo {
  /** 1 past the last sequence when the stream is empty. */
  readonly firstSeq: number;
  /** 0 when nothing was ever stored. */
  readonly lastSeq: number;
  /** Identity of this storage: differs once the stream was deleted and made again. */
  readonly createdAt: string;
  readonly bytes: number;
  /** At which it takes nothing more; undefined when it has no such limit. */
  readonly maxBytes: number | undefined;
  /** Age at which messages leave by themselves; undefined when they do not. */
  readonly maxAgeMs: number | undefined;
  /** Copies of each message on different servers. */
  readonly replicas: number;
}

/** The stored, ordered transactions of one incarnation. One writer at a time makes progress, whoever else tries. */
export interface TxStream {
  readonly id: TxStreamId;
  /** Largest payload one message may have, in bytes, headers accounted for. */
  readonly maxPayloadBytes: number;
  /** When one of a pipeline of publishes conflicts, all later ones do. Not so on a NATS cluster: see `publish`. */
  readonly fencesPipelines: boolean;
  info(): Promise<TxStreamInfo>;
  /**
   * Stores `payload` only if the stream's last sequence is `expectedLastSeq`. Calls may be pipelined: they reach the
   * server in call order. When one conflicts, later ones conflict as well, unless the stream does not fence pipelines: then,
   * where a message of another writer took the place of one in flight, those in flight behind it may be stored after that
   * message. They carry the older epoch: readers ignore records whose epoch is lower than one they have read, and a writer
   * that finds such a record last in the stream goes on behind it. A new writer must not pipeline before the stream is past
   * every sequence that its predecessor can have had in flight, or the same would happen to its own (ADR 24).
   */
  publish(payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome>;
  get(seq: number): Promise<StoredMessage | undefined>;
  last(): Promise<StoredMessage | undefined>;
  /**
   * Messages from `fromSeq` on, then new ones as they are stored, each exactly once and without holes, until `signal`
   * aborts (then ends) or the stream is lost (throws STREAM_UNAVAILABLE). Survives reconnects by itself. When the first
   * stored sequence is above `fromSeq`, iteration starts there: the consumer sees the gap in `seq` (spec R 9.6.3).
   * At most `maxBufferedBytes` wait unread.
   */
  read(
    fromSeq: number,
    options: { readonly maxBufferedBytes: number },
    signal: AbortSignal,
  ): AsyncIterable<StoredMessage>;
  /** Drops messages below `seq` (spec R 9.1.3). */
  trim(belowSeq: number): Promise<void>;
}

/** What a tx stream keeps, where that is not what the process says for all of its streams. */
export interface TxStreamRetention {
  readonly maxAgeMs?: number;
  /** At which it takes nothing more. */
  readonly maxBytes?: number;
}

export interface TxStreams {
  /** Creates the stream unless it exists. `retention` is of no account in memory. */
  create(id: TxStreamId, retention?: TxStreamRetention): Promise<TxStream>;
  /** Undefined when there is no such stream. `reconcile`: it gets the settings of today, as far as that loses nothing. */
  open(
    id: TxStreamId,
    options?: { readonly reconcile?: boolean; readonly retention?: TxStreamRetention | undefined },
  ): Promise<TxStream | undefined>;
  /** Incarnations of a source that have a stream, in order. */
  incarnations(source: string): Promise<readonly number[]>;
  delete(id: TxStreamId): Promise<void>;
}
