import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock } from '@shapecast/service-kit';
import { encodeError } from '../rpc-envelope.ts';
import { Pulse } from './pulse.ts';
import { decodeMessage, encodeMessage, STREAM_LIMITS, type ServerMessage, type StreamLimits } from './wire.ts';

/** Sends an encoded message to the other end. What is lost is noticed there. */
export type Send = (message: Uint8Array) => void;

/**
 * The server's end of one stream: sends what a handler yields, as fast as the consumer takes it, and ends the handler when the
 * consumer is gone. `signal` is for the handler.
 */
export class OutgoingStream {
  readonly #clock: Clock;
  readonly #sendBytes: Send;
  readonly #limits: StreamLimits;
  readonly #pulse: Pulse;
  readonly #ended = new AbortController();
  #sent = 0;
  #credited = 0;
  #onCredit: (() => void) | undefined;

  constructor(deps: { readonly clock: Clock; readonly send: Send }, limits: StreamLimits = STREAM_LIMITS) {
    this.#clock = deps.clock;
    this.#sendBytes = deps.send;
    this.#limits = limits;
    this.#pulse = new Pulse(
      deps.clock,
      limits,
      () => this.#send({ kind: 'beat', count: this.#sent }),
      () => this.leave(new Error('the consumer of the stream went silent')),
    );
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  onMessage(data: Uint8Array): void {
    const message = decodeMessage(data);
    if (message?.kind === 'leave') return this.leave(new Error('the consumer left the stream'));
    if (message?.kind !== 'credit') return;
    this.#pulse.heard();
    if (message.count <= this.#credited || message.count > this.#sent) return;
    this.#credited = message.count;
    this.#onCredit?.();
  }

  /** The consumer is gone: nothing more is sent. */
  leave(reason: Error): void {
    this.#pulse.stop();
    this.#ended.abort(reason);
  }

  /** The server gives up. */
  stop(error: ShapecastError): void {
    if (this.signal.aborted) return;
    this.#send({ kind: 'error', count: this.#sent, answer: encodeError(error) });
    this.leave(error);
  }

  /** Runs until the frames end or the consumer left. Rejects with the error of `open` or the frames, which the consumer was told. */
  async run(open: () => AsyncIterable<Uint8Array>): Promise<void> {
    if (this.signal.aborted) return;
    this.#send({ kind: 'open', count: 0 });
    this.#pulse.start();
    let frames: AsyncIterator<Uint8Array> | undefined;
    let done = false;
    try {
      frames = open()[Symbol.asyncIterator]();
      for (;;) {
        const next = await unlessAborted(frames.next(), this.signal);
        if (next.done === true) break;
        await this.#sendFrame(next.value);
      }
      done = true;
      this.#send({ kind: 'end', count: this.#sent });
    } catch (error) {
      // After it left, errors of the handler are only echoes of that.
      if (this.signal.aborted) return;
      this.#send({ kind: 'error', count: this.#sent, answer: encodeError(error) });
      throw error;
    } finally {
      this.leave(new Error('the stream has ended'));
      if (!done) frames?.return?.().catch(() => {});
    }
  }

  async #sendFrame(frame: Uint8Array): Promise<void> {
    const { frameBytes, pieceBytes } = this.#limits;
    if (frame.length > frameBytes) throw new Error(`a frame of ${frame.length} bytes is too large for a stream`);
    for (let from = 0, last = false; !last; from += pieceBytes) {
      if (this.#sent - this.#credited >= this.#limits.window) await this.#room();
      last = from + pieceBytes >= frame.length;
      this.#sent += 1;
      this.#send({ kind: 'piece', count: this.#sent, last, bytes: frame.subarray(from, from + pieceBytes) });
    }
  }

  /** Resolves when the consumer has taken something. */
  async #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onCredit = resolve;
    const cancel = this.#clock.after(this.#limits.stallMs, () =>
      this.stop(new ShapecastError('NOT_READY', 'the stream was given up: its consumer takes nothing')),
    );
    try {
      await unlessAborted(promise, this.signal);
    } finally {
      cancel();
      this.#onCredit = undefined;
    }
  }

  #send(message: ServerMessage): void {
    if (!this.signal.aborted) this.#sendBytes(encodeMessage(message));
  }
}

/** The promise's outcome, or the reason of the signal if that comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal));
    if (signal.aborted) {
      promise.catch(() => {});
      return onAbort();
    }
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
