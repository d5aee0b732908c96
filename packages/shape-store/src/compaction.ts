import type { Position } from '@shapecast/log';

/** An entry that stands for itself and, after compaction, for earlier ones. */
export interface CompactEntry {
  readonly position: Position;
  /** JSON bytes of the message. */
  readonly bytes: Uint8Array;
  /** How many entries it stands for. */
  readonly merged: number;
}

/** Merges entries. The store knows where they are and the caller what they mean. */
export interface EntryMerger {
  /** Takes the next entry of the range, in order. */
  add(entry: CompactEntry): void;
  /** What is left, in order; the last entry stays where it was. */
  entries(): Iterable<CompactEntry>;
}

/** Closed chunks that stay as they are, besides the open one (spec R 11.6.2). */
const KEPT_CHUNKS = 2;

/** A closed chunk, as far as compaction is concerned. */
interface ClosedChunk {
  readonly compacted: boolean;
  readonly jsonBytes: number;
}

/** Chunks that are compacted together, by index, both included. */
interface ChunkRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Which of a log's closed chunks, all of them in order, to compact next: the oldest that has not been, together with the
 * one before it when that has become smaller than a chunk. Whether the two fit into one is known afterwards; if not, only the second
 * is replaced. What is merged stays within one chunk, so that whatever a reader or a cache has of the old chunks, every answer is
 * complete in itself: no change is moved out of the range of the answer that it belongs to.
 */
export function nextToCompact(chunks: readonly ClosedChunk[], chunkBytes: number): ChunkRange | undefined {
  const to = chunks.findIndex(({ compacted }) => !compacted);
  if (to < 0 || to >= chunks.length - KEPT_CHUNKS) return undefined;
  const before = chunks[to - 1];
  return { from: before !== undefined && before.jsonBytes < chunkBytes ? to - 1 : to, to };
}
