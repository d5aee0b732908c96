import type { JetStreamManager } from '@nats-io/jetstream';
import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection, ServerInfo, Status } from '@nats-io/transport-node';
import { ShapecastError } from '@shapecast/errors';
import { abortReason, type Clock, type Logger } from '@shapecast/service-kit';

/** Told when the connection goes and comes back. `up` comes after every subscription is in force again. */
export interface LinkListener {
  down?(): void;
  up?(): void;
}

/**
 * A healthy cluster answers within milliseconds. One that has no leader at the moment does not answer at all, also not later: what
 * waits for it longer than this learns late that there is a leader again.
 */
export const API_TIMEOUT_MS = 2_000;
/** For what the servers decide together, and write to their disks. */
export const DECISION_TIMEOUT_MS = 5_000;
const DRAIN_MS = 2_000;

/**
 * One connection to NATS that reconnects for ever, with what the adapters need around it: who listens to its state, the limits
 * the server announced last, and JetStream calls whose failures are ShapecastErrors. While it is down nothing is sent: the
 * driver would queue messages and then throw some of them away without a word.
 */
export class NatsLink {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  readonly log: Logger;
  readonly #listeners = new Set<LinkListener>();
  /** By how long they wait for an answer. */
  readonly #managers = new Map<number, Promise<JetStreamManager>>();
  #info: ServerInfo;
  #connected = true;
  #closed = false;

  constructor(nc: NatsConnection, info: ServerInfo, parts: { readonly clock: Clock; readonly log: Logger }) {
    this.nc = nc;
    this.clock = parts.clock;
    this.log = parts.log;
    this.#info = info;
    void this.#follow();
  }

  get connected(): boolean {
    return this.#connected && !this.#closed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Largest payload plus headers the server takes, in bytes, as announced last (spec R 9.3.1b). */
  get maxPayload(): number {
    return this.#info.max_payload;
  }

  get clustered(): boolean {
    return this.#info.cluster !== undefined && this.#info.cluster !== '';
  }

  /** True when the server is `major.minor` or newer: features are gated by it. */
  serverIsAtLeast(major: number, minor: number): boolean {
    const [have = 0, haveMinor = 0] = this.#info.version.split('.').map(Number);
    return have > major || (have === major && haveMinor >= minor);
  }

  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves while connected, or as soon as the connection is back. Rejects when `signal` aborts or the link is closed. */
  whenConnected(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(abortReason(signal));
    if (this.#closed) return Promise.reject(closedError());
    if (this.#connected) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        if (!this.#connected && !this.#closed && !signal.aborted) return;
        stop();
        signal.removeEventListener('abort', done);
        if (signal.aborted) reject(abortReason(signal));
        else if (this.#closed) reject(closedError());
        else resolve();
      };
      const stop = this.listen({ up: done, down: done });
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /**
   * A JetStream call. Failures come out as STREAM_UNAVAILABLE with `details.reason`; `what` completes "cannot ...". Answers
   * the server gave (JetStreamApiError) that `expected` knows are thrown as they are.
   */
  async api<T>(
    what: string,
    call: (jsm: JetStreamManager) => Promise<T>,
    expected: readonly number[] = [],
    timeoutMs = API_TIMEOUT_MS,
  ): Promise<T> {
    if (!this.connected) throw unavailable(what, 'disconnected', 'the connection to NATS is down');
    let onDown: (() => void) | undefined;
    const down = new Promise<never>((_, reject) => {
      onDown = this.listen({
        down: () => reject(unavailable(what, 'disconnected', 'the connection to NATS was lost')),
      });
    });
    try {
      return await Promise.race([call(await this.#manager(timeoutMs)), down]);
    } catch (error) {
      if (error instanceof JetStreamApiError && expected.includes(error.code)) throw error;
      throw toUnavailable(what, error);
    } finally {
      onDown?.();
    }
  }

  #manager(timeout: number): Promise<JetStreamManager> {
    const found = this.#managers.get(timeout);
    if (found) return found;
    const made = jetstreamManager(this.nc, { timeout, checkAPI: false });
    this.#managers.set(timeout, made);
    made.catch(() => this.#managers.delete(timeout));
    return made;
  }

  /** Lets what was sent go out, then disconnects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#tell('down');
    if (this.#connected) {
      const drained = this.nc.drain().catch(() => {});
      const waiting = new AbortController();
      await Promise.race([drained, this.clock.sleep(DRAIN_MS, waiting.signal).catch(() => {})]);
      waiting.abort();
    }
    await this.nc.close();
  }

  async #follow(): Promise<void> {
    for await (const status of this.nc.status()) {
      try {
        await this.#onStatus(status);
      } catch (err) {
        this.log.error({ err }, 'handling a NATS connection event failed');
      }
    }
    if (this.#closed) return;
    this.#connected = false;
    this.log.error({}, 'the NATS connection ended for good, restart the process');
    this.#tell('down');
  }

  async #onStatus(status: Status): Promise<void> {
    switch (status.type) {
      case 'disconnect':
      case 'staleConnection':
        if (!this.#connected) return;
        this.#connected = false;
        if (!this.#closed) this.log.warn({}, 'NATS connection lost, reconnecting');
        return this.#tell('down');
      case 'reconnect':
        // The flush comes back after the server has seen the renewed subscriptions: what is re-read after `up` misses nothing.
        void this.nc.flush().then(
          () => this.#onReconnected(),
          () => {},
        );
        return;
      case 'error':
        return this.log.warn({ err: status.error }, 'NATS reported an error');
      case 'ldm':
        return this.log.info({}, 'NATS server is about to shut down');
      case 'update':
      case 'reconnecting':
      case 'ping':
      case 'forceReconnect':
      case 'slowConsumer':
      case 'close':
        return;
    }
  }

  #onReconnected(): void {
    if (this.#closed || this.#connected) return;
    this.#info = this.nc.info ?? this.#info;
    this.#connected = true;
    this.log.info({}, 'NATS connection is back');
    this.#tell('up');
  }

  #tell(what: 'up' | 'down'): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener[what]?.();
      } catch (err) {
        this.log.error({ err }, 'a listener to the NATS connection failed');
      }
    }
  }
}

/** Why a stream could not be used; `details.reason` of STREAM_UNAVAILABLE. */
export type UnavailableReason =
  'disconnected' | 'timeout' | 'no-stream' | 'full' | 'no-jetstream' | 'server' | 'went-backwards';

export function unavailable(what: string, reason: UnavailableReason, why: string, cause?: unknown): ShapecastError {
  return new ShapecastError('STREAM_UNAVAILABLE', `cannot ${what}: ${why}`, { reason }, cause);
}

const NO_STREAM = 10059;
const NO_RESOURCES = [10023, 10047, 10028];
const NO_REPLICAS = 10074;

export function toUnavailable(what: string, error: unknown): ShapecastError {
  if (error instanceof ShapecastError) return error;
  if (!(error instanceof JetStreamApiError)) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'TimeoutError') return unavailable(what, 'timeout', 'NATS JetStream did not answer in time', error);
    if (name === 'JetStreamNotEnabled') return unavailable(what, 'no-jetstream', NO_JETSTREAM, error);
    return unavailable(what, 'disconnected', 'the connection to NATS failed', error);
  }
  const text = error.message;
  if (error.code === NO_STREAM) return unavailable(what, 'no-stream', 'there is no such stream', error);
  if (error.code === NO_REPLICAS) {
    return unavailable(
      what,
      'server',
      'several replicas need a NATS cluster: set 1 stream replica or start a cluster',
      error,
    );
  }
  if (NO_RESOURCES.includes(error.code)) {
    const why = `the NATS server cannot reserve the storage (${text}): lower the stream's max bytes or give JetStream more (max_file)`;
    return unavailable(what, 'server', why, error);
  }
  return unavailable(what, 'server', `NATS says "${text}"`, error);
}

export const NO_JETSTREAM = 'JetStream is not enabled on the NATS server: start nats-server with -js';
export const NO_JETSTREAM_FOR_ACCOUNT =
  'JetStream is not enabled for this NATS account: add "jetstream: enabled" to the account';

function closedError(): ShapecastError {
  return new ShapecastError('STREAM_UNAVAILABLE', 'the NATS connection was closed by this process', {
    reason: 'disconnected',
  });
}
