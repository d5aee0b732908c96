import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeRoute } from './shape-route.ts';

export interface ApiServerOptions {
  readonly host: string;
  readonly port: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  /** More are dropped unanswered: the last guard, well above what admission lets in. */
  readonly maxConnections: number;
}

const SHAPE_PATH = '/v1/shape';
const MAX_HEADER_BYTES = 64 * 1024;
const BACKLOG = 4096;
const DRAIN_STEP_MS = 20;

/** The HTTP server: `/v1/shape` by exact path first, everything else to `others`. */
export class ApiServer {
  readonly #server: Server;
  readonly #route: ShapeRoute;
  readonly #clock: Clock;
  readonly #options: ApiServerOptions;

  constructor(
    deps: { readonly route: ShapeRoute; readonly others: RequestListener; readonly clock: Clock },
    options: ApiServerOptions,
  ) {
    this.#route = deps.route;
    this.#clock = deps.clock;
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      noDelay: true,
    });
    this.#server.on('request', (req, res) => {
      const url = req.url ?? '/';
      const mark = url.indexOf('?');
      const path = mark < 0 ? url : url.slice(0, mark);
      // No other spelling of the path reaches the shape route, so none gets around its authentication (AU-3).
      if (path === SHAPE_PATH && deps.route.accepts(req.method)) {
        deps.route.handle(req, res, mark < 0 ? '' : url.slice(mark + 1));
      } else {
        deps.others(req, res);
      }
    });
    this.#server.on('clientError', onClientError);
    this.#server.keepAliveTimeout = options.keepAliveTimeoutMs;
    this.#server.headersTimeout = options.keepAliveTimeoutMs + 5_000;
    this.#server.requestTimeout = 300_000;
    this.#server.timeout = 0;
    this.#server.maxConnections = options.maxConnections;
    this.#server.maxRequestsPerSocket = options.maxRequestsPerConnection;
  }

  /** Where it listens; valid once it does. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((err, count) => (err === null ? resolve(count) : reject(err)));
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port: this.#options.port, host: this.#options.host, backlog: BACKLOG }, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
  }

  /** Stops accepting, lets requests in progress finish for up to `graceMs`, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const deadline = this.#clock.now() + graceMs;
    while (this.#route.inProgress > 0 && this.#clock.now() < deadline) await this.#clock.sleep(DRAIN_STEP_MS);
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Requests that Node could not parse: 431 for oversized headers (RT-11), else 400. */
function onClientError(err: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || err.code === 'ECONNRESET') return void socket.destroy();
  const status = err.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncache-control: no-store\r\ncontent-length: 0\r\n\r\n`);
}
