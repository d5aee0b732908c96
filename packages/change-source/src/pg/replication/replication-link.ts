import type pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { parseLsn, type Lsn } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';
import { startReplication } from '../sql/replication.ts';

export interface LinkHandler {
  /** One pgoutput message. The bytes are valid during the call only. */
  message(bytes: Buffer): void;
  keepalive(walEnd: Lsn, replyRequested: boolean): void;
  /** A message of either kind was processed. */
  heard(): void;
  /** The server warned; the fields are the driver's. */
  notice(notice: { readonly code?: string | undefined; readonly message?: string | undefined }): void;
}

/** What we use of the driver's connection below its public interface. */
interface Wire {
  readonly stream: {
    pause(): void;
    resume(): void;
    destroy(): void;
    end(last: Buffer): void;
    readonly destroyed: boolean;
    once(event: 'close', listener: () => void): void;
  };
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  removeAllListeners(event: string): void;
}

type Plugin = Parameters<LogicalReplicationService['subscribe']>[0];

interface ServiceInternals {
  _client: pg.Client | null;
  _connection: Wire | null;
  client(): Promise<[pg.Client, Wire]>;
}

/**
 * The one place that touches the insides of `pg-logical-replication` and `pg`.
 *
 * The library frames the stream: copy data, keepalives, START_REPLICATION. Three things it cannot do:
 * - It opens a connection of its own. Ours must be the one that holds the advisory lock, so that lock and stream live and
 *   die together (spec R 4.1); `client()` is replaced by one that answers it.
 * - Its status updates report the last position *received* as flushed, plus one. They are switched off (`auto: false`,
 *   `timeoutSeconds: 0`) and `send` writes ours.
 * - Its flow control queues parsed messages without a bound on one read. Reading is paused at the socket instead.
 */
export class ReplicationLink {
  readonly #client: pg.Client;
  readonly #wire: Wire;
  readonly #pauses = new Set<string>();
  #streaming = false;

  constructor(client: pg.Client) {
    this.#client = client;
    this.#wire = wireOf(client);
  }

  /** Resolves when Postgres ends the stream; rejects with the driver's error, also when the connection breaks. */
  async stream(slotName: string, publicationName: string, handler: LinkHandler, onStart: () => void): Promise<void> {
    const service = new LogicalReplicationService({}, { acknowledge: { auto: false, timeoutSeconds: 0 } });
    const internals = service as unknown as ServiceInternals;
    internals.client = async () => {
      internals._client = this.#client;
      internals._connection = this.#wire;
      return [this.#client, this.#wire];
    };
    const plugin: Pick<Plugin, 'name' | 'options' | 'parse' | 'start'> = {
      name: 'pgoutput',
      options: {},
      parse: (bytes: Buffer) => {
        handler.heard();
        handler.message(bytes);
      },
      start: (client: pg.Client) => client.query(startReplication(slotName, publicationName)),
    };
    service.on('error', () => {});
    service.on('start', onStart);
    service.on('heartbeat', (walEnd: string, _timestamp: number, shouldRespond: boolean) => {
      handler.heard();
      handler.keepalive(parseLsn(walEnd) as Lsn, shouldRespond);
    });
    this.#client.on('notice', (notice) => handler.notice(notice));
    this.#streaming = true;
    await service.subscribe(plugin as Plugin, slotName);
  }

  get paused(): boolean {
    return this.#pauses.size > 0;
  }

  /** Stops reading until every reason given has been taken back. */
  pause(reason: string): void {
    this.#pauses.add(reason);
    if (this.#pauses.size === 1) this.#wire.stream.pause();
  }

  resume(reason: string): void {
    if (this.#pauses.delete(reason) && this.#pauses.size === 0) this.#wire.stream.resume();
  }

  send(update: Buffer): void {
    this.#wire.sendCopyFromChunk(update);
  }

  /** Breaks the connection at once. */
  destroy(): void {
    this.#wire.stream.destroy();
  }

  /**
   * Ends stream and connection in good order, so that what was sent last arrives: closing a socket with unread data resets
   * it, and the server would lose our final status update. What still comes in is thrown away. Breaks off after `graceMs`.
   */
  async end(clock: Clock, graceMs: number): Promise<void> {
    const { stream } = this.#wire;
    if (stream.destroyed) return;
    await new Promise<void>((resolve) => {
      const cancel = clock.after(graceMs, () => stream.destroy());
      stream.once('close', () => {
        cancel();
        resolve();
      });
      this.#wire.removeAllListeners('copyData');
      if (this.#streaming) this.#wire.endCopyFrom();
      stream.end(TERMINATE);
      stream.resume();
    });
  }
}

/** Ends a connection that is not, or not yet, streaming, whatever it waits for. */
export function destroyClient(client: pg.Client): void {
  wireOf(client).stream.destroy();
}

/** Message 'X', length 4 (Postgres manual, "Message Formats": Terminate). */
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);

function wireOf(client: pg.Client): Wire {
  return (client as unknown as { readonly connection: Wire }).connection;
}
