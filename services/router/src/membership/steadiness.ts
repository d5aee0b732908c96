import { BUCKETS, processKey, type Registries, type Registry, type ReturnRecord } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';

interface SteadinessDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Returns that are forgiven: a process that is killed once, or cut off once, takes its shards back at once. */
const FREE_RETURNS = 1;
const MAX_PROBATION_MS = 60_000;

/**
 * How often a router came back lately after the others had lost it: because its process ended without leaving, or was paused, or
 * was cut off. With every return it waits longer until it asks for shards again, so that they do not move with it (each move is a
 * pause for readers). Forgotten after ten quiet minutes.
 */
export class Steadiness {
  readonly #deps: SteadinessDeps;
  readonly #key: string;
  #registry: Registry<ReturnRecord> | undefined;
  #returns: number | undefined;
  #steadyAt = -Infinity;
  #returnedAt = -Infinity;

  constructor(deps: SteadinessDeps, { routerId }: { readonly routerId: string }) {
    this.#deps = deps;
    this.#key = processKey(routerId);
  }

  get unsteady(): boolean {
    return this.#deps.clock.now() < this.#steadyAt;
  }

  /** The process has started; the second call is a no-op. Throws STREAM_UNAVAILABLE. */
  async begin(): Promise<void> {
    if (this.#returns !== undefined) return;
    const { name, ttlMs } = BUCKETS.returns;
    this.#registry ??= await this.#deps.registries.open<ReturnRecord>(name, { ttlMs });
    const before = await this.#registry.get(this.#key);
    const count = before === undefined ? 0 : before.value.count + 1;
    await this.#registry.put(this.#key, { v: 1, count });
    this.#note(count);
  }

  /** The others could take this router for dead, and here it is. */
  returned(): void {
    const quiet = this.#deps.clock.now() - this.#returnedAt > BUCKETS.returns.ttlMs;
    this.#note((quiet ? 0 : (this.#returns ?? 0)) + 1);
    const stored = this.#registry?.put(this.#key, { v: 1, count: this.#returns ?? 0 });
    stored?.catch((err: unknown) => this.#deps.log.debug({ err }, 'a return was not recorded'));
  }

  /** The process ends in good order. */
  async end(): Promise<void> {
    await this.#registry?.delete(this.#key);
  }

  #note(returns: number): void {
    const { clock, log } = this.#deps;
    this.#returns = returns;
    if (returns === 0) return;
    this.#returnedAt = clock.now();
    if (returns <= FREE_RETURNS) return;
    const probationMs = Math.min(MAX_PROBATION_MS, 1_000 * 2 ** returns);
    this.#steadyAt = clock.now() + probationMs;
    log.warn({ returns, probationMs }, 'router came back again and again, waiting before it takes shards');
  }
}
