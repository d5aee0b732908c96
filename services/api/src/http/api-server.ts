import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '@shapecast/service-kit';
import { headerOf, requestId } from './exchange.ts';
import { ConnectionRefuser, LINGER_MS, MAX_URL_BYTES, refusalHeaders, type ParseError } from './refused-connection.ts';
import type { ShapeRoute } from './shape-route.ts';

export interface ApiServerOptions {
  readonly host: string;
  readonly port: number;
  /** `<product>/<version>` (RT-5). */
  readonly server: string;
  readonly keepAliveTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  /** More are dropped unanswered: the last guard, well above what admission lets in. */
  readonly maxConnections: number;
}

const SHAPE_PATH = '/v1/shape';
/** For an edge with a cache (`authorize-route.ts`). */
const AUTHORIZE_PATH = '/v1/authorize';
/** Of request line and headers together (RT-11). */
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_HEADERS = 200;
/** Past this Node refuses by itself. Twice the limit, so that nearly always the parts are known and the right one is blamed. */
const MAX_PARSED_BYTES = 2 * MAX_HEADER_BYTES;
const BACKLOG = 4096;
const DRAIN_STEP_MS = 20;
/** Requests behind the last one of a connection; a client that goes on sending is cut. */
const MAX_UNANSWERED = 1_000;

/** The HTTP server: `/v1/shape` by exact path first, everything else to `others`. */
export class ApiServer {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #options: ApiServerOptions;
  readonly #connections = new Set<Socket>();
  readonly #refuser: ConnectionRefuser;
  /** Requests that came on a connection so far. */
  readonly #requests = new WeakMap<Socket, number>();

  constructor(
    deps: {
      readonly route: ShapeRoute;
      readonly authorize: (req: IncomingMessage, res: ServerResponse, query: string) => void;
      readonly others: RequestListener;
      readonly clock: Clock;
    },
    options: ApiServerOptions,
  ) {
    this.#clock = deps.clock;
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: MAX_PARSED_BYTES,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      noDelay: true,
    });
    const refuser = new ConnectionRefuser(deps.clock, options.server);
    this.#refuser = refuser;
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    // Node's own, which its close() calls, takes an answer that is written for one that is sent, and cuts it off.
    this.#server.closeIdleConnections = () => this.#closeIdle();
    // Node would leave out those past its own limit without a word.
    this.#server.maxHeadersCount = 0;
    this.#server.on('request', (req, res) => {
      if (!this.#accepts(req, res)) return;
      refuser.answering(req.socket, res);
      boundRest(req, res, deps.clock);
      const tooLarge = oversize(req);
      if (tooLarge !== undefined) return refuse(req, res, tooLarge, options.server);
      const url = req.url ?? '/';
      const mark = url.indexOf('?');
      const path = mark < 0 ? url : url.slice(0, mark);
      // No other spelling of the path reaches the shape route, so none gets around its authentication (AU-3).
      if (path === SHAPE_PATH && deps.route.accepts(req.method)) {
        deps.route.handle(req, res, mark < 0 ? '' : url.slice(mark + 1));
      } else if (path === AUTHORIZE_PATH) {
        deps.authorize(req, res, mark < 0 ? '' : url.slice(mark + 1));
      } else {
        deps.others(req, res);
      }
    });
    this.#server.on('clientError', (err: ParseError, socket: Socket) => refuser.onParseError(err, socket));
    this.#server.keepAliveTimeout = options.keepAliveTimeoutMs;
    this.#server.headersTimeout = options.keepAliveTimeoutMs + 5_000;
    this.#server.requestTimeout = 300_000;
    this.#server.timeout = 0;
    this.#server.maxConnections = options.maxConnections;
  }

  /** Where it listens; valid once it does. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
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

  /** Stops accepting, lets answers in progress reach their clients for up to `graceMs`, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const deadline = this.#clock.now() + graceMs;
    while (this.#connections.size > 0 && this.#clock.now() < deadline) {
      await this.#clock.sleep(DRAIN_STEP_MS);
      this.#closeIdle();
    }
    this.#server.closeAllConnections();
    await closed;
  }

  #closeIdle(): void {
    for (const socket of this.#connections) if (this.#refuser.isIdle(socket)) socket.destroySoon();
  }

  /**
   * The last request that a connection may bring is answered with `connection: close`. Those that a client has sent behind it
   * already are left unanswered, as HTTP has it; Node's own limit would answer them with a 503 that is none of ours (ER-3).
   */
  #accepts({ socket }: IncomingMessage, res: ServerResponse): boolean {
    const most = this.#options.maxRequestsPerConnection;
    if (most === 0) return true;
    const count = (this.#requests.get(socket) ?? 0) + 1;
    this.#requests.set(socket, count);
    if (count === most) res.shouldKeepAlive = false;
    if (count > most + MAX_UNANSWERED) socket.destroy();
    return count <= most;
  }
}

function refuse(req: IncomingMessage, res: ServerResponse, status: number, server: string): void {
  res.writeHead(status, [...refusalHeaders(server), 'x-request-id', requestId(req), 'content-length', '0']).end();
}

/** 414 or 431 for a request whose head is larger than we take (RT-11). */
function oversize({ url = '/', rawHeaders }: IncomingMessage): number | undefined {
  if (url.length > MAX_URL_BYTES) return 414;
  let size = url.length;
  for (const text of rawHeaders) size += text.length;
  return size > MAX_HEADER_BYTES || rawHeaders.length > 2 * MAX_HEADERS ? 431 : undefined;
}

/**
 * A body that nobody wants, because the answer is out already, is received and dropped, so that the client gets to read the
 * answer; after a while the connection is cut.
 */
function boundRest(req: IncomingMessage, res: ServerResponse, clock: Clock): void {
  if (headerOf(req, 'content-length') === undefined && headerOf(req, 'transfer-encoding') === undefined) return;
  res.once('finish', () => {
    if (req.complete) return;
    const cancel = clock.after(LINGER_MS, () => req.socket.destroy());
    req.once('close', cancel);
  });
}
