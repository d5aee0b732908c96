import { request, type Agent } from 'node:http';

/** An answer as it came over the wire. Header names are in lower case; nothing is interpreted. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly bytes: Buffer;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
  readonly agent?: Agent;
}

/**
 * Sends one request with the path exactly as given (`fetch` would normalise it) and reads the whole answer. Rejects when the
 * connection breaks before the answer is complete.
 */
export function send(base: string, path: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { hostname, port } = new URL(base);
  const { method = 'GET', body, signal, agent } = options;
  // Node leaves the length out for methods that usually have no body, and the body would be read as another request.
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const headers = { ...length, ...options.headers };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { hostname, port, path, method, headers, ...(signal && { signal }), ...(agent && { agent }) },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', reject);
        incoming.on('aborted', () => reject(new Error('the answer broke off')));
        incoming.on('end', () => {
          const bytes = Buffer.concat(parts);
          const answer = {
            status: incoming.statusCode ?? 0,
            headers: incoming.headers as Record<string, string>,
            text: bytes.toString('utf8'),
            bytes,
          };
          const problem = forbidden(answer, path);
          if (problem === undefined) resolve(answer);
          else reject(new Error(problem));
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** What no answer of the whole suite may have (C011, C133), looked for in each one that `send` reads. */
function forbidden({ status, headers }: RawAnswer, path: string): string | undefined {
  const never = ['location', 'access-control-allow-credentials', 'server-timing'];
  const never409 = ['offset', 'schema', 'cursor', 'up-to-date', 'has-data'].map((name) => `electric-${name}`);
  const found = [...never, ...(status === 409 ? never409 : [])].filter((name) => name in headers);
  if (found.length > 0) return `${status} for ${path} has ${found.join(', ')}`;
  const named = status === 409 ? headers['electric-handle'] : undefined;
  const asked = new URLSearchParams(path.split('?')[1]).getAll('handle').at(-1);
  return named !== undefined && named === asked ? `409 for ${path} names the handle that was asked for` : undefined;
}
