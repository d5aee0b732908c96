/** How one of the servers that hold the shards is doing, as it says itself. For people and alarms; nothing is decided by it. */
export interface StoreNodeHealth {
  /** Which one; the only one may have any name. */
  readonly node: string;
  readonly usedBytes: number;
  /** 0: it has no limit. */
  readonly maxBytes: number;
  /** Keys that it has deleted on its own since it started. */
  readonly evictedKeys: number;
  /** What is set other than shapes need it (spec O 8.3.1), one sentence each. Settings that it keeps to itself count as right. */
  readonly wrongSettings: readonly string[];
  /** Seconds since the replica that is furthest behind was last heard of; undefined without a replica. */
  readonly replicationLagS: number | undefined;
}

/** Takes numbers; a histogram, mostly. */
export interface Recorder {
  record(value: number): void;
}

/** Who wants to know how long calls to the store take. Calls that wait for disk or replicas by design are left out. */
export interface CallRecorders {
  /** Milliseconds from sending to the answer, whatever it was. */
  readonly duration: Recorder;
  /** Milliseconds before that, in which there was no connection. */
  readonly queue: Recorder;
}
