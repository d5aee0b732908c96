import type { ChangeSource } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import type { Messaging, PublishOptions, PublishOutcome, TxStream, TxStreamId, TxStreams } from '@shapecast/messaging';

/** What becomes of one publish. `late` reaches the stream when the test says so, its answer never comes back. */
export type Fate = 'ok' | 'lost' | 'answer_lost' | 'answer_withheld' | 'late';

/**
 * The connection of one replicator to its tx streams, with a say in every publish. After `kill` nothing comes through,
 * as when the process is gone; publishes marked `late` can be let loose afterwards, as by a zombie.
 */
export class FaultyConnection {
  fate: (payload: Uint8Array) => Fate = () => 'ok';
  /** Sizes above this are cut into several messages. */
  maxPayloadBytes: number | undefined;
  /** Of the streams, when it is not what they say. */
  fencesPipelines: boolean | undefined;
  published = 0;
  /** Readers of streams wait for it. */
  beforeRead: Promise<void> = Promise.resolve();
  /** Told of every payload that really is in the stream. */
  onStored: (payload: Uint8Array) => void = () => undefined;
  killed = false;
  /** NATS is not reached from here. */
  cut = false;
  readonly #late: (() => Promise<PublishOutcome>)[] = [];
  readonly #messaging: Messaging;

  constructor(messaging: Messaging) {
    this.#messaging = messaging;
  }

  get messaging(): Messaging {
    const txStreams = this.#wrapStreams(this.#messaging.txStreams);
    return { ...this.#messaging, txStreams, connected: () => !this.cut && this.#messaging.connected() };
  }

  /** The replicator's way to Postgres. A killed process opens no sessions and confirms nothing, though its remains try to. */
  source(source: ChangeSource): ChangeSource {
    const alive = (): void => {
      if (this.killed) throw new ShapecastError('SOURCE_UNAVAILABLE', 'This process is gone.');
    };
    return {
      open: async (report, signal, holder) => {
        alive();
        const session = await source.open(
          (progress) => {
            alive();
            report(progress);
          },
          signal,
          holder,
        );
        if (this.killed) await session.close();
        alive();
        return {
          identity: session.identity,
          slot: session.slot,
          stream: (handler, streamSignal) => session.stream(handler, streamSignal),
          confirm: (lsn) => {
            if (!this.killed) session.confirm(lsn);
          },
          close: () => session.close(),
        };
      },
    };
  }

  kill(): void {
    this.killed = true;
  }

  /** Sends what was held back, in order; says what the stream answered. */
  async letLoose(): Promise<PublishOutcome[]> {
    return Promise.all(this.#late.splice(0).map((send) => send()));
  }

  #wrapStreams(streams: TxStreams): TxStreams {
    return {
      create: async (id: TxStreamId) => this.#wrap(await streams.create(id)),
      open: async (id: TxStreamId, options) => {
        const stream = await streams.open(id, options);
        return stream && this.#wrap(stream);
      },
      incarnations: (source) => streams.incarnations(source),
      delete: (id: TxStreamId) => streams.delete(id),
    };
  }

  #wrap(stream: TxStream): TxStream {
    const limit = (): number => this.maxPayloadBytes ?? stream.maxPayloadBytes;
    return {
      id: stream.id,
      get maxPayloadBytes() {
        return limit();
      },
      fencesPipelines: this.fencesPipelines ?? stream.fencesPipelines,
      info: () => stream.info(),
      get: (seq) => stream.get(seq),
      last: () => (this.killed ? never() : stream.last()),
      read: (...args) => this.#read(stream, ...args),
      trim: (seq) => stream.trim(seq),
      publish: (payload, options) => this.#publish(stream, payload, options),
    };
  }

  async *#read(stream: TxStream, ...args: Parameters<TxStream['read']>): ReturnType<TxStream['read']> {
    await this.beforeRead;
    yield* stream.read(...args);
  }

  async #publish(stream: TxStream, payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    this.published += 1;
    if (this.killed) return never();
    const store = async (): Promise<PublishOutcome> => {
      const outcome = await stream.publish(payload, options);
      if (outcome.kind === 'stored') this.onStored(payload);
      return outcome;
    };
    const limit = this.maxPayloadBytes;
    if (limit !== undefined && payload.length > limit) throw new Error(`${payload.length} bytes exceed ${limit}`);
    switch (this.cut ? 'lost' : this.fate(payload)) {
      case 'ok':
        return store().then((outcome) => (this.killed ? never() : outcome));
      case 'lost':
        throw unavailable();
      case 'answer_lost':
        await store();
        throw unavailable();
      case 'answer_withheld':
        await store();
        return never();
      case 'late':
        this.#late.push(store);
        return never();
    }
  }
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

function unavailable(): ShapecastError {
  return new ShapecastError('STREAM_UNAVAILABLE', 'No answer from NATS.');
}
