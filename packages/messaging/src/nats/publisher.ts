import { createInbox, headers, nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import type { PublishOptions, PublishOutcome } from '../tx-stream.ts';
import { carriedTrace, TRACEPARENT } from '../trace-header.ts';
import { toUnavailable, unavailable, type NatsLink } from './link.ts';

/** Room kept for the headers of a publish: two message ids, a sequence and a trace, with their names. */
const HEADER_BYTES = 1_024;
const MAX_ID_LENGTH = 400;
const TIMEOUT_MS = 10_000;
/** Wrong last sequence (two spellings), wrong last message id. */
const WRONG_LAST = [10071, 10164, 10070];
const FULL = [10077, 10117];

interface InFlight {
  readonly expectedLastSeq: number;
  readonly msgId: string;
  /** Sweep at which it was sent; older than two sweeps is lost. */
  readonly sweep: number;
  readonly resolve: (outcome: PublishOutcome) => void;
  readonly reject: (error: Error) => void;
}

interface PubAck {
  readonly seq?: number;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

export interface PublisherOptions {
  readonly subject: string;
  readonly readLastSeq: () => Promise<number>;
  /** Message id of a stored message; undefined when there is none. */
  readonly readMsgId: (seq: number) => Promise<string | undefined>;
}

/**
 * Conditional publishes to one tx stream, any number in flight. It speaks the publish protocol itself, with one subscription
 * for all answers and one timer: the driver's request costs a timer, two promises and a stack trace per message.
 *
 * The expected sequence alone does not fence a pipeline. Suppose 6, 7 and 8 are in flight and another writer stores its own
 * 6: 6 is refused, but 7 expects sequence 6, finds it, and is stored after a stranger's message. So a publish whose
 * predecessor is still unanswered also names the predecessor's message id, which the server compares with that of its last
 * message (spec R 9.3.2, last sentence). Not in a cluster: there, servers from 2.14 on take a mismatch for a write error and
 * freeze the stream on all replicas (seen with 2.14.6 and 2.15.1; 2.9 to 2.12 refuse it as they should, but versions mix
 * during an upgrade), and the expected sequence per subject refuses every pipeline. What slips in behind a newer epoch is
 * then told by its epoch, which readers check.
 */
export class Publisher {
  readonly #link: NatsLink;
  readonly #options: PublisherOptions;
  readonly #inFlight = new Map<string, InFlight>();
  /** By the sequence it will have, until its caller knows what came of it. */
  readonly #unanswered = new Map<number, InFlight>();
  #inbox = '';
  #answers: Subscription | undefined;
  #serial = 0;
  #sweep = 0;
  #cancelSweep: (() => void) | undefined;

  constructor(link: NatsLink, options: PublisherOptions) {
    this.#link = link;
    this.#options = options;
    link.listen({ down: () => this.#failAll() });
  }

  get maxPayloadBytes(): number {
    return this.#link.maxPayload - HEADER_BYTES;
  }

  publish(payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    const { expectedLastSeq, msgId, traceparent } = options;
    const limit = this.maxPayloadBytes;
    if (payload.length > limit) {
      // The server would close the connection, and everything in flight with it (spec R 9.3.1b).
      return Promise.reject(new Error(`a payload of ${payload.length} bytes exceeds the limit of ${limit}`));
    }
    if (msgId.length > MAX_ID_LENGTH) {
      return Promise.reject(new Error(`a message id of ${msgId.length} characters is too long`));
    }
    if (!this.#link.connected) {
      return Promise.reject(unavailable(WHAT, 'disconnected', 'the connection to NATS is down'));
    }
    return new Promise((resolve, reject) => {
      this.#start();
      const token = (this.#serial += 1).toString(36);
      const flight = { expectedLastSeq, msgId, sweep: this.#sweep, resolve, reject };
      const head = headers();
      head.append('Nats-Expected-Last-Sequence', String(expectedLastSeq));
      head.append('Nats-Msg-Id', msgId);
      const before = this.#unanswered.get(expectedLastSeq);
      if (before && !this.#link.clustered) head.append('Nats-Expected-Last-Msg-Id', before.msgId);
      const trace = carriedTrace(traceparent);
      if (trace !== undefined) head.append(TRACEPARENT, trace);
      this.#inFlight.set(token, flight);
      this.#unanswered.set(expectedLastSeq + 1, flight);
      try {
        this.#link.nc.publish(this.#options.subject, payload, { headers: head, reply: `${this.#inbox}.${token}` });
      } catch (error) {
        this.#inFlight.delete(token);
        this.#fail(flight, toUnavailable(WHAT, error));
      }
    });
  }

  #start(): void {
    if (!this.#answers) {
      this.#inbox = `${createInbox()}.${nuid.next()}`;
      this.#answers = this.#link.nc.subscribe(`${this.#inbox}.*`, {
        callback: (err, msg) => {
          if (err) this.#link.log.warn({ err }, 'the subscription to publish answers failed');
          else this.#onAnswer(msg);
        },
      });
    }
    this.#cancelSweep ??= this.#link.clock.after(TIMEOUT_MS / 2, () => this.#sweepOld());
  }

  #onAnswer(msg: Msg): void {
    const token = msg.subject.slice(this.#inbox.length + 1);
    const flight = this.#inFlight.get(token);
    if (!flight) return;
    this.#inFlight.delete(token);
    if (msg.data.length === 0) {
      const why = 'no stream takes it (deleted, or JetStream is not available)';
      return this.#fail(flight, unavailable(WHAT, 'no-stream', why));
    }
    let ack: PubAck;
    try {
      ack = msg.json<PubAck>();
    } catch (error) {
      return this.#fail(flight, unavailable(WHAT, 'server', 'the answer of NATS cannot be read', error));
    }
    if (ack.error) return this.#onRefused(flight, ack.error.err_code ?? 0, ack.error.description ?? '');
    if (ack.seq === flight.expectedLastSeq + 1) return this.#succeed(flight);
    // A known id under another sequence: nothing was stored now, and what was is not ours to count on (spec R 9.3.1a).
    this.#onConflict(flight, undefined);
  }

  #onRefused(flight: InFlight, code: number, text: string): void {
    if (WRONG_LAST.includes(code)) {
      const told = /wrong last sequence: (\d+)/.exec(text)?.[1];
      return this.#onConflict(flight, told === undefined ? undefined : Number(told));
    }
    const full = FULL.includes(code);
    const why = full ? `the stream is full (${text})` : `NATS says "${text}"`;
    this.#fail(flight, unavailable(WHAT, full ? 'full' : 'server', why));
  }

  /**
   * Servers before 2.12 recognise a repeated id before they look at the expected sequence, newer ones after, and none does
   * once the duplicate window has passed. So whether this very message is stored where it belongs is looked up.
   */
  #onConflict(flight: InFlight, toldLastSeq: number | undefined): void {
    const look = async (): Promise<PublishOutcome> => {
      const lastSeq = toldLastSeq ?? (await this.#options.readLastSeq());
      const seq = flight.expectedLastSeq + 1;
      const stored = seq <= lastSeq && (await this.#options.readMsgId(seq)) === flight.msgId;
      return stored ? { kind: 'stored', seq } : { kind: 'conflict', lastSeq };
    };
    look().then(
      (outcome) => {
        if (outcome.kind === 'stored') return this.#succeed(flight);
        flight.resolve(outcome);
        this.#forgetSoon(flight);
      },
      (error: Error) => this.#fail(flight, error),
    );
  }

  #succeed(flight: InFlight): void {
    this.#forget(flight);
    flight.resolve({ kind: 'stored', seq: flight.expectedLastSeq + 1 });
  }

  #fail(flight: InFlight, error: Error): void {
    flight.reject(error);
    this.#forgetSoon(flight);
  }

  /** Not before the caller could act on the failure: what it still sends on the old assumption must not slip through. */
  #forgetSoon(flight: InFlight): void {
    this.#link.clock.after(0, () => this.#forget(flight));
  }

  #forget(flight: InFlight): void {
    const seq = flight.expectedLastSeq + 1;
    if (this.#unanswered.get(seq) === flight) this.#unanswered.delete(seq);
  }

  /** Everything in flight may or may not be stored: its caller repeats it with the same id. */
  #failAll(): void {
    const flights = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const flight of flights) {
      this.#fail(flight, unavailable(WHAT, 'disconnected', 'the connection to NATS was lost'));
    }
  }

  #sweepOld(): void {
    this.#cancelSweep = undefined;
    this.#sweep += 1;
    for (const [token, flight] of this.#inFlight) {
      if (flight.sweep > this.#sweep - 3) break;
      this.#inFlight.delete(token);
      this.#fail(flight, unavailable(WHAT, 'timeout', 'NATS did not answer in time'));
    }
    if (this.#inFlight.size > 0) this.#cancelSweep = this.#link.clock.after(TIMEOUT_MS / 2, () => this.#sweepOld());
  }
}

const WHAT = 'publish to the tx stream';
