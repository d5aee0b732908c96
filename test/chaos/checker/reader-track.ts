import { ShapeState } from '../../support/shape-state.ts';
import { addToDigest, hash, rowHash, shortRow, type Row } from '../model/cells.ts';
import type { TrackedShape } from '../model/shape.ts';
import type { Truth, Visibility } from '../truth/truth.ts';
import type { Delivered, Refused, RuleName } from './events.ts';
import type { EntryBytes } from './entry-bytes.ts';
import type { Handles } from './handles.ts';

export interface ReaderKind {
  readonly name: string;
  readonly shape: TrackedShape;
  /** It may be given answers that somebody kept: an older watermark, a page of a handle that ended. */
  readonly throughCache: boolean;
  /** Entries reach it as the service wrote them. */
  readonly seesBytes: boolean;
}

export interface TrackDeps {
  readonly truth: Truth;
  readonly bytes: EntryBytes;
  readonly handles: Handles;
  readonly violation: (rule: RuleName, text: string) => void;
  /** The store may have gone back between the two times. */
  readonly mayGoBack: (from: number, to: number) => boolean;
}

/** A comparison that waits until the truth is known far enough. */
interface Pending {
  readonly watermark: bigint;
  readonly at: number;
  readonly digest: number;
  readonly snapshot: Visibility | undefined;
  /** How many row changes the reader had seen. */
  readonly seen: number;
  readonly handle: string;
}

interface Reached {
  readonly at: number;
  readonly watermark: bigint;
}

/** What one reader was given, held against the rules. */
export class ReaderTrack {
  readonly kind: ReaderKind;
  compared = 0;
  /** Up-to-dates that are too old to be compared. */
  uncompared = 0;
  cachedStepsBack = 0;
  entries = 0;
  /** Rotations that wait for their reason. */
  readonly #refusals: { readonly handle: string; readonly at: number }[] = [];
  readonly reasons: string[] = [];
  readonly #deps: TrackDeps;
  readonly #state: ShapeState;
  readonly #pending: Pending[] = [];
  /** The last up-to-dates. */
  readonly #reached: Reached[] = [];
  /** What happened to rows, to go back to what was held at a comparison. */
  readonly #journal: { readonly key: string; readonly before: Row | undefined }[] = [];
  #journalStart = 0;
  #digest = 0;
  #snapshot: Visibility | undefined;
  #lastUpToDateAt = 0;
  #startingOver = false;
  /** LSN of the offset that it is at. */
  #offsetLsn = 0n;
  #fell: { readonly from: bigint; readonly to: bigint } | undefined;

  constructor(kind: ReaderKind, deps: TrackDeps) {
    this.kind = kind;
    this.#deps = deps;
    this.#state = new ShapeState({
      full: kind.shape.full,
      onRow: (key, before, after) => this.#rowChanged(key, before, after),
      onWatermarkFall: (from, to) => (this.#fell = { from, to }),
    });
  }

  get rows(): ReadonlyMap<string, Row> {
    return this.#state.rows;
  }

  get handle(): string | undefined {
    return this.#state.handle;
  }

  get watermark(): bigint {
    return this.#state.watermark;
  }

  delivered(event: Delivered): void {
    const { kind } = this;
    const { handles, violation } = this.#deps;
    const served = handles.served(event.handle, kind.shape, event.sent.at, event.offset);
    if (served !== undefined && !kind.throughCache) violation('resurrection', served);
    if (kind.seesBytes) this.#lookAtBytes(event);
    const messages = event.messages.map(shortened);
    this.#state.apply({ handle: event.handle, offset: event.offset, upToDate: event.upToDate, messages });
    this.entries = this.#state.entries;
    this.#offsetLsn = BigInt(event.offset.split('_')[0] ?? 0);
    for (const text of this.#state.violations.splice(0)) violation('protocol', text);
    for (const { headers } of messages) {
      if (headers.control !== 'snapshot-end') continue;
      this.#snapshot = visibility(headers);
      handles.snapshotEnded(event.handle, this.#snapshot);
    }
    if (!event.upToDate) return;
    handles.completed(event.handle);
    this.#watermarkFell(event.at);
    this.#lastUpToDateAt = event.at;
    this.#startingOver = false;
    this.#reached.push({ at: event.at, watermark: this.#state.watermark });
    if (this.#reached.length > MAX_REACHED) this.#reached.splice(0, MAX_REACHED / 2);
    this.#pending.push({
      watermark: this.#state.watermark,
      at: event.at,
      digest: this.#digest,
      snapshot: this.#snapshot,
      seen: this.#journalStart + this.#journal.length,
      handle: event.handle,
    });
  }

  refused({ handle, next, at }: Refused): void {
    const { handles } = this.#deps;
    if (handle !== undefined) {
      handles.refused(handle, this.kind.shape, at);
      this.#refusals.push({ handle, at });
    }
    this.#startingOver = true;
    this.#offsetLsn = 0n;
    this.#state.startOver(next);
    for (const text of this.#state.violations.splice(0)) this.#deps.violation('protocol', text);
    this.#snapshot = undefined;
  }

  /** The up-to-date from which on it never was below `lsn`; undefined while it is. Who starts over is below. */
  firstAt(lsn: bigint): Reached | undefined {
    let first: Reached | undefined;
    for (let i = this.#reached.length - 1; i >= 0; i -= 1) {
      const reached = this.#reached[i] as Reached;
      if (reached.watermark < lsn) break;
      first = reached;
    }
    return this.#startingOver ? undefined : first;
  }

  /**
   * The last up-to-date, if all that has changed since, up to `lsn`, was in the snapshot already. An event stream tells of no
   * watermark while nothing happens.
   */
  lastWithAll(lsn: bigint): Reached | undefined {
    const last = this.#reached.at(-1);
    if (last === undefined || this.#startingOver || this.#snapshot === undefined) return undefined;
    const { truth } = this.#deps;
    const had = truth.digestAt(this.kind.shape, last.watermark, this.#snapshot);
    return had !== 'unknown' && had === truth.digestAt(this.kind.shape, lsn, this.#snapshot) ? last : undefined;
  }

  /** It was given something of a later transaction, so all of this one: a log is read in the order of commits. */
  passed(lsn: bigint): boolean {
    return this.#offsetLsn > lsn;
  }

  get rotations(): number {
    return this.#state.rotations;
  }

  /** Compares all that can be compared by now. */
  settle(): void {
    const { truth } = this.#deps;
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (next.watermark > truth.position || (next.snapshot !== undefined && next.at > truth.knownAt)) break;
      this.#pending.shift();
      this.#compare(next);
      this.#trim();
    }
    for (let next = this.#refusals[0]; next !== undefined; next = this.#refusals[0]) {
      if (next.at > truth.knownAt) break;
      this.#refusals.shift();
      const reason = this.#deps.handles.reason(next.handle);
      if (reason === undefined) this.#deps.violation('rotation', `${next.handle} ended, and nothing explains it`);
      else this.reasons.push(reason);
    }
  }

  /** Comparisons and rotations that wait. */
  get open(): number {
    return this.#pending.length + this.#refusals.length;
  }

  #compare({ watermark, digest, snapshot, seen, handle }: Pending): void {
    const { truth, violation } = this.#deps;
    const expected = truth.digestAt(this.kind.shape, watermark, snapshot);
    if (expected === 'unknown') {
      this.uncompared += 1;
      return;
    }
    this.compared += 1;
    if (expected === digest) return;
    const held = this.#heldAt(seen);
    const wanted = truth.rowsAt(this.kind.shape, watermark, snapshot);
    violation('state', `at ${watermark} of ${handle}: ${difference(held, wanted)}`);
  }

  #rowChanged(key: string, before: Row | undefined, after: Row | undefined): void {
    this.#journal.push({ key, before });
    if (before !== undefined) this.#digest = addToDigest(this.#digest, -rowHash(before));
    if (after !== undefined) this.#digest = addToDigest(this.#digest, rowHash(after));
    if (this.#journal.length > MAX_JOURNAL) this.#trim();
  }

  /** What was held when `seen` row changes had been seen; undefined when too many have come since. */
  #heldAt(seen: number): Map<string, Row> | undefined {
    if (seen < this.#journalStart) return undefined;
    const rows = new Map(this.#state.rows);
    for (const { key, before } of this.#journal.slice(seen - this.#journalStart).reverse()) {
      if (before === undefined) rows.delete(key);
      else rows.set(key, before);
    }
    return rows;
  }

  #trim(): void {
    const needed = this.#pending[0]?.seen ?? this.#journalStart + this.#journal.length;
    const drop = Math.max(needed - this.#journalStart, this.#journal.length - MAX_JOURNAL / 2);
    if (drop <= 0) return;
    this.#journal.splice(0, drop);
    this.#journalStart += drop;
  }

  /** A watermark may lag after the store went back, and what a cache kept may be older (spec R 14.4). */
  #watermarkFell(at: number): void {
    const fell = this.#fell;
    this.#fell = undefined;
    if (fell === undefined) return;
    if (this.kind.throughCache) this.cachedStepsBack += 1;
    else if (!this.#deps.mayGoBack(this.#lastUpToDateAt, at)) {
      this.#deps.violation('protocol', `up-to-date went from ${fell.from} to ${fell.to}`);
    }
  }

  #lookAtBytes({ handle, sent, messages, upToDate, bodyHash }: Delivered): void {
    const { bytes, violation } = this.#deps;
    messages.forEach(({ headers, ...rest }, i) => {
      if (headers.control === 'up-to-date') return;
      const place =
        headers.lsn === undefined ? `snapshot after ${sent.offset}, ${i}` : `${headers.lsn}_${headers.op_position}`;
      const changed = bytes.see(handle, place, hash(JSON.stringify({ ...rest, headers })));
      if (changed !== undefined)
        violation('bytes', `other bytes at ${changed}: ${JSON.stringify({ ...rest, headers })}`);
    });
    // The end of an answer that does not end at the tail is the end of a chunk, for ever.
    if (upToDate || bodyHash === undefined || sent.live) return;
    // Whoever waited behind a snapshot that ended just there is sent on with nothing (spec H CH-8); later ones get the log at once.
    if (messages.length === 0) return;
    const changed = bytes.see(handle, `chunk after ${sent.offset}`, bodyHash);
    if (changed !== undefined) violation('bytes', `another answer at ${changed}`);
  }
}

const MAX_JOURNAL = 200_000;
const MAX_REACHED = 4_000;

function shortened<T extends { readonly value?: Row; readonly old_value?: Row }>(message: T): T {
  const { value, old_value: old } = message;
  return { ...message, ...(value && { value: shortRow(value) }), ...(old && { old_value: shortRow(old) }) };
}

function visibility(headers: {
  readonly xmin?: string;
  readonly xmax?: string;
  readonly xip_list?: readonly string[];
}): Visibility {
  return {
    xmin: BigInt(headers.xmin ?? 0),
    xmax: BigInt(headers.xmax ?? 0),
    xip: (headers.xip_list ?? []).map(BigInt),
  };
}

/** For people: what only one side has. */
function difference(held: ReadonlyMap<string, Row> | undefined, wanted: ReadonlyMap<string, Row> | undefined): string {
  if (held === undefined || wanted === undefined) return 'not what Postgres had; the rows are not known any more';
  const lines = (rows: Iterable<Row>): Set<string> =>
    new Set([...rows].map((row) => JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))));
  const [ours, theirs] = [lines(held.values()), lines(wanted.values())];
  const extra = [...ours].filter((line) => !theirs.has(line));
  const missing = [...theirs].filter((line) => !ours.has(line));
  return (
    `the reader has ${ours.size} rows, Postgres ${theirs.size}; only the reader has ${extra.length}: ` +
    `${extra.slice(0, 5).join(' ')}; only Postgres has ${missing.length}: ${missing.slice(0, 5).join(' ')}`
  );
}
