import type { Messaging, SourceUsage } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';
import type { SourceLimits } from '@shapecast/sources';
import type { Failure } from '../answers.ts';
import type { Gate } from '../access/gate.ts';
import type { Exchange } from '../http/exchange.ts';
import type { HealthStatus } from '../http/other-routes.ts';
import type { ShapeService } from '../http/shape-route.ts';
import { Permits, type PermitPool } from '../permits.ts';
import { AXES, SourceQuotas, type Axis } from '../quotas/source-quotas.ts';
import type { SourceTelemetry } from '../telemetry/source-telemetry.ts';
import { assemble, type Assembled, type ServingOptions, type SharedParts } from './assemble.ts';
import { DRAINING, SourceEnded, type SourceFront } from './source-front.ts';

/** What a process gives to each of its sources. */
export interface ProcessParts extends SharedParts {
  /** Undefined until the process is connected for the first time. */
  readonly messaging: () => Messaging | undefined;
  /** Resolves then. */
  readonly connected: Promise<Messaging>;
  readonly pool: PermitPool;
  /** Living API processes. */
  readonly processes: () => number;
}

interface SourceApiOptions extends ServingOptions {
  readonly source: string;
  readonly limits: Partial<SourceLimits>;
  /** Answers before anything is known of the source: requests wait for what they need themselves. */
  readonly eager?: boolean;
  /** How often the registries of the source are read as a whole. */
  readonly stateRefreshMs?: number;
}

interface Serving {
  readonly assembled: Assembled;
  readonly abort: AbortController;
  /** What is known of the source is enough to answer for it. */
  ready: boolean;
  readonly looked: Promise<void>;
  readonly running: Promise<unknown>;
}

const AMOUNTS = { initial: 'concurrentInitial', existing: 'concurrentExisting' } as const;

/**
 * One source in an API process: who may ask, how much, and what answers. What answers is put together when it is first needed and taken
 * apart when nobody has asked for a while, so that a source without readers costs next to nothing (spec O 4.8).
 */
export class SourceApi implements SourceFront {
  readonly gate: Gate;
  readonly permits: Permits;
  readonly quotas: SourceQuotas;
  readonly log: Logger;
  /** Shapes that exist are served, and none is created. */
  draining = false;
  readonly #parts: ProcessParts;
  readonly #options: SourceApiOptions;
  #serving: Serving | undefined;
  #refusal: Failure | undefined;
  /** The process is about to stop. */
  #stopping = false;
  #telemetry: SourceTelemetry | undefined;
  readonly #waiting = new Set<Exchange>();
  #inProgress = 0;
  #lastUsed: number;
  readonly #counters = { requests: 0, egressBytes: 0, created: 0, heldMs: 0 };

  constructor(parts: ProcessParts & { readonly gate: Gate; readonly log: Logger }, options: SourceApiOptions) {
    this.#parts = parts;
    this.#options = options;
    this.gate = parts.gate;
    this.log = parts.log;
    this.#lastUsed = parts.clock.now();
    const { processes, clock, log } = parts;
    const onRefused = (axis: Axis) => this.telemetry.refused(axis);
    this.quotas = new SourceQuotas({ processes, used: () => this.#used(), onRefused, clock, log }, options.limits);
    this.permits = new Permits(parts.pool, (kind) => this.quotas.share(AMOUNTS[kind]) ?? Infinity);
  }

  /** Made when it is first needed: most of many sources have nobody who asks. */
  get telemetry(): SourceTelemetry {
    if (this.#telemetry !== undefined) return this.#telemetry;
    const telemetry = this.#parts.telemetry.source(this.id);
    this.#telemetry = telemetry;
    telemetry.watch(
      {
        waiting: () => this.assembled?.hub.held ?? 0,
        activeShapes: () => this.assembled?.activeShapes(),
        stale: () => this.assembled && this.assembled.source.stale !== undefined,
        quota: (axis) => this.quotas.usage(axis),
      },
      AXES,
    );
    return telemetry;
  }

  get id(): string {
    return this.#options.source;
  }

  get refusal(): Failure | undefined {
    return this.#refusal;
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  /** There while somebody reads, or did not long ago. */
  get assembled(): Assembled | undefined {
    return this.#serving?.assembled;
  }

  began(): void {
    this.#inProgress += 1;
    this.#counters.requests += 1;
  }

  ended(exchange: Exchange): void {
    this.#inProgress -= 1;
    this.#waiting.delete(exchange);
    this.#lastUsed = this.#parts.clock.now();
  }

  waits(exchange: Exchange): void {
    this.#waiting.add(exchange);
    // It was let in before, and comes to wait only now.
    if (this.#refusal !== undefined) exchange.cancel(new SourceEnded(this.#refusal));
  }

  sent(bytes: number): void {
    this.#counters.egressBytes += bytes;
    this.quotas.sent(bytes);
  }

  pauseMs(): number {
    return this.quotas.pauseMs();
  }

  service(signal: () => AbortSignal): ShapeService | Promise<ShapeService | undefined> {
    const serving = this.#serving;
    return serving?.ready === true ? serving.assembled : this.#whenReady(signal());
  }

  /** Assembles what answers, unless it is there. */
  serve(messaging: Messaging): Serving {
    if (this.#serving !== undefined) return this.#serving;
    const rules = {
      creations: {
        begin: () => (this.draining ? DRAINING : this.quotas.newShape()),
        done: (created: boolean) => {
          if (created) this.#counters.created += 1;
          else this.quotas.notCreated();
        },
      },
      park: () => this.quotas.park(),
      onHeld: (ms: number) => void (this.#counters.heldMs += ms),
      telemetry: this.telemetry,
    };
    const assembled = assemble(messaging, { ...this.#parts, log: this.log }, rules, this.#options);
    const abort = new AbortController();
    const { source, journal } = assembled;
    const looked = Promise.all([source.looked, journal.followed]).then(() => void (serving.ready = true));
    const running = assembled.run(abort.signal);
    const serving: Serving = { assembled, abort, ready: this.#options.eager === true, looked, running };
    this.#serving = serving;
    if (this.#stopping) assembled.hub.drain(0);
    return serving;
  }

  /** The process is about to stop: answers what is held early, over `spreadMs`. */
  drain(spreadMs: number): void {
    this.#stopping = true;
    this.assembled?.hub.drain(spreadMs);
  }

  /**
   * From now on every request gets `failure`, those that are held or wait for something at once. An answer that has begun is finished.
   * Undefined: the source is served (again).
   */
  refuse(failure: Failure | undefined): void {
    this.#refusal = failure;
    if (failure === undefined || this.#serving === undefined) return;
    this.#serving.assembled.hub.end(failure);
    for (const exchange of [...this.#waiting]) exchange.cancel(new SourceEnded(failure));
    void this.rest();
  }

  /** Lets go of what answers, until somebody asks again. */
  async rest(): Promise<void> {
    const serving = this.#serving;
    if (serving === undefined) return;
    this.#serving = undefined;
    this.permits.forget();
    serving.abort.abort(new Error('the source is not served at the moment'));
    serving.assembled.stop();
    await serving.running;
  }

  /** The source is no more. */
  close(): void {
    this.#telemetry?.close();
  }

  /** Milliseconds since somebody asked for anything. */
  get idleMs(): number {
    return this.#inProgress > 0 ? 0 : this.#parts.clock.now() - this.#lastUsed;
  }

  /** Requests that wait for news, by handle, most first. */
  readonly readers = (most: number): readonly (readonly [handle: string, waiting: number])[] =>
    this.assembled?.hub.readers(most) ?? [];

  usage(): SourceUsage {
    const parked = this.assembled?.hub.held ?? 0;
    const { serveLagMs, deliveryLagMs } = this.#telemetry ?? {};
    return {
      counters: { ...this.#counters },
      gauges: {
        ...{ parked, inProgress: this.#inProgress },
        ...(serveLagMs === undefined ? {} : { serveLagMs }),
        ...(deliveryLagMs === undefined ? {} : { deliveryLagMs }),
      },
      quotas: this.quotas.report(),
    };
  }

  /** As it is known at the moment; the source may not have been looked at yet. */
  status(): HealthStatus {
    if (this.missing === undefined) return 'active';
    const assembled = this.assembled;
    if (assembled === undefined || this.#refusal !== undefined) return 'starting';
    if (assembled.check.refusal !== undefined) return 'starting';
    // Shapes that exist can be read to their end, and that is all.
    if (assembled.source.stale !== undefined) return 'starting';
    return this.#connected && assembled.source.leaderless ? 'waiting' : 'starting';
  }

  /** What keeps the source from being active, for people. */
  get missing(): string | undefined {
    const { assembled } = this;
    if (this.#refusal !== undefined) return (JSON.parse(this.#refusal.body) as { readonly message: string }).message;
    if (assembled === undefined || this.#parts.messaging()?.connected() !== true) return 'NATS is not connected';
    if (!this.#parts.store.connected()) return 'Redis is not connected';
    if (assembled.check.refusal !== undefined) return assembled.check.refusal;
    const { stale, missing } = assembled.source;
    return stale === undefined ? missing : `Stale since ${stale.since}: ${stale.reason}`;
  }

  get #connected(): boolean {
    return this.#parts.messaging()?.connected() === true && this.#parts.store.connected();
  }

  async #whenReady(signal: AbortSignal): Promise<ShapeService | undefined> {
    const { clock, connected } = this.#parts;
    const given = new AbortController();
    const patience = clock
      .sleep(this.#options.readyTimeoutMs, AbortSignal.any([signal, given.signal]))
      .catch(() => undefined);
    try {
      const messaging = this.#parts.messaging() ?? (await Promise.race([connected, patience]));
      if (messaging === undefined || this.#refusal !== undefined) return undefined;
      const serving = this.serve(messaging);
      if (!serving.ready) await Promise.race([serving.looked, patience]);
      return serving.ready && serving === this.#serving ? serving.assembled : undefined;
    } finally {
      given.abort();
    }
  }

  #used(): { readonly concurrentInitial: number; readonly concurrentExisting: number; readonly parkedReaders: number } {
    const { initial, existing } = this.permits.used;
    const parkedReaders = this.assembled?.hub.held ?? 0;
    return { concurrentInitial: initial, concurrentExisting: existing, parkedReaders };
  }
}
