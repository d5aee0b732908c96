import type { ShapeRequest } from '@shapecast/protocol';
import type { Span, SpanAttributes, Tracing } from '@shapecast/telemetry';
import type { Answer } from '../answers.ts';
import type { News } from './news.ts';
import { CUT } from './request-cells.ts';
import type { EndedRequest } from './source-telemetry.ts';

/** Of live requests that were answered without news; the rest say nothing new (spec D O4). */
const EMPTY_SHARE = 0.001;
/** Of one request: a stream may tell of many more, for hours. */
const MAX_LINKS = 16;
const MAX_CHUNKS = 32;

/** What woke a request that waited. */
type Woken = 'notification' | 'poll' | 'timeout';

interface Chunk {
  readonly from: number;
  readonly until: number;
  readonly bytes: number;
}

/** Of the request itself. */
interface TracedRequest extends EndedRequest {
  readonly method: string;
  readonly traceparent: string | undefined;
}

/**
 * What the spans of a request are made of when it is over: only then is known whether it is worth a trace, so nothing is started before,
 * but for a request that has its shape made. There is one per request while traces are taken, and none otherwise. All times are of the process's clock, in milliseconds.
 */
export class RequestTrace {
  readonly #tracing: Tracing;
  readonly #random: () => number;
  #request: ShapeRequest | undefined;
  #answer: Answer | undefined;
  #answeredAt: number | undefined;
  #waitedFrom: number | undefined;
  #woken: Woken | undefined;
  /** Of a request that has its shape made. */
  #begun: Span | undefined;
  readonly #links: string[] = [];
  readonly #chunks: Chunk[] = [];

  constructor(tracing: Tracing, random: () => number) {
    this.#tracing = tracing;
    this.#random = random;
  }

  /** The request waits for news from now on. A stream does so again and again; the first time counts. */
  waits(now: number): void {
    this.#waitedFrom ??= now;
  }

  /** What the request is to be answered with is known. */
  answered(request: ShapeRequest, answer: Answer, now: number): void {
    this.#request = request;
    this.#answer = answer;
    this.#answeredAt = now;
    if (answer.kind !== 'log') return;
    if (answer.news === undefined) this.#woken = answer.hasData ? undefined : 'timeout';
    else this.tells(answer.news);
  }

  /** The request is about to have its shape made: its span begins, and the snapshot will be a part of it (spec O 6.4.1). */
  creates(request: Pick<TracedRequest, 'began' | 'traceparent'>, now: number, wall: number): string | undefined {
    this.#begun ??= this.#begin(request, wall - now, true, {});
    return this.#begun.traceparent;
  }

  /** The answer tells of a transaction. */
  tells({ note, announcedAt, awaited }: News): void {
    if (awaited) this.#woken ??= announcedAt > 0 ? 'notification' : 'poll';
    const traceparent = note?.traceparent;
    if (traceparent !== undefined && this.#links.length < MAX_LINKS) this.#links.push(traceparent);
  }

  /** A part of a streamed answer was taken. */
  wrote(from: number, until: number, bytes: number): void {
    if (this.#chunks.length < MAX_CHUNKS) this.#chunks.push({ from, until, bytes });
  }

  /** Everything is said. `wall` is what the calendar says `now`. */
  end(request: TracedRequest, source: string, now: number, wall: number): void {
    const { traceparent } = request;
    const empty = request.live && request.empty;
    const keep = empty ? this.#random() < EMPTY_SHARE : isWorthALook(request);
    if (empty && !keep && !isSampled(traceparent)) return;
    const at = (ms: number) => ms + (wall - now);
    const span = this.#begun ?? this.#begin(request, wall - now, keep, this.#attributes(request, source, now));
    if (span.recorded) {
      if (span === this.#begun) span.set(this.#attributes(request, source, now));
      this.#children(span, request, now, at);
      if (isFailure(request)) {
        span.fail(`status ${statusText(request.status)}`);
        span.set({ 'error.type': statusText(request.status) });
      }
    }
    span.end(at(now));
  }

  #begin(
    { began, traceparent }: Pick<TracedRequest, 'began' | 'traceparent'>,
    offsetMs: number,
    keep: boolean,
    attributes: SpanAttributes,
  ): Span {
    return this.#tracing.start('Plug_shape_get', {
      ...{ parent: traceparent, links: this.#links, kind: 'server', attributes, keep },
      startMs: began + offsetMs,
    });
  }

  #children(span: Span, request: TracedRequest, now: number, at: (ms: number) => number): void {
    const child = (name: string, from: number, until: number, attributes: SpanAttributes) => {
      this.#tracing.start(name, { parent: span, startMs: at(from), attributes }).end(at(until));
    };
    const answeredAt = this.#answeredAt ?? now;
    if (this.#waitedFrom !== undefined) {
      const until = this.#answer?.kind === 'events' ? (this.#chunks[0]?.from ?? now) : answeredAt;
      child('api.wait', this.#waitedFrom, until, this.#woken === undefined ? {} : { woken_by: this.#woken });
    }
    if (this.#answer?.kind === 'subset') {
      child('shape_get.plug.serve_subset_response', answeredAt, now, { bytes: request.bodyBytes });
    }
    for (const { from, until, bytes } of this.#chunks) child('shape_get.plug.stream_chunk', from, until, { bytes });
  }

  #attributes(request: TracedRequest, source: string, now: number): SpanAttributes {
    const { status, live, empty, knownError, bodyBytes, method, began } = request;
    const answeredAt = this.#answeredAt;
    return {
      'http.request.method': method,
      'http.route': '/v1/shape',
      ...(status < 100 ? {} : { 'http.response.status_code': status }),
      'http.response.body.size': bodyBytes,
      source,
      'shapecast.live': live,
      'shape_req.is_live': live,
      'shape_req.is_empty': empty,
      'shape_req.is_known_error': knownError,
      'shape_req.is_new_shape': this.#begun !== undefined,
      // As the reference has it: 0 marks what may be dropped, an answer that says nothing new.
      SampleRate: live && empty ? 0 : 1,
      ...(answeredAt === undefined ? {} : phases(began, answeredAt, now)),
      ...requestAttributes(this.#request),
      ...answerAttributes(this.#answer),
    };
  }
}

function phases(began: number, answeredAt: number, now: number): SpanAttributes {
  return {
    'load_shape_info.duration_µs': Math.round((answeredAt - began) * 1_000),
    'serve_shape_log.duration_µs': Math.round((now - answeredAt) * 1_000),
  };
}

function requestAttributes(request: ShapeRequest | undefined): SpanAttributes {
  if (request === undefined) return {};
  const { offset, sse, subset, handle } = request;
  return {
    'shape_req.offset': offset === 'now' ? 'now' : `${offset.tx}_${offset.op}`,
    'shape_req.is_sse': sse,
    'shape_req.is_subset': subset !== undefined,
    ...(handle === undefined ? {} : { 'shape_req.handle': handle }),
  };
}

/** Without the clause: values of rows stand in there (spec O 6.5.2). */
function answerAttributes(answer: Answer | undefined): SpanAttributes {
  if (answer === undefined || !('target' in answer)) return {};
  const { handle, shape } = answer.target;
  const { schema, table } = shape.definition;
  return { 'shape.handle': handle, 'shape.root_table': `${schema}.${table}` };
}

/** Ours, and not of whoever asked: a client that leaves a request that waits does nothing unusual. */
function isFailure({ status }: TracedRequest): boolean {
  return status >= 500 || status === CUT;
}

/** Rare, and what traces are looked at for (spec D O4). What is refused at the door comes in floods, and is left to chance. */
function isWorthALook(request: TracedRequest): boolean {
  const { status } = request;
  return isFailure(request) || (status >= 400 && status !== 401 && status !== 429);
}

function statusText(status: number): string {
  return status === CUT ? 'broke off' : String(status);
}

/** The last field of a W3C `traceparent`; its lowest bit says it. */
function isSampled(traceparent: string | undefined): boolean {
  return traceparent !== undefined && (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1;
}
