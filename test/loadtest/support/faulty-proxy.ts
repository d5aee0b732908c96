import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Message {
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface FaultyProxy {
  readonly url: string;
  /** Answers that were not what the service had said. */
  readonly faults: number;
  stop(): Promise<void>;
}

/** Stands before the service and changes the messages of live answers: what a service with a bug would say. */
export async function startFaultyProxy(
  target: string,
  change: (messages: readonly Message[]) => readonly Message[],
): Promise<FaultyProxy> {
  let faults = 0;
  const forward = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const answer = await fetch(`${target}${incoming.url}`, { signal: gone.signal });
    let body = await answer.text();
    if (answer.status === 200 && incoming.url?.includes('live=true')) {
      const changed = JSON.stringify(change(JSON.parse(body) as Message[]));
      if (changed !== JSON.stringify(JSON.parse(body))) faults += 1;
      body = changed;
    }
    const headers = [...answer.headers].filter(([name]) => !['content-length', 'content-encoding'].includes(name));
    response.writeHead(answer.status, Object.fromEntries(headers)).end(body);
  };
  const server = createServer((incoming, response) => {
    forward(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get faults() {
      return faults;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
