import {
  BUCKETS,
  readLiveRouters,
  SourceSleep,
  type ConditionRecord,
  type GuardRecord,
  type LeaderRecord,
  type Messaging,
  type Registry,
  type RegistryEntry,
  type RouterRecord,
  type SourceRecord,
} from '@shapecast/messaging';
import { Backoff, type Clock, type Conditions, type Logger } from '@shapecast/service-kit';
import { SourceConditions } from './source-conditions.ts';

const REFRESH_MS = 2_000;
/** What comes within it is read together. */
const GATHER_MS = 50;
/** A source that takes longer to wake up is told of as any other that is not there. */
const WAKING_MS = 60_000;

interface SourceStateDeps {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Registries {
  readonly sources: Registry<SourceRecord>;
  readonly leaders: Registry<LeaderRecord>;
  readonly routers: Registry<RouterRecord>;
  readonly conditions: Registry<ConditionRecord>;
  readonly guards: Registry<GuardRecord>;
}

/**
 * What this pod knows of its source: the incarnation and its shards, whether a replicator leads, which shards have an
 * owner. Watched, and read again every 2 s because records that expire are not announced.
 */
export class SourceState {
  readonly #deps: SourceStateDeps;
  readonly #source: string;
  readonly #refreshMs: number;
  #wake: (() => void) | undefined;
  /** How often the watches have told of the leader or the guard. */
  #tellings = 0;
  readonly #onIncarnation: (record: SourceRecord) => void;
  readonly #waiters = new Set<() => void>();
  #record: SourceRecord | undefined;
  #read = false;
  readonly #looked = Promise.withResolvers<void>();
  #leading = false;
  #routers = 0;
  #homes: readonly string[] = [];
  #unowned: number | undefined;
  #told: readonly RegistryEntry<ConditionRecord>[] = [];
  #guard: GuardRecord | undefined;
  readonly #conditions: SourceConditions;
  readonly #sleep: SourceSleep;
  #wakingSince: number | undefined;

  constructor(
    deps: SourceStateDeps,
    options: {
      readonly source: string;
      /** How often everything is read again, whether anything was told or not. */
      readonly refreshMs?: number | undefined;
      readonly onIncarnation: (record: SourceRecord) => void;
    },
  ) {
    this.#deps = deps;
    this.#source = options.source;
    this.#refreshMs = options.refreshMs ?? REFRESH_MS;
    this.#onIncarnation = options.onIncarnation;
    this.#conditions = new SourceConditions(deps.clock);
    this.#sleep = new SourceSleep(
      { ...deps, registries: deps.messaging.registries },
      options.source,
      options.refreshMs,
    );
    this.#sleep.onChange(() => this.#notify());
  }

  /** Undefined until the source was set up once. Kept while NATS is away: shapes that exist stay readable. */
  get record(): SourceRecord | undefined {
    return this.#record;
  }

  /** Resolves once the registries were read: before that nothing is known of the source, such as that it is stale. */
  get looked(): Promise<void> {
    return this.#looked.promise;
  }

  /** A replicator streams and every shard has an owner, so that new shapes can be made. */
  get active(): boolean {
    return this.missing === undefined && this.#leading;
  }

  /** Names of the stores that the live routers reach. */
  get homes(): readonly string[] {
    return this.#homes;
  }

  /** Nobody is connected to the database, and all is well (spec R 3.7). */
  get asleep(): boolean {
    return this.#sleep.asleep;
  }

  /** Has the source wake up if it sleeps; resolves once that was asked for. Never rejects. */
  wake(reason: string): Promise<void> {
    return this.#sleep.wake(reason);
  }

  /** Shapes of this source can be read, but nobody replicates it at the moment, so that none can be made (HE-3). */
  get leaderless(): boolean {
    return this.#record !== undefined && !this.#leading && !this.#resting();
  }

  /** Why and since when the shapes of this incarnation follow the source no longer, for people; undefined while they do. */
  get stale(): { readonly since: string; readonly reason: string } | undefined {
    const { stale, reason = '' } = this.#guard ?? {};
    // Once there is another incarnation, their handles are turned away.
    if (stale === undefined || stale.incarnation !== this.#record?.incarnation) return undefined;
    return { since: new Date(stale.since).toISOString(), reason };
  }

  /**
   * Why no new shapes and subsets are to be begun, for people. What was said before the source fell asleep may be true no more: who
   * wakes it up is told anew.
   */
  get shedding(): string | undefined {
    return this.#guard?.shedding === true && !this.asleep ? this.#guard.reason : undefined;
  }

  /** The first condition that does not hold, in the words of spec O 1.3.2. */
  get missing(): string | undefined {
    return this.#conditions.missing;
  }

  /** That the database cannot be asked for rows, in the words of spec O 1.3.2. */
  get missingSnapshots(): string {
    return this.#conditions.text('snapshot_connection_pool_ready');
  }

  /** Resolves to whether the source is active within `timeoutMs`, having it wake up if it sleeps. */
  untilActive(reason: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const condition = () => {
      // Asked each time: this pod may hear of the sleep only now.
      if (this.asleep) void this.wake(reason);
      return this.active;
    };
    return this.waitFor(condition, timeoutMs, signal);
  }

  get conditions(): Conditions {
    return this.#conditions.report();
  }

  /** Follows the registries until `signal` aborts; a failure is retried for ever. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#follow(signal), this.#sleep.run(signal)]);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 100, maxMs: 5_000 });
    let registries: Registries | undefined;
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        registries ??= await this.#open();
        stopWatching ??= await this.#watch(registries);
        await this.#refresh(registries);
        backoff.reset();
        await this.#pause(signal);
      } catch (err) {
        if (signal.aborted) break;
        this.#deps.log.warn({ err }, 'registries cannot be read');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }

  /** Until it is time to read everything again, or something is told of those that are read as a whole. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const told = new AbortController();
    this.#wake = () => told.abort();
    // Spread, so that many sources are not read in step.
    const ms = this.#refreshMs * (0.75 + clock.random() / 4);
    await clock.sleep(ms, AbortSignal.any([signal, told.signal])).catch(() => undefined);
    this.#wake = undefined;
    if (told.signal.aborted) await clock.sleep(GATHER_MS, signal);
  }

  /** Resolves to whether `condition` came true within `timeoutMs`. */
  async waitFor(condition: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (condition()) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (condition()) resolve();
    };
    const cancelTimer = this.#deps.clock.after(timeoutMs, resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#waiters.add(check);
    await promise;
    this.#waiters.delete(check);
    cancelTimer();
    return condition();
  }

  async #open(): Promise<Registries> {
    const { registries } = this.#deps.messaging;
    return {
      sources: await registries.open<SourceRecord>(BUCKETS.sources.name),
      leaders: await registries.open<LeaderRecord>(BUCKETS.leaders.name, { ttlMs: BUCKETS.leaders.ttlMs }),
      routers: await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs }),
      conditions: await registries.open<ConditionRecord>(BUCKETS.conditions.name, { ttlMs: BUCKETS.conditions.ttlMs }),
      guards: await registries.open<GuardRecord>(BUCKETS.guards.name),
    };
  }

  /** Any write to a record of ours is a reason to read them all: they are few and small. */
  async #watch(registries: Registries): Promise<() => void> {
    const stopSource = await registries.sources.watch(this.#source, (key, entry) => {
      if (key === this.#source && entry !== undefined) this.#setRecord(entry.value);
    });
    const stopLeader = await registries.leaders.watch(this.#source, (key, entry) => {
      if (key !== this.#source) return;
      this.#setLeader(entry?.value);
      this.#tellings += 1;
      this.#notify();
    });
    const stopGuard = await registries.guards.watch(this.#source, (key, entry) => {
      if (key !== this.#source) return;
      this.#guard = entry?.value;
      this.#tellings += 1;
      this.#notify();
    });
    const stopRouters = await registries.routers.watch(`${this.#source}.`, () => this.#wake?.());
    const stopConditions = await registries.conditions.watch(`${this.#source}.`, () => this.#wake?.());
    return () => {
      for (const stop of [stopSource, stopLeader, stopGuard, stopRouters, stopConditions]) stop();
    };
  }

  async #refresh(registries: Registries): Promise<void> {
    const before = this.#tellings;
    const [source, leader, routers, told, guard] = await Promise.all([
      registries.sources.get(this.#source),
      registries.leaders.get(this.#source),
      readLiveRouters(this.#deps.messaging.registries, this.#source),
      registries.conditions.list(`${this.#source}.`),
      registries.guards.get(this.#source),
    ]);
    if (source !== undefined) this.#setRecord(source.value);
    // What was told meanwhile may be newer than what was read.
    if (before === this.#tellings) {
      this.#guard = guard?.value;
      this.#setLeader(leader?.value);
    }
    this.#told = told;
    this.#read = true;
    this.#looked.resolve();
    this.#routers = routers.length;
    this.#homes = routers.flatMap(({ home }) => home ?? []);
    const owned = new Set(routers.flatMap(({ owned }) => owned));
    this.#unowned = this.#record === undefined ? undefined : this.#record.shards - owned.size;
    this.#notify();
  }

  #setRecord(record: SourceRecord): void {
    const known = this.#record;
    // Late notices of an older record must not take the pod back.
    if (known !== undefined && record.incarnation < known.incarnation) return;
    this.#record = record;
    if (known?.incarnation !== record.incarnation) this.#onIncarnation(record);
    this.#notify();
  }

  #setLeader(record: LeaderRecord | undefined): void {
    this.#leading = record?.streaming === true;
  }

  /** It sleeps, or is about to be awake again: then it lacks nothing. */
  #resting(): boolean {
    if (this.#sleep.asleep) return true;
    const since = this.#wakingSince;
    return since !== undefined && this.#deps.clock.now() - since < WAKING_MS;
  }

  #notify(): void {
    if (!this.#sleep.waking) this.#wakingSince = undefined;
    else this.#wakingSince ??= this.#deps.clock.now();
    this.#conditions.update(
      {
        read: this.#read,
        known: this.#record !== undefined,
        leading: this.#leading || this.#resting(),
        routers: this.#routers,
        unowned: this.#unowned,
      },
      this.#told,
    );
    for (const check of this.#waiters) check();
  }
}
