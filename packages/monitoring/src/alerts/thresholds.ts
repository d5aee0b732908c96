/** Who has to look, and when: `critical` now, `high` today, `warning` when there is time. */
export type Severity = 'warning' | 'high' | 'critical';

export interface Threshold {
  /** For people who set it: unit, and what it is compared with. */
  readonly about: string;
  readonly levels: Partial<Readonly<Record<Severity, number>>>;
}

/** Every number that an alert compares with; values of the chart override them (spec O 10). */
export const THRESHOLDS = {
  walRetained: {
    about: 'WAL kept for the slot, as a share of `max_slot_wal_keep_size`, or of `walUnlimited` without one.',
    levels: { warning: 0.25, high: 0.5, critical: 0.75 },
  },
  walUnlimited: {
    about: 'Bytes that count as the limit where `max_slot_wal_keep_size` is not set.',
    levels: { critical: 20e9 },
  },
  walSafe: {
    about: 'WAL that may still be written before Postgres gives the slot up, as a share of `max_slot_wal_keep_size`.',
    levels: { critical: 0.25 },
  },
  walStatus: {
    about: 'State of the WAL kept for the slot that is still fine: 0 reserved, 1 extended, 2 unreserved.',
    levels: { critical: 0 },
  },
  confirmationBytes: {
    about: 'Unconfirmed WAL in bytes below which nobody minds that it grows.',
    levels: { high: 16 * 2 ** 20 },
  },
  replicationLag: {
    about: 'Seconds from a commit until the replicator has the transaction, mean of five minutes.',
    levels: { warning: 10, critical: 60 },
  },
  publicationErrors: { about: 'Refused changes of the publication in ten minutes.', levels: { warning: 1 } },
  publishRetries: { about: 'Publishes that had to be repeated in five minutes.', levels: { high: 10 } },
  paused: { about: 'Share of the time that reading from Postgres stood still.', levels: { warning: 0.5 } },
  streamFill: {
    about: 'Bytes in the tx stream, as a share of what it may hold.',
    levels: { high: 0.7, critical: 0.9 },
  },
  routerLagSeconds: { about: 'Seconds that a shard is behind the tx stream.', levels: { warning: 10 } },
  routerLagShare: {
    about: 'The same, as a share of the age at which the tx stream lets messages go.',
    levels: { warning: 0.1, high: 0.25, critical: 0.5 },
  },
  durableLag: { about: 'Seconds that what Redis would still have after a crash is behind.', levels: { warning: 60 } },
  rotations: {
    about: 'Shapes that ended in ten minutes without being asked to, as a share of all.',
    levels: { high: 0.01 },
  },
  rotationsAtLeast: { about: 'As many of them nobody minds, however few shapes there are.', levels: { high: 10 } },
  snapshotQueue: { about: 'Snapshots that wait for their turn.', levels: { warning: 100 } },
  snapshotFailures: { about: 'Share of snapshots that fail.', levels: { warning: 0.1 } },
  snapshotSeconds: { about: 'Seconds that 95 of 100 snapshots stay below.', levels: { warning: 30 } },
  redisMemory: {
    about: 'Memory that a Redis node uses, as a share of what it may use.',
    levels: { warning: 0.7, high: 0.8, critical: 0.9 },
  },
  redisReplicationLag: { about: 'Seconds since the slowest replica of Redis answered.', levels: { warning: 10 } },
  deliveryFast: {
    about: 'Share of changes that need not be at a waiting client within 500 ms.',
    levels: { critical: 0.01 },
  },
  deliverySlow: { about: 'Share of changes that need not be there within 2 s.', levels: { critical: 0.001 } },
  requestErrors: { about: 'Share of requests for shapes that may be answered 5xx.', levels: { critical: 0.001 } },
  burnRate: {
    about: 'How many times faster than allowed an error budget is used up: over an hour, six hours, three days.',
    levels: { critical: 14.4, high: 6, warning: 1 },
  },
  burnAtLeast: {
    about: 'Requests or changes in the longer window below which an error budget says nothing.',
    levels: { critical: 100, high: 100, warning: 100 },
  },
  apiErrors: {
    about: 'Share of requests answered 5xx for another reason than too many at a time or a source that is not active.',
    levels: { high: 0.001 },
  },
  admissionInitial: {
    about: 'Share of requests that are not live which are refused as too many.',
    levels: { warning: 0.05 },
  },
  capacity: {
    about: 'Requests or connections of an API pod, as a share of what it takes.',
    levels: { warning: 0.8, high: 0.95 },
  },
  notificationLoss: { about: 'Share of news that only polling found.', levels: { warning: 0.01 } },
  eventLoopDelay: { about: 'Seconds of delay of an event loop, 99th percentile.', levels: { warning: 0.2 } },
  restarts: { about: 'Restarts of a pod in half an hour.', levels: { warning: 2 } },
  clockSkew: { about: 'Seconds that the clock of a pod and that of Prometheus differ.', levels: { warning: 1 } },
} as const satisfies Readonly<Record<string, Threshold>>;

export type ThresholdName = keyof typeof THRESHOLDS;
type LevelOf<T extends ThresholdName> = keyof (typeof THRESHOLDS)[T]['levels'] & string;

/** Where a threshold belongs into an expression. The value comes in later: files that we ship have ours, the chart has its user's. */
export function threshold<T extends ThresholdName>(name: T, level: LevelOf<T>): string {
  return `<${name}.${level}>`;
}

/** An expression with our thresholds in it. */
export function withDefaults(expr: string): string {
  return expr.replaceAll(/<([a-zA-Z]+)\.([a-z]+)>/g, (_, name: string, level: string) => {
    const value = (THRESHOLDS as Readonly<Record<string, Threshold>>)[name]?.levels[level as Severity];
    if (value === undefined) throw new Error(`There is no threshold ${name}.${level}.`);
    return String(value);
  });
}
