import type { Params } from '@shapecast/protocol';
import type { Logger } from '@shapecast/service-kit';
import { rejected, unavailable, type Failure } from '../answers.ts';
import type { Gate } from '../access/gate.ts';
import type { Exchange, Traffic } from '../http/exchange.ts';
import type { HealthStatus } from '../http/other-routes.ts';
import type { ShapeService } from '../http/shape-route.ts';
import type { Permits } from '../permits.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import type { SourceTelemetry } from '../telemetry/source-telemetry.ts';

/** One source, as requests meet it. */
export interface SourceFront extends Traffic {
  /** Asked before anything else, also of sources that are not there. */
  readonly gate: Gate;
  readonly permits: Permits;
  readonly quotas: Pick<SourceQuotas, 'request' | 'overloaded'>;
  readonly log: Logger;
  /** That of no source for one that is not there. */
  readonly telemetry: SourceTelemetry;
  /** Why nothing of the source is answered, to whoever was let in. */
  readonly refusal: Failure | undefined;
  /** A request that was let in; its end is told. */
  began(): void;
  ended(exchange: Exchange): void;
  /** The request waits with its signal: it is cancelled when the source is not served any more. */
  waits(exchange: Exchange): void;
  /** Resolves to nothing when the source cannot be served within the readiness wait. */
  service(signal: () => AbortSignal): ShapeService | Promise<ShapeService | undefined>;
}

/** The sources of a process, as the HTTP server knows them. */
export interface Sources {
  /**
   * The source that the parameters of a URL name. One that is not there is a front that lets nobody in, so that it takes the same way
   * as one whose secret is wrong. Nothing when it cannot be told within the readiness wait.
   */
  of(query: Params, signal: () => AbortSignal): SourceFront | Promise<SourceFront | undefined>;
  /** Of one source, or of the process when none is asked for; nothing: there is no such source. */
  health(asked: unknown): HealthStatus | undefined | Promise<HealthStatus | undefined>;
}

/** Seconds. */
const PAUSED_RETRY_S = 30;
const DRAINING_RETRY_S = 30;

/** Whoever declares the source wants nothing of it answered at the moment. */
export const PAUSED = unavailable(
  'The source is paused. Please try again later.',
  PAUSED_RETRY_S,
  true,
  'source_paused',
);

/** Shapes that exist are served until the source goes. */
export const DRAINING = unavailable(
  'The source takes no new shapes, because it is about to go. Shapes that exist are served.',
  DRAINING_RETRY_S,
  true,
  'source_draining',
);

/** To requests that were under way when the source went: what they get from now on. */
export const GONE = rejected(401, 'Unauthorized - Invalid API secret');

/** Aborts the waits of requests; their answer is `failure`. */
export class SourceEnded extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super('the source is not served any more');
    this.failure = failure;
  }
}
