import { ShapecastError } from '@shapecast/errors';
import type { Clock } from '@shapecast/service-kit';
import { decodeAnswer } from '../rpc-envelope.ts';
import type { Send } from './outgoing-stream.ts';
import { Pulse } from './pulse.ts';
import { decodeMessage, encodeMessage, STREAM_LIMITS, type StreamLimits } from './wire.ts';

/**
 * The consumer's end of one stream: puts frames together, holds those that were not asked for yet (the window bounds them),
 * tells the server what was taken, and makes of everything that is missing an error.
 */
export class IncomingStream {
  readonly #clock: Clock;
  readonly #sendBytes: Send;
  readonly #options: { readonly subject: string; readonly timeoutMs: number };
  readonly #limits: StreamLimits;
  readonly #pulse: Pulse;
  #frames: Uint8Array[] = [];
  /** Of the frame that is being received. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #received = 0;
  #consumed = 0;
  #credited = 0;
  #opened = false;
  #over: { readonly error?: Error } | undefined;
  #waiting: { settle(): void; again(): void } | undefined;

  constructor(
    deps: { readonly clock: Clock; readonly send: Send },
    options: { readonly subject: string; readonly timeoutMs: number },
    limits: StreamLimits = STREAM_LIMITS,
  ) {
    this.#clock = deps.clock;
    this.#sendBytes = deps.send;
    this.#options = options;
    this.#limits = limits;
    this.#pulse = new Pulse(
      deps.clock,
      limits,
      () => this.#credit(),
      () => this.fail(this.#notReady('its server went silent')),
    );
  }

  onMessage(data: Uint8Array): void {
    if (this.#over) return;
    const message = decodeMessage(data);
    if (!message || message.kind === 'credit' || message.kind === 'leave') {
      return this.fail(this.#notReady('a message cannot be read'));
    }
    this.#opened = true;
    this.#pulse.start();
    this.#pulse.heard();
    if (message.kind === 'piece') this.#received += 1;
    if (message.count !== this.#received) return this.fail(this.#notReady('a frame was lost'));
    switch (message.kind) {
      case 'open':
      case 'beat':
        return;
      case 'piece':
        return this.#add(message.bytes, message.last);
      case 'end':
        if (this.#pieces.length > 0) return this.fail(this.#notReady('it ended within a frame'));
        return this.#finish({});
      case 'error':
        return this.#finish({ error: errorOf(message.answer) });
    }
  }

  /** Ends the stream on this side; frames that were not taken yet are dropped. */
  fail(error: Error): void {
    if (this.#over?.error) return;
    // Also when its end is known already: what was dropped must not look like an end.
    this.#frames = [];
    this.#leave();
    this.#over = { error };
    this.#finish({ error });
  }

  /** A message found nobody to take it. */
  nobody(): void {
    if (!this.#over) this.fail(this.#notReady(this.#opened ? 'its server went away' : 'no process serves it'));
  }

  /** Messages may have been lost on the way. */
  disconnected(): void {
    if (!this.#over) this.fail(this.#notReady('the connection to NATS was lost'));
  }

  /** The next frame; undefined at the end. Waits `timeoutMs` at most without anything arriving. One call at a time. */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | undefined;
      const again = (): void => {
        cancel?.();
        cancel = this.#clock.after(this.#options.timeoutMs, () =>
          this.fail(this.#notReady('it was not answered in time')),
        );
      };
      const settle = (): void => {
        cancel?.();
        this.#waiting = undefined;
        const frame = this.#take();
        if (frame) resolve(frame);
        else if (this.#over?.error) reject(this.#over.error);
        else resolve(undefined);
      };
      this.#waiting = { settle, again };
      if (this.#frames.length > 0 || this.#over) settle();
      else again();
    });
  }

  /** The consumer leaves. */
  close(): void {
    this.#frames = [];
    this.#leave();
    this.#finish({});
  }

  #add(bytes: Uint8Array, last: boolean): void {
    this.#pieceBytes += bytes.length;
    if (this.#pieceBytes > this.#limits.frameBytes) return this.fail(this.#notReady('a frame is too large'));
    if (!last) {
      this.#pieces.push(bytes);
      this.#count();
      this.#waiting?.again();
      return;
    }
    const frame = this.#pieces.length === 0 ? bytes : Buffer.concat([...this.#pieces, bytes]);
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#frames.push(frame);
    this.#waiting?.settle();
  }

  #take(): Uint8Array | undefined {
    const frame = this.#frames.shift();
    if (frame) this.#count();
    return frame;
  }

  /** One piece more is out of the window; the server hears of it in time to go on. */
  #count(): void {
    this.#consumed += 1;
    if (this.#consumed - this.#credited >= this.#limits.window / 2) this.#credit();
  }

  #credit(): void {
    if (this.#over) return;
    this.#credited = this.#consumed;
    this.#sendBytes(encodeMessage({ kind: 'credit', count: this.#consumed }));
  }

  #leave(): void {
    if (!this.#over) this.#sendBytes(encodeMessage({ kind: 'leave' }));
  }

  #finish(over: { readonly error?: Error }): void {
    this.#pulse.stop();
    this.#over ??= over;
    this.#waiting?.settle();
  }

  #notReady(why: string): ShapecastError {
    const { subject } = this.#options;
    return new ShapecastError('NOT_READY', `the stream ${subject} failed: ${why}`, { subject });
  }
}

function errorOf(answer: Uint8Array): Error {
  try {
    decodeAnswer(answer);
  } catch (error) {
    return error as Error;
  }
  return new ShapecastError('NOT_READY', 'the answer to a request cannot be read');
}
