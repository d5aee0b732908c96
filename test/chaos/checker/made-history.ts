import type { ShapeMessage } from '../../support/shape-state.ts';
import { TrackedShape } from '../model/shape.ts';
import type { DecodedChange } from '../truth/pgoutput.ts';
import { Truth } from '../truth/truth.ts';
import { Checker } from './checker.ts';
import type { ReaderTrack } from './reader-track.ts';

/** A checker with a history made by hand, for tests of its rules. Time goes on by a millisecond with every call. */
export class MadeHistory {
  readonly truth = new Truth();
  readonly shape = new TrackedShape('plain');
  readonly checker: Checker;
  now = 100_000;
  readonly #offsets = new Map<ReaderTrack, string>();
  readonly #handles = new Map<ReaderTrack, string>();

  constructor(rotationsNeedReasons = true) {
    this.checker = new Checker(this.truth, {
      staleMs: 60_000,
      rotationsNeedReasons,
      epoch: 0,
      onViolation: () => {},
    });
  }

  /** Rules that were broken so far, with their texts. */
  get broken(): readonly string[] {
    this.known();
    this.checker.settle(this.now);
    return this.checker.violations.map(({ rule, text }) => `${rule}: ${text}`);
  }

  reader(name = 'r', { throughCache = false, shape = this.shape } = {}): ReaderTrack {
    return this.checker.reader({ name, shape, throughCache, seesBytes: true });
  }

  /** Postgres commits. Rows are `id: n`; undefined is a row that goes. */
  commit(lsn: number, rows: Readonly<Record<number, number | undefined>>, xid = lsn): void {
    const known = this.truth.rowsAt(this.shape, 10_000n) ?? new Map<string, unknown>();
    const changes = Object.entries(rows).map(([id, n]): DecodedChange => {
      const there = known.has(JSON.stringify([id]));
      if (n === undefined) return { kind: 'delete', table: 'plain', before: row(id, 0) };
      return there
        ? { kind: 'update', table: 'plain', before: row(id, 0), after: row(id, n) }
        : { kind: 'insert', table: 'plain', after: row(id, n) };
    });
    this.truth.apply({ lsn: BigInt(lsn), endLsn: BigInt(lsn + 1), xid, changes });
  }

  truncate(lsn: number, xid = lsn): void {
    const changes: DecodedChange[] = [{ kind: 'truncate', table: 'plain' }];
    this.truth.apply({ lsn: BigInt(lsn), endLsn: BigInt(lsn + 1), xid, changes });
  }

  /** Everything up to now is known, and nothing more is to come. */
  known(): void {
    this.now += 1;
    this.truth.advance(10_000n);
    this.truth.expect(this.now, 0n);
  }

  /** One answer for a reader. Its last message, if it is a number, is the watermark of an up-to-date. */
  gives(
    track: ReaderTrack,
    messages: readonly (ShapeMessage | number)[],
    {
      handle = '1-1000',
      sentAt = this.now,
      offset = undefined as string | undefined,
      bodyHash = undefined as number | undefined,
    } = {},
  ): void {
    this.now += 1;
    const list = messages.map((message) => (typeof message === 'number' ? upToDate(message) : message));
    const last = list.findLast(({ headers }) => headers.lsn !== undefined)?.headers;
    const before = this.#handles.get(track) === handle ? (this.#offsets.get(track) ?? '-1') : '-1';
    const after =
      offset ?? (last === undefined ? (before === '-1' ? '0_inf' : before) : `${last.lsn}_${last.op_position}`);
    this.#offsets.set(track, after);
    this.#handles.set(track, handle);
    this.checker.delivered(track, {
      sent: { at: sentAt, handle, offset: before, live: false },
      at: this.now,
      handle,
      offset: after,
      upToDate: list.at(-1)?.headers.control === 'up-to-date',
      messages: list,
      ...(bodyHash === undefined ? {} : { bodyHash }),
    });
  }

  refuses(track: ReaderTrack, handle = '1-1000', next?: string): void {
    this.now += 1;
    this.#offsets.delete(track);
    const sent = { at: this.now, handle, offset: '0_inf', live: false };
    this.checker.refused(track, { sent, at: this.now, handle, next });
  }
}

function row(id: number | string, n: number | undefined): Readonly<Record<string, string | null>> {
  return { id: String(id), grp: '1', n: n === undefined ? null : String(n), body: null };
}

/** A row of a snapshot. */
export function shown(id: number, n: number): ShapeMessage {
  return { key: `"plain"/"${id}"`, value: row(id, n), headers: { operation: 'insert' } };
}

export function snapshotEnd(xmin: number, xmax = xmin, xip: readonly number[] = []): ShapeMessage {
  const headers = { control: 'snapshot-end', xmin: String(xmin), xmax: String(xmax), xip_list: xip.map(String) };
  return { headers };
}

/** An entry of the log; the last of its transaction unless it is told. */
export function entry(
  operation: 'insert' | 'update' | 'delete',
  lsn: number,
  id: number,
  n?: number,
  { op = 0, last = true } = {},
): ShapeMessage {
  const value =
    operation === 'insert'
      ? row(id, n)
      : operation === 'update'
        ? { id: String(id), n: String(n) }
        : { id: String(id) };
  const headers = { operation, lsn: String(lsn), op_position: op, ...(last && { last }) };
  return { key: `"plain"/"${id}"`, value, headers };
}

function upToDate(watermark: number): ShapeMessage {
  return { headers: { control: 'up-to-date', global_last_seen_lsn: String(watermark) } };
}
