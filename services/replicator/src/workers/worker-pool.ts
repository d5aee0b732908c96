import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { Source } from '@shapecast/sources';
import type { ProcessTelemetry, Sample } from '@shapecast/telemetry';
import type { FromWorker, WorkerSourceState } from './messages.ts';
import type { SourceThread } from './source-thread.ts';

interface PoolDeps {
  /** Starts a thread. `onTold` hears what it tells. */
  readonly spawn: (name: string, onTold: (told: FromWorker) => void) => SourceThread;
  /** Takes what threads measure. What is measured in a thread that has ended stays. */
  readonly telemetry?: Pick<ProcessTelemetry, 'include'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface PoolOptions {
  readonly sourcesPerWorker: number;
  /** A source whose thread ended runs alone until it has done so for this long. */
  readonly stableMs?: number;
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** How long after the last one was needed another thread is started in advance. */
  readonly spareMs?: number;
}

/** Every thread tells once a second: one that says nothing for so many of them does not come back. */
const SILENT_TICKS = 60;
const TICK_MS = 1_000;
/** As long as the components of a process have to stop, less what is left to be done then. */
const STOP_MS = 45_000;

const DEFAULTS = { stableMs: 60_000, retryMinMs: 500, retryMaxMs: 60_000, spareMs: 5_000 };

interface Place {
  readonly id: string;
  source: Source;
  worker: PoolWorker | undefined;
  /** Its thread ended, and it may have been the reason. */
  suspect: boolean;
  readonly backoff: Backoff;
  cancelRetry: (() => void) | undefined;
  problem: string | undefined;
  /** What was told last of it. */
  state: WorkerSourceState | undefined;
}

interface PoolWorker {
  readonly name: string;
  readonly thread: SourceThread;
  readonly places: Map<string, Place>;
  /** Nobody else comes here. */
  alone: boolean;
  since: number;
  silentTicks: number;
  events: Readonly<Record<string, number>>;
  heapBytes: number;
  samples: readonly Sample[];
}

/**
 * Runs sources in threads, several in each. A thread that ends takes its sources with it and no others. Which of them was the reason
 * nobody knows, so each begins again in a thread of its own, the sooner the less often that happened to it, and shares one again only
 * after it has been stable for a while (spec O 4.5).
 */
export class WorkerPool {
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions & typeof DEFAULTS;
  readonly #places = new Map<string, Place>();
  readonly #workers = new Set<PoolWorker>();
  /** A thread that has nothing to do yet: starting one takes longer than starting a source. */
  #spare: PoolWorker | undefined;
  #cancelSpare: (() => void) | undefined;
  /** Threads whose last source stops. */
  readonly #leaving = new Set<SourceThread>();
  readonly #events = new Map<string, number>();
  readonly #cancelTicks: { cancel: () => void };
  #started = 0;
  #stopping = false;

  constructor(deps: PoolDeps, options: PoolOptions) {
    this.#deps = deps;
    this.#options = { ...DEFAULTS, ...options };
    this.#cancelTicks = { cancel: () => undefined };
    this.#nextTick();
    this.#keepSpare(0);
  }

  /** What is to be of a source from now on; undefined: nothing. */
  set(id: string, source: Source | undefined): void {
    if (this.#stopping) return;
    const place = this.#places.get(id);
    if (source === undefined) {
      if (place) this.#remove(place);
      return;
    }
    if (place === undefined) {
      const { retryMinMs: minMs, retryMaxMs: maxMs } = this.#options;
      const backoff = new Backoff(this.#deps.clock, { minMs, maxMs });
      const added: Place = {
        ...{ id, source, backoff, suspect: false },
        ...{ worker: undefined, cancelRetry: undefined, problem: undefined, state: undefined },
      };
      this.#places.set(id, added);
      return this.#settle(added);
    }
    place.source = source;
    place.worker?.thread.post({ kind: 'set', id, source });
  }

  has(id: string): boolean {
    return this.#places.has(id);
  }

  get ids(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** What is known of each source that runs here, or should. */
  stateOf(id: string): WorkerSourceState | undefined {
    const place = this.#places.get(id);
    if (place === undefined) return undefined;
    const problem = place.problem ?? place.state?.problem;
    return { ...place.state, ...(problem === undefined ? {} : { problem }) };
  }

  /** For the health port: the threads, and what runs in each. */
  get threads(): readonly {
    readonly name: string;
    readonly sources: readonly string[];
    readonly alone: boolean;
    readonly heapBytes: number;
  }[] {
    return [...this.#workers].map(({ name, places, alone, heapBytes }) => {
      return { name, sources: [...places.keys()], alone, heapBytes };
    });
  }

  /** State events of all threads, by name. */
  get events(): Readonly<Record<string, number>> {
    const all = new Map(this.#events);
    for (const { events } of this.#workers) add(all, events);
    return Object.fromEntries(all);
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#cancelTicks.cancel();
    this.#cancelSpare?.();
    for (const place of this.#places.values()) place.cancelRetry?.();
    const late = new AbortController();
    const wait = this.#deps.clock.sleep(STOP_MS, late.signal).catch(() => undefined);
    const all = this.#spare === undefined ? this.#workers : [...this.#workers, this.#spare];
    for (const { thread } of all) {
      this.#leaving.add(thread);
      thread.post({ kind: 'stop' });
    }
    await Promise.all(
      [...this.#leaving].map(async (thread) => {
        await Promise.race([thread.ended, wait]);
        await thread.terminate();
      }),
    );
    late.abort();
    this.#workers.clear();
  }

  #remove(place: Place): void {
    this.#places.delete(place.id);
    place.cancelRetry?.();
    const { worker } = place;
    worker?.thread.post({ kind: 'set', id: place.id, source: undefined });
    worker?.places.delete(place.id);
    if (worker?.places.size === 0) this.#retire(worker);
  }

  /** Its last source stops before it ends. */
  #retire(worker: PoolWorker): void {
    this.#leave(worker);
    const { thread } = worker;
    this.#leaving.add(thread);
    void thread.ended.then(() => this.#leaving.delete(thread));
    thread.post({ kind: 'stop' });
  }

  #leave(worker: PoolWorker): void {
    this.#workers.delete(worker);
    add(this.#events, worker.events);
  }

  /** Finds a thread for a source. */
  #settle(place: Place): void {
    const { sourcesPerWorker } = this.#options;
    const free = [...this.#workers].find(({ alone, places }) => !alone && places.size < sourcesPerWorker);
    const worker = (place.suspect ? undefined : free) ?? this.#take(place.suspect);
    worker.places.set(place.id, place);
    place.worker = worker;
    place.problem = undefined;
    worker.thread.post({ kind: 'set', id: place.id, source: place.source });
  }

  #take(alone: boolean): PoolWorker {
    const worker = this.#spare ?? this.#spawn();
    this.#spare = undefined;
    worker.alone = alone;
    worker.since = this.#deps.clock.now();
    this.#workers.add(worker);
    this.#keepSpare(this.#options.spareMs);
    return worker;
  }

  #keepSpare(afterMs: number): void {
    this.#cancelSpare?.();
    this.#cancelSpare = this.#deps.clock.after(afterMs, () => {
      if (!this.#stopping) this.#spare ??= this.#spawn();
    });
  }

  #spawn(): PoolWorker {
    const { clock, spawn } = this.#deps;
    this.#started += 1;
    const name = `worker-${this.#started}`;
    const thread = spawn(name, (told) => this.#told(worker, told));
    const places = new Map<string, Place>();
    const since = clock.now();
    const worker: PoolWorker = {
      ...{ name, thread, places, alone: false, since, silentTicks: 0 },
      ...{ events: {}, heapBytes: 0, samples: [] },
    };
    const exclude = this.#deps.telemetry?.include(() => worker.samples);
    void thread.ended.then((why) => {
      exclude?.();
      this.#ended(worker, why);
    });
    return worker;
  }

  #told(worker: PoolWorker, { sources, events, heapBytes, samples }: FromWorker): void {
    worker.silentTicks = 0;
    worker.heapBytes = heapBytes;
    worker.events = events;
    worker.samples = samples ?? worker.samples;
    for (const [id, place] of worker.places) place.state = sources[id] ?? place.state;
  }

  #ended(worker: PoolWorker, why: string): void {
    if (this.#stopping) return;
    if (this.#spare === worker) {
      this.#spare = undefined;
      this.#deps.log.error({ worker: worker.name, reason: why }, 'a worker thread ended before it had anything to do');
      this.#keepSpare(this.#options.retryMaxMs);
    }
    if (!this.#workers.has(worker)) return;
    this.#leave(worker);
    const { clock, log } = this.#deps;
    const sources = [...worker.places.keys()];
    log.error({ worker: worker.name, sources, reason: why }, 'a worker thread ended, its sources begin again alone');
    for (const place of worker.places.values()) {
      place.worker = undefined;
      place.state = undefined;
      place.suspect = true;
      const delayMs = place.backoff.nextDelayMs();
      place.problem = `Its thread ended: ${why}. It is started again.`;
      place.cancelRetry = clock.after(delayMs, () => {
        place.cancelRetry = undefined;
        if (!this.#stopping && this.#places.get(place.id) === place) this.#settle(place);
      });
    }
  }

  #nextTick(): void {
    this.#cancelTicks.cancel = this.#deps.clock.after(TICK_MS, () => {
      this.#tick();
      if (!this.#stopping) this.#nextTick();
    });
  }

  #tick(): void {
    const { clock, log } = this.#deps;
    for (const worker of this.#workers) {
      worker.silentTicks += 1;
      if (worker.silentTicks > SILENT_TICKS) {
        log.error({ worker: worker.name }, 'a worker thread says nothing any more, it is ended');
        worker.silentTicks = 0;
        void worker.thread.terminate();
      }
      if (!worker.alone || clock.now() - worker.since < this.#options.stableMs) continue;
      worker.alone = false;
      for (const place of worker.places.values()) {
        place.suspect = false;
        place.backoff.reset();
      }
    }
  }
}

function add(to: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) to.set(name, (to.get(name) ?? 0) + count);
}
