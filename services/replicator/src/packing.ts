import { comparePositions, maxLsn, type Change, type Lsn, type Position, type TransactionPart } from '@shapecast/log';

/** How much one record carries at most (spec R 9.5.1). */
export interface PackLimits {
  /** Estimated encoded bytes. */
  readonly maxBytes: number;
  readonly maxChanges: number;
}

const PART_BYTES = 96;
const CHANGE_BYTES = 24;
const CELL_BYTES = 3;

/** Where the next transaction could commit at the earliest: one stored makes everything below this stored. */
export function endOf(part: TransactionPart): Lsn {
  return maxLsn(part.endLsn, (part.lsn + 1n) as Lsn);
}

/** About how long a change is when encoded; exact for plain ASCII, short for text that has to be escaped. */
function estimateBytes(change: Change): number {
  let bytes = CHANGE_BYTES;
  if (change.kind === 'insert' || change.kind === 'update') {
    for (const cell of change.new) bytes += CELL_BYTES + (cell === null ? 1 : cell.length);
  }
  if (change.kind === 'delete') {
    for (const cell of change.old) bytes += CELL_BYTES + (cell === null ? 1 : cell.length);
  }
  if (change.kind === 'update') {
    for (const ordinal of change.changed) bytes += 2 * CELL_BYTES + (change.old[ordinal]?.length ?? 1);
  }
  return bytes;
}

/**
 * The operations of `part` that come after `stored`, undefined when there are none (spec R 9.3.4). What is left of a part
 * that is stored in part does not begin its transaction: the stored records do.
 */
export function dropStored(part: TransactionPart, stored: Position): TransactionPart | undefined {
  const last = part.changes.at(-1);
  if (last === undefined || comparePositions({ lsn: part.lsn, op: last.op }, stored) <= 0) return undefined;
  if (part.lsn !== stored.lsn) return part;
  const changes = part.changes.filter((change) => change.op > stored.op);
  return changes.length === part.changes.length ? part : { ...part, begin: false, changes };
}

/**
 * Parts that wait for their place in a record, in commit order. Its bound is the publish window: who fills the queue asks
 * for `bytes` and stops. `take` cuts it into records, so that records follow from what is at hand and offsets never do
 * (spec R 9.2.2).
 */
export class PartQueue {
  #parts: { part: TransactionPart; bytes: number }[] = [];
  #head = 0;
  #bytes = 0;
  #changes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get changes(): number {
    return this.#changes;
  }

  push(part: TransactionPart): void {
    let bytes = PART_BYTES;
    for (const change of part.changes) bytes += estimateBytes(change);
    this.#parts.push({ part, bytes });
    this.#bytes += bytes;
    this.#changes += part.changes.length;
  }

  /**
   * Parts of the next record: whole transactions while they fit, or a fragment of one that is too large by itself. Only
   * the last part may miss its commit and only the first its begin. Empty when nothing waits.
   */
  take(limits: PackLimits): TransactionPart[] {
    const taken: TransactionPart[] = [];
    let bytes = 0;
    let changes = 0;
    for (let next = this.#parts[this.#head]; next; next = this.#parts[this.#head]) {
      const fits = bytes + next.bytes <= limits.maxBytes && changes + next.part.changes.length <= limits.maxChanges;
      if (!fits && taken.length > 0) break;
      if (!fits && next.part.changes.length > 1) {
        taken.push(this.#split(next, limits));
        break;
      }
      this.#shift(next);
      taken.push(next.part);
      bytes += next.bytes;
      changes += next.part.changes.length;
      if (!next.part.commit) break;
    }
    return taken;
  }

  /** Takes the front of a part that is too large; the rest stays at the head of the queue. */
  #split(entry: { part: TransactionPart; bytes: number }, limits: PackLimits): TransactionPart {
    const { part } = entry;
    let bytes = PART_BYTES;
    let count = 0;
    // At least one change goes, and at least one stays: the commit needs a change to travel with (spec R 9.2.4).
    while (count < part.changes.length - 1 && count < limits.maxChanges) {
      const size = estimateBytes(part.changes[count] as Change);
      if (count > 0 && bytes + size > limits.maxBytes) break;
      bytes += size;
      count += 1;
    }
    const [front, rest] = splitPart(part, count);
    this.#bytes -= bytes - PART_BYTES;
    this.#changes -= count;
    this.#parts[this.#head] = { part: rest, bytes: entry.bytes - (bytes - PART_BYTES) };
    return front;
  }

  #shift(entry: { part: TransactionPart; bytes: number }): void {
    this.#bytes -= entry.bytes;
    this.#changes -= entry.part.changes.length;
    this.#head += 1;
    // What was taken must not be kept for long: a part can be of any size.
    if (2 * this.#head >= this.#parts.length) {
      this.#parts = this.#parts.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** The first `count` changes of a part and the others. */
export function splitPart(part: TransactionPart, count: number): [front: TransactionPart, rest: TransactionPart] {
  return [
    { ...part, commit: false, changes: part.changes.slice(0, count) },
    { ...part, begin: false, changes: part.changes.slice(count) },
  ];
}
