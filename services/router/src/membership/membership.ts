import { BUCKETS, type Registries, type Registry, type RouterRecord } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';

interface MembershipDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface MembershipOptions {
  readonly source: string;
  readonly routerId: string;
  /** How often this router says that it lives; well below the bucket's expiry. */
  readonly heartbeatMs: number;
  /** This router reads from the database for somebody. */
  readonly busy?: () => boolean;
}

/**
 * Which routers of a source live. Advisory: it decides who tries to own a shard, never who may write to it (spec R 13.2.1).
 * While the registry cannot be reached the last list stays, and this router keeps what it owns.
 */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #onChange: () => void;
  #registry: Registry<RouterRecord> | undefined;
  #live: readonly RouterRecord[] = [];
  #owned: readonly number[] = [];
  #joined = false;

  constructor(deps: MembershipDeps, options: MembershipOptions, onChange: () => void) {
    this.#deps = deps;
    this.#options = options;
    this.#onChange = onChange;
  }

  /** This router is announced and has seen the others. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Live routers, this one included, in a fixed order. */
  get live(): readonly RouterRecord[] {
    return this.#live;
  }

  /** Tells the others which shards this router owns now. */
  setOwned(owned: readonly number[]): void {
    this.#owned = owned;
    void this.#announce().catch((err: unknown) => this.#deps.log.debug({ err }, 'ownership was not announced'));
  }

  /** Announces and watches until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, registries } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        this.#registry ??= await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs });
        await this.#announce();
        stopWatching ??= await this.#registry.watch(
          `${this.#options.source}.`,
          () => void this.#list().catch(() => undefined),
        );
        await this.#list();
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

  /** Says goodbye, so that the others need not wait for the expiry. */
  async leave(): Promise<void> {
    await this.#registry?.delete(this.#key());
  }

  #key(): string {
    return `${this.#options.source}.${this.#options.routerId}`;
  }

  async #announce(): Promise<void> {
    const { routerId: id, busy } = this.#options;
    await this.#registry?.put(this.#key(), { id, owned: this.#owned, ...(busy?.() ? { busy: true } : {}) });
  }

  /** Expiry is not announced by the watch, so every heartbeat lists. */
  async #list(): Promise<void> {
    const entries = await (this.#registry as Registry<RouterRecord>).list(`${this.#options.source}.`);
    const live = entries.map((entry) => entry.value).sort((a, b) => (a.id < b.id ? -1 : 1));
    const changed = JSON.stringify(live) !== JSON.stringify(this.#live);
    this.#live = live;
    this.#joined = live.some(({ id }) => id === this.#options.routerId);
    if (changed) this.#onChange();
  }
}
