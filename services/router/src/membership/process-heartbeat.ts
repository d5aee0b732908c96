import { randomUUID } from 'node:crypto';
import {
  BUCKETS,
  isOfLife,
  processKey,
  type ProcessRecord,
  type Registries,
  type Registry,
  type RegistryEntry,
  type RouterRecord,
} from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { Latch } from '../latch.ts';
import { Liveness } from './liveness.ts';
import { Steadiness } from './steadiness.ts';

interface HeartbeatDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface HeartbeatOptions {
  readonly routerId: string;
  /** How often this process says that it lives, and looks who else does. */
  readonly heartbeatMs: number;
  /** Silence after which a process does not count as living. */
  readonly leaseMs: number;
}

/** Told after each look, and at once when somebody has come or gone. */
type OnLook = (changed: boolean) => void;

/**
 * Which router processes live: one record for each, whatever number of sources it works for. Advisory: it decides who tries to own a
 * shard, never who may write to it (spec R 13.2.1). While the registry cannot be reached the last list stays.
 */
export class ProcessHeartbeat {
  readonly #deps: HeartbeatDeps;
  readonly #options: HeartbeatOptions;
  readonly #liveness: Liveness<ProcessRecord>;
  readonly #steadiness: Steadiness;
  readonly #listeners = new Set<OnLook>();
  readonly #told = new Latch();
  #registry: Registry<ProcessRecord> | undefined;
  #leaving = false;
  /** When this process last said that it lives, and read what the others say. */
  #lookedAt = -Infinity;
  /** Newest record of this process that came back from the registry. */
  #echo = 0;
  #live: ReadonlyMap<string, ProcessRecord> = new Map();

  constructor(deps: HeartbeatDeps, options: HeartbeatOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#liveness = new Liveness(Math.ceil(options.leaseMs / options.heartbeatMs));
    this.#steadiness = new Steadiness(deps, options);
  }

  /** Another one for each process, also of the same id. */
  readonly life = randomUUID();

  get id(): string {
    return this.#options.routerId;
  }

  /**
   * The others know that this process lives, and it knows them. While it is not so it takes no shard: they may take its shards for
   * free, and rightly so (spec O F106).
   */
  get current(): boolean {
    const { leaseMs, heartbeatMs } = this.#options;
    // A heartbeat less: the look may have come so long after what the others count from.
    return this.#deps.clock.now() - this.#lookedAt <= leaseMs - heartbeatMs;
  }

  /** Came and went too often lately. */
  get unsteady(): boolean {
    return this.#steadiness.unsteady;
  }

  /** Whether it was said by a process that lives, in the life that it has now. */
  isAlive(record: Pick<RouterRecord, 'id' | 'life'>): boolean {
    return isOfLife(record, this.#live.get(record.id));
  }

  /** No other process lives, as far as is known. */
  get alone(): boolean {
    return this.#live.size === 0 || (this.#live.size === 1 && this.#live.has(this.id));
  }

  onLook(listener: OnLook): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Announces and watches until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, registries } = this.#deps;
    const { name, ttlMs } = BUCKETS.processes;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        this.#registry ??= await registries.open<ProcessRecord>(name, { ttlMs });
        await this.#steadiness.begin();
        stopWatching ??= await this.#registry.watch('router-', (_, entry) => this.#heard(entry));
        this.#echo = 0;
        await this.#look(await this.#announce(), signal);
        backoff.reset();
        await clock.sleep(this.#options.heartbeatMs, signal);
      } catch (err) {
        if (signal.aborted) break;
        log.warn({ err }, 'router registry cannot be reached, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }

  /** The process ends in good order: the others need not wait for its silence. */
  async leave(): Promise<void> {
    this.#leaving = true;
    if (this.#registry === undefined) return;
    await this.#announce();
    await this.#steadiness.end();
  }

  async #announce(): Promise<number> {
    const id = this.#options.routerId;
    const record: ProcessRecord = { v: 1, id, life: this.life, ...(this.#leaving ? { leaving: true } : {}) };
    return (await this.#registry?.put(processKey(id), record)) ?? 0;
  }

  /** The watch tells records in the order in which they were written: with our own, all that are older have come. */
  async #look(announced: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { heartbeatMs, leaseMs } = this.#options;
    const until = clock.now() + heartbeatMs;
    while (this.#echo < announced && clock.now() < until && !signal.aborted) {
      await this.#told.wait(clock, until - clock.now(), signal);
    }
    if (signal.aborted) return;
    if (this.#echo < announced) {
      const entries = await (this.#registry as Registry<ProcessRecord>).list('router-');
      for (const entry of entries) this.#liveness.read(entry.value, entry.revision);
    }
    const died = this.#liveness.looked();
    const silentMs = clock.now() - this.#lookedAt;
    const returned = silentMs > leaseMs;
    if (returned && Number.isFinite(silentMs)) this.#steadiness.returned();
    this.#lookedAt = clock.now();
    this.#tell(died || returned);
  }

  #heard(entry: RegistryEntry<ProcessRecord> | undefined): void {
    // Whether somebody who wrote nothing lives is for the looks to tell.
    if (entry === undefined) return;
    if (entry.key === processKey(this.#options.routerId)) {
      this.#echo = entry.revision;
      this.#told.set();
    }
    if (this.#liveness.read(entry.value, entry.revision)) this.#tell(true);
  }

  #tell(changed: boolean): void {
    if (changed) this.#live = new Map(this.#liveness.live.map((record) => [record.id, record]));
    for (const listener of [...this.#listeners]) listener(changed);
  }
}
