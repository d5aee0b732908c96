import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  collectSubset,
  decodeQuery,
  mergeBody,
  parseDeleteRequest,
  parseShapeRequest,
  preflightHeaders,
  type Params,
  type ShapeRequest,
} from '@shapecast/protocol';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { TokenAdmission } from '../access/gate.ts';
import { RESTRICTION_PARAM, restricted, restrictionOf } from '../access/restriction-param.ts';
import { INTERNAL_ERROR, failureOf, forbidden, invalid, unavailable, type Answer, type Failure } from '../answers.ts';
import type { LiveHub } from '../live/live-hub.ts';
import type { Permit } from '../permits.ts';
import type { ShapeDeleter } from '../shapes/shape-deleter.ts';
import type { ReadContext, ShapeReader } from '../shapes/shape-reader.ts';
import { SourceEnded, type SourceFront, type Sources } from '../sources/source-front.ts';
import type { ApiTelemetry } from '../telemetry/api-telemetry.ts';
import { RequestTrace } from '../telemetry/request-trace.ts';
import { writeEvents, type EventStreamOptions } from './event-stream.ts';
import { Exchange, headerOf, type ExchangeSettings } from './exchange.ts';
import { readBody } from './request-body.ts';
import { redactQuery } from './request-log.ts';
import { writeAnswer, writeFailure } from './write-answer.ts';

/** What serves requests once the pod is connected. */
export interface ShapeService {
  readonly reader: ShapeReader;
  readonly deleter: ShapeDeleter;
  readonly hub: LiveHub;
  readonly source: { readonly stale: unknown };
}

interface ShapeRouteDeps {
  readonly sources: Pick<Sources, 'of'>;
  readonly telemetry: ApiTelemetry;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ShapeRouteOptions extends EventStreamOptions {
  /** A debug line for each request. */
  readonly logRequests: boolean;
}

/** Takes what a request has until its end. */
interface Keep {
  readonly source: (source: SourceFront) => void;
  readonly permit: (permit: Permit) => void;
}

interface Admitted {
  readonly source: SourceFront;
  readonly permit: Permit;
}

type Refusal = Exclude<ReturnType<SourceFront['permits']['take']>, Permit>;

const NOT_FOR_TOKENS = forbidden('a token does not allow to delete shapes');

/**
 * `/v1/shape` on the plain `node:http` server, in the order of checks of spec H 2.1. A framework in between would cost every
 * held poll memory and every answer time (deployment E1).
 */
export class ShapeRoute {
  readonly #deps: ShapeRouteDeps;
  readonly #settings: ExchangeSettings;
  readonly #options: ShapeRouteOptions;
  #inProgress = 0;

  constructor(deps: ShapeRouteDeps, settings: ExchangeSettings, options: ShapeRouteOptions) {
    this.#deps = deps;
    this.#settings = settings;
    this.#options = options;
  }

  /** Requests that are not answered completely. */
  get inProgress(): number {
    return this.#inProgress;
  }

  /** Whether the method is one of this route; others are answered as unknown paths are (RT-1). */
  accepts(method: string | undefined): boolean {
    return method === 'GET' || method === 'HEAD' || method === 'POST' || method === 'DELETE' || method === 'OPTIONS';
  }

  handle(req: IncomingMessage, res: ServerResponse, query: string): void {
    let permit: Permit | undefined;
    let source: SourceFront | undefined;
    this.#inProgress += 1;
    const exchange = new Exchange(req, res, this.#settings, () => {
      this.#inProgress -= 1;
      permit?.release();
      source?.ended(exchange);
      this.#ended(exchange);
      if (this.#options.logRequests) this.#logRequest(req, res, query, exchange.began, source?.log);
    });
    const { tracing } = this.#deps.telemetry;
    if (tracing.enabled) exchange.trace = new RequestTrace(tracing, () => this.#deps.clock.random());
    const keep = { source: (of: SourceFront) => (source = of), permit: (taken: Permit) => (permit = taken) };
    this.#serve(exchange, query, keep).catch((err: unknown) => this.#failed(exchange, err, source?.log));
  }

  /** Whatever came of it; questions of browsers whether they may ask are none. */
  #ended(exchange: Exchange): void {
    if (exchange.method === 'OPTIONS') return;
    const { telemetry, clock } = this.#deps;
    const now = clock.now();
    const of = exchange.telemetry ?? telemetry.nowhere;
    of.ended(exchange, now);
    exchange.trace?.end(exchange, of.source, now, wallTime(clock));
  }

  async #serve(exchange: Exchange, query: string, keep: Keep): Promise<void> {
    const { req, method } = exchange;
    if (method === 'OPTIONS') return exchange.reply(204, preflightHeaders(asked(req)));

    const params = decodeQuery(query);
    const trustworthy = params ?? whatDecodes(query);
    const found = this.#deps.sources.of(trustworthy, () => exchange.signal);
    const source = found instanceof Promise ? await found : found;
    exchange.live = isLive(trustworthy);
    if (source === undefined) return writeFailure(exchange, NOT_CONNECTED);
    exchange.telemetry = source.telemetry;
    const admission = source.gate.knows(trustworthy) ? undefined : await source.gate.admit(req);
    if (admission !== undefined) exchange.private = true;
    if (admission?.kind === 'failure') {
      source.telemetry.denied(admission.denial);
      return exchange.reply(admission.status, admission.headers, admission.body);
    }
    if (exchange.gone) return;
    source.began();
    keep.source(source);
    exchange.traffic = source;
    const refusal = source.refusal ?? source.quotas.request();
    if (refusal !== undefined) return writeFailure(exchange, refusal);
    if (method === 'DELETE') {
      return admission === undefined ? this.#delete(exchange, params, source) : writeFailure(exchange, NOT_FOR_TOKENS);
    }

    const permit = source.permits.take(params?.handle);
    if ('refused' in permit) return writeFailure(exchange, this.#overloaded(source, permit));
    keep.permit(permit);
    if (params === undefined) return writeFailure(exchange, invalid({}));

    let merged = collectSubset(params);
    if (method === 'POST') {
      const read = await readBody(req, this.#deps.clock);
      if (!read.ok) return writeFailure(exchange, read.failure, 'no-store');
      merged = mergeBody(merged, read.body);
    }
    return this.#read(exchange, merged, { source, permit }, admission);
  }

  async #read(
    exchange: Exchange,
    params: Params,
    { source, permit }: Admitted,
    admission?: TokenAdmission,
  ): Promise<void> {
    const service = await source.service(() => waiting(exchange, source));
    if (service === undefined) return writeFailure(exchange, source.refusal ?? NOT_CONNECTED);
    const request = parseShapeRequest(params);
    if (!request.ok) return writeFailure(exchange, invalid(request.errors));
    const allowed = admission === undefined ? trusted(request.value, params) : admission.restrict(request.value);
    if ('refused' in allowed) {
      source.telemetry.denied('grant');
      return writeFailure(exchange, forbidden(allowed.refused));
    }
    if ('kind' in allowed) return writeFailure(exchange, allowed);
    return this.#answer(exchange, allowed, new RequestContext(exchange, source, permit), service);
  }

  /** On its own, so that a held request keeps nothing but what its answer needs. */
  async #answer(
    exchange: Exchange,
    request: ShapeRequest,
    context: RequestContext,
    service: ShapeService,
  ): Promise<void> {
    let answer: Answer;
    try {
      answer = await service.reader.read(request, context);
    } catch (err) {
      if (exchange.gone) return;
      answer = this.#toAnswer(err, context.log);
    }
    exchange.trace?.answered(request, answer, this.#deps.clock.now());
    if (answer.kind === 'events') return writeEvents(exchange, request, answer, service, this.#options);
    return writeAnswer(exchange, request, answer, this.#options);
  }

  async #delete(exchange: Exchange, params: Params | undefined, source: SourceFront): Promise<void> {
    if (params === undefined) return writeFailure(exchange, invalid({}));
    const service = await source.service(() => waiting(exchange, source));
    if (service === undefined) return writeFailure(exchange, source.refusal ?? NOT_CONNECTED);
    const outcome = await service.deleter.delete(() => parseDeleteRequest(params), waiting(exchange, source));
    if (outcome !== 'deleted') return writeFailure(exchange, outcome);
    return exchange.reply(202, [
      'content-type',
      'application/json; charset=utf-8',
      'cache-control',
      'no-cache',
      'electric-has-data',
      'true',
    ]);
  }

  /** The only place where a URL is logged (AU-6). */
  #logRequest(req: IncomingMessage, res: ServerResponse, query: string, began: number, log = this.#deps.log): void {
    const fields = {
      method: req.method,
      query: redactQuery(query),
      // Absent when the client left before its answer began.
      status: res.headersSent ? res.statusCode : undefined,
      complete: res.writableFinished,
      durationMs: this.#deps.clock.now() - began,
    };
    log.debug(fields, 'shape request');
  }

  #overloaded(source: SourceFront, { refused: kind, limit, own }: Refusal): Failure {
    this.#deps.telemetry.rejected(source.telemetry, kind, limit);
    const message = `Concurrent ${kind} request limit exceeded (limit: ${limit}), please retry`;
    if (own) {
      return source.quotas.overloaded(kind === 'initial' ? 'concurrentInitial' : 'concurrentExisting', message);
    }
    return {
      kind: 'failure',
      status: 503,
      body: JSON.stringify({ code: 'concurrent_request_limit_exceeded', message }),
      // Spread, so that the refused do not come back together (AD-3).
      retryAfter: 6 + Math.floor(this.#deps.clock.random() * 5),
      known: true,
    };
  }

  #toAnswer(err: unknown, log: Logger): Failure {
    if (err instanceof SourceEnded) return err.failure;
    const failure = failureOf(err);
    if (failure === INTERNAL_ERROR) log.error({ err }, 'request failed');
    else log.warn({ err }, 'request could not be served');
    return failure;
  }

  /** Whatever got here after the headers went out cuts the connection (RT-9). */
  #failed(exchange: Exchange, err: unknown, log = this.#deps.log): void {
    if (exchange.gone) return;
    if (exchange.started) {
      log.warn({ err }, 'answer broke off');
      exchange.destroy();
      return;
    }
    writeFailure(exchange, this.#toAnswer(err, log)).catch(() => exchange.destroy());
  }
}

/** As it is understood once the rest of the request is (QP-4), which it may never be. */
function isLive({ live }: Params): boolean {
  return live !== undefined && live !== 'false';
}

/** Whoever knows the secret may say to what a request is limited; an edge that has checked a token does. */
function trusted(request: ShapeRequest, params: Params): ShapeRequest | Failure {
  const restriction = restrictionOf(params);
  if (restriction === undefined) return request;
  if (restriction === 'invalid') return invalid({ [RESTRICTION_PARAM]: ['is invalid'] });
  return { ...request, definition: restricted(request.definition, restriction) };
}

/** A request as its reader sees it. */
class RequestContext implements ReadContext {
  readonly #exchange: Exchange;
  readonly #source: SourceFront;
  readonly #permit: Permit;

  constructor(exchange: Exchange, source: SourceFront, permit: Permit) {
    this.#exchange = exchange;
    this.#source = source;
    this.#permit = permit;
  }

  get log(): Logger {
    return this.#source.log;
  }

  get ifNoneMatch(): string | undefined {
    return headerOf(this.#exchange.req, 'if-none-match');
  }

  get signal(): AbortSignal {
    return waiting(this.#exchange, this.#source);
  }

  onGone(release: () => void): void {
    this.#exchange.onGone = release;
    this.#exchange.waits();
  }

  onCreate(): string | undefined {
    return this.#exchange.creates();
  }

  onHandle(handle: string): void {
    this.#permit.begun(handle);
  }
}

/** Aborts when the client leaves, or the source is not served any more. */
function waiting(exchange: Exchange, source: SourceFront): AbortSignal {
  const { signal } = exchange;
  source.waits(exchange);
  return signal;
}

const NOT_CONNECTED = unavailable('Timeout waiting for shape metadata to be loaded', 5);

function asked(req: IncomingMessage): string | undefined {
  const headers = req.headers['access-control-request-headers'];
  return Array.isArray(headers) ? headers.join(',') : headers;
}

/** For the secret only: it is checked before anything else, also before the rest of the query turns out to be malformed. */
function whatDecodes(query: string): Params {
  const pairs = query.split('&').filter((pair) => decodeQuery(pair) !== undefined);
  return decodeQuery(pairs.slice(0, 1_000).join('&')) ?? {};
}
