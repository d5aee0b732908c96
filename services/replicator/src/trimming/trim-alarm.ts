/** How much of the life of a record the shard that is furthest behind has used up, and of the room there is. */
export interface TrimState {
  readonly shard: number;
  /** Age of what the shard has not read for certain; 0 when it has read everything. */
  readonly behindMs: number;
  /** Undefined when records do not leave by age. */
  readonly maxAgeMs: number | undefined;
  readonly bytes: number;
  readonly maxBytes: number | undefined;
}

export type TrimAlarm =
  | { readonly type: 'trimming_blocked'; readonly share: 25 | 50; readonly message: string }
  | { readonly type: 'stream_nearly_full'; readonly share: 75 | 90; readonly message: string };

/** Where the margin is given up: readers have the records, and the room is needed (spec O F109). */
export const PRESSURE = 0.75;
/** Where the beginning of an open transaction is given up, so that its end gets in. */
export const EMERGENCY = 0.9;
const BLOCKED: readonly (25 | 50)[] = [50, 25];
const FULL: readonly (75 | 90)[] = [90, 75];
const HOUR_MS = 3_600_000;

/** Says once when a threshold is passed, and again only after it was left (spec O F109, F117). */
export class TrimAlarms {
  #blocked: { readonly shard: number; readonly share: number } | undefined;
  #full = 0;

  /** What is new. `state` is that after trimming. */
  look(state: TrimState): readonly TrimAlarm[] {
    const { shard, behindMs, maxAgeMs, bytes, maxBytes } = state;
    const alarms: TrimAlarm[] = [];
    const age = maxAgeMs === undefined ? 0 : (100 * behindMs) / maxAgeMs;
    const blocked = BLOCKED.find((share) => age >= share);
    if (blocked !== undefined && (this.#blocked?.shard !== shard || blocked > this.#blocked.share)) {
      const message =
        `Shard ${shard} has not stored for certain what the tx stream has held for ${hours(behindMs)}; ` +
        `after ${hours(maxAgeMs ?? 0)} those records go, and the shapes of the shard start over.`;
      alarms.push({ type: 'trimming_blocked', share: blocked, message });
    }
    if (blocked === undefined) this.#blocked = undefined;
    else if (alarms.length > 0) this.#blocked = { shard, share: blocked };
    const used = maxBytes === undefined ? 0 : (100 * bytes) / maxBytes;
    const full = FULL.find((share) => used >= share) ?? 0;
    if (full > this.#full) {
      const message =
        `The tx stream uses ${Math.floor(used)} % of its ${maxBytes} bytes; shard ${shard} keeps it from being trimmed. ` +
        'Once it is full Postgres has to keep the changes.';
      alarms.push({ type: 'stream_nearly_full', share: full as 75 | 90, message });
    }
    this.#full = full;
    return alarms;
  }
}

function hours(ms: number): string {
  return `${Math.round((10 * ms) / HOUR_MS) / 10} h`;
}
