import type { Registries, Registry, RegistryEntry } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { openEntry, SOURCES_BUCKET, type Seals, type Source, type SourceEntry } from './source-entry.ts';

interface CatalogDeps {
  readonly registries: Registries;
  readonly seals: Seals;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Hears of sources one by one. `undefined`: it is no more. A source that cannot be read is not told of. */
export type OnSource = (id: string, source: Source | undefined) => void;

/** The sources of an installation, as every process of it follows them. */
export class SourceCatalog {
  readonly #deps: CatalogDeps;
  readonly #sources = new Map<string, Source>();
  readonly #unreadable = new Map<string, string>();
  readonly #read = Promise.withResolvers<void>();
  #known = false;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** Whether it was read since the process started: before that a source that is not here may be there all the same. */
  get known(): boolean {
    return this.#known;
  }

  /** Resolves once it is known. */
  get read(): Promise<void> {
    return this.#read.promise;
  }

  get sources(): ReadonlyMap<string, Source> {
    return this.#sources;
  }

  /** Why sources are left out, by id. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }

  /** Tells `onSource` of every source, then of every change, until `signal` aborts. Never rejects. What was read stays while NATS is away. */
  async follow(onSource: OnSource, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        const registry: Registry<SourceEntry> = await this.#deps.registries.open(SOURCES_BUCKET);
        const stop = await registry.watch('', (id, entry) => this.#take(id, entry, onSource));
        this.#known = true;
        this.#read.resolve();
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        stop();
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err }, 'sources cannot be read, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  #take(id: string, entry: RegistryEntry<SourceEntry> | undefined, onSource: OnSource): void {
    if (entry === undefined) {
      this.#unreadable.delete(id);
      if (this.#sources.delete(id)) onSource(id, undefined);
      return;
    }
    let source: Source;
    try {
      source = openEntry(id, entry.value, this.#deps.seals);
    } catch (err) {
      const reason = (err as Error).message;
      if (this.#unreadable.get(id) !== reason)
        this.#deps.log.error({ err, source: id }, 'source cannot be read, what was read before stays');
      this.#unreadable.set(id, reason);
      return;
    }
    this.#unreadable.delete(id);
    this.#sources.set(id, source);
    onSource(id, source);
  }
}
