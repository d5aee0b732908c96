import type { KvEntry } from '@nats-io/kv';
import { Backoff } from '@shapecast/service-kit';
import type { RegistryEntry } from '../registry.ts';
import type { NatsLink } from './link.ts';

export interface RegistryWatchParts<T> {
  readonly link: NatsLink;
  list(): Promise<readonly RegistryEntry<T>[]>;
  state(): Promise<BucketState>;
  /** New writes and deletions, as they come. */
  changes(): Promise<AsyncIterable<KvEntry> & { stop(): void }>;
  decode(entry: KvEntry): RegistryEntry<T> | undefined;
}

export interface BucketState {
  /** Differs whenever the bucket differs. */
  readonly text: string;
  /** Of the newest write. */
  readonly lastRevision: number;
  /** Of the bucket: differs once it was deleted and made again. */
  readonly createdAt: string;
}

export interface RegistryWatchOptions<T> {
  readonly bucket: string;
  readonly prefix: string;
  readonly onChange: (key: string, entry: RegistryEntry<T> | undefined) => void;
}

const RECHECK_MS = 5_000;

/**
 * Tells the changes of a bucket. What the server pushes is the fast path only: every few seconds, and after each reconnect,
 * the bucket is compared with what was told, so that a missed update or an expiry is told late and not never (F119 of
 * operations.md).
 */
export class RegistryWatch<T> {
  readonly #parts: RegistryWatchParts<T>;
  readonly #options: RegistryWatchOptions<T>;
  readonly #stopping = new AbortController();
  readonly #backoff: Backoff;
  /** Newest revision seen of each key, and whether it is there; a deleted key is kept until the next comparison. */
  readonly #seen = new Map<string, { readonly revision: number; readonly present: boolean }>();
  #changes: (AsyncIterable<KvEntry> & { stop(): void }) | undefined;
  #state: BucketState | undefined;
  /** Newest revision that was seen of any key. */
  #newest = 0;
  #wake: (() => void) | undefined;

  constructor(parts: RegistryWatchParts<T>, options: RegistryWatchOptions<T>) {
    this.#parts = parts;
    this.#options = options;
    this.#backoff = new Backoff(parts.link.clock, { minMs: 200, maxMs: RECHECK_MS });
  }

  /** Resolves once all current entries were told. */
  async start(): Promise<void> {
    await this.#follow();
    await this.#compare();
    void this.#run();
  }

  stop(): void {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new Error('the watch was stopped'));
    this.#changes?.stop();
    this.#wake?.();
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
        if (reconnected) {
          this.#changes?.stop();
          this.#changes = undefined;
          reconnected = false;
        }
        await this.#follow();
        await this.#compare();
        this.#backoff.reset();
      } catch (err) {
        if (this.#stopped || link.closed) break;
        link.log.debug({ err, bucket: this.#options.bucket }, 'a registry watch could not be renewed, retrying');
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

  async #follow(): Promise<void> {
    if (this.#changes || this.#stopped) return;
    const changes = await this.#parts.link.api(`watch the registry ${this.#options.bucket}`, () =>
      this.#parts.changes(),
    );
    if (this.#stopped) return changes.stop();
    this.#changes = changes;
    void this.#consume(changes);
  }

  async #consume(changes: AsyncIterable<KvEntry>): Promise<void> {
    try {
      for await (const change of changes) {
        if (this.#stopped) return;
        if (change.key.startsWith(this.#options.prefix)) {
          this.#apply(change.key, change.revision, this.#parts.decode(change));
        }
      }
    } catch (err) {
      this.#parts.link.log.debug({ err, bucket: this.#options.bucket }, 'a registry watch ended, renewing it');
    }
    if (this.#changes === changes) this.#changes = undefined;
  }

  async #compare(): Promise<void> {
    // Before the question: what is written while it is answered is newer.
    const newest = this.#newest;
    const state = await this.#parts.state();
    const old = this.#state;
    const startOver = state.lastRevision < newest || (old !== undefined && state.createdAt !== old.createdAt);
    if (!startOver && state.text === old?.text) return;
    if (startOver) await this.#startOver();
    const before = new Map(this.#seen);
    const entries = await this.#parts.list();
    const listed = new Set(entries.map((entry) => entry.key));
    for (const entry of entries) this.#apply(entry.key, entry.revision, entry);
    for (const [key, known] of before) {
      // Written again meanwhile: told by the changes, and newer than the list.
      if (listed.has(key) || this.#seen.get(key)?.revision !== known.revision) continue;
      this.#seen.delete(key);
      if (known.present) this.#tell(key, undefined);
    }
    this.#state = state;
  }

  /** The bucket has lost its newest writes, or is another one: revisions that were seen say nothing about those to come. */
  async #startOver(): Promise<void> {
    this.#newest = 0;
    for (const [key, { present }] of this.#seen) this.#seen.set(key, { revision: 0, present });
    this.#changes?.stop();
    this.#changes = undefined;
    await this.#follow();
  }

  #apply(key: string, revision: number, entry: RegistryEntry<T> | undefined): void {
    const seen = this.#seen.get(key);
    if (seen && seen.revision >= revision) return;
    this.#newest = Math.max(this.#newest, revision);
    this.#seen.set(key, { revision, present: entry !== undefined });
    if (entry || seen?.present) this.#tell(key, entry);
  }

  #tell(key: string, entry: RegistryEntry<T> | undefined): void {
    if (this.#stopped) return;
    try {
      this.#options.onChange(key, entry);
    } catch (err) {
      this.#parts.link.log.error({ err, bucket: this.#options.bucket, key }, 'handling a registry change failed');
    }
  }
}
