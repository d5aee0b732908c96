import {
  keyOf,
  type SnapshotInfo,
  type SnapshotRequest,
  type SnapshotSink,
  type SnapshotTable,
  type SourceDatabase,
} from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import { RowEncoder, snapshotEndMessage } from '@shapecast/protocol';
import { catalogMismatch } from '@shapecast/shape';
import type { InterruptedSnapshot, ShapeRecord, ShapeStore, ShardId, SnapshotSegment } from '@shapecast/shape-store';
import { Backoff, type Clock } from '@shapecast/service-kit';
import type { SourceCounters } from '../quotas/source-counters.ts';
import { SnapshotReading, traced, type TracePlace } from '../telemetry/snapshot-trace.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import type { ByteRate } from './byte-rate.ts';
import { ChunkWriter, type Piece } from './chunk-writer.ts';
import { SafeVisibility } from './safe-visibility.ts';
import { continues } from './segments.ts';
import { caughtUp, settlePending } from './settle-pending.ts';
import { decodeMark, encodeMark, keysetOf, type SnapshotMark } from './snapshot-mark.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';
import type { TablePublication } from './table-publication.ts';

interface AttemptDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly clock: Clock;
  readonly rate: ByteRate;
  readonly count: SourceCounters;
  readonly metrics: SourceMetrics;
}

export interface Attempt {
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
  /** Fence of every write. */
  readonly token: string;
  readonly progress: SnapshotProgress;
  /** Of the shape's table. */
  readonly publication: TablePublication;
  /** Encoded size beyond which the snapshot is given up (spec O 3.4). */
  readonly maxBytes: number;
  /** Size of a table from which on its snapshots are read so that they can be gone on with. */
  readonly resumableBytes: number;
  /** What was there before it was interrupted. */
  readonly interrupted: InterruptedSnapshot | undefined;
  /** Where its steps belong. */
  readonly place: TracePlace;
  /** Readers can see something new. */
  readonly changed: () => void;
}

/** Another attempt runs, or the shape is gone: nothing more is to be done, and nothing to be undone. */
export class Superseded extends Error {}

/** How long the store may be away before a snapshot is given up: not as long as a lease lasts that nobody can renew. */
const STORE_PATIENCE_MS = 8_000;
const REASON = { 'shape.query_reason': 'initial_snapshot' } as const;

/**
 * Reads the rows a shape starts from and stores them (spec R 10.5, 10.6), or what is missing of them. The shape's table is
 * published already, so that no change after the snapshot escapes the stream. On return the snapshot is complete and the
 * shape is `promoting`.
 *
 * What goes on with an interrupted snapshot reads the rest of the rows in a snapshot of its own, a segment. Each row is as its own
 * segment shows it, so the pending log is settled before anybody can read it (ADR 17).
 */
export async function takeSnapshot(deps: AttemptDeps, attempt: Attempt, signal: AbortSignal): Promise<void> {
  const { store, database, rate, clock, metrics } = deps;
  const { shard, shape, token, progress, changed, interrupted, place } = attempt;
  const { definition, handle } = shape;
  const persist = <T>(write: () => Promise<T>) => patiently(deps.clock, write, signal);
  const done = async () => current(await persist(() => store.snapshotDone(shard, handle, token)));
  const mark = interrupted && decodeMark(interrupted.mark);
  if (mark?.ended) return done();

  const columns = [...new Set([...definition.keyColumns, ...definition.columns])];
  const encoder = new RowEncoder(definition, columns);
  const visibility = new SafeVisibility(deps, shard, shape, signal);
  let used: SnapshotInfo | undefined;
  const reading = new SnapshotReading(place, () => clock.now());
  const again = () => {
    metrics.safetyRetry();
    return 'retry' as const;
  };
  let table: SnapshotTable = {};
  let ended = false;
  let rows = mark?.rows ?? 0;
  const markOf = ({ key, next }: Piece): SnapshotMark | undefined => {
    const { order } = table;
    if (order === undefined || (key === undefined && !ended)) return undefined;
    return { order, key: key ?? [], next, rows, bytes: progress.bytes, ...(ended ? { ended } : {}) };
  };
  const writer = new ChunkWriter(
    async (piece) => {
      progress.bytes += piece.bytes.length;
      rows += piece.rows;
      if (progress.bytes > attempt.maxBytes) throw tooLarge(attempt.maxBytes);
      const { chunk, bytes, close } = piece;
      const reached = markOf(piece);
      const part = { chunk, bytes, close, ...(reached ? { mark: encodeMark(reached) } : {}) };
      current(await persist(() => store.snapshotPart(shard, handle, token, part)));
      deps.count.snapshotBytes += bytes.length;
      metrics.snapshotPiece(bytes.length);
      if (piece.close || !progress.readable) changed();
      progress.readable = true;
      progress.resumable = reached !== undefined;
      await rate.pass(piece.bytes.length, signal);
    },
    { chunkBytes: shape.chunkBytes },
    mark,
  );

  // A later segment shows what the first one shows, which was accepted.
  if (interrupted === undefined) await visibility.prepare();
  const keyset = keysetOf(shape, attempt.resumableBytes, mark);
  const read: SnapshotRequest = {
    schema: definition.schema,
    table: definition.table,
    oid: definition.oid,
    columns,
    where: definition.where,
    rows: definition.log === 'full',
    ...(keyset ? { keyset } : {}),
  };
  const sink: SnapshotSink = {
    onSnapshot: async (info, about) => {
      // The table is locked against being altered from here on, so that what was true of it now stays true (T38).
      await checkTable(database, shape, signal);
      if (!attempt.publication.covers(info)) return 'retry';
      if (interrupted === undefined) {
        if (!(await visibility.accepts(info))) return again();
      } else if (about.order !== mark?.order || !interrupted.segments.every((one) => continues(one, info))) {
        throw notResumable();
      }
      const outcome = await persist(() => store.snapshotKnown(shard, handle, token, info));
      current(outcome !== 'over');
      if (outcome === 'unseen') return again();
      reading.begin();
      used = info;
      table = about;
      progress.estimatedRows = about.estimatedRows;
      return 'use';
    },
    onRows: async (batch) => {
      progress.rows += batch.length;
      const keyed = table.order !== undefined;
      await writer.add(
        batch.map((row) => ({
          text: encoder.snapshotRow(row),
          ...(keyed ? { key: keyOf(row, columns, definition.keyColumns) } : {}),
        })),
      );
    },
  };
  try {
    await traced(place, 'shape_snapshot.execute_for_shape', () => database.snapshot(read, sink, signal), REASON);
    reading.read(progress.rows);
    if (used === undefined) throw new Error('the snapshot was read without being announced');
    const segments = interrupted ? await settle(deps, attempt, writer, table.shownBelow ?? used.insertLsn, signal) : [];
    ended = true;
    // What clients may take for shown: what is, in every row.
    await writer.end(snapshotEndMessage(segments[0] ?? used));
    await done();
  } catch (err) {
    reading.failed(err);
    throw err;
  }
  metrics.snapshotRead(reading.stored(progress.bytes));
}

/** Makes the pending log fit a snapshot of several segments, which it returns. */
async function settle(
  deps: AttemptDeps,
  { shard, shape, token }: Attempt,
  writer: ChunkWriter,
  shownBelow: Lsn,
  signal: AbortSignal,
): Promise<readonly SnapshotSegment[]> {
  const { store, clock } = deps;
  await writer.flush();
  const whole = await patiently(clock, () => store.readInterrupted(shard, shape.handle, token), signal);
  if (whole === undefined) throw new Superseded('the snapshot attempt is no longer current');
  const { segments } = whole;
  const position = () => patiently(clock, () => store.readMeta(shard), signal);
  await caughtUp({ position, clock }, shownBelow, signal);
  current(await patiently(clock, () => settlePending(deps, { shard, shape, token, segments }, signal), signal));
  return segments;
}

/** The definition was made from a catalog that was read a moment ago; DDL since then changes what the shape would hold. */
async function checkTable(database: SourceDatabase, shape: ShapeRecord, signal: AbortSignal): Promise<void> {
  const { schema, table } = shape.definition;
  const info = await database.introspect(schema, table, signal);
  const mismatch = info ? catalogMismatch(shape.fingerprint, info, shape.definition) : 'the table is gone';
  if (mismatch !== undefined) {
    throw new ShapecastError('SCHEMA_CHANGED', 'The table changed while the shape was created. Please retry.', {
      mismatch,
    });
  }
}

/**
 * Repeats a write while the store cannot be reached, for a while; all of them may be repeated. A store that refuses for lack of
 * memory is not asked again: the snapshot is what it has no room for (spec R 10.8.3).
 */
async function patiently<T>(clock: Clock, write: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const giveUpAt = clock.now() + STORE_PATIENCE_MS;
  const backoff = new Backoff(clock, { minMs: 50, maxMs: 1_000 });
  for (;;) {
    try {
      return await write();
    } catch (err) {
      if (!isShapecastError(err, 'STORE_UNAVAILABLE') || signal.aborted) throw err;
      if (err.details['reason'] === 'out_of_memory') throw full(err);
      if (clock.now() >= giveUpAt) throw err;
      await backoff.wait(signal);
    }
  }
}

function notResumable(): ShapecastError {
  const message = 'Unable to create initial snapshot: what is left of it would not fit what was read before.';
  return new ShapecastError('SNAPSHOT_FAILED', message, { type: 'not_resumable' });
}

function tooLarge(maxBytes: number): ShapecastError {
  return new ShapecastError('SNAPSHOT_TOO_LARGE', 'Snapshot exceeds the size limit', { maxBytes });
}

function full(cause: ShapecastError): ShapecastError {
  const message = 'Unable to create initial snapshot: the shape store is out of memory';
  return new ShapecastError('SNAPSHOT_FAILED', message, { type: 'store_full' }, cause);
}

function current(answer: boolean): void {
  if (!answer) throw new Superseded('the snapshot attempt is no longer current');
}
