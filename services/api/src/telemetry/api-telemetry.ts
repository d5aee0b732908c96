import type { Clock } from '@shapecast/service-kit';
import type { Counter, Telemetry, Tracing } from '@shapecast/telemetry';
import type { Kind } from '../permits.ts';
import { SourceTelemetry } from './source-telemetry.ts';

/** No id of a source has parentheses. */
const NO_SOURCE = '(none)';
const KINDS = ['initial', 'existing'] as const;

/** What the process can be asked for at any time. */
interface ProcessState {
  readonly ready: () => boolean;
  readonly busConnected: () => boolean;
  readonly storeConnected: () => boolean;
  readonly inProgress: (kind: Kind) => number;
  readonly limit: (kind: Kind) => number;
  readonly connections: () => number;
  readonly maxConnections: number;
  readonly chunkCacheBytes: () => number;
}

/** What the sources of a process share of its telemetry, and what belongs to none of them. */
export class ApiTelemetry {
  readonly #telemetry: Telemetry;
  readonly #now: () => number;
  readonly chunkHits: Counter;
  readonly chunkMisses: Counter;
  #nowhere: SourceTelemetry | undefined;
  /** The limit that the last refused request of a kind met. */
  readonly #rejectLimits: Record<Kind, number | undefined> = { initial: undefined, existing: undefined };

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#now = () => clock.now();
    const { metrics } = telemetry;
    this.chunkHits = metrics.counter('shapecast.api.chunk_cache.count', { outcome: 'hit' });
    this.chunkMisses = metrics.counter('shapecast.api.chunk_cache.count', { outcome: 'miss' });
  }

  get tracing(): Tracing {
    return this.#telemetry.tracing;
  }

  /** Of requests of which is not known, or not to be told, what source they mean. */
  get nowhere(): SourceTelemetry {
    this.#nowhere ??= this.source(NO_SOURCE);
    return this.#nowhere;
  }

  source(id: string): SourceTelemetry {
    return new SourceTelemetry(this.#telemetry.metrics, id, this.#now);
  }

  /** From now on `state` is asked when somebody looks. */
  watch(state: ProcessState): void {
    const { metrics } = this.#telemetry;
    metrics.gauge('shapecast.ready', {}, () => Number(state.ready()));
    metrics.gauge('shapecast.bus.connected', {}, () => Number(state.busConnected()));
    metrics.gauge('shapecast.redis.connected', {}, () => Number(state.storeConnected()));
    metrics.gauge('shapecast.api.connections', {}, state.connections);
    metrics.gauge('shapecast.api.connections.limit', {}, () => state.maxConnections);
    metrics.gauge('shapecast.api.chunk_cache.bytes', {}, state.chunkCacheBytes);
    for (const kind of KINDS) {
      metrics.gauge('electric.admission_control.acquire.current', { kind }, () => state.inProgress(kind));
      metrics.gauge('electric.admission_control.acquire.limit', { kind }, () => state.limit(kind));
      metrics.gauge('electric.admission_control.reject.limit', { kind }, () => this.#rejectLimits[kind]);
    }
  }

  /** A request was answered 503 because too many were in progress. */
  rejected(source: SourceTelemetry, kind: Kind, limit: number): void {
    this.#rejectLimits[kind] = limit;
    source.rejected(kind);
  }
}
