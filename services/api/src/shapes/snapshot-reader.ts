import { ShapecastError } from '@shapecast/errors';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeHead, ShapeStore, ShardId, SnapshotRead } from '@shapecast/shape-store';
import type { HeadWatcher } from '../live/head-watcher.ts';

const READ_BYTES = 256 * 1024;
const POLL_MS = 100;
/** A snapshot that writes nothing for this long is broken (spec R 10.8). */
const STALL_MS = 90_000;

interface SnapshotReaderDeps {
  readonly store: ShapeStore;
  readonly watcher: HeadWatcher;
  readonly clock: Clock;
}

/** Place of one snapshot chunk. */
export interface ChunkId {
  readonly shard: ShardId;
  readonly handle: string;
  readonly chunk: number;
}

/** Reads snapshot chunks, also while they are being written. */
export class SnapshotReader {
  readonly #deps: SnapshotReaderDeps;

  constructor(deps: SnapshotReaderDeps) {
    this.#deps = deps;
  }

  /**
   * Waits until the snapshot delivers (CH-8). Resolves with the head: `dead` when the shape was given up; undefined when
   * the handle is gone or nothing happened in time.
   */
  async started(
    shard: ShardId,
    handle: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ShapeHead | 'gone' | undefined> {
    const accept = (head: ShapeHead | undefined): ShapeHead | 'gone' | undefined => {
      if (head === undefined) return 'gone';
      return head.snapshotStarted || head.state === 'dead' ? head : undefined;
    };
    return this.#deps.watcher.waitFor(shard, handle, accept, { timeoutMs, signal, pollMs: POLL_MS });
  }

  /**
   * Waits until chunk `id.chunk` begins, the snapshot turns out to have ended before it ('none'), or the shape dies
   * ('gone'). Undefined when the time is up.
   */
  async chunkBegun(
    id: ChunkId,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<'begun' | 'none' | 'gone' | undefined> {
    const deadline = this.#deps.clock.now() + timeoutMs;
    for (;;) {
      if ((await this.#read(id, 0)) !== undefined) return 'begun';
      const head = await this.#deps.store.readHead(id.shard, id.handle);
      if (head === undefined || head.state === 'dead') return 'gone';
      if (head.snapshotComplete && head.closedChunks <= id.chunk) return 'none';
      if (this.#deps.clock.now() >= deadline) return undefined;
      await this.#deps.clock.sleep(POLL_MS, signal);
    }
  }

  /** All of a closed chunk that fits one read, else a stream of it. Undefined when the chunk has not begun. */
  async open(id: ChunkId, signal: AbortSignal): Promise<readonly Uint8Array[] | AsyncIterable<Uint8Array> | undefined> {
    const first = await this.#read(id, 0);
    if (first === undefined) return undefined;
    return first.closed ? first.parts : this.#follow(id, first, signal);
  }

  async *#follow(id: ChunkId, first: SnapshotRead, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let read = first;
    let progressAt = this.#deps.clock.now();
    for (;;) {
      yield* read.parts;
      if (read.closed) return;
      if (read.parts.length > 0) progressAt = this.#deps.clock.now();
      else await this.#grown(id, progressAt, signal);
      const next = await this.#read(id, read.nextPart);
      if (next === undefined) throw lost(id.handle, 'the rest of a snapshot chunk is gone');
      read = next;
    }
  }

  /** Waits for a reason to read an open chunk again; throws when it will never be completed. */
  async #grown(id: ChunkId, progressAt: number, signal: AbortSignal): Promise<void> {
    if (this.#deps.clock.now() - progressAt > STALL_MS) throw lost(id.handle, 'the snapshot makes no progress');
    const accept = (head: ShapeHead | undefined): 'dead' | 'alive' => {
      return head === undefined || head.state === 'dead' ? 'dead' : 'alive';
    };
    await this.#deps.clock.sleep(POLL_MS, signal);
    const state = await this.#deps.watcher.waitFor(id.shard, id.handle, accept, { timeoutMs: STALL_MS, signal });
    if (state !== 'alive') throw lost(id.handle, 'the shape ended during its snapshot');
  }

  #read(id: ChunkId, fromPart: number): Promise<SnapshotRead | undefined> {
    return this.#deps.store.readSnapshot(id.shard, id.handle, id.chunk, fromPart, READ_BYTES);
  }
}

function lost(handle: string, reason: string): ShapecastError {
  return new ShapecastError('SNAPSHOT_FAILED', `Cannot finish the answer: ${reason}.`, { handle });
}
