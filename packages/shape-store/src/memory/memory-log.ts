import { comparePositions, SNAPSHOT_END, type LogOffset, type Position } from '@shapecast/log';
import type { LogRead } from '../shape-store.ts';

export interface StoredEntry {
  readonly position: Position;
  readonly bytes: Uint8Array;
}

/**
 * The log of one shape: entries in order, and where chunks end. Boundaries depend on the entries and the threshold only
 * (spec R 11.5.2).
 */
export class MemoryLog {
  readonly #chunkBytes: number;
  readonly #entries: StoredEntry[] = [];
  /** Index of the last entry of every closed chunk. */
  readonly #chunkEnds: number[] = [];
  #openBytes = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  append(position: Position, bytes: Uint8Array): void {
    this.#entries.push({ position, bytes });
    this.#openBytes += bytes.length;
    if (this.#openBytes < this.#chunkBytes) return;
    this.#chunkEnds.push(this.#entries.length - 1);
    this.#openBytes = 0;
  }

  /** Drops entries after a position; for a log that gets no more. */
  cutAfter(position: Position): void {
    this.#entries.length = this.#firstAfter(position);
  }

  /** Offset of the last entry at or before a position. */
  tailAt(position: Position): LogOffset {
    const entry = this.#entries[this.#firstAfter(position) - 1];
    return entry ? toOffset(entry.position) : SNAPSHOT_END;
  }

  /** Entries after an offset, at most to the end of the chunk of the first one, not past `visible`, and about `maxBytes`. */
  read(after: LogOffset, visible: Position, maxBytes: number): LogRead {
    const from = after.tx <= 0n ? 0 : this.#firstAfter({ lsn: after.tx, op: after.op } as Position);
    let to = Math.max(from, this.#firstAfter(visible));
    const chunkEnd = this.#chunkEnds[lowerBound(this.#chunkEnds.length, (i) => (this.#chunkEnds[i] as number) >= from)];
    const closed = chunkEnd !== undefined && chunkEnd < to;
    if (closed) to = chunkEnd + 1;
    const upTo = from < to ? toOffset((this.#entries[to - 1] as StoredEntry).position) : after;
    const entries: { offset: LogOffset; bytes: Uint8Array }[] = [];
    for (let size = 0, i = from; i < to && size < maxBytes; i += 1) {
      const { position, bytes } = this.#entries[i] as StoredEntry;
      entries.push({ offset: toOffset(position), bytes });
      size += bytes.length;
    }
    return { entries, end: entries.at(-1)?.offset ?? after, upTo, closed };
  }

  #firstAfter(position: Position): number {
    return lowerBound(
      this.#entries.length,
      (i) => comparePositions((this.#entries[i] as StoredEntry).position, position) > 0,
    );
  }
}

function toOffset({ lsn, op }: Position): LogOffset {
  return { tx: lsn, op };
}

/** The first index of 0..size for which `isAfter` holds, which from there on holds for all; `size` when there is none. */
function lowerBound(size: number, isAfter: (index: number) => boolean): number {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAfter(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
