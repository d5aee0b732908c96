import { ShapecastError } from '@shapecast/errors';
import { compareOffsets, formatOffset, type LogOffset } from '@shapecast/log';
import type { LogRead, ShapeHead, ShardId } from '@shapecast/shape-store';
import type { Counter } from '@shapecast/telemetry';
import { bodyPart, isComplete, logAnswer, type LogAnswer } from '../live/log-answer.ts';
import { streamedBody, wholeBody, type Body } from './body.ts';
import type { SourceChunks } from './chunk-cache.ts';
import type { ShapeData } from './damage-guard.ts';

/** What is read from the store in one call: an answer to most live requests, a small part of a chunk. */
const READ_BYTES = 256 * 1024;

interface LogReaderDeps {
  readonly store: ShapeData;
  readonly cache: SourceChunks;
  /** Reads that were shared. */
  readonly coalesced: Counter;
}

/** Reads logs in parts, and makes bodies of them that are shared wherever the same bytes answer several requests. */
export class LogReader {
  readonly #deps: LogReaderDeps;
  readonly #firstReads = new Map<string, Promise<LogRead>>();
  readonly #bodies = new WeakMap<LogAnswer, Body>();

  constructor(deps: LogReaderDeps) {
    this.#deps = deps;
  }

  /** The end of the closed chunk after `after` if its body is here, and there is more after it: then nothing has to be read. */
  keptEnd(head: ShapeHead, after: LogOffset): LogOffset | undefined {
    const end = this.#deps.cache.endOf(chunkKey(head, after));
    return end !== undefined && compareOffsets(end, head.tail) < 0 ? end : undefined;
  }

  /** The body for which `keptEnd` has just given the end. */
  keptBody(head: ShapeHead, after: LogOffset): Body | undefined {
    return this.#deps.cache.take(chunkKey(head, after));
  }

  /** What follows `after` in the log as `head` shows it. Whoever asks the same meanwhile shares the read. */
  async answer(shard: ShardId, head: ShapeHead, after: LogOffset, live: boolean): Promise<LogAnswer> {
    // The same tail means the same entries, also if the heads were not read together.
    const key = `${chunkKey(head, after)} ${formatOffset(head.tail)}`;
    let read = this.#firstReads.get(key);
    if (read === undefined) {
      read = this.#deps.store.readLog(shard, head, after, READ_BYTES);
      const over = () => void this.#firstReads.delete(key);
      read.then(over, over);
      this.#firstReads.set(key, read);
    } else {
      this.#deps.coalesced.add();
    }
    return logAnswer(head, after, await read, live);
  }

  /** The JSON body of an answer to a request at `after`. Every caller releases what it gets. */
  body(shard: ShardId, after: LogOffset, answer: LogAnswer): Body {
    const known = this.#bodies.get(answer);
    if (known !== undefined) return known;
    const { cache } = this.#deps;
    const { head, first, end, closing } = answer;
    // An answer with an `up-to-date` is true for a moment only.
    const immutable = first.closed && closing === undefined;
    if (isComplete(answer)) {
      const bytes = bodyPart(answer, first);
      if (immutable) cache.put(chunkKey(head, after), end, bytes);
      const body = wholeBody(bytes);
      this.#bodies.set(answer, body);
      return body;
    }
    const moment = closing === undefined ? '' : ` ${formatOffset(end)} ${Buffer.from(closing).toString()}`;
    const key = `${chunkKey(head, after)}${immutable ? '' : moment}`;
    const source = (signal?: AbortSignal) => this.#json(shard, answer, signal);
    return cache.open(key, end, source, immutable) ?? streamedBody(() => source());
  }

  /** The entries of an answer, as fast as they are taken. Throws when the rest is lost. */
  async *parts(shard: ShardId, { head, first }: LogAnswer, signal?: AbortSignal): AsyncGenerator<LogRead> {
    let read = first;
    yield read;
    while (compareOffsets(read.end, first.upTo) < 0) {
      signal?.throwIfAborted();
      read = await this.#deps.store.readLog(shard, head, read.end, READ_BYTES, read.place);
      if (read.entries.length === 0) {
        throw new ShapecastError('STORE_UNAVAILABLE', 'Cannot finish the answer: the rest of the log is gone.', {
          handle: head.handle,
        });
      }
      yield read;
    }
  }

  async *#json(shard: ShardId, answer: LogAnswer, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const read of this.parts(shard, answer, signal)) yield bodyPart(answer, read);
  }
}

function chunkKey({ handle }: ShapeHead, after: LogOffset): string {
  return `${handle} ${formatOffset(after)}`;
}
