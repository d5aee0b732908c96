import type { LogOffset } from '@shapecast/log';
import type { Counter } from '@shapecast/telemetry';
import type { Body } from './body.ts';
import { SharedBody } from './shared-body.ts';

/** Reads a body; `signal` aborts when nobody wants it any more. */
export type BodySource = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

interface ChunkCacheOptions {
  /** Of bodies kept and bodies that are being sent, together. */
  readonly maxBytes: number;
  /** What a body is counted as until its size is known: the size at which chunks close. */
  readonly expectedBytes: number;
}

/** How often a body was here already, and how often it was not. */
interface ChunkCounts {
  readonly hits: Counter;
  readonly misses: Counter;
}

interface Entry {
  readonly key: string;
  /** Offset at which the body's range ends. */
  readonly end: LogOffset;
  readonly body: SharedBody;
  /** Stays after the last reader, until there is need for its room. */
  keep: boolean;
  readonly abort: AbortController;
  size: number;
  readers: number;
  dropped: boolean;
}

/** The bodies of one source. */
export type SourceChunks = Pick<ChunkCache, 'endOf' | 'take' | 'open' | 'put'>;

/** What an entry costs besides its bytes, so that many tiny ones do not get past the bound. */
const ENTRY_BYTES = 1024;

/**
 * Ready JSON bodies of closed chunks, which never change as long as their handle lives (spec CH-11, R 14.5), and of whatever
 * else several requests send at the same time. Bounded in bytes: the least recently used body that nobody is sending makes room,
 * and when every body is being sent there is none, so that the caller has to read for one reader alone. A slow reader therefore
 * costs no memory of its own, however many there are.
 */
export class ChunkCache {
  readonly #options: ChunkCacheOptions;
  readonly #counts: ChunkCounts | undefined;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(options: ChunkCacheOptions, counts?: ChunkCounts) {
    this.#options = options;
    this.#counts = counts;
  }

  /** Bytes counted against the bound. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The part of one source: keys of others mean nothing in it. */
  of(source: string): SourceChunks {
    const own = prefixOf(source);
    return {
      endOf: (key) => this.endOf(own + key),
      take: (key) => this.take(own + key),
      open: (key, end, read, keep) => this.open(own + key, end, read, keep),
      put: (key, end, bytes) => this.put(own + key, end, bytes),
    };
  }

  /** The source is no more: nothing of it is kept, and what is being sent goes with its last reader. */
  forget(source: string): void {
    const own = prefixOf(source);
    for (const [key, entry] of this.#entries) {
      if (!key.startsWith(own)) continue;
      if (entry.readers > 0) {
        // Still counted, and not found any more; it goes with its last reader.
        entry.keep = false;
        this.#entries.delete(key);
      } else {
        entry.abort.abort(new Error('the source is no more'));
        this.#drop(entry);
      }
    }
  }

  /** Offset at which a body that is here ends. */
  endOf(key: string): LogOffset | undefined {
    return this.#entries.get(key)?.end;
  }

  /** The body under `key`, complete or being read. */
  take(key: string): Body | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#counts?.hits.add();
    return this.#lease(entry);
  }

  /**
   * The body under `key`; read now, once for all who ask meanwhile, unless it is there. Undefined when there is no room.
   * Without `keep` it goes with its last reader.
   */
  open(key: string, end: LogOffset, source: BodySource, keep: boolean): Body | undefined {
    const known = this.take(key);
    if (known !== undefined) return known;
    const entry = this.#add(key, end, keep, this.#options.expectedBytes + ENTRY_BYTES);
    if (entry === undefined) return undefined;
    const body = this.#lease(entry);
    void this.#fill(entry, source);
    return body;
  }

  /** Keeps a small body that its reader has already, if there is room. */
  put(key: string, end: LogOffset, bytes: Uint8Array): void {
    if (this.#entries.has(key)) return;
    const entry = this.#add(key, end, true, bytes.length + ENTRY_BYTES);
    entry?.body.add(bytes);
    entry?.body.complete();
  }

  /** Ends what is being read. */
  stop(): void {
    for (const { abort } of this.#entries.values()) abort.abort(new Error('the API is stopping'));
  }

  #add(key: string, end: LogOffset, keep: boolean, size: number): Entry | undefined {
    this.#counts?.misses.add();
    if (!this.#makeRoom(size)) return undefined;
    const abort = new AbortController();
    const entry = { key, end, body: new SharedBody(), keep, abort, size, readers: 0, dropped: false };
    this.#entries.set(key, entry);
    this.#bytes += size;
    return entry;
  }

  #lease(entry: Entry): Body {
    entry.readers += 1;
    // The most recently used comes last.
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
    const { body } = entry;
    let held = true;
    return {
      get whole() {
        return body.whole;
      },
      pieces: () => body.read(),
      release: () => {
        if (!held) return;
        held = false;
        entry.readers -= 1;
        if (entry.readers > 0 || entry.keep) return;
        entry.abort.abort(new Error('all readers left'));
        this.#drop(entry);
      },
    };
  }

  async #fill(entry: Entry, source: BodySource): Promise<void> {
    const { body, abort } = entry;
    try {
      for await (const piece of source(abort.signal)) {
        body.add(piece);
        this.#resize(entry, Math.max(entry.size, body.bytes + ENTRY_BYTES));
      }
      this.#resize(entry, body.bytes + ENTRY_BYTES);
      body.complete();
    } catch (err) {
      body.fail(err);
      this.#drop(entry);
    }
  }

  #resize(entry: Entry, size: number): void {
    if (entry.dropped) return;
    this.#bytes += size - entry.size;
    entry.size = size;
    if (this.#bytes > this.#options.maxBytes) this.#makeRoom(0);
  }

  /** False when there is not enough that could go. */
  #makeRoom(size: number): boolean {
    if (size > this.#options.maxBytes) return false;
    for (const entry of this.#entries.values()) {
      if (this.#bytes + size <= this.#options.maxBytes) break;
      if (entry.readers === 0 && !entry.body.growing) this.#drop(entry);
    }
    return this.#bytes + size <= this.#options.maxBytes;
  }

  #drop(entry: Entry): void {
    if (entry.dropped) return;
    entry.dropped = true;
    this.#bytes -= entry.size;
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
  }
}

/** No id of a source has a blank. */
function prefixOf(source: string): string {
  return `${source} `;
}
