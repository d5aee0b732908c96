import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock, type Logger } from '@shapecast/service-kit';
import type { Rpc } from '../hints.ts';
import { decodeAnswer, decodeRequest, encodeError, encodeRequest, encodeValue } from '../rpc-envelope.ts';

interface Server {
  handle(request: Uint8Array): Promise<Uint8Array>;
}

/** Requests inside one process. They are encoded all the same, so that nothing works here that JSON would not carry. */
export class MemoryRpc implements Rpc {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #servers = new Map<string, Server[]>();
  #turn = 0;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  async call(subject: string, request: unknown, options: { timeoutMs: number; signal: AbortSignal }): Promise<unknown> {
    const { timeoutMs, signal } = options;
    if (signal.aborted) throw abortReason(signal);
    const servers = this.#servers.get(subject) ?? [];
    this.#turn += 1;
    const server = servers[this.#turn % servers.length];
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
    this.#servers.set(subject, [...(this.#servers.get(subject) ?? []), server]);
    return () => {
      const left = (this.#servers.get(subject) ?? []).filter((other) => other !== server);
      if (left.length > 0) this.#servers.set(subject, left);
      else this.#servers.delete(subject);
      stopping.abort(new Error(`no longer serving ${subject}`));
    };
  }
}

function notReady(subject: string, why: string): ShapecastError {
  return new ShapecastError('NOT_READY', `the request ${subject} failed: ${why}`, { subject });
}
