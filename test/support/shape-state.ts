import { compareOffsets, parseOffset } from '@shapecast/log';

export type ReaderRow = Readonly<Record<string, string | null>>;

/** A message of the protocol, as JSON has it. */
export interface ShapeMessage {
  readonly key?: string;
  readonly value?: ReaderRow;
  readonly old_value?: ReaderRow;
  readonly headers: {
    readonly operation?: 'insert' | 'update' | 'delete';
    readonly control?: string;
    readonly lsn?: string;
    readonly op_position?: number;
    readonly last?: boolean;
    readonly txids?: readonly number[];
    readonly global_last_seen_lsn?: string;
    readonly xmin?: string;
    readonly xmax?: string;
    readonly xip_list?: readonly string[];
  };
}

/** One answer of the service: what its headers say, and its messages. */
export interface ShapeAnswer {
  readonly handle: string;
  readonly offset: string;
  /** By the header. */
  readonly upToDate: boolean;
  readonly messages: readonly ShapeMessage[];
}

export interface ShapeStateOptions {
  /** The shape was asked for with `replica=full`. */
  readonly full: boolean;
  /** A row came, went or became another one. */
  readonly onRow?: (key: string, before: ReaderRow | undefined, after: ReaderRow | undefined) => void;
  /** An up-to-date tells less than the one before it: a violation, unless somebody else judges (spec R 14.4). */
  readonly onWatermarkFall?: (from: bigint, to: bigint) => void;
}

/**
 * What a reader of one shape holds after the answers it was given, and what no lenient client would notice about them: an
 * insert of a row it has, an update or delete of one it has not, an offset that does not grow, a transaction that goes on
 * after its `last`, an up-to-date below what was delivered or below an earlier one.
 */
export class ShapeState {
  readonly rows = new Map<string, ReaderRow>();
  readonly violations: string[] = [];
  rotations = 0;
  entries = 0;
  /** `global_last_seen_lsn` of the last up-to-date. */
  watermark = 0n;
  readonly #full: boolean;
  readonly #onRow: NonNullable<ShapeStateOptions['onRow']>;
  readonly #onWatermarkFall: NonNullable<ShapeStateOptions['onWatermarkFall']>;
  #handle: string | undefined;
  #offset = '-1';
  #upToDate = false;
  #lastEntry: { readonly lsn: string; readonly op: number; readonly last: boolean } | undefined;
  #snapshotDone = false;

  constructor(options: ShapeStateOptions) {
    this.#full = options.full;
    this.#onRow = options.onRow ?? (() => {});
    this.#onWatermarkFall =
      options.onWatermarkFall ?? ((from, to) => this.violations.push(`up-to-date went from ${from} to ${to}`));
  }

  get offset(): string {
    return this.#offset;
  }

  get handle(): string | undefined {
    return this.#handle;
  }

  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** The handle ended; `handle` is the next one, where the answer names it. */
  startOver(handle: string | undefined): void {
    this.rotations += 1;
    if (handle !== undefined && handle === this.#handle)
      this.violations.push(`409 names the handle it refused: ${handle}`);
    for (const [key, row] of this.rows) this.#onRow(key, row, undefined);
    this.rows.clear();
    this.watermark = 0n;
    this.#handle = handle;
    this.#offset = '-1';
    this.#upToDate = false;
    this.#lastEntry = undefined;
    this.#snapshotDone = false;
  }

  apply({ messages, handle, offset, upToDate }: ShapeAnswer): void {
    if (this.#offset !== '-1' && handle !== this.#handle)
      this.violations.push(`handle changed to ${handle} without a 409`);
    const before = parseOffset(this.#offset);
    const after = parseOffset(offset);
    if (before && after && compareOffsets(after, before) < 0)
      this.violations.push(`offset went from ${this.#offset} to ${offset}`);
    this.#handle = handle;
    this.#offset = offset;
    this.#upToDate = upToDate;
    for (const message of messages) this.#message(message);
    const closing = messages.at(-1)?.headers.control === 'up-to-date';
    if (closing !== this.#upToDate) this.violations.push(`header and body disagree on up-to-date at ${offset}`);
  }

  #message(message: ShapeMessage): void {
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
        this.#set(key, known, message.value as ReaderRow);
        return;
      case 'update':
        if (!known)
          this.violations.push(`update of a row that is not there: ${key} (${headers.lsn}_${headers.op_position})`);
        else this.#updated(key, known, message);
        this.#set(key, known, { ...known, ...message.value });
        return;
      case 'delete':
        if (!known)
          this.violations.push(`delete of a row that is not there: ${key} (${headers.lsn}_${headers.op_position})`);
        this.rows.delete(key);
        this.#onRow(key, known, undefined);
        return;
      case undefined:
        this.violations.push(`a message that is neither change nor control: ${JSON.stringify(message)}`);
    }
  }

  #set(key: string, before: ReaderRow | undefined, after: ReaderRow): void {
    this.rows.set(key, after);
    this.#onRow(key, before, after);
  }

  /** An update names what changed and nothing else; with replica=full all columns, and what changed as it was (W 6.2). */
  #updated(key: string, known: ReaderRow, { value = {}, old_value: old }: ShapeMessage): void {
    const changed = Object.keys(value).filter((name) => value[name] !== known[name]);
    if (changed.length === 0) this.violations.push(`update that changes nothing: ${key}`);
    if (!this.#full) return;
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
    if (watermark < this.watermark) this.#onWatermarkFall(this.watermark, watermark);
    this.watermark = watermark;
  }
}
