import type { RawAnswer } from './http.ts';
import { header, messages, type ConformanceService, type Message, type Query } from './service.ts';

/** Body of a subset answer. */
export interface SubsetBody {
  readonly metadata: {
    readonly xmin: string;
    readonly xmax: string;
    readonly xip_list: readonly string[];
    readonly database_lsn: string;
    readonly snapshot_mark: number;
  };
  readonly data: readonly Message[];
}

type Row = Readonly<Record<string, string | null>>;

interface KnownSnapshot {
  readonly metadata: SubsetBody['metadata'];
  readonly keys: ReadonlySet<string>;
}

/**
 * A client of one shape that loads rows by subsets and follows the log, as SU-11 describes it: a change that a subset showed
 * already is dropped for the rows of that subset, until the log has passed the subset's LSN. The rows have a column `n` that
 * grows with every write, and deletes are complete rows (`replica=full`), so that the client can tell when it is taken back.
 */
export class SubsetClient {
  readonly rows = new Map<string, Row>();
  /** Changes that a subset had shown already. */
  dropped = 0;
  /** Steps back in time: a row that became an older one, or came back after it had gone. */
  readonly regressions: string[] = [];
  readonly #newest = new Map<string, number>();
  readonly #service: ConformanceService;
  readonly #query: Query;
  #snapshots: KnownSnapshot[] = [];
  #handle = '';
  #offset = 'now';

  constructor(service: ConformanceService, query: Query) {
    this.#service = service;
    this.#query = query;
  }

  async subset(subset: Query): Promise<void> {
    const parameters = Object.entries(subset).map(([name, value]) => [`subset__${name}`, value]);
    const answer = await this.#get(Object.fromEntries(parameters) as Query);
    // A client that has no place in the log yet takes that of the subset.
    if (this.#offset === 'now') this.#moveTo(answer);
    const { metadata, data } = JSON.parse(answer.text) as SubsetBody;
    for (const { key, value } of data) if (key !== undefined && value !== undefined) this.#put(key, value);
    this.#snapshots.push({ metadata, keys: new Set(data.map(({ key }) => key as string)) });
  }

  /** Reads what the log has; with `live` waits for news. */
  async follow({ live = false } = {}): Promise<void> {
    const answer = await this.#get(live && this.#offset !== 'now' ? { live: 'true' } : {});
    this.#moveTo(answer);
    for (const message of messages(answer)) this.#take(message);
  }

  #take({ key, value, headers }: Message): void {
    if (headers['control'] === 'up-to-date') return this.#passed(BigInt(headers['global_last_seen_lsn'] as string));
    if (key === undefined || headers['lsn'] === undefined) return;
    this.#passed(BigInt(headers['lsn'] as string) - 1n);
    const [xid] = headers['txids'] as readonly [number];
    if (this.#snapshots.some((snapshot) => snapshot.keys.has(key) && isVisible(snapshot, BigInt(xid)))) {
      this.dropped += 1;
      return;
    }
    if (headers['operation'] !== 'delete') return this.#put(key, { ...this.rows.get(key), ...value });
    this.#check(key, value);
    this.rows.delete(key);
  }

  #put(key: string, value: Row): void {
    this.#check(key, value);
    this.rows.set(key, value);
  }

  /** `n` grows with every write of a row. */
  #check(key: string, value: Row | undefined): void {
    const n = Number(value?.['n']);
    const newest = this.#newest.get(key) ?? -1;
    if (n < newest || (n === newest && !this.rows.has(key))) this.regressions.push(`${key}: ${newest}, then ${n}`);
    this.#newest.set(key, Math.max(n, newest));
  }

  /** Snapshots that everything up to `lsn` has been compared with are forgotten. */
  #passed(lsn: bigint): void {
    this.#snapshots = this.#snapshots.filter(({ metadata }) => BigInt(metadata.database_lsn) > lsn);
  }

  #moveTo(answer: RawAnswer): void {
    this.#handle = header(answer, 'electric-handle');
    this.#offset = header(answer, 'electric-offset');
  }

  async #get(more: Query): Promise<RawAnswer> {
    const place = this.#offset === 'now' ? { offset: 'now' } : { offset: this.#offset, handle: this.#handle };
    const answer = await this.#service.shape({ ...this.#query, ...place, ...more });
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
    return answer;
  }
}

function isVisible({ metadata }: KnownSnapshot, xid: bigint): boolean {
  const { xmin, xmax, xip_list: xip } = metadata;
  return xid < BigInt(xmin) || (xid < BigInt(xmax) && !xip.includes(String(xid)));
}
