import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HeaderList } from '@shapecast/protocol';
import { wallTime, type Clock } from '@shapecast/service-kit';
import { ABORTED, CUT } from '../telemetry/request-cells.ts';
import type { RequestTrace } from '../telemetry/request-trace.ts';
import type { EndedRequest, SourceTelemetry } from '../telemetry/source-telemetry.ts';

/** What all exchanges of a server share. */
export interface ExchangeSettings {
  readonly clock: Clock;
  /** `<product>/<version>` (RT-5). */
  readonly server: string;
  readonly sendTimeoutMs: number;
  /** Of every answer. */
  readonly cors: HeaderList;
  /** Connections are closed after their answer, because the process is about to stop. */
  readonly closing: () => boolean;
}

/** Hears how much is written for a source, and may have it go slower. */
export interface Traffic {
  sent(bytes: number): void;
  /** How long to wait before more of an answer is written; 0: not at all. */
  pauseMs(): number;
}

/** One request on `/v1/shape` and its answer, with the plain `node:http` objects behind it. */
export class Exchange implements EndedRequest {
  readonly req: IncomingMessage;
  /** When it came, in milliseconds on the clock of the process. */
  readonly began: number;
  /** The answer depends on who asks, and not on the URL alone: no cache may give it to somebody else. */
  private = false;
  /** Of the source that the answer is of, once that may be told. */
  traffic: Traffic | undefined;
  /** Of the source that the request turned out to mean. */
  telemetry: SourceTelemetry | undefined;
  /** While traces are taken. */
  trace: RequestTrace | undefined;
  live = false;
  empty = false;
  knownError = false;
  #cut = false;
  #bodyBytes = 0;
  readonly #res: ServerResponse;
  readonly #settings: ExchangeSettings;
  #gone = false;
  #onGone: (() => void) | undefined;
  #abort: AbortController | undefined;
  readonly #whenClosed: () => void;

  /** `whenClosed` is called once, when the answer is out or the client left. */
  constructor(req: IncomingMessage, res: ServerResponse, settings: ExchangeSettings, whenClosed: () => void) {
    this.req = req;
    this.#res = res;
    this.#settings = settings;
    this.#whenClosed = whenClosed;
    this.began = settings.clock.now();
    // `on`, since `once` costs every held poll another object.
    res.on('close', () => {
      if (this.#gone) return;
      this.#gone = true;
      this.#onGone?.();
      this.#onGone = undefined;
      this.#abort?.abort(new Error('the client left'));
      this.#whenClosed();
    });
  }

  /** How it was answered; final when it is over. */
  get status(): number {
    if (!this.#res.headersSent) return ABORTED;
    return this.#cut ? CUT : this.#res.statusCode;
  }

  /** What was written so far, without the head. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  get method(): string {
    return this.req.method ?? 'GET';
  }

  /** The client left, or has its answer. */
  get gone(): boolean {
    return this.#gone;
  }

  /** The W3C trace context that the request came with. */
  get traceparent(): string | undefined {
    return headerOf(this.req, 'traceparent');
  }

  /** A shape is about to be made for the request: the trace that its snapshot is a part of, if traces are taken. */
  creates(): string | undefined {
    const { clock } = this.#settings;
    return this.trace?.creates(this, clock.now(), wallTime(clock));
  }

  /** From now on the request waits for news. */
  waits(): void {
    this.trace?.waits(this.#settings.clock.now());
  }

  /** Aborts when the client leaves. Made on demand: a held poll does without. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort(new Error('the client left'));
    }
    return this.#abort.signal;
  }

  /** What the request waits for is over: its signal aborts with `reason`. Nothing happens where nothing waits. */
  cancel(reason: Error): void {
    this.#abort?.abort(reason);
  }

  /** Keeps what to release when the client leaves; one thing at a time. */
  set onGone(release: () => void) {
    if (this.#gone) release();
    else this.#onGone = release;
  }

  /** The process is about to stop. */
  get closing(): boolean {
    return this.#settings.closing();
  }

  get started(): boolean {
    return this.#res.headersSent;
  }

  /**
   * A whole answer; a HEAD gets its headers only. Resolves when the socket no longer needs the bytes. They are not copied:
   * however many slow clients are sent the same pieces, they are in memory once.
   */
  async reply(status: number, headers: HeaderList, body?: readonly Uint8Array[] | string): Promise<void> {
    if (this.#gone) return;
    const res = this.#res;
    const pieces = typeof body === 'string' ? [Buffer.from(body)] : (body ?? []);
    const bodyless = status === 204 || status === 304;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#head(status, bodyless ? headers : [...headers, 'content-length', String(length)]);
    if (pieces.length === 0 || this.method === 'HEAD') return void res.end();
    this.#written(length);
    const { socket } = res;
    if (pieces.length === 1) {
      res.end(pieces[0]);
    } else {
      res.cork();
      for (const piece of pieces) res.write(piece);
      res.end();
    }
    if (socket === null || socket.writableLength === 0 || this.#gone) return;
    this.#limitPatience(socket, true);
    await new Promise<void>((resolve) => res.once('close', resolve));
  }

  /** Begins an answer that is written piece by piece. */
  open(status: number, headers: HeaderList): void {
    if (this.#gone) return;
    this.#head(status, headers);
    this.#res.flushHeaders();
  }

  /** Resolves when there is room for more. Throws when the client left, or took nothing for too long and was cut (E5). */
  write(bytes: Uint8Array | string): Promise<void> {
    return this.trace === undefined ? this.#write(bytes) : this.#writeTraced(this.trace, bytes);
  }

  async #writeTraced(trace: RequestTrace, bytes: Uint8Array | string): Promise<void> {
    const { clock } = this.#settings;
    const from = clock.now();
    await this.#write(bytes);
    trace.wrote(from, clock.now(), bytes.length);
  }

  async #write(bytes: Uint8Array | string): Promise<void> {
    const pauseMs = this.traffic?.pauseMs() ?? 0;
    if (pauseMs > 0) await this.#settings.clock.sleep(pauseMs, this.signal).catch(() => undefined);
    if (this.#gone) throw new Error('the client left');
    const res = this.#res;
    this.#written(bytes.length);
    if (res.write(bytes)) return;
    const { socket } = res;
    const waits = socket !== null && socket.writableLength > 0;
    if (waits) this.#limitPatience(socket, true);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    res.once('drain', resolve);
    this.onGone = () => reject(new Error('the client left'));
    try {
      await promise;
    } finally {
      res.removeListener('drain', resolve);
      this.#onGone = undefined;
      if (waits) this.#limitPatience(socket, false);
    }
  }

  /** A comment in an event stream; dropped when the client is slow, since it only says that we are here. */
  comment(text: string): void {
    if (!this.#gone && !this.#res.writableNeedDrain) this.#res.write(`: ${text}\n\n`);
  }

  /** The rest is sent in the background; a client that takes nothing of it is cut. */
  end(): void {
    const { socket } = this.#res;
    this.#res.end();
    if (socket !== null && socket.writableLength > 0 && !this.#gone) this.#limitPatience(socket, true);
  }

  /** A body that broke off must not look complete (RT-9): no final chunk, the connection just ends. */
  destroy(): void {
    this.#cut = true;
    this.#res.destroy();
  }

  #written(bytes: number): void {
    this.#bodyBytes += bytes;
    this.traffic?.sent(bytes);
  }

  /**
   * While on, the socket is destroyed when nothing of what it has to send was taken for the send timeout: Node's socket timeout
   * looks whether the queue has moved, also inside one large write.
   */
  #limitPatience(socket: Socket, on: boolean): void {
    socket.setTimeout(on ? this.#settings.sendTimeoutMs : 0);
  }

  #head(status: number, headers: HeaderList): void {
    const all = [
      'electric-server',
      this.#settings.server,
      'x-request-id',
      requestId(this.req),
      'x-content-type-options',
      'nosniff',
      ...this.#settings.cors,
      ...(this.private ? forOneReader(headers) : headers),
      ...(this.#settings.closing() ? ['connection', 'close'] : []),
    ];
    this.#res.writeHead(status, all);
    this.traffic?.sent(headBytes(all));
  }
}

/** Of the status line, `date`, `connection` and `keep-alive`, about. */
const OTHER_HEAD_BYTES = 120;

function headBytes(headers: HeaderList): number {
  let bytes = OTHER_HEAD_BYTES;
  // A colon, a blank and a line end for two of them.
  for (const text of headers) bytes += text.length + 2;
  return bytes;
}

function forOneReader(headers: HeaderList): HeaderList {
  const own = headers.map((value, i) =>
    headers[i - 1] === 'cache-control' ? value.replace('public, ', 'private, ').replace(/ s-maxage=\d+,/, '') : value,
  );
  return [...own, 'vary', 'authorization'];
}

/** The request's own id if it looks like one (RT-6). */
export function requestId(req: IncomingMessage): string {
  const given = headerOf(req, 'x-request-id');
  return given !== undefined && given.length >= 20 && given.length <= 200 ? given : randomUUID();
}

/**
 * A header by its lower-case name; several lines of it joined. Node makes an object of all headers for whoever asks for
 * `req.headers`, which a held poll would keep.
 */
export function headerOf({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string;
    if (given.length !== name.length || given.toLowerCase() !== name) continue;
    const value = rawHeaders[i + 1] as string;
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}
