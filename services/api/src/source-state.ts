import {
  BUCKETS,
  type ConditionRecord,
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
}

/**
 * What this pod knows of its source: the incarnation and its shards, whether a replicator leads, which shards have an
 * owner. Watched, and read again every 2 s because records that expire are not announced.
 */
export class SourceState {
  readonly #deps: SourceStateDeps;
  readonly #source: string;
  readonly #onIncarnation: (record: SourceRecord) => void;
  readonly #waiters = new Set<() => void>();
  #record: SourceRecord | undefined;
  #read = false;
  #leading = false;
  #routers = 0;
  #unowned: number | undefined;
  #told: readonly RegistryEntry<ConditionRecord>[] = [];
  readonly #conditions: SourceConditions;

  constructor(
    deps: SourceStateDeps,
    options: { readonly source: string; readonly onIncarnation: (record: SourceRecord) => void },
  ) {
    this.#deps = deps;
    this.#source = options.source;
    this.#onIncarnation = options.onIncarnation;
    this.#conditions = new SourceConditions(deps.clock);
  }

  /** Undefined until the source was set up once. Kept while NATS is away: shapes that exist stay readable. */
  get record(): SourceRecord | undefined {
    return this.#record;
  }

  /** A replicator streams and every shard has an owner, so that new shapes can be made. */
  get active(): boolean {
    return this.missing === undefined;
  }

  /** Shapes of this source can be read, but nobody replicates it at the moment, so that none can be made (HE-3). */
  get leaderless(): boolean {
    return this.#record !== undefined && !this.#leading;
  }

  /** The first condition that does not hold, in the words of spec O 1.3.2. */
  get missing(): string | undefined {
    return this.#conditions.missing;
  }

  /** That the database cannot be asked for rows, in the words of spec O 1.3.2. */
  get missingSnapshots(): string {
    return this.#conditions.text('snapshot_connection_pool_ready');
  }

  get conditions(): Conditions {
    return this.#conditions.report();
  }

  /** Follows the registries until `signal` aborts; a failure is retried for ever. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 100, maxMs: 5_000 });
    let registries: Registries | undefined;
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        registries ??= await this.#open();
        stopWatching ??= await this.#watch(registries);
        await this.#refresh(registries);
        backoff.reset();
        await this.#deps.clock.sleep(REFRESH_MS, signal);
      } catch (err) {
        if (signal.aborted) break;
        this.#deps.log.warn({ err }, 'registries cannot be read');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
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
      this.#notify();
    });
    return () => {
      stopSource();
      stopLeader();
    };
  }

  async #refresh(registries: Registries): Promise<void> {
    const [source, leader, routers, told] = await Promise.all([
      registries.sources.get(this.#source),
      registries.leaders.get(this.#source),
      registries.routers.list(`${this.#source}.`),
      registries.conditions.list(`${this.#source}.`),
    ]);
    if (source !== undefined) this.#setRecord(source.value);
    this.#setLeader(leader?.value);
    this.#told = told;
    this.#read = true;
    this.#routers = routers.length;
    const owned = new Set(routers.flatMap((router) => router.value.owned));
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

  #notify(): void {
    this.#conditions.update(
      {
        read: this.#read,
        known: this.#record !== undefined,
        leading: this.#leading,
        routers: this.#routers,
        unowned: this.#unowned,
      },
      this.#told,
    );
    for (const check of this.#waiters) check();
  }
}
