import { comparePositions, lastPosition, type DataRecord, type Position } from '@shapecast/log';
import type { ShardCursor } from '@shapecast/shape-store';
import type { StreamRecord } from '../stream/stream-record.ts';
import type { ShardIndex } from './shard-index.ts';
import { Step, type HeldTransaction } from './step.ts';

export interface ReopenedTransaction {
  readonly held: HeldTransaction | undefined;
  /** Sequence of the first record with something to apply. */
  readonly seq: number;
}

/**
 * Reads a half-applied transaction again, from the record with its begin to the cursor. Its entries are in the logs already;
 * wanted is only which of them is the newest of each shape, because that one is still to be written. Undefined when records
 * are missing.
 */
export async function reopenTransaction(
  index: ShardIndex,
  cursor: ShardCursor,
  next: () => Promise<StreamRecord>,
): Promise<ReopenedTransaction | undefined> {
  // Before every operation of the open transaction, after everything else.
  let at: ShardCursor = { seq: 0, position: beforeTransaction(cursor), openTxSeq: 0 };
  let held: HeldTransaction | undefined;
  for (;;) {
    const record = await next();
    const upTo = cut(record, cursor.position);
    const step = new Step(index, { cursor: at, held });
    if (!step.add(upTo)) return undefined;
    const result = step.finish();
    at = result.batch.to;
    held = result.held;
    if (comparePositions(at.position, cursor.position) < 0) continue;
    return { held, seq: upTo === record ? record.seq + 1 : record.firstSeq };
  }
}

/** A position that follows all transactions before the one the cursor stands in. */
export function beforeTransaction(cursor: ShardCursor): Position {
  return { lsn: cursor.position.lsn, op: -1 };
}

/** The record without what comes after `position`, which is inside a transaction. */
function cut(record: StreamRecord, position: Position): StreamRecord {
  const data = record.record;
  if (data.kind !== 'data' || comparePositions(lastPosition(data), position) <= 0) return record;
  const parts = data.parts
    .filter((part) => part.lsn <= position.lsn)
    .map((part) => {
      if (part.lsn < position.lsn) return part;
      return { ...part, commit: false, changes: part.changes.filter((change) => change.op <= position.op) };
    })
    .filter((part) => part.changes.length > 0);
  const shortened: DataRecord = { ...data, parts };
  return { ...record, record: shortened };
}
