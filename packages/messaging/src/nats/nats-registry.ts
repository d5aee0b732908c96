import { jetstream, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import { isShapecastError } from '@shapecast/errors';
import type { Registries, Registry, RegistryEntry } from '../registry.ts';
import { API_TIMEOUT_MS, type NatsLink } from './link.ts';
import { RegistryWatch, type BucketState, type KeySight } from './registry-watch.ts';

const WRONG_LAST_SEQUENCE = [10071, 10164];
const NO_STREAM = 10059;
const GETS_AT_ONCE = 64;
const NANOS = 1_000_000;

export interface RegistrySettings {
  readonly replicas: number;
  /** By bucket: expiry that the operator set, in place of the one that the program asks for. */
  readonly ttlsMs: ReadonlyMap<string, number>;
}

/** Registries as KV buckets: history of one, expiry by the age limit of the bucket, which every server version has. */
export class NatsRegistries implements Registries {
  readonly #link: NatsLink;
  readonly #settings: RegistrySettings;
  readonly #stopping: AbortSignal;
  /** One of each bucket, for all who use it: they share its watch. */
  readonly #registries = new Map<string, Promise<NatsRegistry<unknown>>>();

  constructor(link: NatsLink, settings: RegistrySettings, stopping: AbortSignal) {
    this.#link = link;
    this.#settings = settings;
    this.#stopping = stopping;
  }

  async open<T>(bucket: string, options: { readonly ttlMs?: number } = {}): Promise<Registry<T>> {
    let opening = this.#registries.get(bucket);
    if (opening === undefined) {
      opening = this.#make(bucket, options).then((kv) => {
        const again = async () => void (await this.#make(bucket, options));
        return new NatsRegistry<unknown>({ link: this.#link, kv, again }, bucket, this.#stopping);
      });
      this.#registries.set(bucket, opening);
      opening.catch(() => this.#registries.delete(bucket));
    }
    // A bucket holds JSON and does not know its type; whoever opens it does.
    return (await opening) as unknown as Registry<T>;
  }

  /** Creates the bucket, or adjusts one that is there. */
  async #make(bucket: string, options: { readonly ttlMs?: number }): Promise<KV> {
    const what = `open the registry ${bucket}`;
    const ttlMs = this.#settings.ttlsMs.get(bucket) ?? options.ttlMs;
    const kv = await this.#link.api(what, () =>
      // Reads go to the bucket's leader: a direct read may come from a replica that is behind.
      new Kvm(jetstream(this.#link.nc, { timeout: API_TIMEOUT_MS })).create(bucket, {
        history: 1,
        replicas: this.#settings.replicas,
        allow_direct: false,
        ...(ttlMs === undefined ? {} : { ttl: ttlMs }),
      }),
    );
    await this.#followSettings(what, bucket, ttlMs);
    return kv;
  }

  /** A bucket made by another version of this program, or on fewer servers, keeps its expiry and its copies until told otherwise. */
  async #followSettings(what: string, bucket: string, ttlMs: number | undefined): Promise<void> {
    const max_age = (ttlMs ?? 0) * NANOS;
    const name = streamOf(bucket);
    const { config } = await this.#link.api(what, (jsm) => jsm.streams.info(name));
    if (config.max_age !== max_age) {
      await this.#link.api(what, (jsm) =>
        jsm.streams.update(name, {
          max_age,
          ...(max_age > 0 ? { duplicate_window: Math.min(max_age, config.duplicate_window) } : {}),
        }),
      );
    }
    const { replicas: num_replicas } = this.#settings;
    if (config.num_replicas >= num_replicas) return;
    try {
      await this.#link.api(what, (jsm) => jsm.streams.update(name, { num_replicas }));
      this.#link.log.info({ bucket, replicas: num_replicas }, 'a registry has more copies now');
    } catch (err) {
      // One copy too few is better than none that can be used.
      this.#link.log.warn({ err, bucket, replicas: config.num_replicas }, 'a registry has too few copies');
    }
  }
}

class NatsRegistry<T> implements Registry<T> {
  readonly #link: NatsLink;
  readonly #kv: KV;
  readonly #bucket: string;
  readonly #stopping: AbortSignal;
  /** Makes the bucket again. */
  readonly #again: () => Promise<void>;
  /** There while somebody watches. */
  #watch: RegistryWatch<T> | undefined;
  #joining = 0;
  #forgetWatch: (() => void) | undefined;

  constructor(
    parts: { readonly link: NatsLink; readonly kv: KV; readonly again: () => Promise<void> },
    bucket: string,
    stopping: AbortSignal,
  ) {
    this.#link = parts.link;
    this.#kv = parts.kv;
    this.#again = parts.again;
    this.#bucket = bucket;
    this.#stopping = stopping;
  }

  async get(key: string): Promise<RegistryEntry<T> | undefined> {
    return this.#decode(await this.#call('read', () => this.#kv.get(key)));
  }

  create(key: string, value: T): Promise<number | undefined> {
    return this.#conditional(() => this.#kv.create(key, JSON.stringify(value)));
  }

  update(key: string, value: T, revision: number): Promise<number | undefined> {
    return this.#conditional(() => this.#kv.update(key, JSON.stringify(value), revision));
  }

  put(key: string, value: T): Promise<number> {
    return this.#call('write', () => this.#kv.put(key, JSON.stringify(value)));
  }

  async delete(key: string): Promise<void> {
    await this.#call('write', () => this.#kv.delete(key));
  }

  /**
   * The names of the subjects, then all entries at once. A consumer would deliver them in one go, but making one is a decision
   * of the NATS cluster's meta leader, and this is called every second by every router.
   */
  async list(prefix: string): Promise<readonly RegistryEntry<T>[]> {
    const keys = (await this.#keys(prefix)).toSorted();
    const entries: RegistryEntry<T>[] = [];
    for (let i = 0; i < keys.length; i += GETS_AT_ONCE) {
      const some = await Promise.all(keys.slice(i, i + GETS_AT_ONCE).map((key) => this.get(key)));
      entries.push(...some.filter((entry) => entry !== undefined));
    }
    return entries;
  }

  async watch(
    prefix: string,
    onChange: (key: string, entry: RegistryEntry<T> | undefined) => void,
  ): Promise<() => void> {
    const watch = (this.#watch ??= this.#startWatch());
    this.#joining += 1;
    try {
      const leave = await watch.join(prefix, onChange);
      return () => {
        leave();
        this.#stopIfUnused(watch);
      };
    } finally {
      this.#joining -= 1;
      this.#stopIfUnused(watch);
    }
  }

  #startWatch(): RegistryWatch<T> {
    const parts = {
      link: this.#link,
      state: () => this.#state(),
      keys: () => this.#keys(''),
      look: (key: string) => this.#look(key),
      changes: () => this.#call('watch', () => this.#kv.watch({ key: '>', include: 'updates' })),
      decode: (entry: KvEntry) => this.#decode(entry),
    } as const;
    const watch = new RegistryWatch<T>(parts, this.#bucket);
    const stop = () => watch.stop();
    this.#stopping.addEventListener('abort', stop, { once: true });
    this.#forgetWatch = () => this.#stopping.removeEventListener('abort', stop);
    return watch;
  }

  /** The last one who watched has left, or nobody could begin. */
  #stopIfUnused(watch: RegistryWatch<T>): void {
    if (this.#watch !== watch || watch.watchers > 0 || this.#joining > 0) return;
    this.#watch = undefined;
    this.#forgetWatch?.();
    watch.stop();
  }

  async #keys(prefix: string): Promise<readonly string[]> {
    const root = `$KV.${this.#bucket}.`;
    const info = await this.#call('list', (jsm) =>
      jsm.streams.info(streamOf(this.#bucket), { subjects_filter: root + filterOf(prefix) }),
    );
    const keys = Object.keys(info.state.subjects ?? {}).map((subject) => subject.slice(root.length));
    return keys.filter((key) => key.startsWith(prefix));
  }

  async #look(key: string): Promise<KeySight<T> | undefined> {
    const entry = await this.#call('read', () => this.#kv.get(key));
    return entry === null ? undefined : { key, revision: entry.revision, entry: this.#decode(entry) };
  }

  async #state(): Promise<BucketState> {
    const { state, created } = await this.#call('list', (jsm) => jsm.streams.info(streamOf(this.#bucket)));
    return { lastRevision: state.last_seq, keys: state.messages, createdAt: String(created) };
  }

  async #conditional(write: () => Promise<number>): Promise<number | undefined> {
    const what = `write the registry ${this.#bucket}`;
    try {
      return await this.#mended(() => this.#link.api(what, write, WRONG_LAST_SEQUENCE));
    } catch (error) {
      if (error instanceof JetStreamApiError) return undefined;
      throw error;
    }
  }

  #call<R>(verb: string, call: (jsm: JetStreamManager) => Promise<R>): Promise<R> {
    return this.#mended(() => this.#link.api(`${verb} the registry ${this.#bucket}`, call));
  }

  /**
   * Somebody may have deleted the bucket while it was in use: then it is made again, and those whose records it held write them again
   * (spec O F97).
   */
  async #mended<R>(work: () => Promise<R>): Promise<R> {
    try {
      return await work();
    } catch (error) {
      if (!isShapecastError(error, 'STREAM_UNAVAILABLE') || !this.#link.connected || !(await this.#isGone()))
        throw error;
      this.#link.log.warn({ bucket: this.#bucket }, 'a registry was deleted, making it again');
      await this.#again();
      return work();
    }
  }

  async #isGone(): Promise<boolean> {
    try {
      await this.#link.api('look for a registry', (jsm) => jsm.streams.info(streamOf(this.#bucket)), [NO_STREAM]);
      return false;
    } catch (error) {
      return error instanceof JetStreamApiError;
    }
  }

  #decode(entry: KvEntry | null): RegistryEntry<T> | undefined {
    if (!entry || entry.operation !== 'PUT') return undefined;
    try {
      return { key: entry.key, value: entry.json<T>(), revision: entry.revision };
    } catch (err) {
      this.#link.log.warn({ err, bucket: this.#bucket, key: entry.key }, 'a registry entry is not JSON, ignoring it');
      return undefined;
    }
  }
}

function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

/** The narrowest subject filter that covers a prefix: NATS matches whole words only. */
function filterOf(prefix: string): string {
  return `${prefix.slice(0, prefix.lastIndexOf('.') + 1)}>`;
}
