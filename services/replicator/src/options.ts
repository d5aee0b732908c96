import type { TxStreamRetention } from '@shapecast/messaging';
import type { ProcessPlace } from './process-place.ts';

/** What a replicator is built with. `config.ts` makes it from the environment. */
export interface ReplicatorOptions {
  readonly sourceId: string;
  /** Name of this process in leader records. */
  readonly holder: string;
  /** Where it runs, for the process that is started there after it under the same name; nobody is told when unset. */
  readonly place?: ProcessPlace;
  readonly slotName: string;
  /** Shards of a new incarnation; another number than the current one starts a new incarnation (spec R 13.7.1). */
  readonly shards: number;
  /** Age an acknowledged record needs before Postgres may forget its transactions (spec R 8.6.1). */
  readonly confirmDelayMs: number;
  /** Upper limits of a record (spec R 9.5.1) and of one encoded change (9.5.3). */
  readonly maxFragmentBytes: number;
  readonly maxFragmentChanges: number;
  readonly maxChangeBytes: number;
  /** Publish window (spec R 8.3.1). */
  readonly windowBytes: number;
  readonly windowMessages: number;
  /** Shortest time between progress records, and the longest while nothing happens (spec R 9.4.1). */
  readonly progressIntervalMs: number;
  readonly progressMaxIntervalMs: number;
  /** How often the leader record is renewed in its registry. */
  readonly heartbeatMs: number;
  /** Waits between attempts to reach Postgres or NATS, and after an error only an operator can cure (spec O 2.2, 7.1). */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  readonly misconfiguredRetryMs: number;
  /** How often the publication is verified, and how long a table without shapes stays in it (spec R 7.7, 7.11). */
  readonly publicationRefreshMs: number;
  readonly unpublishLingerMs: number;
  /** The publication is looked after by hand (spec R 7.9). */
  readonly manualPublishing: boolean;
  /** How long records stay in the tx stream that every shard has stored for certain, and how often that is looked at (R 9.1.3). */
  readonly trimMarginMs: number;
  readonly trimIntervalMs: number;
  /** How often the second copy of the stream's end is renewed (spec R 9.3.8). */
  readonly copyIntervalMs: number;
  /** How long after the start of a leadership the streams of earlier incarnations go (spec R 6.5.1). */
  readonly oldStreamsAfterMs: number;
  /** How often conditions are looked at and told again, where that is not as often as of a single source. */
  readonly conditionPace?: { readonly lookMs: number; readonly renewMs: number };
  /** So long without a transaction, and the connections to the database are closed until somebody needs it; 0 is never (R 3.7). */
  readonly idleTimeoutMs: number;
  /** A leader that does not reach NATS for so long makes room for another replicator, if there is one (spec O F105). */
  readonly natsPatienceMs: number;
  /** Copies that the tx stream must have (spec O 8.2.1). */
  readonly minStreamReplicas: number;
  /** What its tx streams keep, where that is not what all of the process's keep. */
  readonly retention?: TxStreamRetention;
  /** How long a graceful stop waits for records in flight (spec R 4.7). */
  readonly drainMs: number;
}

export const replicatorDefaults = {
  shards: 8,
  maxFragmentBytes: 512 * 1024,
  maxFragmentChanges: 500,
  maxChangeBytes: 256 * 1024 * 1024,
  windowBytes: 64 * 1024 * 1024,
  windowMessages: 4_096,
  progressIntervalMs: 1_000,
  progressMaxIntervalMs: 10_000,
  heartbeatMs: 2_000,
  retryMinMs: 1_000,
  retryMaxMs: 10_000,
  misconfiguredRetryMs: 60_000,
  publicationRefreshMs: 60_000,
  unpublishLingerMs: 600_000,
  manualPublishing: false,
  copyIntervalMs: 10_000,
  trimMarginMs: 3_600_000,
  trimIntervalMs: 15_000,
  oldStreamsAfterMs: 600_000,
  idleTimeoutMs: 0,
  natsPatienceMs: 60_000,
  minStreamReplicas: 1,
  drainMs: 5_000,
} as const satisfies Partial<ReplicatorOptions>;
