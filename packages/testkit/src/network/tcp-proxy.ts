import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from '@shapecast/local-postgres';
import { ProxiedConnection } from './proxied-connection.ts';

export interface TcpProxyOptions {
  /** Loopback port that connections go to. */
  readonly targetPort: number;
  /** Loopback port to listen on; a free one when unset. */
  readonly port?: number;
}

/**
 * A stretch of network between a client and a server on loopback that a test can disturb. What it does to connections is
 * what a network does: it never changes, drops or reorders a byte of a connection that goes on.
 */
export interface TcpProxy {
  readonly port: number;
  /** Of clients, at the moment. */
  readonly connections: number;
  readonly mode: 'open' | 'cut' | 'half-open';
  /** Closes every connection (FIN) and refuses new ones until heal(). */
  cut(): void;
  /** Ends every connection with a RST; new ones are accepted. */
  reset(): void;
  /**
   * Connections stay open and new ones are accepted, but no byte passes, in either direction, until heal(). What was
   * underway is lost: heal() resets the connections that lived meanwhile.
   */
  halfOpen(): void;
  /** Every byte arrives later by `ms`, give or take `jitterMs`, in order; 0 ends it. Kept by cut(), halfOpen() and heal(). */
  delay(ms: number, jitterMs?: number): void;
  /** Where new connections go from now on; existing ones are reset. */
  retarget(port: number): void;
  /** Ends cut() and halfOpen(). */
  heal(): void;
  /** Ends every connection and gives the port back. A second call is a no-op. */
  stop(): Promise<void>;
}

/** Starts listening; resolves with the address. The server behind it need not be there. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = new RunningProxy(options.port ?? (await freePort()), options.targetPort);
  await proxy.start();
  return proxy;
}

const LISTEN_RETRY_MS = 20;

class RunningProxy implements TcpProxy {
  readonly port: number;
  #target: number;
  #mode: TcpProxy['mode'] = 'open';
  #lag = { ms: 0, jitterMs: 0 };
  #server: Server | undefined;
  #stopped = false;
  readonly #connections = new Set<ProxiedConnection>();

  constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get mode(): TcpProxy['mode'] {
    return this.#mode;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#listen().once('listening', resolve).once('error', reject);
    });
  }

  cut(): void {
    this.#mode = 'cut';
    // The port is ours again at heal(): free ports are searched outside of what the system hands out by itself.
    this.#server?.close();
    this.#server = undefined;
    for (const connection of this.#connections) connection.close();
  }

  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  halfOpen(): void {
    if (this.#mode === 'cut') this.heal();
    this.#mode = 'half-open';
    for (const connection of this.#connections) connection.freeze();
  }

  delay(ms: number, jitterMs = 0): void {
    this.#lag = { ms, jitterMs };
  }

  retarget(port: number): void {
    this.#target = port;
    this.reset();
  }

  heal(): void {
    const was = this.#mode;
    this.#mode = 'open';
    if (was === 'half-open') this.reset();
    if (was === 'cut') this.#listenAgain();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const server = this.#server;
    this.cut();
    if (server !== undefined && server.listening) await new Promise((resolve) => server.once('close', resolve));
  }

  #listen(): Server {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    server.listen({ port: this.port, host: '127.0.0.1', backlog: 1_024 });
    server.unref();
    this.#server = server;
    return server;
  }

  /** Somebody may have the port for a moment. */
  #listenAgain(): void {
    const server = this.#listen();
    server.once('error', () => {
      setTimeout(() => {
        if (this.#server === server && !this.#stopped) this.#listenAgain();
      }, LISTEN_RETRY_MS).unref();
    });
  }

  #accept(client: Socket): void {
    const connection = new ProxiedConnection(client, this.#target, () => this.#lag);
    this.#connections.add(connection);
    client.once('close', () => this.#connections.delete(connection));
    // Accepted by the system before we were told to stop listening.
    if (this.#mode === 'cut') connection.close();
    if (this.#mode === 'half-open') connection.freeze();
  }
}
