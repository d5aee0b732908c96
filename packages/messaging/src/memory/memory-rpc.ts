import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock, type Logger } from '@shapecast/service-kit';
import type { Rpc, StreamHandler } from '../hints.ts';
import { decodeAnswer, decodeRequest, encodeError, encodeRequest, encodeValue } from '../rpc-envelope.ts';
import { IncomingStream } from '../stream/incoming-stream.ts';
import { OutgoingStream, type Send } from '../stream/outgoing-stream.ts';

interface Server {
  handle(request: Uint8Array): Promise<Uint8Array>;
}

interface StreamServer {
  /** Serves one request; the messages of the consumer go to what is returned. */
  begin(request: Uint8Array, send: Send): Send;
}

/** Requests inside one process. They are encoded all the same, so that nothing works here that JSON would not carry. */
export class MemoryRpc implements Rpc {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #servers = new Map<string, Server[]>();
  readonly #streamServers = new Map<string, StreamServer[]>();
  #turn = 0;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  async call(subject: string, request: unknown, options: { timeoutMs: number; signal: AbortSignal }): Promise<unknown> {
    const { timeoutMs, signal } = options;
    if (signal.aborted) throw abortReason(signal);
    const server = this.#next(this.#servers.get(subject));
    if (!server) throw notReady(subject, 'no process serves it');
    const payload = encodeRequest(request);
    const answer = await new Promise<Uint8Array>((resolve, reject) => {
      const cancel = this.#clock.after(timeoutMs, () => {
        signal.removeEventListener('abort', onAbort);
        reject(notReady(subject, 'it was not answered in time'));
      });
      const onAbort = (): void => {
        cancel();
        reject(abortReason(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      void server.handle(payload).then((bytes) => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(bytes);
      });
    });
    return decodeAnswer(answer);
  }

  serve(subject: string, handler: (request: unknown, signal: AbortSignal) => Promise<unknown>): () => void {
    const stopping = new AbortController();
    const server: Server = {
      handle: async (request) => {
        try {
          return encodeValue(await handler(decodeRequest(request), stopping.signal));
        } catch (err) {
          if (!(err instanceof ShapecastError)) this.#log.error({ err, subject }, 'serving a request failed');
          return encodeError(err);
        }
      },
    };
    const remove = register(this.#servers, subject, server);
    return () => {
      remove();
      stopping.abort(new Error(`no longer serving ${subject}`));
    };
  }

  async *stream(
    subject: string,
    request: unknown,
    options: { timeoutMs: number; signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, void, void> {
    const { timeoutMs, signal } = options;
    if (signal.aborted) throw abortReason(signal);
    const server = this.#next(this.#streamServers.get(subject));
    if (!server) throw notReady(subject, 'no process serves it');
    let toServer: Send = () => {};
    const send: Send = (message) => queueMicrotask(() => toServer(message));
    const incoming = new IncomingStream({ clock: this.#clock, send }, { subject, timeoutMs });
    const onAbort = (): void => incoming.fail(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      toServer = server.begin(encodeRequest(request), (message) => queueMicrotask(() => incoming.onMessage(message)));
      for (let frame = await incoming.next(); frame; frame = await incoming.next()) yield frame;
    } finally {
      signal.removeEventListener('abort', onAbort);
      incoming.close();
    }
  }

  serveStream(subject: string, handler: StreamHandler): () => void {
    const running = new Set<OutgoingStream>();
    const server: StreamServer = {
      begin: (request, send) => {
        const outgoing = new OutgoingStream({ clock: this.#clock, send });
        running.add(outgoing);
        void outgoing
          .run(() => handler(decodeRequest(request), outgoing.signal))
          .catch((err: unknown) => {
            if (!(err instanceof ShapecastError)) this.#log.error({ err, subject }, 'serving a stream failed');
          })
          .finally(() => running.delete(outgoing));
        return (message) => outgoing.onMessage(message);
      },
    };
    const remove = register(this.#streamServers, subject, server);
    return () => {
      remove();
      for (const outgoing of running) outgoing.stop(notReady(subject, 'its server stopped'));
    };
  }

  #next<S>(servers: readonly S[] = []): S | undefined {
    this.#turn += 1;
    return servers[this.#turn % servers.length];
  }
}

function register<S>(servers: Map<string, S[]>, subject: string, server: S): () => void {
  servers.set(subject, [...(servers.get(subject) ?? []), server]);
  return () => {
    const left = (servers.get(subject) ?? []).filter((other) => other !== server);
    if (left.length > 0) servers.set(subject, left);
    else servers.delete(subject);
  };
}

function notReady(subject: string, why: string): ShapecastError {
  return new ShapecastError('NOT_READY', `the request ${subject} failed: ${why}`, { subject });
}
