import type { Registries, Registry, RegistryEntry } from '@shapecast/messaging';
import { Backoff, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { openEntry, SOURCES_BUCKET, type Seals, type Source, type SourceEntry } from './source-entry.ts';

interface CatalogDeps {
  readonly registries: Registries;
  readonly seals: Seals;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * A source whose entry is gone without having been removed was lost by the registry: what was known of it stays for so long. Replicators
 * declare what is in their sources file again within seconds.
 */
const LOST_MS = 30_000;

/** Hears of sources one by one. `undefined`: it is no more. A source that cannot be read is not told of. */
export type OnSource = (id: string, source: Source | undefined) => void;

/** The sources of an installation, as every process of it follows them. */
export class SourceCatalog {
  readonly #deps: CatalogDeps;
  readonly #sources = new Map<string, Source>();
  readonly #unreadable = new Map<string, string>();
  /** Entries that the registry has lost; the function ends the wait for another one, undefined once that is over. */
  readonly #lost = new Map<string, (() => void) | undefined>();
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

  /** Sources whose entries the registry has lost, until they are declared again. */
  isLost(id: string): boolean {
    return this.#lost.has(id);
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
        for (const cancel of this.#lost.values()) cancel?.();
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
      const source = this.#sources.get(id);
      if (source === undefined) return;
      // The last step of a removal, which only what is being removed comes to.
      if (source.settings.state === 'removing') this.#end(id, onSource);
      else this.#lose(id, source, onSource);
      return;
    }
    this.#find(id);
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

  #lose(id: string, { settings: { origin } }: Source, onSource: OnSource): void {
    const { clock, log } = this.#deps;
    if (this.#lost.has(id)) return;
    log.warn({ source: id, origin }, 'the registry has lost a source, what was known of it stays for a while');
    const cancel = clock.after(LOST_MS, () => {
      this.#lost.set(id, undefined);
      emitEvent(log.child({ source: id }), 'warning', { type: 'source_declaration_lost', message: LOST[origin] });
      this.#end(id, onSource);
    });
    this.#lost.set(id, cancel);
  }

  /** It is declared, again or for the first time. */
  #find(id: string): void {
    if (!this.#lost.has(id)) return;
    this.#lost.get(id)?.();
    this.#lost.delete(id);
    this.#deps.log.info({ source: id }, 'a source that the registry had lost is declared again');
  }

  #end(id: string, onSource: OnSource): void {
    this.#sources.delete(id);
    onSource(id, undefined);
  }
}

const LOST = {
  admin:
    'The registry has lost the source, which came through the admin API: it is neither replicated nor answered, and its slot keeps WAL. ' +
    'Declare it again with PUT /admin/sources/<id> or shapecast sources add.',
  file:
    'The registry has lost the source and no replicator has declared its sources file again: it is neither replicated nor answered, ' +
    'and its slot keeps WAL. Start a replicator that has the file.',
} as const;
