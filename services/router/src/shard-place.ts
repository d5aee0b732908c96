import { comparePositions, type Position } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardCursor } from '@shapecast/shape-store';
import type { Latch } from './latch.ts';
import { beforeTransaction, reopenTransaction } from './matching/reopen-transaction.ts';
import type { OwnedShard } from './owned-shard.ts';
import {
  beginsBehind,
  firstPlace,
  followsCursor,
  locateCursor,
  newShardPlace,
  type StreamPlace,
} from './stream/locate-cursor.ts';
import type { RecordWindow } from './stream/record-window.ts';
import type { TakeLimits, WindowReader } from './stream/window-reader.ts';
import type { StreamRecord } from './stream/stream-record.ts';
import type { SourceMetrics } from './telemetry/source-metrics.ts';

interface ShardPlaceDeps {
  readonly store: ShapeStore;
  readonly stream: TxStream;
  readonly window: RecordWindow;
  readonly metrics: SourceMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

const GAP: ShapeFailure = {
  code: 'SCHEMA_CHANGED',
  message: 'Changes are no longer stored in the transaction stream.',
};
/** How long the next record of a transaction that is read again may take. */
const RECORD_TIMEOUT_MS = 10_000;

/**
 * Where a shard reads the tx stream. Usually right after its cursor; but a stream may have been trimmed, or have lost its tail
 * and been refilled, and then the place is looked up by position. Where the stream no longer has what the cursor needs, the
 * shapes end and the cursor is moved to where it goes on (spec R 9.6.4, 13.6).
 */
export class ShardPlace {
  readonly #deps: ShardPlaceDeps;
  readonly #shard: OwnedShard;
  readonly #wake: Latch;
  #reader: WindowReader | undefined;
  #found = false;
  /** How often the stream lost what the reader was to read next. */
  #losses = 0;
  /** Position that the last search in the stream was made for. */
  #relocatedFrom: Position | undefined;

  /** `wake` is set when there may be records to read. */
  constructor(deps: ShardPlaceDeps, shard: OwnedShard, wake: Latch) {
    this.#deps = deps;
    this.#shard = shard;
    this.#wake = wake;
  }

  /** The reader stands where the cursor does. */
  get found(): boolean {
    return this.#found;
  }

  read(limits: TakeLimits): readonly StreamRecord[] {
    return this.#reader?.take(limits) ?? [];
  }

  close(): void {
    this.#reader?.close();
  }

  /** Points the reader to where the cursor stands, and rebuilds what has to be remembered of an open transaction. */
  async find(signal: AbortSignal): Promise<void> {
    const { stream } = this.#deps;
    const { cursor } = this.#shard.current();
    const losses = this.#losses;
    this.#found = false;
    if (cursor.seq === 0 && this.#shard.index.size === 0) {
      const place = await newShardPlace(stream);
      if (place) await this.#moveTo(place);
      else this.#seek(1);
    } else if (cursor.openTxSeq > 0) await this.#reopen(cursor, signal);
    else if (cursor.seq === 0 || (await followsCursor(stream, cursor))) this.#seek(cursor.seq + 1);
    else await this.#relocate(signal);
    this.#found = losses === this.#losses;
  }

  /**
   * `record` follows operations that were not read. Perhaps they are elsewhere in the stream, which is looked up once per
   * position; else they are lost.
   */
  async bridge(record: StreamRecord, signal: AbortSignal): Promise<void> {
    const { position } = this.#shard.current().cursor;
    const tried = this.#relocatedFrom !== undefined && comparePositions(this.#relocatedFrom, position) === 0;
    if (tried) return this.#crossGap({ seq: record.firstSeq, position: record.record.prev.position });
    await this.#relocate(signal);
    // Only now: a look-up that failed, because NATS was away, has not been made.
    this.#relocatedFrom = position;
  }

  /** The stream does not continue where the cursor points: finds the place by position, or crosses a gap (R 9.6.4). */
  async #relocate(signal: AbortSignal): Promise<void> {
    const { cursor } = this.#shard.current();
    if (cursor.openTxSeq > 0) return this.#reopen(cursor, signal);
    const { store, stream } = this.#deps;
    const seq = await locateCursor(stream, cursor.position);
    if (seq === undefined) return this.#crossGap();
    const watermark = (await store.readMeta(this.#shard.id))?.watermark;
    if (watermark !== undefined && (await beginsBehind(stream, watermark))) return this.#crossGap();
    this.#deps.log.info({ cursorSeq: cursor.seq, seq }, 'shard cursor was located by position');
    this.#seek(seq);
  }

  /** Rebuilds what has to be remembered of the transaction that the cursor stands in. */
  async #reopen(cursor: ShardCursor, signal: AbortSignal): Promise<void> {
    const begin = await locateCursor(this.#deps.stream, beforeTransaction(cursor));
    if (begin === undefined) return this.#crossGap();
    this.#seek(begin);
    const reopened = await reopenTransaction(this.#shard.index, cursor, () => this.#nextRecord(signal));
    if (reopened === undefined) return this.#crossGap();
    this.#shard.held = reopened.held;
    this.#seek(reopened.seq);
  }

  async #nextRecord(signal: AbortSignal): Promise<StreamRecord> {
    const { clock } = this.#deps;
    const giveUpAt = clock.now() + RECORD_TIMEOUT_MS;
    for (;;) {
      const [record] = this.read({ maxRecords: 1, maxChanges: Infinity, maxBytes: Infinity });
      if (record) return record;
      signal.throwIfAborted();
      if (clock.now() > giveUpAt) throw new Error('the rest of an open transaction is not in the tx stream yet');
      await this.#wake.wait(clock, 100, signal);
    }
  }

  /** Operations are missing (spec R 13.6): nothing can be said of any shape of the shard any more. */
  async #crossGap(to?: StreamPlace): Promise<void> {
    const { stream, log, metrics } = this.#deps;
    const { index } = this.#shard;
    const place = to ?? (await firstPlace(stream));
    const { cursor } = this.#shard.current();
    if (place === undefined) return this.#seek(cursor.seq + 1);
    const gap = { shard: this.#shard.id.shard, from: cursor.seq + 1, to: place.seq - 1 };
    if (index.size > 0) {
      metrics.gap();
      emitEvent(log, 'stream_gap', gap);
    }
    await this.#shard.rotate(
      [...index.all()].map(({ handle }) => [handle, GAP] as const),
      () => true,
    );
    await this.#shard.refresh();
    this.#shard.held = undefined;
    await this.#shard.skipRing();
    await this.#moveTo(place);
  }

  /** Sets the cursor without applying what lies in between. A shape that came meanwhile makes it fail, and load again. */
  async #moveTo({ seq, position }: StreamPlace): Promise<void> {
    const to = { seq: seq - 1, position, openTxSeq: 0 };
    const batch = { entries: [], transactions: [], to, visible: position, watermark: position.lsn };
    const outcome = await this.#shard.append(batch, undefined);
    if (outcome !== 'ok') throw new Error(`the shard cursor could not be moved: ${outcome} differs`);
    this.#seek(seq);
  }

  #seek(seq: number): void {
    this.#shard.pending.forget();
    if (this.#reader) this.#reader.seek(seq);
    else
      this.#reader = this.#deps.window.open(
        seq,
        () => this.#wake.set(),
        () => this.#lost(),
      );
  }

  #lost(): void {
    this.#losses += 1;
    this.#found = false;
    this.#wake.set();
  }
}
