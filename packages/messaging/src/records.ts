import { createHash } from 'node:crypto';

/** Registry bucket of sources: key is the source id. Written by the leading replicator with compare-and-set. */
export interface SourceRecord {
  /** Grows; a new one starts whenever continuity cannot be proven (spec R 6.5). */
  readonly incarnation: number;
  /** Number of shards, fixed for the incarnation. */
  readonly shards: number;
  readonly systemId: string;
  /** Name of the database there; unknown in records of older versions. */
  readonly database?: string;
  readonly timeline: number;
  readonly slotName: string;
  /** The publication that the slot is read through; unknown in records of older versions. */
  readonly publicationOid?: number;
}

/** Registry bucket with expiry: key is the source id. Says who leads; advisory, never a fence (spec R 4.5). */
export interface LeaderRecord {
  readonly holder: string;
  readonly epoch: number;
  readonly incarnation: number;
  readonly walSenderPid: number;
  /** Of the server that it replicates from; unknown in records of older versions. */
  readonly systemId?: string;
  /** Reads transactions from Postgres and stores them. */
  readonly streaming: boolean;
  /** Where it runs: whoever is started again there under the same name knows that this one is gone. */
  readonly process?: { readonly host: string; readonly pid: number };
}

/** Registry bucket with expiry: key is `processKey`. Written again and again by the process itself: it lives. */
export interface ProcessRecord {
  readonly v: 1;
  readonly id: string;
  /** Another one after each start: what a router of the same id held before is nobody's. */
  readonly life?: string;
  /** It says nothing more. */
  readonly leaving?: true;
}

/** Whether what a router said of itself is about the life that its process has now. */
export function isOfLife(
  router: Pick<RouterRecord, 'life'>,
  process: Pick<ProcessRecord, 'life'> | undefined,
): boolean {
  return process !== undefined && (router.life === undefined || router.life === process.life);
}

export function processKey(routerId: string): string {
  return `router-${routerId}`;
}

/**
 * Registry bucket with expiry: key is `<source>.<router id>`. Written when it changes, and long before it expires: whether the router
 * lives is for the record of its process to say.
 */
export interface RouterRecord {
  /** Of the process, and of its life that this is about. */
  readonly id: string;
  readonly life?: string;
  /** Shards owned at the moment; whoever is to have one next waits until it is no longer here. */
  readonly owned: readonly number[];
  /** Shards of others whose shapes it has loaded: it goes on with them as soon as they are released. */
  readonly prepared?: readonly number[];
  /**
   * Why it is to have no shards as long as another router can: it is leaving; it does not reach the store; it came and went too often
   * lately.
   */
  readonly reluctant?: 'leaving' | 'store' | 'unsteady';
  /** Name of the store that it reaches (`StoreHome`): all routers of an installation must reach the same. */
  readonly home?: string;
  /** Shards that it has the memory for. */
  readonly most?: number;
  /** It reads from the database for somebody: the source must not be put to sleep. */
  readonly busy?: boolean;
}

/** How often a router came without having left. */
export interface ReturnRecord {
  readonly v: 1;
  readonly count: number;
}

/**
 * Registry bucket with expiry: key is `trialKey`. There while the owners of a shard came to an end without releasing it, one after the
 * other at the same place: some record may be what kills them (spec O F129).
 */
export interface TrialRecord {
  readonly v: 1;
  /** Sequence of the last record that is applied: the next one is under suspicion. */
  readonly seq: number;
  /** Owners that ended at this place. */
  readonly ends: number;
  /** The next record is being applied, alone. */
  readonly trying: boolean;
}

export function trialKey(source: string, incarnation: number, shard: number): string {
  return `${source}.${incarnation}.${shard}`;
}

/**
 * Registry bucket with expiry: key is `<source>.<part>.<number>` for one of a fixed number of permits that are taken, or
 * `<source>.<part>.want-<holder>` for a process that waits for one.
 */
export interface PermitRecord {
  readonly holder: string;
  /** For how long it had been waiting when this was written. Decides who is next, and nothing else. */
  readonly waitedMs: number;
  readonly wanted: boolean;
}

/**
 * Registry bucket with expiry: key is `usageKey`. The tables that a shard has shapes on, those included whose snapshot is still to be
 * taken. Written by the shard's owner whenever that changes, and again long before it expires.
 */
export interface UsageRecord {
  /** Of the shard's owner: an older one does not overwrite it. */
  readonly epoch: number;
  /** By what each was published when one of its shapes began; empty when that is not known. */
  readonly tables: readonly (readonly [oid: number, published: string])[];
  /** There are too many to list: any table may have shapes. */
  readonly any?: true;
}

export function usageKey(source: string, incarnation: number, shard: number): string {
  return `${source}.${incarnation}.${shard}`;
}

/**
 * Registry bucket of WAL guards: key is the source id. Written by the leading replicator, and by one that has dropped the slot; a
 * source without one was never looked at.
 */
export interface GuardRecord {
  /** How much of the budget the slot uses. */
  readonly stage: 'ok' | 'warn' | 'high' | 'exceeded';
  /** New shapes and subsets are refused. */
  readonly shedding: boolean;
  /** That incarnation has ended though it is still the current one: its slot was dropped, and no shape follows the source. */
  readonly stale?: {
    readonly incarnation: number;
    /** Milliseconds since 1970. */
    readonly since: number;
  };
  /** One sentence for people. */
  readonly reason: string;
}

/**
 * Registry bucket: key is the source id. There while the source sleeps (spec R 3.7), and from then until a replicator leads again.
 * `asleep` is written by the leader, and changed to `waking` by whoever needs the source. Milliseconds since 1970.
 */
export interface SleepRecord {
  readonly state: 'asleep' | 'waking';
  readonly since: number;
  /** Process that closed the last connection. */
  readonly holder: string;
  /** When somebody last looked how much WAL is kept. */
  readonly lookedAt?: number;
}

export const BUCKETS = {
  sources: { name: 'shapecast_sources' },
  leaders: { name: 'shapecast_leaders', ttlMs: 10_000 },
  processes: { name: 'shapecast_processes', ttlMs: 5_000 },
  routers: { name: 'shapecast_routers', ttlMs: 60_000 },
  /** Key is `processKey`: how often that router came without having left, while that happens again and again. */
  returns: { name: 'shapecast_returns', ttlMs: 600_000 },
  /** Key is `trialKey`, written by the owner of the shard: `TrialRecord`. */
  trials: { name: 'shapecast_trials', ttlMs: 60_000 },
  conditions: { name: 'shapecast_conditions', ttlMs: 30_000 },
  guards: { name: 'shapecast_guards' },
  sleeps: { name: 'shapecast_sleeps' },
  usages: { name: 'shapecast_usages', ttlMs: 60_000 },
  formats: { name: 'shapecast_formats' },
  readers: { name: 'shapecast_readers', ttlMs: 15_000 },
  installation: { name: 'shapecast_installation' },
  permits: { name: 'shapecast_permits', ttlMs: 15_000 },
  /**
   * Key is `tableKey`, value the table as a router last saw it in the catalog. Perhaps out of date: with it shapes that exist are
   * found while the source is away (O 1.3.1), and nothing else is decided.
   */
  tables: { name: 'shapecast_tables' },
  /** Key is `historyKey`, written by routers with compare-and-set. */
  histories: { name: 'shapecast_histories' },
  /** Key is `<source>.<process>.<number>`, written by that process only: `RotationJournal`. */
  rotations: { name: 'shapecast_rotations', ttlMs: 48 * 3_600_000 },
  /** Key is `durableKey`, written by the owner of the shard: `DurableCursorNote`. */
  durable: { name: 'shapecast_durable' },
  /** Key is the source id, written by the admin API: `ShardPinRecord`. */
  pins: { name: 'shapecast_pins' },
} as const;

/** Registry bucket: key is the source id. What may be written for the source; never goes back (spec O 2.5). */
export interface FormatRecord {
  readonly v: 1;
  readonly record: number;
  readonly log: number;
}

/** Registry bucket with expiry: key is `<source>.<process>`, written by that process only: the newest formats that it reads. */
export interface ReaderRecord {
  readonly v: 1;
  readonly role: 'replicator' | 'router' | 'api';
  readonly record: number;
  readonly log: number;
}

/** Shapes that ended for reasons that the tx stream does not tell (spec R 12.5.7). */
export interface RotationRecord {
  readonly v: 1;
  readonly ended: readonly (readonly [code: string, message: string, handles: readonly string[]])[];
  /** Not an end, but a mark: everything written before is known to whoever sees it. */
  readonly sync?: number;
}

/** Second halves of the handles of a shard, in microseconds since 1970 (spec R 15.2.2). */
export interface HandleRecord {
  readonly v: 1;
  /** Of a handle that was issued. */
  readonly newest: number;
  /** Above all that may have been issued since. */
  readonly ceiling: number;
}

/**
 * What happened to a table that no change tells of (spec R 7.15). Transaction ids are 64-bit, as decimal text; a moment is the
 * `xmax` of a snapshot and the number of transactions it saw running.
 */
export interface HistoryRecord {
  readonly v: 1;
  /** Of the source; a record of an older one means nothing. */
  readonly incarnation: number;
  /** Moment of the first look. */
  readonly since: readonly [xmax: string, running: number];
  /** Moment of the look that this is from. */
  readonly seen: readonly [xmax: string, running: number];
  readonly filenode: number;
  /** Tables below; the last two for those that were attached: by which transaction, and the `xmax` it was first seen with. */
  readonly members: readonly (readonly [oid: number, filenode: number, xid?: string, seenXmax?: string])[];
  /** Transaction that last changed each column's description. */
  readonly columns: readonly (readonly [attnum: number, xid: string])[];
  /** Columns whose values were computed anew: by which transaction, and the `xmax` it was first seen with. */
  readonly recomputed: readonly (readonly [attnum: number, xid: string, seenXmax: string])[];
  /** When tables were last found to have left from below. */
  readonly left?: readonly [xmax: string, running: number];
}

export function historyKey(source: string, oid: number): string {
  return `${source}.${oid}`;
}

/** Key of a table in its bucket: a digest, as names may have any characters, and those of requests any length. */
export function tableKey(source: string, schema: string, table: string): string {
  return `${source}.${createHash('sha256')
    .update(JSON.stringify([schema, table]))
    .digest('base64url')}`;
}
