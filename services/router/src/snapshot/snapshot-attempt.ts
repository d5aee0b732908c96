import type { SnapshotInfo, SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { RowEncoder, snapshotEndMessage } from '@shapecast/protocol';
import { fingerprintMismatch } from '@shapecast/shape';
import { isVisible, type ShapeRecord, type ShapeStore, type ShardId } from '@shapecast/shape-store';
import type { Clock } from '@shapecast/service-kit';
import { ChunkWriter } from './chunk-writer.ts';

interface AttemptDeps {
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  readonly clock: Clock;
}

interface Attempt {
  readonly shard: ShardId;
  readonly shape: ShapeRecord;
  /** Fence of every write. */
  readonly token: string;
  /** Readers can see something new. */
  readonly changed: () => void;
}

/** Another attempt runs, or the shape is gone: nothing more is to be done, and nothing to be undone. */
export class Superseded extends Error {}

/** How long to wait for a snapshot that shows everything the shard has applied (spec R 10.6.7). */
const SAFETY_TIMEOUT_MS = 30_000;

/**
 * Reads the rows a shape starts from and stores them (spec R 10.5, 10.6). The shape's table is published already, so that no
 * change after the snapshot escapes the stream. On return the snapshot is complete and the shape is `promoting`.
 */
export async function takeSnapshot(deps: AttemptDeps, attempt: Attempt, signal: AbortSignal): Promise<void> {
  const { store, database } = deps;
  const { shard, shape, token, changed } = attempt;
  const { definition } = shape;
  await checkTable(database, shape, signal);

  const columns = [...new Set([...definition.keyColumns, ...definition.columns])];
  const encoder = new RowEncoder(definition, columns);
  const visibility = new SafeVisibility(deps, attempt);
  const writer = new ChunkWriter(
    async (piece) => {
      current(await store.snapshotPart(shard, shape.handle, token, piece));
      if (piece.close || !announced) changed();
      announced = true;
    },
    { chunkBytes: shape.chunkBytes },
  );
  let announced = false;

  const rows = definition.log === 'full';
  await database.snapshot(
    { schema: definition.schema, table: definition.table, oid: definition.oid, columns, where: definition.where, rows },
    {
      onSnapshot: (info) => visibility.offer(info),
      onRows: (batch) => writer.add(batch.map((row) => encoder.snapshotRow(row))),
    },
    signal,
  );
  await writer.end(snapshotEndMessage(visibility.used()));
  current(await store.snapshotDone(shard, shape.handle, token));
}

/** Decides whether a snapshot can be used, and records the one that is. */
class SafeVisibility {
  readonly #deps: AttemptDeps;
  readonly #attempt: Attempt;
  readonly #deadline: number;
  #used: SnapshotInfo | undefined;

  constructor(deps: AttemptDeps, attempt: Attempt) {
    this.#deps = deps;
    this.#attempt = attempt;
    this.#deadline = deps.clock.now() + SAFETY_TIMEOUT_MS;
  }

  used(): SnapshotInfo {
    if (this.#used === undefined) throw new Error('the snapshot was read without being announced');
    return this.#used;
  }

  /**
   * Every transaction that is not routed to the shape, because the shard had started it before, must show in the snapshot: a
   * commit can be streamed before other sessions see it (spec R 10.6.7).
   */
  async offer(info: SnapshotInfo): Promise<'use' | 'retry'> {
    const { store, clock } = this.#deps;
    const { shard, shape, token } = this.#attempt;
    const ring = await store.readRing(shard, shape.regLsn);
    const unknown = ring.floor > 0n && shape.regLsn <= ring.floor;
    if (unknown || ring.entries.some(({ xid }) => !isVisible(info, xid))) {
      if (clock.now() < this.#deadline) return 'retry';
      throw new ShapecastError('NOT_READY', 'Failed to create shape, please retry', {
        reason: 'a transaction that was streamed stays invisible to new snapshots',
      });
    }
    current(await store.snapshotKnown(shard, shape.handle, token, info));
    this.#used = info;
    return 'use';
  }
}

/** The definition was made from a catalog that was read a moment ago; DDL since then changes what the shape would hold. */
async function checkTable(database: SourceDatabase, shape: ShapeRecord, signal: AbortSignal): Promise<void> {
  const { schema, table, allColumns } = shape.definition;
  const info = await database.introspect(schema, table, signal);
  const mismatch = info ? fingerprintMismatch(shape.fingerprint, info, allColumns) : 'the table is gone';
  if (mismatch !== undefined) {
    throw new ShapecastError('SCHEMA_CHANGED', 'The table changed while the shape was created. Please retry.', {
      mismatch,
    });
  }
}

function current(answer: boolean): void {
  if (!answer) throw new Superseded('the snapshot attempt is no longer current');
}
