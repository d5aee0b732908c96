import { ShapecastError } from '@shapecast/errors';
import { snapshotChunkEnd } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeHead, ShardId, SnapshotRead } from '@shapecast/shape-store';
import type { HeadWatcher } from '../live/head-watcher.ts';
import { streamedBody, wholeBody, type Body } from './body.ts';
import type { SourceChunks } from './chunk-cache.ts';
import type { ShapeData } from './damage-guard.ts';
import type { Cancellable } from './shape-resolver.ts';

const READ_BYTES = 256 * 1024;
const POLL_MS = 100;
/** A snapshot that writes nothing for this long is broken (spec R 10.8). */
const STALL_MS = 90_000;

interface SnapshotReaderDeps {
  readonly store: ShapeData;
  readonly cache: SourceChunks;
  readonly watcher: HeadWatcher;
  readonly clock: Clock;
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');
export const EMPTY_BODY = wholeBody(Buffer.from('[]'));

/** Place of one snapshot chunk. */
export interface ChunkId {
  readonly shard: ShardId;
  readonly handle: string;
  readonly chunk: number;
}

/** Reads snapshot chunks, also while they are being written. */
export class SnapshotReader {
  readonly #deps: SnapshotReaderDeps;
  readonly #firstReads = new Map<string, Promise<SnapshotRead | undefined>>();

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

  /**
   * The JSON body of a chunk, which is shared with all who ask for it; while the chunk is being written it grows with it.
   * Undefined when the chunk has not begun.
   */
  async open(id: ChunkId, waiting: Cancellable): Promise<Body | undefined> {
    const { cache } = this.#deps;
    const key = `${id.handle} chunk ${id.chunk}`;
    const known = cache.take(key);
    if (known !== undefined) return known;
    // A read that began before we asked may have found nothing where there is something by now.
    const first = (await this.#firstRead(key, id)) ?? (await this.#read(id, 0));
    if (first === undefined) return undefined;
    const end = snapshotChunkEnd(id.chunk);
    if (first.closed) {
      const bytes = Buffer.concat([...json(first, OPEN), CLOSE]);
      cache.put(key, end, bytes);
      return wholeBody(bytes);
    }
    return (
      cache.open(key, end, (signal) => this.#json(id, first, signal), true) ??
      streamedBody(() => this.#json(id, first, waiting.signal))
    );
  }

  #firstRead(key: string, id: ChunkId): Promise<SnapshotRead | undefined> {
    const running = this.#firstReads.get(key);
    if (running !== undefined) return running;
    const read = this.#read(id, 0);
    const over = () => void this.#firstReads.delete(key);
    read.then(over, over);
    this.#firstReads.set(key, read);
    return read;
  }

  async *#json(id: ChunkId, first: SnapshotRead, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let read = first;
    let before = OPEN;
    let progressAt = this.#deps.clock.now();
    for (;;) {
      signal.throwIfAborted();
      if (read.parts.length > 0) {
        // Copied: what the store returns may be a small part of a large buffer, which would stay with it.
        yield Buffer.concat(json(read, before));
        before = COMMA;
        progressAt = this.#deps.clock.now();
      } else if (!read.closed) {
        await this.#grown(id, progressAt, signal);
      }
      if (read.closed) break;
      const next = await this.#read(id, read.nextPart);
      if (next === undefined) throw lost(id.handle, 'the rest of a snapshot chunk is gone');
      read = next;
    }
    yield before === OPEN ? Buffer.from('[]') : CLOSE;
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

/** A read's part of the body. */
function json(read: SnapshotRead, before: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let separator = before;
  for (const part of read.parts) {
    parts.push(separator, part);
    separator = COMMA;
  }
  return parts.length === 0 && before === OPEN ? [OPEN] : parts;
}

function lost(handle: string, reason: string): ShapecastError {
  return new ShapecastError('SNAPSHOT_FAILED', `Cannot finish the answer: ${reason}.`, { handle });
}
