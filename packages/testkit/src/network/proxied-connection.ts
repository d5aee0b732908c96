import { connect, type Socket } from 'node:net';

/** How much later bytes arrive. */
export interface Lag {
  readonly ms: number;
  readonly jitterMs: number;
}

/** Bytes on their way in one direction, past which the sender has to wait. */
const MAX_IN_FLIGHT_BYTES = 1024 * 1024;

/** One client's connection and the one to the server that belongs to it. When either breaks, so does the other. */
export class ProxiedConnection {
  readonly #sockets: readonly [Socket, Socket];
  readonly #ways: readonly [Way, Way];

  constructor(client: Socket, targetPort: number, lag: () => Lag) {
    const server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#sockets = [client, server];
    this.#ways = [new Way(client, server, lag), new Way(server, client, lag)];
    // A server that refuses reaches the client as a connection that breaks at once.
    for (const socket of this.#sockets) socket.on('error', () => this.reset());
  }

  /** FIN to both. */
  close(): void {
    this.freeze();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** RST to both. */
  reset(): void {
    this.freeze();
    for (const socket of this.#sockets) if (!socket.destroyed) socket.resetAndDestroy();
  }

  /** Nothing passes any more, in either direction, not even the end of the connection. */
  freeze(): void {
    for (const way of this.#ways) way.freeze();
  }
}

/** One direction of a connection. */
class Way {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #lag: () => Lag;
  /** In the order of sending, with the time at which each arrives. */
  readonly #underway: { readonly dueMs: number; readonly bytes: Buffer | 'end' }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #frozen = false;
  #lastDueMs = 0;
  #underwayBytes = 0;

  constructor(from: Socket, to: Socket, lag: () => Lag) {
    this.#from = from;
    this.#to = to;
    this.#lag = lag;
    from.on('data', (bytes: Buffer) => this.#send(bytes));
    from.once('end', () => this.#send('end'));
    to.on('drain', () => this.#flow());
  }

  freeze(): void {
    this.#frozen = true;
    this.#underway.length = 0;
    clearTimeout(this.#timer);
    this.#from.pause();
  }

  #send(bytes: Buffer | 'end'): void {
    if (this.#frozen) return;
    const { ms, jitterMs } = this.#lag();
    const lateMs = ms === 0 ? 0 : Math.max(0, ms + (Math.random() * 2 - 1) * jitterMs);
    // What comes later must not overtake.
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + lateMs);
    this.#underway.push({ dueMs: this.#lastDueMs, bytes });
    if (bytes !== 'end') this.#underwayBytes += bytes.length;
    this.#arrive();
  }

  #arrive(): void {
    clearTimeout(this.#timer);
    for (let next = this.#underway[0]; next !== undefined; next = this.#underway[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#arrive(), waitMs);
        break;
      }
      this.#underway.shift();
      if (next.bytes === 'end') this.#to.end();
      else {
        this.#underwayBytes -= next.bytes.length;
        this.#to.write(next.bytes);
      }
    }
    this.#flow();
  }

  /** Lets the sender go on, or makes it wait. */
  #flow(): void {
    if (this.#frozen) return;
    if (this.#to.writableNeedDrain || this.#underwayBytes > MAX_IN_FLIGHT_BYTES) this.#from.pause();
    else this.#from.resume();
  }
}
