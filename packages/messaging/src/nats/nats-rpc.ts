import { ShapecastError } from '@shapecast/errors';
import { abortReason } from '@shapecast/service-kit';
import type { Msg } from '@nats-io/transport-node';
import type { Rpc, StreamHandler } from '../hints.ts';
import { decodeAnswer, decodeRequest, encodeError, encodeRequest, encodeValue } from '../rpc-envelope.ts';
import type { NatsLink } from './link.ts';
import { consumeStream, serveStreams } from './nats-rpc-stream.ts';

const QUEUE = 'shapecast';
/** Requests one process serves at a time per subject. Past it callers get OVERLOADED at once. */
const MAX_CONCURRENT = 256;

/** Requests and answers over core NATS; servers of a subject share a queue group. */
export class NatsRpc implements Rpc {
  readonly #link: NatsLink;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  async call(subject: string, request: unknown, options: { timeoutMs: number; signal: AbortSignal }): Promise<unknown> {
    const { timeoutMs, signal } = options;
    const payload = this.#encode(subject, request);
    return decodeAnswer(await this.#exchange(subject, payload, timeoutMs, signal));
  }

  serve(subject: string, handler: (request: unknown, signal: AbortSignal) => Promise<unknown>): () => void {
    const stopping = new AbortController();
    let running = 0;
    const answer = async (msg: Msg): Promise<void> => {
      running += 1;
      try {
        if (running > MAX_CONCURRENT)
          throw new ShapecastError('OVERLOADED', 'too many requests at once, try again', { subject });
        const value = encodeValue(await handler(decodeRequest(msg.data), stopping.signal));
        if (value.length > this.#link.maxPayload)
          throw new Error(`an answer of ${value.length} bytes is too large for NATS`);
        this.#respond(msg, value);
      } catch (err) {
        if (!(err instanceof ShapecastError)) this.#link.log.error({ err, subject }, 'serving a request failed');
        this.#respond(msg, encodeError(err));
      } finally {
        running -= 1;
      }
    };
    const subscription = this.#link.nc.subscribe(subject, {
      queue: QUEUE,
      callback: (err, msg) => {
        if (err) this.#link.log.warn({ err, subject }, 'the subscription to requests failed');
        else void answer(msg);
      },
    });
    return () => {
      if (!this.#link.nc.isClosed()) subscription.unsubscribe();
      stopping.abort(new Error(`no longer serving ${subject}`));
    };
  }

  async *stream(
    subject: string,
    request: unknown,
    options: { timeoutMs: number; signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, void, void> {
    yield* consumeStream(this.#link, subject, this.#encode(subject, request), options);
  }

  serveStream(subject: string, handler: StreamHandler): () => void {
    return serveStreams(this.#link, { subject, queue: QUEUE, maxConcurrent: MAX_CONCURRENT }, handler);
  }

  #encode(subject: string, request: unknown): Uint8Array {
    const payload = encodeRequest(request);
    const limit = this.#link.maxPayload;
    if (payload.length <= limit) return payload;
    throw new ShapecastError('INVALID_REQUEST', `the request has ${payload.length} bytes, NATS takes ${limit}`, {
      subject,
    });
  }

  #respond(msg: Msg, answer: Uint8Array): void {
    try {
      if (this.#link.connected) msg.respond(answer);
    } catch (err) {
      this.#link.log.warn({ err, subject: msg.subject }, 'an answer could not be sent');
    }
  }

  /** One request and its answer. A connection that is down gets `timeoutMs` to come back; one that breaks meanwhile ends it. */
  #exchange(subject: string, payload: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const settle = new AbortController();
      const fail = (error: Error): void => {
        settle.abort();
        reject(error);
      };
      const onAbort = (): void => fail(abortReason(signal));
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true, signal: settle.signal });
      const cancelTimeout = this.#link.clock.after(timeoutMs, () =>
        fail(notReady(subject, 'it was not answered in time')),
      );
      let sent = false;
      const stopListening = this.#link.listen({
        down: () => {
          if (sent || this.#link.closed) fail(notReady(subject, 'the connection to NATS was lost'));
        },
      });
      settle.signal.addEventListener('abort', () => {
        cancelTimeout();
        stopListening();
      });
      void this.#link
        .whenConnected(settle.signal)
        .then(() => {
          sent = true;
          // The driver's own limit only cleans up after it; the one that counts is above.
          return this.#link.nc.request(subject, payload, { timeout: timeoutMs + 1_000 });
        })
        .then(
          (msg) => {
            settle.abort();
            resolve(msg.data);
          },
          (cause: unknown) => {
            const nobody = cause instanceof Error && /no responders/i.test(cause.message);
            fail(notReady(subject, nobody ? 'no process serves it' : 'NATS could not deliver it', cause));
          },
        );
    });
  }
}

function notReady(subject: string, why: string, cause?: unknown): ShapecastError {
  return new ShapecastError('NOT_READY', `the request ${subject} failed: ${why}`, { subject }, cause);
}
