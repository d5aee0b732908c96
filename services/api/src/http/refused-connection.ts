import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SHAPE_CORS, type HeaderList } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';

/** How long a refused client may go on sending before it is cut. */
export const LINGER_MS = 5_000;
const MAX_DROPPED_BYTES = 4 * 1024 * 1024;
/** Of a request line. */
export const MAX_URL_BYTES = 32 * 1024;

/** An error of Node's HTTP parser. */
export interface ParseError extends Error {
  readonly code?: string;
  /** What had just arrived. */
  readonly rawPacket?: Buffer;
}

/** Headers of an answer that is given before the request was understood; `server` is `<product>/<version>`. */
export function refusalHeaders(server: string): HeaderList {
  return ['electric-server', server, ...SHAPE_CORS, 'cache-control', 'no-store', 'surrogate-control', 'no-store'];
}

/**
 * Answers requests that Node could not parse: 414 and 431 for oversized ones (RT-11), 408 for those that took too long, else
 * 400. A client that is still sending would lose the answer if the connection were closed at once, because the kernel answers
 * unread bytes with a reset. So only our side is closed, and what comes is dropped: a bounded amount, for a bounded time.
 */
export class ConnectionRefuser {
  readonly #clock: Clock;
  readonly #headers: HeaderList;
  /** Bytes that had been read when the answer went out. */
  readonly #refused = new WeakMap<Socket, number>();
  readonly #answers = new WeakMap<Socket, ServerResponse>();

  constructor(clock: Clock, server: string) {
    this.#clock = clock;
    this.#headers = ['connection', 'close', ...refusalHeaders(server)];
  }

  /** Remembers the newest answer on a connection: nothing may be written into the middle of it. */
  answering(socket: Socket, res: ServerResponse): void {
    this.#answers.set(socket, res);
  }

  /** No answer is being made or sent on the connection. */
  isIdle(socket: Socket): boolean {
    const answer = this.#answers.get(socket);
    return answer === undefined || answer.writableFinished;
  }

  /** The parser reports everything that arrives after its first error as one more error. */
  onParseError(err: ParseError, socket: Socket): void {
    const before = this.#refused.get(socket);
    if (before !== undefined) {
      if (socket.bytesRead - before > MAX_DROPPED_BYTES) socket.destroy();
      return;
    }
    const answer = this.#answers.get(socket);
    const midway = answer !== undefined && answer.headersSent && !answer.writableFinished;
    if (!socket.writable || midway || err.code === 'ECONNRESET') return void socket.destroy();
    this.#refused.set(socket, socket.bytesRead);
    const inBody = answer !== undefined && !answer.headersSent && !answer.req.complete;
    socket.end(inBody ? this.#answer('400 Bad Request', UNREADABLE) : this.#answer(statusOf(err)));
    const cancel = this.#clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', cancel);
  }

  #answer(status: string, json = ''): string {
    const type = json === '' ? [] : ['content-type', 'application/json; charset=utf-8'];
    const headers = [...this.#headers, ...type, 'content-length', String(json.length)];
    const lines = headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${json}`;
  }
}

const UNREADABLE = JSON.stringify({ error: 'Failed to read request body' });

function statusOf(err: ParseError): string {
  switch (err.code) {
    case 'HPE_HEADER_OVERFLOW':
      return inRequestLine(err.rawPacket) ? '414 URI Too Long' : '431 Request Header Fields Too Large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout';
    default:
      return '400 Bad Request';
  }
}

/**
 * The parser does not say where it was when its limit was reached, and shows only what had just arrived, at most 64 KiB. The
 * end of a request line in there blames that line if it is too long, or if it began so long before that it must be. Any other
 * line break means that the request line was over. Without one, a URL is far more likely than one header of that size.
 */
function inRequestLine(packet: Buffer | undefined): boolean {
  const lineEnd = packet?.indexOf('\n') ?? -1;
  if (packet === undefined || lineEnd < 0) return true;
  if (!/HTTP\/1\.\d\r?$/.test(packet.toString('latin1', Math.max(0, lineEnd - 10), lineEnd))) return false;
  const beginsHere = /^[A-Z]+ /.test(packet.toString('latin1', 0, 16));
  return !beginsHere || lineEnd > MAX_URL_BYTES;
}
