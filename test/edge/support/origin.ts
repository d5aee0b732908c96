import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Handler = (incoming: IncomingMessage, response: ServerResponse) => void;

/** A request as the edge sent it. */
interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What stands behind an edge and counts what gets through to it. */
export interface Origin {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** Requests whose URL contains all of these. */
  matching(...parts: readonly string[]): readonly SeenRequest[];
  /** Refuses connections and cuts those there are, until it listens again on the same port. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts an origin on a free port of loopback; `handle` answers. */
export async function startOrigin(handle: Handler): Promise<Origin> {
  const seen: SeenRequest[] = [];
  const server = createServer({ maxHeaderSize: 128 * 1024 }, (incoming, response) => {
    seen.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers });
    handle(incoming, response);
  });
  Object.assign(server, { keepAliveTimeout: 75_000, requestTimeout: 0, headersTimeout: 0 });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => resolve());
    });
  const down = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    matching: (...parts) => seen.filter(({ url }) => parts.every((part) => url.includes(part))),
    down,
    up: () => listen(port),
    stop: async () => {
      if (server.listening) await down();
    },
  };
}

/** Passes everything on to another server, bytes and order of headers as they are; a cut answer is cut here too. */
export function forwardTo(target: string): Handler {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_024 });
  return (incoming, response) => {
    const outgoing = request(
      { hostname, port, agent, method: incoming.method, path: incoming.url, headers: incoming.rawHeaders },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
        response.flushHeaders();
        answer.on('error', () => response.destroy());
        answer.pipe(response);
      },
    );
    outgoing.on('error', () => response.destroy());
    response.once('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  };
}
