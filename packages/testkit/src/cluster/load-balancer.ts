import {
  Agent,
  createServer,
  request as startRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@shapecast/local-postgres';

/** A base URL such as `http://127.0.0.1:3000`, where requests go and, unless another one is given, the health path is asked for. */
type PodAddress = string | { readonly url: string; readonly healthUrl: string };

/** What came of the requests so far. */
export interface Traffic {
  /** Answers to clients by status, our own 503s included. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Requests that went to another pod because the first refused or dropped them. */
  readonly repeated: number;
  /** Answers that a pod broke off. */
  readonly broken: number;
}

export interface LoadBalancerOptions {
  readonly targets: readonly PodAddress[];
  /** Loopback port to listen on; a free one when unset. */
  readonly port?: number;
  /** Path that answers 200 while a pod should get requests; without it every pod counts as healthy. */
  readonly healthPath?: string;
  readonly healthIntervalMs?: number;
}

/**
 * Spreads requests over the API pods in turn, as a Kubernetes service with readiness probes does. Passes bodies on as they
 * come in both directions, a client's disconnect too. A GET whose pod refused the connection or dropped it before the
 * first byte of an answer goes to another pod. There are no timers per request: thousands of long polls wait here.
 */
export interface LoadBalancer {
  readonly url: string;
  readonly port: number;
  readonly traffic: Traffic;
  /** Asks every pod now whether it is ready; without a health path there is nothing to ask. */
  check(): Promise<void>;
  /** One more pod; resolves once it was asked whether it is ready. */
  add(pod: PodAddress): Promise<void>;
  /** No more requests go there; those underway go on. */
  remove(url: string): void;
  /** Cuts all connections. A second call is a no-op. */
  stop(): Promise<void>;
}

interface Target {
  readonly healthUrl: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly agent: Agent;
  healthy: boolean;
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Starts listening; resolves with the address. */
export async function startLoadBalancer(options: LoadBalancerOptions): Promise<LoadBalancer> {
  const targets = options.targets.map((pod) => createTarget(pod, true));
  const ring = new Ring(targets);
  const traffic = { statuses: {} as Record<number, number>, repeated: 0, broken: 0 };
  const server = createServer((request, response) => {
    response.once('close', () => {
      if (!response.writableFinished) return;
      traffic.statuses[response.statusCode] = (traffic.statuses[response.statusCode] ?? 0) + 1;
    });
    forward(request, response, ring, [], traffic);
  });
  Object.assign(server, { requestTimeout: 0, headersTimeout: 0, timeout: 0, keepAliveTimeout: 60_000 });
  server.on('clientError', (_error, socket) => socket.destroy());
  await listen(server, options.port ?? (await freePort()));

  const { healthPath, healthIntervalMs = 500 } = options;
  const check = async (): Promise<void> => {
    await Promise.all(targets.map(async (target) => (target.healthy = await answers(target, healthPath ?? '/'))));
  };
  // One after the other: the last to end must not be one that began before the others.
  let pending = 0;
  let last = Promise.resolve();
  const checkNow = (): Promise<void> => {
    pending += 1;
    last = last.then(check).finally(() => (pending -= 1));
    return last;
  };
  const timer =
    healthPath === undefined
      ? undefined
      : setInterval(() => {
          if (pending === 0) void checkNow();
        }, healthIntervalMs);
  timer?.unref();

  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    traffic,
    check: async () => {
      if (healthPath !== undefined) await checkNow();
    },
    add: async (pod) => {
      targets.push(createTarget(pod, healthPath === undefined));
      if (healthPath !== undefined) await checkNow();
    },
    remove: (url) => {
      const at = targets.findIndex((target) => target.url === url);
      if (at >= 0) targets.splice(at, 1);
    },
    stop: async () => {
      clearInterval(timer);
      if (server.listening) {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        await closed;
      }
      for (const target of targets) target.agent.destroy();
    },
  };
}

function createTarget(pod: PodAddress, healthy: boolean): Target {
  const { url, healthUrl } = typeof pod === 'string' ? { url: pod, healthUrl: pod } : pod;
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_024 });
  return { url, healthUrl, host: hostname, port: Number(port), agent, healthy };
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => resolve());
  });
}

/** Whose turn it is. */
class Ring {
  readonly #targets: readonly Target[];
  #next = 0;

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
  }

  /** The next pod that was not tried yet, healthy ones first: with none healthy the checks may be what is wrong. */
  take(tried: readonly Target[]): Target | undefined {
    const size = this.#targets.length;
    for (const mustBeHealthy of [true, false]) {
      for (let step = 0; step < size; step += 1) {
        const target = this.#targets[(this.#next + step) % size] as Target;
        if (tried.includes(target) || (mustBeHealthy && !target.healthy)) continue;
        this.#next = (this.#next + step + 1) % size;
        return target;
      }
    }
    return undefined;
  }
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  ring: Ring,
  tried: readonly Target[],
  traffic: { repeated: number; broken: number },
): void {
  const target = ring.take(tried);
  if (target === undefined) return refuse(response);
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const upstream = startRequest({
    host: target.host,
    port: target.port,
    agent: target.agent,
    method: request.method,
    path: request.url,
    headers: requestHeaders(request),
  });
  let answered = false;
  const onClientGone = (): void => {
    if (!response.writableFinished) upstream.destroy();
  };
  response.once('close', onClientGone);

  upstream.once('response', (answer) => {
    answered = true;
    passOn(answer, response, traffic);
  });
  upstream.once('error', () => {
    response.off('close', onClientGone);
    // A second error may follow the first one; it has nothing to tell any more.
    upstream.on('error', () => {});
    if (response.destroyed) return;
    if (answered || response.headersSent) return void response.destroy();
    const repeatable = !hasBody && (request.method === 'GET' || request.method === 'HEAD');
    if (!repeatable) return refuse(response);
    traffic.repeated += 1;
    forward(request, response, ring, [...tried, target], traffic);
  });
  if (hasBody) request.pipe(upstream);
  else upstream.end();
}

function passOn(answer: IncomingMessage, response: ServerResponse, traffic: { broken: number }): void {
  // Cut short by the pod: the client must see that its answer is not complete.
  answer.once('error', () => {
    // Where the client left, it is us who gave the answer up.
    if (!response.destroyed) traffic.broken += 1;
    response.destroy();
  });
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
  // Server-sent events: the headers go out before the first event, which may be a minute away.
  if (answer.headers['content-type']?.startsWith('text/event-stream')) response.flushHeaders();
  answer.pipe(response);
}

function refuse(response: ServerResponse): void {
  response.writeHead(503, { 'content-type': 'application/json', 'cache-control': 'no-store', 'retry-after': '1' });
  response.end('{"message":"No API process accepts requests at the moment"}');
}

function requestHeaders(request: IncomingMessage): string[] {
  const headers = endToEnd(request.rawHeaders);
  if (request.headers['transfer-encoding'] !== undefined) headers.push('transfer-encoding', 'chunked');
  headers.push('x-forwarded-for', request.socket.remoteAddress ?? '127.0.0.1');
  return headers;
}

function endToEnd(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[i + 1] as string);
  }
  return headers;
}

async function answers(target: Target, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = startRequest(new URL(path, target.healthUrl), { agent: target.agent, timeout: 2_000 });
    probe.once('response', (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    probe.once('timeout', () => probe.destroy(new Error('no answer')));
    probe.once('error', () => resolve(false));
    probe.end();
  });
}
