import { BUCKETS, type Registries, type Registry, type RegistryEntry, type RouterRecord } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { ProcessHeartbeat } from './process-heartbeat.ts';

interface MembershipDeps {
  readonly registries: Registries;
  /** Of this process, for all of its sources. */
  readonly heartbeat: ProcessHeartbeat;
  readonly clock: Clock;
  readonly log: Logger;
}

interface MembershipOptions {
  readonly source: string;
  /** What the others are to know of this router, beside what it owns. Asked for again and again. */
  readonly about?: () => Pick<RouterRecord, 'busy' | 'home' | 'most'> & { readonly store?: boolean };
}

/** What a router does with shards. */
interface Holding {
  readonly owned: readonly number[];
  readonly prepared: readonly number[];
}

interface Known {
  readonly record: RouterRecord;
  /** Milliseconds of the clock, from when on there was no record any more: the registry may have lost it. */
  readonly goneAt: number | undefined;
}

/** A third of the time after which a record is forgotten. */
const RENEW_MS = BUCKETS.routers.ttlMs / 3;
/** By then whoever lives has written a record again that the registry had lost. */
const LOST_MS = 15_000;
const SETTLE_MS = 250;

/**
 * Which routers of a source live, and what they hold of it. Advisory: it decides who tries to own a shard, never who may write to it
 * (spec R 13.2.1). That they live is told by their processes, once for all sources; the records of a source are written when they
 * change, so that one where nothing happens costs nothing (spec O 4.8). While the registry cannot be reached the last list stays, and
 * this router keeps what it owns.
 */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #onChange: () => void;
  readonly #known = new Map<string, Known>();
  readonly #read = Promise.withResolvers<void>();
  #registry: Registry<RouterRecord> | undefined;
  #watching = false;
  #joined = false;
  #settled = false;
  #leaving = false;
  #holding: Holding = { owned: [], prepared: [] };
  /** What was written last, and when. */
  #told: { readonly text: string; readonly at: number } | undefined;
  #writing: Promise<void> = Promise.resolve();
  #writesDue = 0;
  #live: readonly RouterRecord[] = [];

  constructor(deps: MembershipDeps, options: MembershipOptions, onChange: () => void) {
    this.#deps = deps;
    this.#options = options;
    this.#onChange = onChange;
  }

  /** The others know that this router lives, and this router knows them. While it is not so it takes no shard (spec O F106). */
  get current(): boolean {
    return this.#watching && this.#deps.heartbeat.current;
  }

  /**
   * Others who came at the same time have had the chance to say so: until then each would take all shards, and the others' from them
   * (spec O 4.2: all processes learn of a new source at once).
   */
  get settled(): boolean {
    return this.#settled;
  }

  /** Live routers, this one included once it has joined, in a fixed order. */
  get live(): readonly RouterRecord[] {
    return this.#live;
  }

  /** The other live routers, once they are known. */
  async others(): Promise<readonly RouterRecord[]> {
    await this.#read.promise;
    return this.#live.filter(({ id }) => id !== this.#deps.heartbeat.id);
  }

  /** Tells the others which shards this router owns now, and which it could go on with. */
  hold(holding: Holding): void {
    if (JSON.stringify(holding) === JSON.stringify(this.#holding)) return;
    this.#holding = holding;
    this.#tellSoon();
  }

  /** From now on this router is among those that shards are given to. */
  join(): void {
    this.#joined = true;
    this.#tellSoon();
    const settle = () => {
      this.#settled = true;
      this.#onChange();
    };
    if (this.#deps.heartbeat.alone) settle();
    else this.#deps.clock.after(SETTLE_MS, settle);
  }

  /** Follows the others, and tells them of this router once it has joined, until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, registries, heartbeat } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 2_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted && stopWatching === undefined) {
      try {
        this.#registry ??= await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs });
        stopWatching = await this.#registry.watch(`${this.#options.source}.`, (key, entry) => this.#heard(key, entry));
      } catch (err) {
        if (signal.aborted) break;
        log.warn({ err }, 'router registry cannot be reached, retrying');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    if (stopWatching !== undefined) {
      this.#watching = true;
      const stopLooking = heartbeat.onLook((changed) => this.#looked(changed));
      this.#looked(true);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      stopLooking();
      stopWatching();
    }
    // Nobody is to wait for it any more.
    this.#read.resolve();
  }

  /** From now on this router says that it is leaving: the others prepare for its shards. Resolves once it is told. */
  async leave(): Promise<void> {
    this.#leaving = true;
    if (this.#registry === undefined || !this.#joined) return;
    await this.#tell();
  }

  /** The last word, after `leave` and after the last shard was released: the record goes. */
  async end(): Promise<void> {
    await this.leave();
    if (this.#joined) await this.#registry?.delete(this.#key());
  }

  #key(): string {
    return `${this.#options.source}.${this.#deps.heartbeat.id}`;
  }

  /** The processes were looked at. */
  #looked(changed: boolean): void {
    const { clock, heartbeat } = this.#deps;
    if (heartbeat.current) this.#read.resolve();
    let gone = false;
    for (const [key, { record, goneAt }] of this.#known) {
      const lost = goneAt !== undefined && clock.now() - goneAt > LOST_MS;
      if (!lost && (goneAt === undefined || heartbeat.isAlive(record))) continue;
      this.#known.delete(key);
      gone = true;
    }
    if (changed || gone) this.#changed();
    const due = this.#told === undefined || clock.now() - this.#told.at >= RENEW_MS;
    if (this.#joined && (due || this.#told?.text !== JSON.stringify(this.#record()))) this.#tellSoon();
  }

  #heard(key: string, entry: RegistryEntry<RouterRecord> | undefined): void {
    const known = this.#known.get(key);
    if (entry === undefined) {
      if (key === this.#key()) {
        // Not our doing: the registry has lost it.
        this.#told = undefined;
        return;
      }
      if (known === undefined) return;
      if (known.record.reluctant === 'leaving') this.#known.delete(key);
      else this.#known.set(key, { record: known.record, goneAt: this.#deps.clock.now() });
    } else {
      this.#known.set(key, { record: entry.value, goneAt: undefined });
      if (known?.goneAt === undefined && JSON.stringify(known?.record) === JSON.stringify(entry.value)) return;
    }
    this.#changed();
  }

  #changed(): void {
    const { heartbeat } = this.#deps;
    const records = [...this.#known.values()].map(({ record }) => record);
    // One that has left and owns nothing is not there any more, whatever else its process does.
    const live = records.filter(
      (record) => heartbeat.isAlive(record) && !(record.reluctant === 'leaving' && record.owned.length === 0),
    );
    this.#live = live.sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#onChange();
  }

  #record(): RouterRecord {
    const { about } = this.#options;
    const { heartbeat } = this.#deps;
    const { store = true, busy, home, most } = about?.() ?? {};
    const reluctant = this.#leaving ? 'leaving' : !store ? 'store' : heartbeat.unsteady ? 'unsteady' : undefined;
    const { owned, prepared } = this.#holding;
    return {
      id: heartbeat.id,
      life: heartbeat.life,
      owned,
      ...(prepared.length > 0 ? { prepared } : {}),
      ...(reluctant === undefined ? {} : { reluctant }),
      ...(busy ? { busy } : {}),
      ...(home === undefined ? {} : { home }),
      ...(most === undefined ? {} : { most }),
    };
  }

  #tellSoon(): void {
    if (!this.#joined || this.#registry === undefined) return;
    void this.#tell().catch((err: unknown) => this.#deps.log.debug({ err }, 'ownership was not announced'));
  }

  /** One write after the other, so that the last one says what is. What is due while one is on its way is one write. */
  #tell(): Promise<void> {
    if (this.#writesDue > 0) return this.#writing;
    this.#writesDue += 1;
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        this.#writesDue -= 1;
        const text = JSON.stringify(this.#record());
        const at = this.#deps.clock.now();
        this.#told = { text, at };
        try {
          await this.#registry?.put(this.#key(), JSON.parse(text) as RouterRecord);
        } catch (err) {
          if (this.#told?.at === at) this.#told = undefined;
          throw err;
        }
      });
    return this.#writing;
  }
}
