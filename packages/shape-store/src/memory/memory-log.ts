import { ShapecastError } from '@shapecast/errors';
import { comparePositions, SNAPSHOT_END, type LogOffset, type Position } from '@shapecast/log';
import { nextToCompact, type CompactEntry, type EntryMerger } from '../compaction.ts';
import type { LogRead } from '../shape-store.ts';

interface ClosedChunk {
  /** Unique in the log. */
  readonly id: number;
  readonly entries: readonly CompactEntry[];
  readonly jsonBytes: number;
  readonly compacted: boolean;
}

/**
 * The log of one shape: closed chunks and the entries after them. Boundaries depend on the entries and the threshold only
 * (spec R 11.5.2), until chunks are compacted.
 */
export class MemoryLog {
  readonly #chunkBytes: number;
  #chunks: ClosedChunk[] = [];
  #open: CompactEntry[] = [];
  #openBytes = 0;
  #bytes = 0;
  #chunkIds = 0;
  /** Chunks that were compacted, by id, with the time: for whoever is reading them. */
  readonly #replaced = new Map<number, { readonly chunk: ClosedChunk; readonly at: number }>();

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** JSON bytes of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  get closedChunks(): number {
    return this.#chunks.length;
  }

  append(position: Position, bytes: Uint8Array): void {
    this.#open.push({ position, bytes, merged: 1 });
    this.#openBytes += bytes.length;
    this.#bytes += bytes.length;
    if (this.#openBytes < this.#chunkBytes) return;
    this.#chunks.push(this.#chunk(this.#open, this.#openBytes, false));
    this.#open = [];
    this.#openBytes = 0;
  }

  /** Drops entries after a position; for a log that gets no more. */
  cutAfter(position: Position): void {
    const whole = this.#chunks.filter(({ entries }) => isUpTo(entries.at(-1), position));
    const rest = [...this.#chunks.slice(whole.length).flatMap(({ entries }) => entries), ...this.#open];
    this.#chunks = whole;
    this.#open = rest.slice(0, firstAfter(rest, position));
  }

  /** Offset of the last entry at or before a position. */
  tailAt(position: Position): LogOffset {
    for (const entries of [this.#open, ...this.#chunks.toReversed().map((chunk) => chunk.entries)]) {
      const entry = entries[firstAfter(entries, position) - 1];
      if (entry) return toOffset(entry);
    }
    return SNAPSHOT_END;
  }

  /** Entries after an offset, at most to the end of the chunk of the first one, not past `visible`, and about `maxBytes`. */
  read(after: LogOffset, visible: Position, maxBytes: number, place: string | undefined): LogRead {
    const from = { lsn: after.tx <= 0n ? 0n : after.tx, op: after.tx <= 0n ? -1 : after.op } as Position;
    const chunk =
      place === undefined ? this.#chunks.find(({ entries }) => !isUpTo(entries.at(-1), from)) : this.#at(place);
    const all = chunk?.entries ?? this.#open;
    const last = all[firstAfter(all, visible) - 1];
    const closed = chunk !== undefined && last === all.at(-1);
    // Its end is not where the reader's range ends, so entries of the range may have moved beyond that.
    if (chunk?.compacted === true && !closed) throw compactedMeanwhile();
    const upTo = last && !isUpTo(last, from) ? toOffset(last) : after;
    const entries: { offset: LogOffset; bytes: Uint8Array }[] = [];
    const first = firstAfter(all, from);
    for (let size = 0, i = first; i < all.length && size < maxBytes; i += 1) {
      const entry = all[i] as CompactEntry;
      if (!isUpTo(entry, visible)) break;
      entries.push({ offset: toOffset(entry), bytes: entry.bytes });
      size += entry.bytes.length;
    }
    const end = entries.at(-1)?.offset ?? after;
    const partial = chunk !== undefined && first + entries.length < all.length;
    return { entries, end, upTo, closed, ...(partial ? { place: String(chunk.id) } : {}) };
  }

  /** Compacts one more chunk that is complete at `visible`. */
  compact(visible: Position, merger: () => EntryMerger, now: number): 'done' | 'more' {
    const range = nextToCompact(this.#chunks, this.#chunkBytes);
    if (range === undefined || !isUpTo(this.#chunks[range.to]?.entries.at(-1), visible)) return 'done';
    const compacted = (from: number) => {
      const merge = merger();
      for (const { entries } of this.#chunks.slice(from, range.to + 1)) for (const entry of entries) merge.add(entry);
      const left = [...merge.entries()];
      return { from, left, jsonBytes: left.reduce((sum, { bytes }) => sum + bytes.length, 0) };
    };
    let result = compacted(range.from);
    if (range.from < range.to && result.jsonBytes > this.#chunkBytes) result = compacted(range.to);
    const { from, left, jsonBytes } = result;
    const replaced = this.#chunks.splice(from, range.to - from + 1, this.#chunk(left, jsonBytes, true));
    for (const chunk of replaced) {
      this.#bytes -= chunk.jsonBytes;
      this.#replaced.set(chunk.id, { chunk, at: now });
    }
    this.#bytes += jsonBytes;
    return 'more';
  }

  /** Forgets compacted chunks as they were before `time`. */
  forgetReplaced(time: number): void {
    for (const [id, { at }] of this.#replaced) if (at <= time) this.#replaced.delete(id);
  }

  #chunk(entries: readonly CompactEntry[], jsonBytes: number, compacted: boolean): ClosedChunk {
    this.#chunkIds += 1;
    return { id: this.#chunkIds, entries, jsonBytes, compacted };
  }

  #at(place: string): ClosedChunk {
    const id = Number(place);
    const chunk = this.#chunks.find((one) => one.id === id) ?? this.#replaced.get(id)?.chunk;
    if (chunk) return chunk;
    throw compactedMeanwhile();
  }
}

function compactedMeanwhile(): ShapecastError {
  return new ShapecastError('STORE_UNAVAILABLE', 'The range was compacted while it was read. Read it again.', {
    reason: 'compacted',
  });
}

function toOffset({ position }: CompactEntry): LogOffset {
  return { tx: position.lsn, op: position.op };
}

function isUpTo(entry: CompactEntry | undefined, position: Position): boolean {
  return entry !== undefined && comparePositions(entry.position, position) <= 0;
}

/** The index of the first entry after a position; the length when there is none. */
function firstAfter(entries: readonly CompactEntry[], position: Position): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isUpTo(entries[middle], position)) low = middle + 1;
    else high = middle;
  }
  return low;
}
