import { confirmInstallationId, readInstallationId, type Registries, type RouterRecord } from '@shapecast/messaging';
import { Backoff, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { isApart, mustGiveWay } from './one-store.ts';

interface ClaimDeps {
  readonly store: ShapeStore;
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ClaimOptions {
  readonly source: string;
  /** The other live routers. */
  readonly others: () => Promise<readonly Pick<RouterRecord, 'home'>[]>;
  /** What is granted has changed. */
  readonly onChange: () => void;
  readonly lookMs?: number;
  /** How long a mark of another installation must not have been renewed until it counts as left behind. */
  readonly abandonedMs?: number;
}

const LOOK_MS = 2_000;
const ABANDONED_MS = 30_000;
/** Of the installation's id, which changes only when NATS has lost everything. */
const LOOKS_PER_CONFIRMATION = 5;
const FOREIGN =
  'Redis belongs to another installation: two clusters are pointed at one Redis. Set SHAPECAST_REDIS_URL to the Redis of this installation. ' +
  'If the other one is gone for good, or this Redis was copied from it, its shapes are dropped after half a minute without it.';
const OTHER_STORE =
  'This process reaches another Redis than the other routers of its installation: set SHAPECAST_REDIS_URL to the one that they use. ' +
  'To move to another Redis, stop all routers first.';

/**
 * Sees to it that the store is this installation's, and the one that its other routers use: two clusters that were pointed at one Redis
 * by mistake would write shards of the same name, and routers that were pointed at two would each serve nobody. Marks the store, renews
 * the mark, and grants shards only while that works. A store that lost its mark, with everything else, gets it again. Decides who
 * may try; what is written is fenced by the epoch of each shard all the same.
 */
export class StoreClaim {
  readonly #deps: ClaimDeps;
  readonly #options: ClaimOptions;
  #installation: string | undefined;
  #looks = 0;
  #home: string | undefined;
  #refusal: string | undefined;
  #apart = 0;
  /** The mark of another installation, and since when it was not renewed. */
  #foreign: { readonly beat: string; readonly since: number } | undefined;

  constructor(deps: ClaimDeps, options: ClaimOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Name of the store, once it is ours. */
  get home(): string | undefined {
    return this.#refusal === undefined ? this.#home : undefined;
  }

  /** Shards may be owned. */
  get granted(): boolean {
    return this.home !== undefined;
  }

  /** One sentence on what is set wrongly. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Looks again and again until `signal` aborts. While neither NATS nor the store answers, what was found last stays. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 50, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        await this.#look(signal);
        backoff.reset();
        await clock.sleep(this.#options.lookMs ?? LOOK_MS, signal);
      } catch (err) {
        if (signal.aborted) return;
        log.debug({ err }, 'whose the store is could not be looked up');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    const { source, others } = this.#options;
    this.#installation ??= await readInstallationId(this.#deps, signal);
    if (this.#looks++ % LOOKS_PER_CONFIRMATION === 0) await this.#confirm();
    const outcome = await store.claimHome(source, { installation: this.#installation });
    if (outcome.kind === 'foreign') return this.#occupied(outcome.beat, signal);
    this.#foreign = undefined;
    const sight = { mine: outcome.store, others: (await others()).map(({ home }) => home) };
    const wrong = mustGiveWay({ ...sight, settled: this.granted, apart: this.#apart });
    this.#apart = isApart(sight) ? this.#apart + 1 : 0;
    this.#tell(outcome.store, wrong ? OTHER_STORE : undefined, 'other_store');
  }

  async #confirm(): Promise<void> {
    this.#installation = (await confirmInstallationId(this.#deps, this.#installation as string)) ?? this.#installation;
  }

  async #occupied(beat: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    if (this.#foreign?.beat !== beat) this.#foreign = { beat, since: clock.now() };
    this.#tell(undefined, FOREIGN, 'foreign_store');
    if (clock.now() - this.#foreign.since >= (this.#options.abandonedMs ?? ABANDONED_MS))
      await this.#inherit(beat, signal);
  }

  /** Nobody renews the mark: what is there belongs to a history that nobody continues, perhaps of another database. */
  async #inherit(beat: string, signal: AbortSignal): Promise<void> {
    const { store, log } = this.#deps;
    const { source } = this.#options;
    const all = { incarnation: Number.MAX_SAFE_INTEGER, graceMs: 0 };
    let deleted = 0;
    let cursor: string | undefined;
    do {
      signal.throwIfAborted();
      const step = await store.sweepOrphans(source, all, cursor);
      deleted += step.deleted;
      cursor = step.cursor;
    } while (cursor !== undefined);
    const installation = this.#installation as string;
    const outcome = await store.claimHome(source, { installation, insteadOf: beat });
    if (outcome.kind === 'foreign') return;
    log.warn({ deleted }, 'the store was left behind by another installation, its shapes are dropped');
    this.#foreign = undefined;
    this.#tell(outcome.store, undefined, 'foreign_store');
  }

  #tell(home: string | undefined, refusal: string | undefined, type: string): void {
    const changed = refusal !== this.#refusal || home !== this.#home;
    const [before, after] = [this.#refusal, refusal];
    this.#home = home;
    this.#refusal = refusal;
    if (after !== undefined && after !== before) emitEvent(this.#deps.log, 'warning', { type, message: after });
    if (after === undefined && before !== undefined) this.#deps.log.info({}, 'the store is that of the installation');
    if (changed) this.#options.onChange();
  }
}
