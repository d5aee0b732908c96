import { wallTime, type Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { withoutCredentials } from './without-credentials.ts';

/** What each state event says (spec O 1.4). Plain JSON values: they go to other processes. */
export interface StateEvents {
  readonly waiting_for_connection_lock: Readonly<Record<string, never>>;
  readonly connection_lock_acquired: Readonly<Record<string, never>>;
  readonly failed_to_acquire_connection_lock: { readonly error: string };
  readonly ready: { readonly slotConfirmed?: string };
  readonly replication_slot_creation_blocked_by_pending_transactions: { readonly blockedMs?: number };
  readonly replication_slot_unblock_unavailable: { readonly message: string };
  /** `type` is for programs, such as `database_id_or_timeline_changed`. */
  readonly warning: { readonly type: string; readonly message: string; readonly error?: string };
  /** `totalRetryMs`: for how long connecting has failed. */
  readonly connection_error: {
    readonly error: string;
    readonly type: string;
    readonly message: string;
    readonly totalRetryMs: number;
  };
  readonly config_error: { readonly error: string; readonly type: string; readonly message: string };
  readonly scaled_down_database_connections: Readonly<Record<string, never>>;
  /** `from` is left out for the first incarnation. */
  readonly incarnation_changed: { readonly from?: number | undefined; readonly to: number; readonly reason: string };
  /** `holder`: instance of the process that leads now. */
  readonly leader_changed: { readonly holder: string; readonly incarnation: number; readonly epoch: number };
  /** `owner`: instance of the router that owns the shard now. */
  readonly shard_owner_changed: { readonly shard: number; readonly owner: string; readonly epoch?: number };
  /** Sequence numbers of the tx stream: the records from `from` to `to`, both included, are gone. */
  readonly stream_gap: { readonly shard: number; readonly from: number; readonly to: number };
  /** Sequence numbers of the tx stream: the shard had applied `from` and now says `to`. */
  readonly store_regressed: { readonly shard: number; readonly from: number; readonly to: number };
  /** A shard was stuck on the record after `seq` of the tx stream; `remedy` is what is done about it (spec R 13.5.2). */
  readonly 'flush_tracker.stall_detected': {
    readonly shard: number;
    readonly seq: number;
    readonly remedy: 'restart' | 'rotate';
    /** How many end. */
    readonly shapes: number;
  };
  /** Every owner of a shard died on a record: nobody got its changes, and the `shapes` that should have had them end (spec O F129). */
  readonly record_skipped: { readonly shard: number; readonly seq: number; readonly shapes: number };
  /** Sampled: `omitted` says how many were left out since the last one. */
  readonly shape_rotated: { readonly handle: string; readonly reason: string; readonly table?: string };
  readonly tenant_limit_reached: { readonly limit: string; readonly value?: number };
}

export type StateEventName = keyof StateEvents;

type Level = 'error' | 'warn' | 'info';

/** Importance and text of each event's log line. The texts are stable: alerts search for them. */
const LINES: Readonly<Record<StateEventName, readonly [level: Level, text: string]>> = {
  waiting_for_connection_lock: ['info', 'another replicator holds the lock, standing by'],
  connection_lock_acquired: ['info', 'replication session is open'],
  failed_to_acquire_connection_lock: ['warn', 'the lock of the source could not be taken'],
  ready: ['info', 'replicator leads the source'],
  replication_slot_creation_blocked_by_pending_transactions: [
    'warn',
    'slot creation waits for open transactions to finish',
  ],
  replication_slot_unblock_unavailable: ['warn', 'slot creation cannot be unblocked automatically'],
  warning: ['warn', 'the source needs attention'],
  connection_error: ['warn', 'replication failed, retrying'],
  config_error: ['error', 'source is not set up for replication, retrying'],
  scaled_down_database_connections: ['info', 'the source is idle, its connections are closed'],
  incarnation_changed: ['warn', 'history cannot be continued: a new incarnation starts and every shape rotates'],
  leader_changed: ['info', 'the source has a new leader'],
  shard_owner_changed: ['info', 'the shard has a new owner'],
  stream_gap: ['error', 'tx stream has a gap, rotating the shapes of the shard'],
  store_regressed: ['warn', 'the store went back, shard applies again'],
  'flush_tracker.stall_detected': ['error', 'a shard is stuck on a transaction'],
  record_skipped: ['error', 'a record on which every router died was left out, rotating the shapes of its tables'],
  shape_rotated: ['info', 'shape rotated'],
  tenant_limit_reached: ['warn', 'the source has reached a limit'],
};

const FIRST: (typeof LINES)['ready'] = ['info', 'first incarnation of the source'];

/**
 * Tells of a change of state: a log line whose text belongs to the event, and, where `log` comes from a `StateEventTap`, a
 * message to whoever listens. Neither waits nor throws. Texts of errors may be given as they are: credentials in URLs and
 * connection strings are taken out.
 */
export function emitEvent<N extends StateEventName>(log: Logger, event: N, payload: StateEvents[N]): void {
  const [level, text] =
    event === 'incarnation_changed' && !('from' in payload && payload.from !== undefined) ? FIRST : LINES[event];
  const fields: Record<string, unknown> = { event };
  for (const [name, value] of Object.entries(payload)) {
    fields[name] = typeof value === 'string' ? withoutCredentials(value) : value;
  }
  log[level](fields, text);
}

/** Fields that a logger was bound to and that say where an event comes from. */
const ORIGIN = ['service', 'instance', 'source', 'shard', 'incarnation'] as const;
/** Events of one name that pass in a second; only rotations come in such numbers. */
const SAMPLED: Partial<Record<string, number>> = { shape_rotated: 10 };
const SAMPLE_MS = 1_000;
const MAX_TEXT = 2_000;

/**
 * Hears the state events of a process: they pass through its loggers. Counts them, thins out what comes in masses, and hands
 * each on as JSON once somebody listens. What nobody listens to is in the log all the same.
 */
export class StateEventTap {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  readonly #samples = new Map<string, { since: number; passed: number; omitted: number }>();
  #publish: ((payload: Uint8Array, source: string | undefined) => void) | undefined;
  #omitted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on events go to `publish` too, with the source that the logger is bound to. It must not wait; what it throws is dropped. */
  connect(publish: (payload: Uint8Array, source: string | undefined) => void): void {
    this.#publish = publish;
  }

  /** How often each event happened in this process, the omitted ones included. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** How many of them did not make it into the log. */
  get omitted(): number {
    return this.#omitted;
  }

  /** `log`, listened to. `fields` are what it is bound to already. */
  tap(log: Logger, fields: object = {}): Logger {
    const line = (level: Level) => (given: object, message: string) => {
      const event = 'event' in given && typeof given.event === 'string' ? given.event : undefined;
      if (event === undefined || !Object.hasOwn(LINES, event)) return log[level](given, message);
      const all = this.#sample(event, given);
      if (all === undefined) return;
      log[level](all, message);
      this.#send(message, { ...fields, ...all });
    };
    return {
      error: line('error'),
      warn: line('warn'),
      info: line('info'),
      debug: (given, message) => log.debug(given, message),
      child: (more) => this.tap(log.child(more), { ...fields, ...more }),
    };
  }

  /** The fields to tell, or nothing when the event is left out. */
  #sample(event: string, given: object): object | undefined {
    this.#counts.set(event, (this.#counts.get(event) ?? 0) + 1);
    const most = SAMPLED[event];
    if (most === undefined) return given;
    const now = this.#clock.now();
    let sample = this.#samples.get(event);
    if (sample === undefined || now - sample.since >= SAMPLE_MS || now < sample.since) {
      sample = { since: now, passed: 0, omitted: sample?.omitted ?? 0 };
      this.#samples.set(event, sample);
    }
    if (sample.passed >= most) {
      sample.omitted += 1;
      this.#omitted += 1;
      return undefined;
    }
    sample.passed += 1;
    if (sample.omitted === 0) return given;
    const { omitted } = sample;
    sample.omitted = 0;
    return { ...given, omitted };
  }

  #send(message: string, fields: object): void {
    if (this.#publish === undefined) return;
    try {
      const at = new Date(wallTime(this.#clock)).toISOString();
      const source = 'source' in fields && typeof fields.source === 'string' ? fields.source : undefined;
      this.#publish(new TextEncoder().encode(JSON.stringify({ at, text: message, ...plain(fields) })), source);
    } catch {
      // The log has it.
    }
  }
}

/** What of the fields may leave the process: where the event comes from, and its own plain values. */
function plain(fields: object): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const own = (ORIGIN as readonly string[]).includes(name) || name === 'event' || OWN_FIELDS.has(name);
    if (!own) continue;
    if (typeof value === 'string') result[name] = withoutCredentials(value).slice(0, MAX_TEXT);
    else if (typeof value === 'number' || typeof value === 'boolean') result[name] = value;
  }
  return result;
}

/** Every field of every event. A logger may be bound to more, which stays in the log. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  ...['error', 'type', 'message', 'totalRetryMs', 'blockedMs', 'slotConfirmed', 'from', 'to', 'reason', 'holder'],
  ...['epoch', 'owner', 'handle', 'table', 'limit', 'value', 'omitted'],
  ...['seq', 'remedy', 'shapes'],
]);
