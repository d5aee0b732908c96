import { ShapecastError } from '@shapecast/errors';
import { confirmInstallationId, readInstallationId, SourceFormats, type Registries } from '@shapecast/messaging';
import { Backoff, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeStore, StoreHome } from '@shapecast/shape-store';

interface CheckDeps {
  readonly store: ShapeStore;
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface CheckOptions {
  readonly source: string;
  /** Names of the stores that the live routers reach. */
  readonly homes: () => readonly string[];
  readonly lookMs?: number;
  /** How long a request waits for the first look. */
  readonly patienceMs: number;
}

const LOOK_MS = 2_000;
/** A store that lost its mark, or was replaced, is told of by the routers within two or three looks. A pod that is new does not wait. */
const STRANGE_LOOKS = 4;
const LOOKS_PER_CONFIRMATION = 5;
const FOREIGN =
  'This API pod reaches the Redis of another installation: set SHAPECAST_REDIS_URL to the one that the routers of this cluster use.';
const ELSEWHERE =
  'This API pod reaches another Redis than the routers of its cluster: set SHAPECAST_REDIS_URL to the one that they use.';

/** What is wrong with a store; 'strange' may be over in a moment. */
export type StoreVerdict = 'ours' | 'foreign' | 'strange';

/** Whether a store with this mark is the one that the routers of the installation write to. */
export function judgeStore(
  home: StoreHome | undefined,
  own: { readonly installation: string; readonly homes: readonly string[] },
): StoreVerdict {
  if (home !== undefined && home.installation !== own.installation) return 'foreign';
  if (own.homes.length === 0) return 'ours';
  return home !== undefined && own.homes.includes(home.store) ? 'ours' : 'strange';
}

/**
 * Sees to it that a pod serves only what the routers of its own installation have written, in a format that it knows: with another Redis in its settings it would
 * show the data of another database, or wait for ever for routers that write elsewhere.
 */
export class StoreCheck {
  /** The store; every use of it fails while it is not ours, or not known to be. */
  readonly store: ShapeStore;
  readonly #deps: CheckDeps;
  readonly #options: CheckOptions;
  readonly #formats: SourceFormats;
  readonly #looked = Promise.withResolvers<void>();
  #storeKnown = false;
  #formatsKnown = false;
  #done = false;
  #installation: string | undefined;
  #looks = 0;
  #strange = 0;
  /** It was seen to be the routers' once. */
  #settled = false;
  #refusal: string | undefined;

  constructor(deps: CheckDeps, options: CheckOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#formats = new SourceFormats(deps, { source: options.source, role: 'api' });
    void this.#formats.looked.then(() => {
      this.#formatsKnown = true;
      this.#known();
    });
    this.store = this.#guarded();
  }

  /** One sentence on what is set wrongly. */
  get refusal(): string | undefined {
    return this.#refusal ?? this.#formats.refusal;
  }

  /** Looks again and again until `signal` aborts. While NATS or the store does not answer, what was found last stays. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#formats.run(signal), this.#follow(signal)]);
  }

  async #follow(signal: AbortSignal): Promise<void> {
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
    const { store, log } = this.#deps;
    const { source, homes } = this.#options;
    let installation = (this.#installation ??= await readInstallationId(this.#deps, signal));
    if (this.#looks++ % LOOKS_PER_CONFIRMATION === 0) {
      this.#installation = installation = (await confirmInstallationId(this.#deps, installation)) ?? installation;
    }
    const verdict = judgeStore(await store.readHome(source), { installation, homes: homes() });
    this.#strange = verdict === 'strange' ? this.#strange + 1 : 0;
    this.#settled = (this.#settled && verdict !== 'foreign') || (verdict === 'ours' && homes().length > 0);
    const before = this.#refusal;
    const elsewhere = this.#strange >= (this.#settled ? STRANGE_LOOKS : 1);
    this.#refusal = verdict === 'foreign' ? FOREIGN : elsewhere ? ELSEWHERE : undefined;
    if (this.#refusal !== undefined && this.#refusal !== before) {
      const type = verdict === 'foreign' ? 'foreign_store' : 'other_store';
      emitEvent(log, 'warning', { type, message: this.#refusal });
    }
    if (this.#refusal === undefined && before !== undefined) log.info({}, 'the store is that of the installation');
    this.#storeKnown = true;
    this.#known();
  }

  /** Both are needed before anything is served. */
  #known(): void {
    if (!this.#storeKnown || !this.#formatsKnown) return;
    this.#done = true;
    this.#looked.resolve();
  }

  #guarded(): ShapeStore {
    const { store } = this.#deps;
    const create: ShapeStore['getOrCreate'] = (shard, request) =>
      store.getOrCreate(shard, { ...request, logFormat: this.#formats.used.log });
    return new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        const call = (name === 'getOrCreate' ? create : member.bind(target)) as (...args: unknown[]) => unknown;
        return name === 'connected' || name === 'close' ? call : this.#guard(call);
      },
    });
  }

  #guard(call: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
    return (...args) => {
      if (this.refusal !== undefined) return Promise.reject(new ShapecastError('NOT_READY', this.refusal));
      return this.#done ? call(...args) : this.#first(call, args);
    };
  }

  async #first(call: (...args: unknown[]) => unknown, args: unknown[]): Promise<unknown> {
    const cancel = this.#deps.clock.after(this.#options.patienceMs, () => this.#looked.resolve());
    await this.#looked.promise;
    cancel();
    if (!this.#done) throw new ShapecastError('STORE_UNAVAILABLE', 'Whose the store is could not be looked up.');
    if (this.refusal !== undefined) throw new ShapecastError('NOT_READY', this.refusal);
    return call(...args);
  }
}
