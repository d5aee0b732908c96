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
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Gate, TokenAdmission } from '../access/gate.ts';
import { RESTRICTION_PARAM, restricted, restrictionOf } from '../access/restriction-param.ts';
import { INTERNAL_ERROR, failureOf, forbidden, invalid, unavailable, type Answer, type Failure } from '../answers.ts';
import type { LiveHub } from '../live/live-hub.ts';
import type { Permit, Permits } from '../permits.ts';
import type { ShapeDeleter } from '../shapes/shape-deleter.ts';
import type { ReadContext, ShapeReader } from '../shapes/shape-reader.ts';
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
  readonly permits: Permits;
  readonly gate: Gate;
  /** Resolves to nothing when the pod is not connected within the readiness wait. */
  readonly service: (signal: () => AbortSignal) => ShapeService | Promise<ShapeService | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ShapeRouteOptions extends EventStreamOptions {
  /** A debug line for each request. */
  readonly logRequests: boolean;
}

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
    const began = this.#options.logRequests ? this.#deps.clock.now() : 0;
    this.#inProgress += 1;
    const exchange = new Exchange(req, res, this.#settings, () => {
      this.#inProgress -= 1;
      permit?.release();
      if (this.#options.logRequests) this.#logRequest(req, res, query, began);
    });
    this.#serve(exchange, query, (taken) => (permit = taken)).catch((err: unknown) => this.#failed(exchange, err));
  }

  async #serve(exchange: Exchange, query: string, keep: (permit: Permit) => void): Promise<void> {
    const { req, method } = exchange;
    if (method === 'OPTIONS') return exchange.reply(204, preflightHeaders(asked(req)));

    const params = decodeQuery(query);
    const { gate } = this.#deps;
    const admission = gate.knows(params ?? whatDecodes(query)) ? undefined : await gate.admit(req);
    if (admission !== undefined) exchange.private = true;
    if (admission?.kind === 'failure') return exchange.reply(admission.status, admission.headers, admission.body);
    if (method === 'DELETE') {
      return admission === undefined ? this.#delete(exchange, params) : writeFailure(exchange, NOT_FOR_TOKENS);
    }

    const permit = this.#deps.permits.take(params?.handle);
    if ('refused' in permit) return writeFailure(exchange, this.#overloaded(permit.refused, permit.limit));
    keep(permit);
    if (exchange.gone) return permit.release();
    if (params === undefined) return writeFailure(exchange, invalid({}));

    let merged = collectSubset(params);
    if (method === 'POST') {
      const read = await readBody(req, this.#deps.clock);
      if (!read.ok) return writeFailure(exchange, read.failure, 'no-store');
      merged = mergeBody(merged, read.body);
    }
    return this.#read(exchange, merged, permit, admission);
  }

  async #read(exchange: Exchange, params: Params, permit: Permit, admission?: TokenAdmission): Promise<void> {
    const service = await this.#deps.service(() => exchange.signal);
    if (service === undefined) return writeFailure(exchange, NOT_CONNECTED);
    const request = parseShapeRequest(params);
    if (!request.ok) return writeFailure(exchange, invalid(request.errors));
    const allowed = admission === undefined ? trusted(request.value, params) : admission.restrict(request.value);
    if ('refused' in allowed) return writeFailure(exchange, forbidden(allowed.refused));
    if ('kind' in allowed) return writeFailure(exchange, allowed);
    return this.#answer(exchange, allowed, new RequestContext(exchange, permit), service);
  }

  /** On its own, so that a held request keeps nothing but what its answer needs. */
  async #answer(exchange: Exchange, request: ShapeRequest, context: ReadContext, service: ShapeService): Promise<void> {
    let answer: Answer;
    try {
      answer = await service.reader.read(request, context);
    } catch (err) {
      if (exchange.gone) return;
      answer = this.#toAnswer(err);
    }
    if (answer.kind === 'events') return writeEvents(exchange, request, answer, service, this.#options);
    return writeAnswer(exchange, request, answer, this.#options);
  }

  async #delete(exchange: Exchange, params: Params | undefined): Promise<void> {
    if (params === undefined) return writeFailure(exchange, invalid({}));
    const service = await this.#deps.service(() => exchange.signal);
    if (service === undefined) return writeFailure(exchange, NOT_CONNECTED);
    const outcome = await service.deleter.delete(() => parseDeleteRequest(params), exchange.signal);
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
  #logRequest(req: IncomingMessage, res: ServerResponse, query: string, began: number): void {
    const fields = {
      method: req.method,
      query: redactQuery(query),
      // Absent when the client left before its answer began.
      status: res.headersSent ? res.statusCode : undefined,
      complete: res.writableFinished,
      durationMs: this.#deps.clock.now() - began,
    };
    this.#deps.log.debug(fields, 'shape request');
  }

  #overloaded(kind: 'initial' | 'existing', limit: number): Failure {
    const message = `Concurrent ${kind} request limit exceeded (limit: ${limit}), please retry`;
    return {
      kind: 'failure',
      status: 503,
      body: JSON.stringify({ code: 'concurrent_request_limit_exceeded', message }),
      // Spread, so that the refused do not come back together (AD-3).
      retryAfter: 6 + Math.floor(this.#deps.clock.random() * 5),
      known: true,
    };
  }

  #toAnswer(err: unknown): Failure {
    const failure = failureOf(err);
    if (failure === INTERNAL_ERROR) this.#deps.log.error({ err }, 'request failed');
    else this.#deps.log.warn({ err }, 'request could not be served');
    return failure;
  }

  /** Whatever got here after the headers went out cuts the connection (RT-9). */
  #failed(exchange: Exchange, err: unknown): void {
    if (exchange.gone) return;
    if (exchange.started) {
      this.#deps.log.warn({ err }, 'answer broke off');
      exchange.destroy();
      return;
    }
    writeFailure(exchange, this.#toAnswer(err)).catch(() => exchange.destroy());
  }
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
  readonly #permit: Permit;

  constructor(exchange: Exchange, permit: Permit) {
    this.#exchange = exchange;
    this.#permit = permit;
  }

  get ifNoneMatch(): string | undefined {
    return headerOf(this.#exchange.req, 'if-none-match');
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  onGone(release: () => void): void {
    this.#exchange.onGone = release;
  }

  onHandle(handle: string): void {
    this.#permit.begun(handle);
  }
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
