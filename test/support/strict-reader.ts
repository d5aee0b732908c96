import { compareOffsets, parseOffset } from '@shapecast/log';

type Row = Readonly<Record<string, string | null>>;

interface Message {
  readonly key?: string;
  readonly value?: Row;
  readonly old_value?: Row;
  readonly headers: {
    readonly operation?: 'insert' | 'update' | 'delete';
    readonly control?: string;
    readonly lsn?: string;
    readonly op_position?: number;
    readonly last?: boolean;
    readonly txids?: readonly number[];
    readonly global_last_seen_lsn?: string;
  };
}

/**
 * Follows one shape over raw HTTP and refuses what a lenient client would forgive: an insert of a row it has, an update
 * or delete of one it has not, an offset that does not grow, a transaction that goes on after its `last`, an up-to-date
 * below what was delivered or below an earlier one. Starts over on 409, as clients do, and counts it.
 */
export class StrictReader {
  readonly rows = new Map<string, Row>();
  readonly violations: string[] = [];
  rotations = 0;
  entries = 0;
  /** `global_last_seen_lsn` of the last up-to-date. */
  watermark = 0n;
  readonly #url: string;
  readonly #params: Readonly<Record<string, string>>;
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;
  #upToDate = false;
  #lastEntry: { readonly lsn: string; readonly op: number; readonly last: boolean } | undefined;
  #snapshotDone = false;

  /** `url` is the server's base; `params` name the shape. */
  constructor(url: string, params: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#params = params;
  }

  get offset(): string {
    return this.#offset;
  }

  get handle(): string | undefined {
    return this.#handle;
  }

  /** Follows until the signal aborts. Errors of the connection and 503s are retried: faults are part of the tests. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.step(signal, this.#upToDate);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof UnexpectedAnswer) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Reads without waiting for changes until the server says up to date. */
  async catchUp(signal: AbortSignal): Promise<void> {
    this.#upToDate = false;
    while (!this.#upToDate) await this.step(signal, false);
  }

  async step(signal: AbortSignal, live: boolean): Promise<void> {
    const url = new URL('/v1/shape', this.#url);
    for (const [name, value] of Object.entries(this.#params)) url.searchParams.set(name, value);
    url.searchParams.set('offset', this.#offset);
    if (this.#handle) url.searchParams.set('handle', this.#handle);
    if (live) {
      url.searchParams.set('live', 'true');
      if (this.#cursor) url.searchParams.set('cursor', this.#cursor);
    }
    const response = await fetch(url, { signal });
    const body = await response.text();
    if (response.status === 409) return this.#startOver(response.headers.get('electric-handle') ?? undefined);
    if (response.status === 503 || response.status === 502) throw new Error(`status ${response.status}: ${body}`);
    if (response.status !== 200) throw new UnexpectedAnswer(`status ${response.status} for ${url.search}: ${body}`);
    this.#apply(JSON.parse(body) as Message[], response.headers);
  }

  #startOver(handle: string | undefined): void {
    this.rotations += 1;
    if (handle !== undefined && handle === this.#handle)
      this.violations.push(`409 names the handle it refused: ${handle}`);
    this.rows.clear();
    this.watermark = 0n;
    this.#handle = handle;
    this.#offset = '-1';
    this.#cursor = undefined;
    this.#upToDate = false;
    this.#lastEntry = undefined;
    this.#snapshotDone = false;
  }

  #apply(messages: readonly Message[], headers: Headers): void {
    const offset = headers.get('electric-offset');
    const handle = headers.get('electric-handle');
    if (offset === null || handle === null)
      throw new UnexpectedAnswer('an answer without electric-offset or electric-handle');
    if (this.#offset !== '-1' && handle !== this.#handle)
      this.violations.push(`handle changed to ${handle} without a 409`);
    const before = parseOffset(this.#offset);
    const after = parseOffset(offset);
    if (before && after && compareOffsets(after, before) < 0)
      this.violations.push(`offset went from ${this.#offset} to ${offset}`);
    this.#handle = handle;
    this.#offset = offset;
    this.#cursor = headers.get('electric-cursor') ?? this.#cursor;
    this.#upToDate = headers.has('electric-up-to-date');
    for (const message of messages) this.#message(message);
    const closing = messages.at(-1)?.headers.control === 'up-to-date';
    if (closing !== this.#upToDate) this.violations.push(`header and body disagree on up-to-date at ${offset}`);
  }

  #message(message: Message): void {
    const { headers } = message;
    if (headers.control === 'snapshot-end') {
      this.#snapshotDone = true;
      return;
    }
    if (headers.control === 'up-to-date') return this.#upToDateMessage(headers.global_last_seen_lsn ?? '0');
    if (headers.control !== undefined) return;
    const key = message.key as string;
    this.entries += 1;
    if (headers.lsn !== undefined) this.#order(headers.lsn, headers.op_position ?? -1, headers.last === true, key);
    const known = this.rows.get(key);
    switch (headers.operation) {
      case 'insert':
        if (known)
          this.violations.push(`insert of a row that is there: ${key} (${headers.lsn}_${headers.op_position})`);
        this.rows.set(key, message.value as Row);
        return;
      case 'update':
        if (!known)
          this.violations.push(`update of a row that is not there: ${key} (${headers.lsn}_${headers.op_position})`);
        else this.#updated(key, known, message);
        this.rows.set(key, { ...known, ...message.value });
        return;
      case 'delete':
        if (!known)
          this.violations.push(`delete of a row that is not there: ${key} (${headers.lsn}_${headers.op_position})`);
        this.rows.delete(key);
        return;
      case undefined:
        this.violations.push(`a message that is neither change nor control: ${JSON.stringify(message)}`);
    }
  }

  /** An update names what changed and nothing else; with replica=full all columns, and what changed as it was (W 6.2). */
  #updated(key: string, known: Row, { value = {}, old_value: old }: Message): void {
    const changed = Object.keys(value).filter((name) => value[name] !== known[name]);
    if (changed.length === 0) this.violations.push(`update that changes nothing: ${key}`);
    if (this.#params['replica'] !== 'full') return;
    const missing = Object.keys(known).filter((name) => !(name in value));
    if (missing.length > 0) this.violations.push(`update without columns ${missing.join()}: ${key}`);
    const before = Object.fromEntries(changed.map((name) => [name, known[name]]));
    const same = changed.every((name) => old?.[name] === before[name]);
    if (!same || Object.keys(old ?? {}).length !== changed.length) {
      this.violations.push(`update of ${changed.join()} whose old values are others: ${key} ${JSON.stringify(old)}`);
    }
  }

  #order(lsn: string, op: number, last: boolean, key: string): void {
    if (!this.#snapshotDone) this.violations.push(`a log entry before the snapshot's end: ${key}`);
    const previous = this.#lastEntry;
    if (previous) {
      const grows = BigInt(lsn) > BigInt(previous.lsn) || (lsn === previous.lsn && op > previous.op);
      if (!grows) this.violations.push(`entry ${lsn}_${op} after ${previous.lsn}_${previous.op}`);
      if (lsn === previous.lsn && previous.last)
        this.violations.push(`entry ${lsn}_${op} after the last of its transaction`);
      if (lsn !== previous.lsn && !previous.last) this.violations.push(`transaction ${previous.lsn} has no last entry`);
    }
    this.#lastEntry = { lsn, op, last };
  }

  #upToDateMessage(text: string): void {
    const watermark = BigInt(text);
    if (this.#lastEntry && watermark < BigInt(this.#lastEntry.lsn)) {
      this.violations.push(`up-to-date at ${text} is below the last entry ${this.#lastEntry.lsn}`);
    }
    if (this.#lastEntry && !this.#lastEntry.last)
      this.violations.push(`up-to-date inside transaction ${this.#lastEntry.lsn}`);
    if (watermark < this.watermark) this.violations.push(`up-to-date went from ${this.watermark} to ${text}`);
    this.watermark = watermark;
  }
}

/** An answer that no fault explains: the test fails at once. */
class UnexpectedAnswer extends Error {}
