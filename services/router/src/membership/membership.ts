import { BUCKETS, type Registries, type Registry, type RegistryEntry, type RouterRecord } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { Latch } from '../latch.ts';
import { Liveness } from './liveness.ts';
import { Steadiness } from './steadiness.ts';

interface MembershipDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface MembershipOptions {
  readonly source: string;
  readonly routerId: string;
  /** How often this router says that it lives, and looks who else does. */
  readonly heartbeatMs: number;
  /** Silence after which a router does not count as living. */
  readonly leaseMs: number;
  /** What the others are to know of this router, beside what it owns. */
  readonly about?: () => Pick<RouterRecord, 'busy' | 'home' | 'most'> & { readonly store?: boolean };
}

/** What a router does with shards. */
interface Holding {
  readonly owned: readonly number[];
  readonly prepared: readonly number[];
}

/**
 * Which routers of a source live. Advisory: it decides who tries to own a shard, never who may write to it (spec R 13.2.1).
 * While the registry cannot be reached the last list stays, and this router keeps what it owns.
 */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #onChange: () => void;
  readonly #liveness: Liveness;
  readonly #steadiness: Steadiness;
  readonly #told = new Latch();
  #registry: Registry<RouterRecord> | undefined;
  #holding: Holding = { owned: [], prepared: [] };
  #leaving = false;
  /** When this router last said that it lives, and read what the others say. */
  #lookedAt = -Infinity;
  /** Newest record of this router that came back from the registry. */
  #echo = 0;
  #live: readonly RouterRecord[] = [];

  constructor(deps: MembershipDeps, options: MembershipOptions, onChange: () => void) {
    this.#deps = deps;
    this.#options = options;
    this.#onChange = onChange;
    this.#liveness = new Liveness(Math.ceil(options.leaseMs / options.heartbeatMs));
    this.#steadiness = new Steadiness(deps, options);
  }

  /**
   * The others know that this router lives, and this router knows them. While it is not so it takes no shard: they may take its
   * shards for free, and rightly so (spec O F106).
   */
  get current(): boolean {
    return this.#deps.clock.now() - this.#lookedAt <= this.#options.leaseMs;
  }

  /** Live routers, this one included, in a fixed order. */
  get live(): readonly RouterRecord[] {
    return this.#live;
  }

  /** Tells the others which shards this router owns now, and which it could go on with. */
  hold(holding: Holding): void {
    if (JSON.stringify(holding) === JSON.stringify(this.#holding)) return;
    this.#holding = holding;
    this.#announceSoon();
  }

  /** Announces and watches until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, registries } = this.#deps;
    const { heartbeatMs, source } = this.#options;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        this.#registry ??= await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs });
        await this.#steadiness.begin();
        stopWatching ??= await this.#registry.watch(`${source}.`, (_, entry) => this.#heard(entry));
        this.#echo = 0;
        await this.#look(await this.#announce(), signal);
        backoff.reset();
        await clock.sleep(heartbeatMs, signal);
      } catch (err) {
        if (signal.aborted) break;
        log.warn({ err }, 'router registry cannot be reached, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }

  /** From now on this router says that it is leaving: the others prepare for its shards. */
  async leave(): Promise<void> {
    this.#leaving = true;
    if (this.#registry === undefined) return;
    await this.#announce();
    await this.#steadiness.end();
  }

  #key(): string {
    return `${this.#options.source}.${this.#options.routerId}`;
  }

  #announceSoon(): void {
    void this.#announce().catch((err: unknown) => this.#deps.log.debug({ err }, 'ownership was not announced'));
  }

  async #announce(): Promise<number> {
    const { routerId: id, about } = this.#options;
    const { store = true, busy, home, most } = about?.() ?? {};
    const reluctant = this.#leaving ? 'leaving' : !store ? 'store' : this.#steadiness.unsteady ? 'unsteady' : undefined;
    const { owned, prepared } = this.#holding;
    const record: RouterRecord = {
      id,
      owned,
      ...(prepared.length > 0 ? { prepared } : {}),
      ...(reluctant === undefined ? {} : { reluctant }),
      ...(busy ? { busy } : {}),
      ...(home === undefined ? {} : { home }),
      ...(most === undefined ? {} : { most }),
    };
    return (await this.#registry?.put(this.#key(), record)) ?? 0;
  }

  /** The watch tells records in the order in which they were written: with our own, all that are older have come. */
  async #look(announced: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { heartbeatMs } = this.#options;
    const until = clock.now() + heartbeatMs;
    while (this.#echo < announced && clock.now() < until && !signal.aborted) {
      await this.#told.wait(clock, until - clock.now(), signal);
    }
    if (signal.aborted) return;
    if (this.#echo < announced) {
      const entries = await (this.#registry as Registry<RouterRecord>).list(`${this.#options.source}.`);
      for (const entry of entries) this.#liveness.read(entry.value, entry.revision);
    }
    const died = this.#liveness.looked();
    const silentMs = clock.now() - this.#lookedAt;
    if (silentMs > this.#options.leaseMs) {
      if (Number.isFinite(silentMs)) this.#steadiness.returned();
      this.#changed();
    }
    this.#lookedAt = clock.now();
    if (died) this.#changed();
  }

  #heard(entry: RegistryEntry<RouterRecord> | undefined): void {
    // Whether somebody who wrote nothing lives is for the looks to tell.
    if (entry === undefined) return;
    if (entry.key === this.#key()) {
      this.#echo = entry.revision;
      this.#told.set();
    }
    if (this.#liveness.read(entry.value, entry.revision)) this.#changed();
  }

  #changed(): void {
    this.#live = this.#liveness.live;
    this.#onChange();
  }
}
