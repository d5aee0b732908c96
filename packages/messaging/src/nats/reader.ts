import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { createInbox, nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import { ShapecastError } from '@shapecast/errors';
import { Backoff } from '@shapecast/service-kit';
import { TRACEPARENT } from '../trace-header.ts';
import type { StoredMessage } from '../tx-stream.ts';
import { unavailable, type NatsLink } from './link.ts';
import { parseDelivery, type Delivery } from './delivery.ts';

export interface ReaderOptions {
  readonly stream: string;
  readonly fromSeq: number;
  readonly maxBufferedBytes: number;
}

const NANOS = 1_000_000;
const HEARTBEAT_MS = 700;
const EXPIRES_MS = 30_000;
/** The server forgets a consumer nobody pulls from; a reader held up longer makes a new one. */
const INACTIVE_MS = 60_000;
const MAX_BATCH = 10_000;
const WHAT = 'read the tx stream';

/** Taking headers apart costs more than all the rest of a small message: only who asks for the trace has it done. */
class DeliveredMessage implements StoredMessage {
  readonly seq: number;
  readonly payload: Uint8Array;
  readonly publishedMs: number;
  readonly #msg: Msg;

  constructor(msg: Msg, { streamSeq, storedMs }: Delivery) {
    this.seq = streamSeq;
    this.payload = msg.data;
    this.publishedMs = storedMs;
    this.#msg = msg;
  }

  get traceparent(): string | undefined {
    return this.#msg.headers?.get(TRACEPARENT) || undefined;
  }
}

/** One consumer on the server and the subscription its messages arrive on. */
interface Consumer {
  readonly name: string;
  readonly inbox: string;
  readonly subscription: Subscription;
  /** Messages delivered so far by this consumer: a step in its count that is missed is a message lost on the way. */
  delivered: number;
  /** Messages the pull in progress may still deliver; 0 when none is in progress. */
  pullLeft: number;
  pulledAny: boolean;
  /** The next message does not fit into an empty buffer: fetch it alone. */
  oversize: boolean;
  ticksSilent: number;
  cancelTick: () => void;
}

/**
 * Reads a stream in order with an ephemeral pull consumer and no acknowledgements (spec R 9.6.1). One pull is in progress at
 * a time, sized by the room left in the buffer, and the next goes out when half of it is free. The consumer is disposable:
 * whenever a message is missed, heartbeats stop, the server says it is gone, or the connection was lost, a new one starts at
 * the next sequence expected, so that each message arrives exactly once (F103, F116 of operations.md).
 */
export class StreamReader {
  readonly #link: NatsLink;
  readonly #options: ReaderOptions;
  readonly #signal: AbortSignal;
  readonly #backoff: Backoff;
  #queue: StoredMessage[] = [];
  #head = 0;
  #bufferedBytes = 0;
  #nextSeq: number;
  #createdAt: string | undefined;
  #consumer: Consumer | undefined;
  #wake: (() => void) | undefined;

  constructor(link: NatsLink, options: ReaderOptions, signal: AbortSignal) {
    this.#link = link;
    this.#options = options;
    this.#signal = signal;
    this.#nextSeq = Math.max(1, options.fromSeq);
    this.#backoff = new Backoff(link.clock, { minMs: 50, maxMs: 2_000 });
  }

  async *messages(): AsyncGenerator<StoredMessage, void, undefined> {
    const wake = (): void => this.#wake?.();
    const stopListening = this.#link.listen({
      down: wake,
      up: () => this.#detach('reconnected'),
    });
    this.#signal.addEventListener('abort', wake);
    try {
      while (!this.#signal.aborted) {
        const message = this.#queue[this.#head];
        if (message) {
          this.#drop(message);
          yield message;
        } else if (this.#link.closed) {
          throw unavailable(WHAT, 'disconnected', 'the NATS connection was closed by this process');
        } else if (!this.#consumer) {
          if (!(await this.#attachOrAborted())) return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = undefined;
        }
      }
    } finally {
      stopListening();
      this.#signal.removeEventListener('abort', wake);
      this.#detach('stopped');
    }
  }

  #drop(message: StoredMessage): void {
    this.#head += 1;
    this.#bufferedBytes -= message.payload.length;
    // Not only once it is empty: behind a reader that never catches up it would keep every message of the stream.
    if (2 * this.#head >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    if (this.#consumer?.pullLeft === 0) this.#pull(this.#consumer);
  }

  /** False when the signal aborted. */
  async #attachOrAborted(): Promise<boolean> {
    for (;;) {
      try {
        await this.#link.whenConnected(this.#signal);
        await this.#attach();
        return !this.#signal.aborted;
      } catch (err) {
        if (this.#signal.aborted) return false;
        if (isFinal(err) || this.#link.closed) throw err;
        this.#link.log.debug({ err, stream: this.#options.stream }, 'tx stream consumer could not be made, retrying');
        await this.#backoff.wait(this.#signal).catch(() => {});
      }
    }
  }

  async #attach(): Promise<void> {
    const { stream } = this.#options;
    const info = await this.#link.api(WHAT, (jsm) => jsm.streams.info(stream));
    this.#createdAt ??= info.created;
    if (info.created !== this.#createdAt) throw unavailable(WHAT, 'no-stream', 'the stream was deleted and made again');
    if (info.state.last_seq + 1 < this.#nextSeq) {
      // The server would deliver whatever gets those numbers next, which is not what the reader is waiting for.
      throw unavailable(WHAT, 'went-backwards', `the stream ends at ${info.state.last_seq}, before ${this.#nextSeq}`);
    }
    const name = `shapecast_${nuid.next()}`;
    await this.#link.api(WHAT, (jsm) =>
      jsm.consumers.add(stream, {
        name,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#nextSeq,
        ack_policy: AckPolicy.None,
        max_deliver: 1,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE_MS * NANOS,
      }),
    );
    if (this.#signal.aborted) return this.#deleteConsumer(name);
    const inbox = createInbox();
    const consumer: Consumer = {
      name,
      inbox,
      subscription: this.#link.nc.subscribe(inbox, {
        callback: (err, msg) => {
          if (this.#consumer !== consumer) return;
          if (err) this.#detach('subscription failed');
          else this.#onMessage(consumer, msg);
        },
      }),
      delivered: 0,
      pullLeft: 0,
      pulledAny: false,
      oversize: false,
      ticksSilent: 0,
      cancelTick: () => {},
    };
    this.#consumer = consumer;
    this.#tick(consumer);
    this.#pull(consumer);
  }

  #onMessage(consumer: Consumer, msg: Msg): void {
    consumer.ticksSilent = 0;
    // Stored messages carry the stream's subject; what the server says about the pull carries our inbox.
    if (msg.data.length === 0 && msg.subject === consumer.inbox) return this.#onStatus(consumer, msg);
    const delivery = parseDelivery(msg.reply ?? '');
    if (!delivery || delivery.consumerSeq !== consumer.delivered + 1) return this.#detach('delivery gap');
    consumer.delivered += 1;
    consumer.pullLeft -= 1;
    consumer.pulledAny = true;
    if (delivery.streamSeq >= this.#nextSeq) {
      this.#nextSeq = delivery.streamSeq + 1;
      this.#backoff.reset();
      const message = new DeliveredMessage(msg, delivery);
      this.#queue.push(message);
      this.#bufferedBytes += message.payload.length;
      this.#wake?.();
    }
    if (consumer.pullLeft === 0) this.#pull(consumer);
  }

  #onStatus(consumer: Consumer, msg: Msg): void {
    const code = msg.headers?.code ?? 0;
    const text = msg.headers?.description ?? '';
    if (code === 100) {
      const last = msg.headers?.get('Nats-Last-Consumer') ?? '';
      if (last !== '' && Number(last) > consumer.delivered) this.#detach('delivery gap');
      return;
    }
    const tooLarge = code === 409 && /exceeds maxbytes/i.test(text);
    if (code === 404 || code === 408 || tooLarge || (code === 409 && /batch completed/i.test(text))) {
      consumer.oversize = tooLarge && !consumer.pulledAny && this.#bufferedBytes === 0;
      consumer.pullLeft = 0;
      this.#pull(consumer);
      return;
    }
    this.#detach(`${code} ${text}`);
  }

  /** Asks for as much as fits, unless the buffer is more than half full: reading on asks again. */
  #pull(consumer: Consumer): void {
    if (this.#bufferedBytes > this.#options.maxBufferedBytes / 2) return;
    if (!this.#link.connected) return;
    const batch = consumer.oversize ? 1 : MAX_BATCH;
    const request = {
      batch,
      ...(consumer.oversize ? {} : { max_bytes: Math.max(1, this.#options.maxBufferedBytes - this.#bufferedBytes) }),
      expires: EXPIRES_MS * NANOS,
      idle_heartbeat: HEARTBEAT_MS * NANOS,
    };
    consumer.pullLeft = batch;
    consumer.pulledAny = false;
    consumer.oversize = false;
    consumer.ticksSilent = 0;
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${consumer.name}`;
    this.#link.nc.publish(subject, JSON.stringify(request), { reply: consumer.inbox });
  }

  /** Two whole ticks without a sign of life while a pull is in progress: the consumer is gone. */
  #tick(consumer: Consumer): void {
    consumer.cancelTick = this.#link.clock.after(HEARTBEAT_MS, () => {
      if (this.#consumer !== consumer) return;
      if (consumer.pullLeft > 0) consumer.ticksSilent += 1;
      if (consumer.ticksSilent > 2) this.#detach('no heartbeat');
      else this.#tick(consumer);
    });
  }

  #detach(reason: string): void {
    const consumer = this.#consumer;
    if (!consumer) return this.#wake?.();
    this.#consumer = undefined;
    consumer.cancelTick();
    if (!this.#link.nc.isClosed()) consumer.subscription.unsubscribe();
    this.#deleteConsumer(consumer.name);
    this.#link.log.debug({ stream: this.#options.stream, nextSeq: this.#nextSeq, reason }, 'tx stream consumer let go');
    this.#wake?.();
  }

  #deleteConsumer(name: string): void {
    if (!this.#link.connected) return;
    // Best effort: the server drops it by itself after a while.
    this.#link.api(WHAT, (jsm) => jsm.consumers.delete(this.#options.stream, name)).catch(() => {});
  }
}

function isFinal(error: unknown): boolean {
  const reason = error instanceof ShapecastError ? error.details.reason : undefined;
  return reason === 'no-stream' || reason === 'went-backwards';
}
