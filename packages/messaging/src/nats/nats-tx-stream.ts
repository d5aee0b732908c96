import { JetStreamApiError, type JetStreamManager, type StoredMsg, type StreamInfo } from '@nats-io/jetstream';
import { txStreamName, txSubject, txSubjectsOf } from '../subjects.ts';
import type {
  PublishOptions,
  PublishOutcome,
  StoredMessage,
  TxStream,
  TxStreamId,
  TxStreamInfo,
  TxStreamRetention,
  TxStreams,
} from '../tx-stream.ts';
import { TRACEPARENT } from '../trace-header.ts';
import { DECISION_TIMEOUT_MS, type NatsLink } from './link.ts';
import { Publisher } from './publisher.ts';
import { StreamReader } from './reader.ts';
import { txStreamChanges, txStreamConfig, type TxStreamSettings } from './streams.ts';

const NO_STREAM = 10059;
const NO_MESSAGE = 10037;
const NAME_IN_USE = 10058;
const NANOS = 1_000_000;

/** Tx streams in JetStream: one stream each, made on demand (spec R 9.1). */
export class NatsTxStreams implements TxStreams {
  readonly #link: NatsLink;
  readonly #settings: TxStreamSettings;
  /** One object per stream, so that all publishes to it share one pipeline. */
  readonly #streams = new Map<string, NatsTxStream>();

  constructor(link: NatsLink, settings: TxStreamSettings) {
    this.#link = link;
    this.#settings = settings;
  }

  async create(id: TxStreamId, retention?: TxStreamRetention): Promise<TxStream> {
    const config = txStreamConfig(id, { ...this.#settings, ...retention }, this.#link.serverIsAtLeast(2, 10));
    try {
      await this.#link.api(
        'create the tx stream',
        (jsm) => jsm.streams.add({ ...config }),
        [NAME_IN_USE],
        DECISION_TIMEOUT_MS,
      );
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      await this.#reconcile(id, retention);
    }
    return this.#stream(id);
  }

  async open(
    id: TxStreamId,
    options: { readonly reconcile?: boolean; readonly retention?: TxStreamRetention | undefined } = {},
  ): Promise<TxStream | undefined> {
    try {
      await this.#link.api('open the tx stream', (jsm) => jsm.streams.info(txStreamName(id)), [NO_STREAM]);
    } catch (error) {
      if (error instanceof JetStreamApiError) return undefined;
      throw error;
    }
    if (options.reconcile) await this.#reconcile(id, options.retention);
    return this.#stream(id);
  }

  async incarnations(source: string): Promise<readonly number[]> {
    const names = await this.#link.api('list the tx streams', async (jsm) => {
      const all: string[] = [];
      for await (const name of jsm.streams.names(txSubjectsOf(source))) all.push(name);
      return all;
    });
    const prefix = txStreamName({ source, incarnation: 0 }).slice(0, -1);
    return names
      .filter((name) => name.startsWith(prefix))
      .map((name) => Number(name.slice(prefix.length)))
      .filter((incarnation) => Number.isSafeInteger(incarnation))
      .sort((a, b) => a - b);
  }

  async delete(id: TxStreamId): Promise<void> {
    try {
      await this.#link.api(
        'delete the tx stream',
        (jsm) => jsm.streams.delete(txStreamName(id)),
        [NO_STREAM],
        DECISION_TIMEOUT_MS,
      );
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
    }
  }

  #stream(id: TxStreamId): NatsTxStream {
    const name = txStreamName(id);
    const stream = this.#streams.get(name) ?? new NatsTxStream(this.#link, id);
    this.#streams.set(name, stream);
    return stream;
  }

  /** The stream exists with other settings: follow those of today where that loses nothing (deployment N10). */
  async #reconcile(id: TxStreamId, retention: TxStreamRetention | undefined): Promise<void> {
    const name = txStreamName(id);
    const info = await this.#link.api('open the tx stream', (jsm) => jsm.streams.info(name));
    const want = txStreamConfig(id, { ...this.#settings, ...retention }, this.#link.serverIsAtLeast(2, 10));
    const changes = txStreamChanges(info.config, want, info.state.bytes);
    if (!changes) return;
    try {
      await this.#link.api('update the tx stream', (jsm) => jsm.streams.update(name, changes), [], DECISION_TIMEOUT_MS);
      this.#link.log.info({ stream: name, changes }, 'tx stream settings updated');
    } catch (err) {
      this.#link.log.warn({ err, stream: name, changes }, 'tx stream settings differ and could not be updated');
    }
  }
}

class NatsTxStream implements TxStream {
  readonly id: TxStreamId;
  readonly #link: NatsLink;
  readonly #name: string;
  readonly #publisher: Publisher;

  constructor(link: NatsLink, id: TxStreamId) {
    this.id = id;
    this.#link = link;
    this.#name = txStreamName(id);
    this.#publisher = new Publisher(link, {
      subject: txSubject(id),
      readLastSeq: async () => (await this.info()).lastSeq,
      readMsgId: async (seq) => (await this.#stored({ seq }))?.header.get('Nats-Msg-Id'),
    });
  }

  get maxPayloadBytes(): number {
    return this.#publisher.maxPayloadBytes;
  }

  get fencesPipelines(): boolean {
    return !this.#link.clustered;
  }

  async info(): Promise<TxStreamInfo> {
    return streamInfo(await this.#link.api('read tx stream info', (jsm) => jsm.streams.info(this.#name)));
  }

  publish(payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    return this.#publisher.publish(payload, options);
  }

  async get(seq: number): Promise<StoredMessage | undefined> {
    return messageOf(await this.#stored({ seq }));
  }

  async last(): Promise<StoredMessage | undefined> {
    return messageOf(await this.#stored({ last_by_subj: txSubject(this.id) }));
  }

  read(fromSeq: number, options: { maxBufferedBytes: number }, signal: AbortSignal): AsyncIterable<StoredMessage> {
    return new StreamReader(this.#link, { stream: this.#name, fromSeq, ...options }, signal).messages();
  }

  async trim(belowSeq: number): Promise<void> {
    const { firstSeq, lastSeq } = await this.info();
    // Purging past the end would move the end, and with it every sequence a publisher expects.
    const seq = Math.min(belowSeq, lastSeq + 1);
    if (seq <= firstSeq) return;
    await this.#link.api(
      'trim the tx stream',
      (jsm) => jsm.streams.purge(this.#name, { seq }),
      [],
      DECISION_TIMEOUT_MS,
    );
  }

  /** Asks the stream's leader, not any replica: what it says decides about epochs and gaps, and a direct get may be stale. */
  async #stored(query: { seq: number } | { last_by_subj: string }): Promise<StoredMsg | undefined> {
    const get = (jsm: JetStreamManager): Promise<StoredMsg | null> => jsm.streams.getMessage(this.#name, query);
    try {
      return (await this.#link.api('read a tx stream message', get, [NO_MESSAGE])) ?? undefined;
    } catch (error) {
      if (error instanceof JetStreamApiError) return undefined;
      throw error;
    }
  }
}

function messageOf(stored: StoredMsg | undefined): StoredMessage | undefined {
  if (stored === undefined) return undefined;
  const { seq, data: payload, time, header } = stored;
  return { seq, payload, publishedMs: time.getTime(), traceparent: header.get(TRACEPARENT) || undefined };
}

function streamInfo(info: StreamInfo): TxStreamInfo {
  const { first_seq, last_seq, messages, bytes } = info.state;
  const { max_bytes, max_age, num_replicas } = info.config;
  return {
    firstSeq: messages === 0 ? last_seq + 1 : first_seq,
    lastSeq: last_seq,
    createdAt: String(info.created),
    bytes,
    maxBytes: max_bytes > 0 ? max_bytes : undefined,
    maxAgeMs: max_age > 0 ? max_age / NANOS : undefined,
    replicas: num_replicas,
  };
}
