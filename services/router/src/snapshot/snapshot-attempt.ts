import type { SnapshotInfo, SourceDatabase } from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { RowEncoder, snapshotEndMessage } from '@shapecast/protocol';
import { catalogMismatch } from '@shapecast/shape';
import type { ShapeRecord, ShapeStore, ShardId } from '@shapecast/shape-store';
import { Backoff, type Clock } from '@shapecast/service-kit';
import type { ByteRate } from './byte-rate.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { SafeVisibility } from './safe-visibility.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';
import type { TablePublication } from './table-publication.ts';

interface AttemptDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly clock: Clock;
  readonly rate: ByteRate;
}

interface Attempt {
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
  /** Fence of every write. */
  readonly token: string;
  readonly progress: SnapshotProgress;
  /** Of the shape's table. */
  readonly publication: TablePublication;
  /** Encoded size beyond which the snapshot is given up (spec O 3.4). */
  readonly maxBytes: number;
  /** Readers can see something new. */
  readonly changed: () => void;
}

/** Another attempt runs, or the shape is gone: nothing more is to be done, and nothing to be undone. */
export class Superseded extends Error {}

/** How long the store may be away before a snapshot is given up: not as long as a lease lasts that nobody can renew. */
const STORE_PATIENCE_MS = 8_000;

/**
 * Reads the rows a shape starts from and stores them (spec R 10.5, 10.6). The shape's table is published already, so that no
 * change after the snapshot escapes the stream. On return the snapshot is complete and the shape is `promoting`.
 */
export async function takeSnapshot(deps: AttemptDeps, attempt: Attempt, signal: AbortSignal): Promise<void> {
  const { store, database, rate } = deps;
  const { shard, shape, token, progress, changed } = attempt;
  const { definition, handle } = shape;
  const columns = [...new Set([...definition.keyColumns, ...definition.columns])];
  const encoder = new RowEncoder(definition, columns);
  const visibility = new SafeVisibility(deps, shard, shape, signal);
  const persist = <T>(write: () => Promise<T>) => patiently(deps.clock, write, signal);
  const writer = new ChunkWriter(
    async (piece) => {
      progress.bytes += piece.bytes.length;
      if (progress.bytes > attempt.maxBytes) throw tooLarge(attempt.maxBytes);
      current(await persist(() => store.snapshotPart(shard, handle, token, piece)));
      if (piece.close || !progress.readable) changed();
      progress.readable = true;
      await rate.pass(piece.bytes.length, signal);
    },
    { chunkBytes: shape.chunkBytes },
  );
  let used: SnapshotInfo | undefined;

  await visibility.prepare();
  const rows = definition.log === 'full';
  await database.snapshot(
    { schema: definition.schema, table: definition.table, oid: definition.oid, columns, where: definition.where, rows },
    {
      onSnapshot: async (info, table) => {
        // The table is locked against being altered from here on, so that what was true of it now stays true (T38).
        await checkTable(database, shape, signal);
        if (!attempt.publication.covers(info) || !(await visibility.accepts(info))) return 'retry';
        const outcome = await persist(() => store.snapshotKnown(shard, handle, token, info));
        current(outcome !== 'over');
        if (outcome === 'unseen') return 'retry';
        used = info;
        progress.estimatedRows = table.estimatedRows;
        return 'use';
      },
      onRows: async (batch) => {
        progress.rows += batch.length;
        await writer.add(batch.map((row) => encoder.snapshotRow(row)));
      },
    },
    signal,
  );
  if (used === undefined) throw new Error('the snapshot was read without being announced');
  await writer.end(snapshotEndMessage(used));
  current(await persist(() => store.snapshotDone(shard, handle, token)));
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
