import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SHAPE_CORS, type HeaderList } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';

/** What all exchanges of a server share. */
export interface ExchangeSettings {
  readonly clock: Clock;
  /** `<product>/<version>` (RT-5). */
  readonly server: string;
  readonly sendTimeoutMs: number;
  /** Connections are closed after their answer, because the process is about to stop. */
  readonly closing: () => boolean;
}

const WRITE_BYTES = 256 * 1024;

/** One request on `/v1/shape` and its answer, with the plain `node:http` objects behind it. */
export class Exchange {
  readonly req: IncomingMessage;
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
    res.once('close', () => {
      this.#gone = true;
      this.#onGone?.();
      this.#onGone = undefined;
      this.#abort?.abort(new Error('the client left'));
      this.#whenClosed();
    });
  }

  get method(): string {
    return this.req.method ?? 'GET';
  }

  /** The client left, or has its answer. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Aborts when the client leaves. Made on demand: a held poll does without. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort(new Error('the client left'));
    }
    return this.#abort.signal;
  }

  /** Keeps what to release when the client leaves; one thing at a time. */
  set onGone(release: () => void) {
    if (this.#gone) release();
    else this.#onGone = release;
  }

  get started(): boolean {
    return this.#res.headersSent;
  }

  /** A whole answer. A HEAD gets its headers only. */
  async reply(status: number, headers: HeaderList, body?: Buffer | string): Promise<void> {
    if (this.#gone) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const length = bytes === undefined ? [] : ['content-length', String(bytes.length)];
    this.#head(status, [...headers, ...length]);
    if (bytes === undefined || this.method === 'HEAD') return void this.#res.end();
    if (bytes.length <= WRITE_BYTES) return void this.#res.end(bytes);
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) await this.write(bytes.subarray(at, at + WRITE_BYTES));
    this.#res.end();
  }

  /** Begins an answer that is written piece by piece. */
  open(status: number, headers: HeaderList): void {
    if (this.#gone) return;
    this.#head(status, headers);
    this.#res.flushHeaders();
  }

  /** Resolves when there is room for more. Throws when the client left or took nothing for too long (E5). */
  async write(bytes: Uint8Array | string): Promise<void> {
    if (this.#gone) throw new Error('the client left');
    if (this.#res.write(bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#settings.clock.after(this.#settings.sendTimeoutMs, () =>
      reject(new Error('the client is too slow')),
    );
    this.#res.once('drain', resolve);
    this.onGone = () => reject(new Error('the client left'));
    try {
      await promise;
    } finally {
      cancel();
      this.#res.removeListener('drain', resolve);
      this.#onGone = undefined;
    }
  }

  /** A comment in an event stream; dropped when the client is slow, since it only says that we are here. */
  comment(text: string): void {
    if (!this.#gone && !this.#res.writableNeedDrain) this.#res.write(`: ${text}\n\n`);
  }

  end(): void {
    this.#res.end();
  }

  /** A body that broke off must not look complete (RT-9): no final chunk, the connection just ends. */
  destroy(): void {
    this.#res.destroy();
  }

  #head(status: number, headers: HeaderList): void {
    this.#res.writeHead(status, [
      'electric-server',
      this.#settings.server,
      'x-request-id',
      requestId(this.req),
      'x-content-type-options',
      'nosniff',
      ...SHAPE_CORS,
      ...headers,
      ...(this.#settings.closing() ? ['connection', 'close'] : []),
    ]);
  }
}

/** The request's own id if it looks like one (RT-6). */
export function requestId(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && given.length >= 20 && given.length <= 200 ? given : randomUUID();
}
