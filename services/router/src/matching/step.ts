import {
  comparePositions,
  lastPosition,
  maxLsn,
  type Change,
  type DataRecord,
  type Lsn,
  type Position,
  type RowChange,
  type TransactionPart,
} from '@shapecast/log';
import { transactionHeaders } from '@shapecast/protocol';
import type { AppendBatch, EntryOrigin, LogEntry, ShapeFailure, ShardCursor } from '@shapecast/shape-store';
import type { StreamRecord } from '../stream/stream-record.ts';
import { ancestorViews } from './ancestor-view.ts';
import type { EncodedMessage, SharedEncoder } from './encoded-change.ts';
import type { OpenTransaction, RoutedShape } from './routed-shape.ts';
import type { ShardIndex } from './shard-index.ts';
import type { TableShapes } from './table-shapes.ts';

/** What has to be remembered of a transaction between two steps: per touched shape, the entry that may be its last. */
export interface HeldTransaction {
  readonly transaction: OpenTransaction;
  readonly entries: ReadonlyMap<string, EncodedMessage>;
}

/** Where a step begins. */
export interface StepStart {
  readonly cursor: ShardCursor;
  readonly held: HeldTransaction | undefined;
}

/**
 * A change that ends a shape unless the snapshot it will start from shows the change already. Decided once the snapshot is
 * known: a client that was told of a truncation at once asks for the shape again, and must not be sent away twice.
 */
export interface Doubt {
  readonly handle: string;
  readonly transaction: OpenTransaction;
  readonly failure: ShapeFailure;
}

export interface StepResult {
  readonly batch: AppendBatch;
  readonly held: HeldTransaction | undefined;
  /** Handles with entries in the batch. */
  readonly touched: ReadonlySet<string>;
  readonly doubts: readonly Doubt[];
}

const TRUNCATED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'The table was truncated.' };
const UNUSABLE_CHANGE: ShapeFailure = {
  code: 'SCHEMA_CHANGED',
  message: 'A change of the table could not be applied.',
};
export const POISON: ShapeFailure = {
  code: 'SCHEMA_CHANGED',
  message: 'A change could not be evaluated for the shape.',
};

/**
 * Turns consecutive records into what one append writes: for every shape of a shard its entries, in commit order, with `last`
 * on the last one of each transaction. Plain computation, so that a step can be thrown away and made again from the same
 * records; the entries depend only on the records and the shapes, never on where steps begin and end (R 11.2.2).
 *
 * Nothing is final before `finish`, and shapes in `rotations` have to be rotated, and the step made again without them,
 * before it is appended (R 13.5).
 */
export class Step {
  readonly #index: ShardIndex;
  readonly #entries: LogEntry[] = [];
  readonly #touched = new Set<string>();
  readonly #transactions: { lsn: Lsn; xid: bigint }[] = [];
  readonly #rotations = new Map<string, ShapeFailure>();
  readonly #doubts: Doubt[] = [];
  /** Shapes with a doubt about the open transaction: a second one would not say more, and it may have millions. */
  readonly #doubted = new Set<RoutedShape>();
  /** Shapes with a held entry of the open transaction. */
  #holding: RoutedShape[] = [];
  #open: OpenTransaction | undefined;
  #position: Position;
  #seq: number;
  #visible: Position | undefined;
  #watermark: Lsn | undefined;
  #xmin: bigint | undefined;
  #commitTimeUs: bigint | undefined;
  #oldest: EntryOrigin | undefined;
  /** Of records that are traced, in the order of the stream. */
  readonly #traces: string[] = [];
  #bytes = 0;
  #blind = false;
  /** Of the change at hand; a field, so that the callbacks are made once per step. */
  #change: RowChange | undefined;
  readonly #onMatch: (shape: RoutedShape, old: boolean, now: boolean) => void;
  readonly #onUndecided: (shape: RoutedShape, error: unknown) => void;

  constructor(index: ShardIndex, start: StepStart) {
    this.#index = index;
    this.#position = start.cursor.position;
    this.#seq = start.cursor.seq;
    this.#onMatch = (shape, old, now) => this.#matched(shape, old, now);
    this.#onUndecided = (shape, error) => {
      if (!shape.accepts(this.#open as OpenTransaction)) return;
      this.#rotations.set(shape.handle, POISON);
      this.#index.undecided(shape, error);
    };
    if (start.held) this.#resume(start.held);
  }

  /** Entries made so far, those held back included. */
  get size(): number {
    return this.#entries.length + this.#holding.length;
  }

  /** Entries made so far that are to be written. */
  get made(): number {
    return this.#entries.length;
  }

  /** Approximate size of the entries made so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Of the last transaction that becomes visible, microseconds since 1970 on the clock of Postgres; undefined: none does. */
  get commitTimeUs(): bigint | undefined {
    return this.#commitTimeUs;
  }

  /** Of the first transaction with entries that becomes visible; undefined: none does. */
  get oldest(): EntryOrigin | undefined {
    return this.#oldest;
  }

  /** Of what it was made from. */
  get traces(): readonly string[] {
    return this.#traces;
  }

  get rotations(): ReadonlyMap<string, ShapeFailure> {
    return this.#rotations;
  }

  /**
   * Takes the next record. False when records are missing between the last one and this one: it follows a position that
   * this shard has not reached (R 9.6.2, 9.6.3). Records or operations from before the position are skipped (9.6.5). With
   * `blindly` nobody gets its changes.
   */
  add(read: StreamRecord, blindly = false): boolean {
    const { seq, record } = read;
    if (comparePositions(record.prev.position, this.#position) > 0) return false;
    switch (record.kind) {
      case 'leader':
        break;
      case 'progress':
        // Below `lsn`, not at it: a transaction may still commit exactly there.
        if (record.lsn > 0n) this.#watermark = maxLsn(this.#watermark ?? (0n as Lsn), (record.lsn - 1n) as Lsn);
        this.#xmin = record.xmin;
        break;
      case 'data':
        this.#blind = blindly;
        this.#data(record, read);
        if (read.traceparent !== undefined) this.#traces.push(read.traceparent);
        break;
    }
    this.#seq = seq;
    return true;
  }

  finish(): StepResult {
    const open = this.#open;
    let held: HeldTransaction | undefined;
    if (open) {
      const entries = new Map<string, EncodedMessage>();
      for (const shape of this.#holding) if (shape.held) entries.set(shape.handle, shape.held);
      held = { transaction: open, entries };
    }
    let watermark = this.#watermark;
    if (open && watermark !== undefined && watermark >= open.lsn) watermark = (open.lsn - 1n) as Lsn;
    const batch: AppendBatch = {
      entries: this.#entries,
      transactions: this.#transactions,
      to: { seq: this.#seq, position: this.#position, openTxSeq: open?.seq ?? 0 },
      ...(this.#visible ? { visible: this.#visible } : {}),
      ...(watermark !== undefined ? { watermark } : {}),
      ...(this.#xmin !== undefined ? { xmin: this.#xmin } : {}),
    };
    return { batch, held, touched: this.#touched, doubts: this.#doubts };
  }

  #resume({ transaction, entries }: HeldTransaction): void {
    // A transaction object of its own: the shapes' answers from an abandoned step may be out of date.
    const open = { ...transaction };
    this.#open = open;
    for (const [handle, held] of entries) {
      const shape = this.#index.get(handle);
      if (!shape?.accepts(open)) continue;
      shape.transaction = open;
      shape.held = held;
      this.#holding.push(shape);
    }
  }

  #data(record: DataRecord, read: StreamRecord): void {
    const end = lastPosition(record);
    if (comparePositions(end, this.#position) <= 0) return;
    for (const part of record.parts) this.#part(part, read);
  }

  #part(part: TransactionPart, { firstSeq, publishedMs, traceparent }: StreamRecord): void {
    const start = this.#position;
    if (part.lsn < start.lsn) return;
    let changes = part.changes;
    if (part.lsn === start.lsn) {
      changes = changes.filter((change) => change.op > start.op);
      if (changes.length === 0) return;
    }
    let open = this.#open;
    if (open === undefined || open.lsn !== part.lsn) {
      if (open !== undefined) throw new Error('a transaction of the tx stream has no end');
      open = {
        lsn: part.lsn,
        about: Number(part.lsn),
        xid: part.xid,
        seq: firstSeq,
        headers: transactionHeaders(part),
        origin: { committedMs: Number(part.commitTimeUs) / 1_000, publishedMs, traceparent },
      };
      this.#open = open;
      this.#transactions.push({ lsn: part.lsn, xid: part.xid });
    }
    if (!this.#blind) for (const change of changes) this.#apply(change, open);
    const last = changes.at(-1) as Change;
    this.#position = { lsn: part.lsn, op: last.op };
    if (!part.commit) return;
    this.#commitTimeUs = part.commitTimeUs;
    this.#commit(last);
  }

  #apply(change: Change, open: OpenTransaction): void {
    const { relation } = change;
    const table = this.#index.table(relation);
    if (table !== undefined) this.#applyTo(table, change, open);
    if (relation.ancestors === undefined) return;
    for (const view of ancestorViews(relation)) {
      const above = this.#index.table(view.relation);
      if (above !== undefined) this.#applyTo(above, view.project(change), open);
    }
  }

  #applyTo(table: TableShapes, change: Change, open: OpenTransaction): void {
    switch (change.kind) {
      case 'truncate':
        this.#rotateTable(table, open, TRUNCATED);
        break;
      case 'unusable':
        this.#rotateTable(table, open, UNUSABLE_CHANGE);
        break;
      case 'insert':
      case 'update':
      case 'delete':
        if (table.mismatched.size > 0) this.#rotateMismatched(table, open);
        this.#change = change;
        try {
          table.matcher.match(change, this.#onMatch, this.#onUndecided);
        } catch {
          // Which shape it was cannot be told, so all that this row could have concerned start over.
          this.#rotateTable(table, open, POISON);
        }
        break;
    }
  }

  #rotateTable(table: TableShapes, open: OpenTransaction, failure: ShapeFailure): void {
    for (const shape of table.shapes) this.#end(shape, open, failure);
  }

  #rotateMismatched(table: TableShapes, open: OpenTransaction): void {
    for (const [shape, message] of table.mismatched) this.#end(shape, open, { code: 'SCHEMA_CHANGED', message });
  }

  #end(shape: RoutedShape, open: OpenTransaction, failure: ShapeFailure): void {
    if (!shape.accepts(open)) return;
    if (shape.record.snapshot) {
      this.#rotations.set(shape.handle, failure);
    } else if (!this.#doubted.has(shape)) {
      this.#doubted.add(shape);
      this.#doubts.push({ handle: shape.handle, transaction: open, failure });
    }
  }

  #matched(shape: RoutedShape, old: boolean, now: boolean): void {
    const open = this.#open as OpenTransaction;
    if (!shape.accepts(open)) return;
    const change = this.#change as RowChange;
    const encoder = shape.encoder as SharedEncoder;
    try {
      if (old && now && change.kind === 'update') {
        const stays = encoder.stays(change);
        if (stays === 'nothing') return;
        if (stays === 'update') return this.#hold(shape, open, encoder.encode('update', change, open));
        this.#hold(shape, open, encoder.encode('keyChangeDelete', change, open));
        this.#hold(shape, open, encoder.encode('keyChangeInsert', change, open));
      } else if (now) this.#hold(shape, open, encoder.encode('insert', change, open));
      else if (old) this.#hold(shape, open, encoder.encode('delete', change, open));
    } catch {
      this.#rotations.set(shape.handle, POISON);
    }
  }

  /** Makes a message the shape's newest entry of the transaction; the one before it is now known not to be the last. */
  #hold(shape: RoutedShape, open: OpenTransaction, message: EncodedMessage): void {
    if (shape.transaction === open) this.#emit(shape, open, shape.held as EncodedMessage, false);
    else {
      shape.transaction = open;
      this.#holding.push(shape);
    }
    shape.held = message;
    this.#bytes += message.size;
  }

  #commit(last: Change): void {
    const open = this.#open as OpenTransaction;
    for (const shape of this.#holding) {
      this.#emit(shape, open, shape.held as EncodedMessage, true);
      shape.transaction = undefined;
      shape.held = undefined;
    }
    if (this.#holding.length > 0) {
      this.#holding = [];
      this.#oldest ??= open.origin;
    }
    if (this.#doubted.size > 0) this.#doubted.clear();
    this.#open = undefined;
    this.#watermark = maxLsn(this.#watermark ?? open.lsn, open.lsn);
    // The second half of a key change stands one further.
    this.#visible = { lsn: open.lsn, op: last.op + 1 };
  }

  #emit(shape: RoutedShape, open: OpenTransaction, message: EncodedMessage, last: boolean): void {
    const { handle } = shape;
    const { xid, origin } = open;
    this.#entries.push({ handle, position: message.position, xid, bytes: message.bytes(last), origin });
    this.#touched.add(handle);
  }
}
