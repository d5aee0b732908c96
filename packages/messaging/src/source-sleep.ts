import { abortReason, Backoff, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { LazyRegistry } from './lazy-registry.ts';
import { BUCKETS, type SleepRecord } from './records.ts';
import type { Registries, RegistryEntry } from './registry.ts';

const REFRESH_MS = 2_000;
/** Somebody else may write at the same moment. */
const ATTEMPTS = 5;

interface SourceSleepDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Whether a source sleeps: nobody holds a connection to its database (spec R 3.7, ADR 0021). One record for all processes of the
 * source; what each of them does about it is its own affair. While the registry cannot be read, what was read last counts.
 */
export class SourceSleep {
  readonly #deps: SourceSleepDeps;
  readonly #source: string;
  readonly #lookMs: number;
  readonly #listeners = new Set<() => void>();
  #entry: RegistryEntry<SleepRecord> | undefined;
  /** When this process first saw the record as it is. */
  #seenAt = -Infinity;
  readonly #registry: LazyRegistry<SleepRecord>;
  #waking: Promise<void> | undefined;
  #failing = false;

  /** `lookMs`: how often the record is read, beside being told of. */
  constructor(deps: SourceSleepDeps, source: string, lookMs = REFRESH_MS) {
    this.#lookMs = lookMs;
    this.#deps = deps;
    this.#source = source;
    this.#registry = new LazyRegistry(() => deps.registries.open<SleepRecord>(BUCKETS.sleeps.name));
  }

  get asleep(): boolean {
    return this.#entry?.value.state === 'asleep';
  }

  /** Somebody needs it, and no replicator leads yet. */
  get waking(): boolean {
    return this.#entry?.value.state === 'waking';
  }

  /** Calls back when it may have changed. The returned function ends it. */
  onChange(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  /** Follows the record until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        stopWatching ??= await (
          await this.#registry.get()
        ).watch(this.#source, (key, entry) => {
          if (key === this.#source) this.#seen(entry);
        });
        await this.check();
        backoff.reset();
        await clock.sleep(this.#lookMs, signal);
      } catch (err) {
        if (signal.aborted) break;
        log.debug({ err }, 'whether the source sleeps cannot be read');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }

  /** Reads the record now; returns whether the source sleeps. Throws STREAM_UNAVAILABLE. */
  async check(): Promise<boolean> {
    this.#seen(await (await this.#registry.get()).get(this.#source));
    return this.asleep;
  }

  /** Resolves once it does not sleep. Rejects when `signal` aborts. */
  async untilAwake(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.asleep) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(abortReason(signal));
    const stop = this.onChange(() => void (this.asleep || resolve()));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Has the source wake up, if it sleeps. Whoever asks at the same time shares one attempt. Never rejects. */
  wake(reason: string): Promise<void> {
    if (!this.asleep) return Promise.resolve();
    this.#waking ??= this.#wake(reason).finally(() => (this.#waking = undefined));
    return this.#waking;
  }

  async #wake(reason: string): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      const registry = await this.#registry.get();
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const entry = await registry.get(this.#source);
        this.#seen(entry);
        if (entry?.value.state !== 'asleep') return;
        const value: SleepRecord = { ...entry.value, state: 'waking', since: wallTime(clock) };
        const revision = await registry.update(this.#source, value, entry.revision);
        if (revision === undefined) continue;
        log.info({ source: this.#source, reason }, 'the source is woken');
        this.#failing = false;
        return this.#seen({ key: this.#source, value, revision });
      }
      this.#failing = false;
    } catch (err) {
      // Every request that needs the source tries.
      if (!this.#failing) log.warn({ err }, 'the source could not be woken');
      this.#failing = true;
    }
  }

  /** For the leader: from now on the source sleeps. Throws STREAM_UNAVAILABLE. */
  async fallAsleep(holder: string): Promise<void> {
    const value: SleepRecord = { state: 'asleep', since: wallTime(this.#deps.clock), holder };
    const revision = await (await this.#registry.get()).put(this.#source, value);
    this.#seen({ key: this.#source, value, revision });
  }

  /** For the leader: the source is awake, whatever the record says. Throws STREAM_UNAVAILABLE. */
  async awake(): Promise<void> {
    const registry = await this.#registry.get();
    if ((await registry.get(this.#source)) !== undefined) await registry.delete(this.#source);
    this.#seen(undefined);
  }

  /**
   * Whether the one look at the sleeping source that is due every `periodMs` is this process's to take: of several that ask, one
   * gets it. Throws STREAM_UNAVAILABLE.
   */
  async claimLook(periodMs: number): Promise<boolean> {
    const registry = await this.#registry.get();
    const entry = await registry.get(this.#source);
    this.#seen(entry);
    if (entry?.value.state !== 'asleep') return false;
    // For how long the record has been as it is, not when it says that it was written: hosts may disagree about the time (spec I10).
    if (this.#deps.clock.now() - this.#seenAt < periodMs) return false;
    const value: SleepRecord = { ...entry.value, lookedAt: wallTime(this.#deps.clock) };
    const revision = await registry.update(this.#source, value, entry.revision);
    if (revision !== undefined) this.#seen({ key: this.#source, value, revision });
    return revision !== undefined;
  }

  #seen(entry: RegistryEntry<SleepRecord> | undefined): void {
    // A notice may come later than what we wrote or read since.
    if (entry !== undefined && this.#entry !== undefined && entry.revision < this.#entry.revision) return;
    const before = this.#entry?.value.state;
    if (entry?.revision !== this.#entry?.revision) this.#seenAt = this.#deps.clock.now();
    this.#entry = entry;
    if (before !== entry?.value.state) for (const listener of [...this.#listeners]) listener();
  }
}
