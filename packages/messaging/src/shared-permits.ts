import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock, type Logger } from '@shapecast/service-kit';
import { BUCKETS, type PermitRecord } from './records.ts';
import type { Registries, Registry, RegistryEntry } from './registry.ts';

/** How many permits of a part there are. */
export interface PermitLimit {
  /** For all processes together. */
  readonly total: number;
  /** How many this process may take on its own while the registry cannot be reached. */
  readonly unregistered: number;
}

interface SharedPermitsDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface SharedPermitsOptions<Part extends string> {
  readonly source: string;
  /** Unique among the processes of the source; `[A-Za-z0-9_-]+`. */
  readonly holder: string;
  readonly limits: Readonly<Record<Part, PermitLimit>>;
}

interface KnownPermit {
  readonly holder: string;
  readonly wanted: boolean;
  /** Milliseconds on the clock of this process: since when the other one waits. */
  readonly since: number;
  /** Undefined for one that somebody else was faster to take. */
  readonly revision: number | undefined;
}

interface Held {
  revision: number;
}

/** A third of the time after which an entry is forgotten. */
const RENEW_MS = BUCKETS.permits.ttlMs / 3;
/** Expiry is not told, so who waits looks again. */
const LOOK_MS = 1_000;

/**
 * A number of permits that the processes of a source share (spec R 3.6.1): each is an entry of a registry, made by who takes it
 * and renewed while it is held, so that those of a dead process come back by themselves. Who waits says so, and holders then
 * give back what they do not need at the moment. Waiting is in order, whatever clocks say.
 *
 * Permits bound a number of connections; nothing correct depends on them. A process that is cut off from the registry keeps
 * what it has.
 */
export class SharedPermits<Part extends string> {
  readonly #deps: SharedPermitsDeps;
  readonly #options: SharedPermitsOptions<Part>;
  /** Everybody's entries, as far as known. */
  readonly #known = new Map<string, KnownPermit>();
  readonly #held = new Map<string, Held>();
  readonly #claiming = new Set<string>();
  readonly #unregistered = new Map<Part, number>();
  /** Since when callers wait, and how to wake those that sleep. */
  readonly #pending = new Map<Part, number[]>();
  readonly #sleeping = new Map<Part, Set<() => void>>();
  readonly #listeners = new Set<(part: Part) => void>();
  #opening: Promise<Registry<PermitRecord>> | undefined;
  #stopWatching: (() => void) | undefined;
  #cancelRenewal: (() => void) | undefined;
  #closed = false;

  constructor(deps: SharedPermitsDeps, options: SharedPermitsOptions<Part>) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Waits for one of the part's permits. The returned function, to be called once, gives it back. */
  async acquire(part: Part, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const since = this.#deps.clock.now();
    const pending = this.#pending.get(part) ?? [];
    this.#pending.set(part, pending);
    pending.push(since);
    let announced: Registry<PermitRecord> | undefined;
    let outdated = false;
    try {
      for (;;) {
        try {
          const registry = await this.#open();
          if (outdated) await this.#look(registry);
          const release = await this.#claim(registry, part, since);
          if (release !== undefined) return ifWanted(release, signal);
          if (outdated || announced === undefined) await this.#announce(registry, part);
          announced = registry;
        } catch (error) {
          signal.throwIfAborted();
          const release = this.#takeUnregistered(part, error);
          if (release !== undefined) return ifWanted(release, signal);
        }
        outdated = !(await this.#wait(part, signal));
      }
    } finally {
      pending.splice(pending.indexOf(since), 1);
      if (announced && pending.length === 0) void this.#renounce(announced, part);
    }
  }

  contended(part: Part): boolean {
    return this.#rivals(part).length > 0;
  }

  onContended(listener: (part: Part) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Gives everything back. Connections are closed by then. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRenewal?.();
    this.#stopWatching?.();
    const registry = await this.#opening?.catch(() => undefined);
    if (registry === undefined) return;
    await Promise.allSettled([...this.#held.keys()].map((key) => registry.delete(key)));
    this.#held.clear();
  }

  #open(): Promise<Registry<PermitRecord>> {
    if (this.#closed) throw new Error('permits are closed');
    this.#opening ??= this.#openNow().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #openNow(): Promise<Registry<PermitRecord>> {
    const { name, ttlMs } = BUCKETS.permits;
    const registry = await this.#deps.registries.open<PermitRecord>(name, { ttlMs });
    this.#stopWatching ??= await registry.watch(`${this.#options.source}.`, (key, entry) => this.#changed(key, entry));
    return registry;
  }

  #changed(key: string, entry: RegistryEntry<PermitRecord> | undefined): void {
    const record = entry?.value;
    const { holder, limits } = this.#options;
    if (entry) this.#learn(key, entry.value, entry.revision);
    else this.#known.delete(key);
    for (const part of Object.keys(limits) as Part[]) {
      if (!key.startsWith(this.#prefix(part))) continue;
      if (record === undefined) for (const wake of this.#sleeping.get(part) ?? []) wake();
      else if (record.wanted && record.holder !== holder) for (const listener of this.#listeners) listener(part);
    }
  }

  /** Takes a free permit, unless others have waited longer for all that are free. */
  async #claim(registry: Registry<PermitRecord>, part: Part, since: number): Promise<(() => void) | undefined> {
    const { holder, limits } = this.#options;
    const keys = Array.from({ length: limits[part].total }, (_, index) => `${this.#prefix(part)}${index}`);
    const ahead = this.#rivals(part).filter((rival) => rival.since < since).length;
    for (;;) {
      const free = keys.filter((key) => !this.#known.has(key) && !this.#held.has(key) && !this.#claiming.has(key));
      const key = free[0];
      if (key === undefined || free.length <= ahead) return undefined;
      this.#claiming.add(key);
      try {
        const record = { holder, waitedMs: this.#deps.clock.now() - since, wanted: false };
        const revision = await registry.create(key, record);
        this.#learn(key, record, revision);
        if (revision === undefined) continue;
        this.#held.set(key, { revision });
        this.#renewLater(registry);
        return () => this.#release(registry, key);
      } finally {
        this.#claiming.delete(key);
      }
    }
  }

  #release(registry: Registry<PermitRecord>, key: string): void {
    if (!this.#held.delete(key)) return;
    this.#known.delete(key);
    // Where this fails, the entry expires.
    registry.delete(key).catch(() => undefined);
  }

  #takeUnregistered(part: Part, error: unknown): (() => void) | undefined {
    const taken = this.#unregistered.get(part) ?? 0;
    if (this.#closed || taken >= this.#options.limits[part].unregistered) return undefined;
    this.#unregistered.set(part, taken + 1);
    const reason = error instanceof ShapecastError ? error.message : String(error);
    this.#deps.log.warn({ part, reason }, 'connections are not counted while the registry cannot be reached');
    return () => this.#unregistered.set(part, (this.#unregistered.get(part) ?? 1) - 1);
  }

  /** Until something was given back (true), or it is time to look again (false). */
  #wait(part: Part, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const sleeping = this.#sleeping.get(part) ?? new Set();
      this.#sleeping.set(part, sleeping);
      const settle = (outcome: () => void) => {
        sleeping.delete(wake);
        cancel();
        signal.removeEventListener('abort', onAbort);
        outcome();
      };
      const onAbort = () => settle(() => reject(abortReason(signal)));
      const wake = () => settle(() => resolve(true));
      const cancel = this.#deps.clock.after(LOOK_MS, () => settle(() => resolve(false)));
      sleeping.add(wake);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  async #announce(registry: Registry<PermitRecord>, part: Part): Promise<void> {
    const since = Math.min(...(this.#pending.get(part) ?? []));
    const waitedMs = this.#deps.clock.now() - since;
    await registry.put(this.#wantKey(part), { holder: this.#options.holder, waitedMs, wanted: true });
  }

  async #renounce(registry: Registry<PermitRecord>, part: Part): Promise<void> {
    this.#known.delete(this.#wantKey(part));
    await registry.delete(this.#wantKey(part)).catch(() => undefined);
  }

  #rivals(part: Part): readonly KnownPermit[] {
    const prefix = `${this.#prefix(part)}want-`;
    const entries = [...this.#known].filter(([key]) => key.startsWith(prefix));
    return entries.map(([, record]) => record).filter(({ holder }) => holder !== this.#options.holder);
  }

  #renewLater(registry: Registry<PermitRecord>): void {
    if (this.#closed) return;
    this.#cancelRenewal ??= this.#deps.clock.after(RENEW_MS, () => {
      this.#cancelRenewal = undefined;
      void this.#renew(registry).finally(() => {
        if (this.#held.size > 0) this.#renewLater(registry);
      });
    });
  }

  async #renew(registry: Registry<PermitRecord>): Promise<void> {
    const { holder } = this.#options;
    const record = { holder, waitedMs: 0, wanted: false };
    const renewals = [...this.#held].map(async ([key, held]) => {
      const revision =
        (await registry.update(key, record, held.revision)) ??
        (await registry.create(key, record)) ??
        (await ownRevision(registry, key, holder));
      if (revision !== undefined) held.revision = revision;
      // It expired and somebody else has it now: what we have open counts on top until it is closed.
      else if (this.#held.get(key) === held) this.#held.delete(key);
      // Given back meanwhile.
      if (this.#held.get(key) !== held && revision !== undefined) await registry.delete(key);
    });
    await Promise.allSettled(renewals);
    await this.#look(registry).catch(() => undefined);
  }

  async #look(registry: Registry<PermitRecord>): Promise<void> {
    const entries = await registry.list(`${this.#options.source}.`);
    const current = new Set(entries.map(({ key }) => key));
    for (const key of [...this.#known.keys()]) if (!current.has(key)) this.#known.delete(key);
    for (const { key, value, revision } of entries) this.#learn(key, value, revision);
  }

  /** By the clock of this process: what another one calls now may be an hour away (spec I10). Told twice, it is not younger. */
  #learn(key: string, { holder, waitedMs, wanted }: PermitRecord, revision: number | undefined): void {
    const known = this.#known.get(key);
    if (known !== undefined && known.revision === revision) return;
    this.#known.set(key, { holder, wanted, since: this.#deps.clock.now() - waitedMs, revision });
  }

  #prefix(part: Part): string {
    return `${this.#options.source}.${part}.`;
  }

  #wantKey(part: Part): string {
    return `${this.#prefix(part)}want-${this.#options.holder}`;
  }
}

/** The answer to an earlier renewal may have been lost. */
async function ownRevision(registry: Registry<PermitRecord>, key: string, holder: string): Promise<number | undefined> {
  const entry = await registry.get(key);
  return entry?.value.holder === holder ? entry.revision : undefined;
}

/** The caller went away while the permit was on its way. */
function ifWanted(release: () => void, signal: AbortSignal): () => void {
  if (!signal.aborted) return release;
  release();
  throw abortReason(signal);
}
