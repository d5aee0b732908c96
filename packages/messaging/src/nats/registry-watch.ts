import type { KvEntry } from '@nats-io/kv';
import { Backoff } from '@shapecast/service-kit';
import type { RegistryEntry } from '../registry.ts';
import { Watchers, type OnEntry } from '../watchers.ts';
import type { NatsLink } from './link.ts';

/** What a key of a bucket holds. A deleted one is there too, until the server forgets it. */
export interface KeySight<T> {
  readonly key: string;
  readonly revision: number;
  readonly entry: RegistryEntry<T> | undefined;
}

export interface RegistryWatchParts<T> {
  readonly link: NatsLink;
  state(): Promise<BucketState>;
  /** All keys, those that were deleted included. */
  keys(): Promise<readonly string[]>;
  /** Undefined when there is no such key any more. */
  look(key: string): Promise<KeySight<T> | undefined>;
  /** New writes and deletions, as they come. */
  changes(): Promise<AsyncIterable<KvEntry> & { stop(): void }>;
  decode(entry: KvEntry): RegistryEntry<T> | undefined;
}

export interface BucketState {
  /** Of the newest write. */
  readonly lastRevision: number;
  /** Keys, those that were deleted included. */
  readonly keys: number;
  /** Of the bucket: differs once it was deleted and made again. */
  readonly createdAt: string;
}

interface Known<T> {
  readonly revision: number;
  /** Undefined for a key that was deleted. */
  readonly entry: RegistryEntry<T> | undefined;
}

const RECHECK_MS = 5_000;
/** By then what was written before a question has been pushed as well, unless it was lost. */
const PUSH_MS = 500;
const LOOKS_AT_ONCE = 64;

/**
 * One watch of a bucket for all of a process who watch anything in it: a thousand sources that each had a consumer of their own on the
 * server, and compared the bucket on their own, would be most of what the servers do. Those who join are told what is there, and then
 * every change.
 *
 * What the server pushes is the fast path only: every few seconds, whenever somebody joins, and after each reconnect, the bucket is
 * compared with what was told, so that a missed update or an expiry is told late and not never (F119 of operations.md). Where
 * everything that was written has been pushed, comparing is one question; else all entries are read.
 *
 * Holds the entries of the bucket, which its users keep small.
 */
export class RegistryWatch<T> {
  readonly #parts: RegistryWatchParts<T>;
  readonly #bucket: string;
  readonly #stopping = new AbortController();
  readonly #backoff: Backoff;
  readonly #watchers: Watchers<T>;
  readonly #known = new Map<string, Known<T>>();
  #changes: (AsyncIterable<KvEntry> & { stop(): void }) | undefined;
  /** All entries were read since the changes began to come. */
  #whole = false;
  #createdAt: string | undefined;
  /** Newest revision that was seen of any key. */
  #newest = 0;
  #wake: (() => void) | undefined;
  /** Called with every change. */
  #pushed: (() => void) | undefined;
  /** A comparison that has not begun yet; whoever asks now shares it. */
  #next: Promise<void> | undefined;
  #comparing: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;

  constructor(parts: RegistryWatchParts<T>, bucket: string) {
    this.#parts = parts;
    this.#bucket = bucket;
    this.#backoff = new Backoff(parts.link.clock, { minMs: 200, maxMs: RECHECK_MS });
    this.#watchers = new Watchers(parts.link.log.child({ bucket }));
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Tells the current entries under `prefix`, then every change, until the returned function is called. */
  async join(prefix: string, onChange: OnEntry<T>): Promise<() => void> {
    await this.#current();
    this.#running ??= this.#run();
    const leave = this.#watchers.add(prefix, onChange);
    const entries = [...this.#known.values()].flatMap(({ entry }) => (entry?.key.startsWith(prefix) ? [entry] : []));
    for (const entry of entries.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      this.#watchers.tellOne(onChange, entry.key, entry);
    }
    return leave;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopping.abort(new Error('the watch was stopped'));
    this.#changes?.stop();
    this.#wake?.();
    this.#pushed?.();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    const { link } = this.#parts;
    let reconnected = false;
    const stopListening = link.listen({
      up: () => {
        reconnected = true;
        this.#wake?.();
      },
    });
    while (!this.#stopped) {
      await this.#pause(RECHECK_MS * (0.5 + link.clock.random() / 2));
      if (this.#stopped) break;
      try {
        if (reconnected) this.#unfollow();
        reconnected = false;
        await this.#current();
        this.#backoff.reset();
      } catch (err) {
        if (this.#stopped || link.closed) break;
        link.log.debug({ err, bucket: this.#bucket }, 'a registry watch could not be renewed, retrying');
        await this.#pause(this.#backoff.nextDelayMs());
      }
    }
    stopListening();
  }

  /** Waits, or until the connection is back or the watch is stopped. */
  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.link.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /** Resolves once everything that was written before the call is known here. */
  #current(): Promise<void> {
    this.#next ??= this.#comparing
      .catch(() => undefined)
      .then(() => {
        this.#comparing = this.#next as Promise<void>;
        this.#next = undefined;
        return this.#compare();
      });
    return this.#next;
  }

  async #follow(): Promise<void> {
    if (this.#changes || this.#stopped) return;
    this.#whole = false;
    const changes = await this.#parts.changes();
    if (this.#stopped) return changes.stop();
    this.#changes = changes;
    void this.#consume(changes);
  }

  #unfollow(): void {
    this.#changes?.stop();
    this.#changes = undefined;
    this.#whole = false;
  }

  async #consume(changes: AsyncIterable<KvEntry>): Promise<void> {
    try {
      for await (const change of changes) {
        if (this.#stopped) return;
        this.#apply({ key: change.key, revision: change.revision, entry: this.#parts.decode(change) });
        this.#pushed?.();
      }
    } catch (err) {
      this.#parts.link.log.debug({ err, bucket: this.#bucket }, 'a registry watch ended, renewing it');
    }
    if (this.#changes !== changes) return;
    this.#changes = undefined;
    this.#whole = false;
    this.#pushed?.();
  }

  async #compare(): Promise<void> {
    await this.#follow();
    // Before the question: what is written while it is answered is newer.
    const newest = this.#newest;
    const state = await this.#parts.state();
    const isAnother = this.#createdAt !== undefined && state.createdAt !== this.#createdAt;
    if (state.lastRevision < newest || isAnother) await this.#startOver();
    else if (this.#whole && (await this.#pushedUpTo(state.lastRevision))) return this.#forgetExpired(state);
    await this.#readAll();
    this.#createdAt = state.createdAt;
    this.#newest = Math.max(this.#newest, state.lastRevision);
  }

  /** What was written up to `revision` has come, or does so within a moment. */
  async #pushedUpTo(revision: number): Promise<boolean> {
    if (this.#newest >= revision) return true;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.link.clock.after(PUSH_MS, resolve);
      this.#pushed = () => {
        if (this.#newest < revision && this.#changes !== undefined && !this.#stopped) return;
        cancel();
        resolve();
      };
    });
    this.#pushed = undefined;
    return this.#whole && this.#newest >= revision;
  }

  /** Nothing was missed, so that whatever else is different has expired. */
  async #forgetExpired({ keys, lastRevision }: BucketState): Promise<void> {
    if (keys === this.#known.size && lastRevision === this.#newest) return;
    const before = new Map(this.#known);
    const there = new Set(await this.#parts.keys());
    for (const [key, { revision }] of before) if (!there.has(key)) this.#forget(key, revision);
  }

  async #readAll(): Promise<void> {
    const changes = this.#changes;
    const before = new Map(this.#known);
    const keys = await this.#parts.keys();
    for (let i = 0; i < keys.length; i += LOOKS_AT_ONCE) {
      const some = await Promise.all(keys.slice(i, i + LOOKS_AT_ONCE).map((key) => this.#parts.look(key)));
      for (const sight of some) if (sight !== undefined) this.#apply(sight);
    }
    const listed = new Set(keys);
    for (const [key, { revision }] of before) if (!listed.has(key)) this.#forget(key, revision);
    this.#whole = changes !== undefined && this.#changes === changes;
  }

  /** The bucket has lost its newest writes, or is another one: revisions that were seen say nothing about those to come. */
  async #startOver(): Promise<void> {
    this.#newest = 0;
    for (const [key, { entry }] of this.#known) this.#known.set(key, { revision: 0, entry });
    this.#unfollow();
    await this.#follow();
  }

  #apply({ key, revision, entry }: KeySight<T>): void {
    const known = this.#known.get(key);
    if (known && known.revision >= revision) return;
    this.#newest = Math.max(this.#newest, revision);
    this.#known.set(key, { revision, entry });
    if (entry || known?.entry) this.#tell(key, entry);
  }

  /** A key is not there any more, unless it was written again meanwhile: then its changes tell. */
  #forget(key: string, revision: number): void {
    const known = this.#known.get(key);
    if (known === undefined || known.revision !== revision) return;
    this.#known.delete(key);
    if (known.entry) this.#tell(key, undefined);
  }

  #tell(key: string, entry: RegistryEntry<T> | undefined): void {
    if (!this.#stopped) this.#watchers.tell(key, entry);
  }
}
