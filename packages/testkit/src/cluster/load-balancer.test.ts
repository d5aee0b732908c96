import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { freePort } from '@shapecast/local-postgres';
import { expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { startLoadBalancer, type LoadBalancer, type LoadBalancerOptions } from './load-balancer.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Pod {
  readonly url: string;
  readonly server: Server;
}

async function openPod(handler: Handler): Promise<Pod> {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

async function openBalancer(
  pods: readonly string[],
  options: Partial<LoadBalancerOptions> = {},
): Promise<LoadBalancer> {
  const balancer = await startLoadBalancer({ targets: pods, ...options });
  onTestFinished(() => balancer.stop());
  return balancer;
}

const named =
  (name: string): Handler =>
  (_request, response) =>
    void response.end(name);

async function text(url: string, init?: RequestInit): Promise<string> {
  return (await fetch(url, init)).text();
}

test('asks the pods in turn', async () => {
  const pods = await Promise.all(['a', 'b', 'c'].map((name) => openPod(named(name))));
  const { url } = await openBalancer(pods.map((pod) => pod.url));
  const answers = [];
  for (let i = 0; i < 6; i += 1) answers.push(await text(url));
  expect(answers.join('')).toBe('abcabc');
});

test('passes method, path, headers and body on, and status, headers and body back', async () => {
  const pod = await openPod((request, response) => {
    response.writeHead(418, 'short and stout', {
      'x-seen': `${request.method} ${request.url} ${String(request.headers['x-sent'])}`,
    });
    request.pipe(response);
  });
  const { url } = await openBalancer([pod.url]);
  const response = await fetch(`${url}/v1/shape?table=a%20b`, {
    method: 'POST',
    body: 'body',
    headers: { 'x-sent': 'yes' },
  });
  expect([response.status, response.statusText]).toEqual([418, 'short and stout']);
  expect(response.headers.get('x-seen')).toBe('POST /v1/shape?table=a%20b yes');
  expect(await response.text()).toBe('body');
});

test('a client that leaves takes its request to the pod along', async () => {
  const gone: string[] = [];
  let waiting = 0;
  const pod = await openPod((request, response) => {
    waiting += 1;
    response.once('close', () => gone.push(request.url ?? ''));
  });
  const { url } = await openBalancer([pod.url]);
  const client = new AbortController();
  const answers = [1, 2].map((n) => fetch(`${url}/${n}`, { signal: client.signal }).catch(() => 'aborted'));
  await waitFor(() => waiting === 2);
  client.abort();
  expect(await Promise.all(answers)).toEqual(['aborted', 'aborted']);
  await waitFor(() => gone.length === 2, { describe: () => gone });
  expect(gone.toSorted()).toEqual(['/1', '/2']);
});

test('a pod that refuses the connection is passed over', async () => {
  const pod = await openPod(named('alive'));
  const { url } = await openBalancer([`http://127.0.0.1:${await freePort()}`, pod.url]);
  const answers = await Promise.all(Array.from({ length: 10 }, () => text(url)));
  expect(new Set(answers)).toEqual(new Set(['alive']));
});

test('a GET whose pod dies before the answer goes to another pod, a POST does not', async () => {
  let calls = 0;
  const dying = await openPod((request) => {
    calls += 1;
    request.socket.destroy();
  });
  const pod = await openPod(named('alive'));
  const { url } = await openBalancer([dying.url, pod.url]);
  expect(await text(url)).toBe('alive');
  expect(calls).toBe(1);
  const response = await fetch(url, { method: 'POST', body: 'once only' });
  expect(response.status).toBe(503);
  expect(calls).toBe(2);
});

test('an answer that its pod cuts short is cut short for the client too', async () => {
  const pod = await openPod((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('[{"first":1}', () => setImmediate(() => response.destroy()));
  });
  const { url, traffic } = await openBalancer([pod.url]);
  await expect(text(url)).rejects.toThrow();
  expect(traffic).toMatchObject({ broken: 1, repeated: 0 });
});

test('says 503 when no pod answers', async () => {
  const { url } = await openBalancer([`http://127.0.0.1:${await freePort()}`]);
  const response = await fetch(url);
  expect(response.status).toBe(503);
  expect(await response.json()).toHaveProperty('message');
});

test('a pod that reports not ready gets no requests until it is ready again', async () => {
  let ready = false;
  const flaky = await openPod((request, response) => {
    if (request.url === '/health') response.statusCode = ready ? 200 : 503;
    response.end('flaky');
  });
  const steady = await openPod(named('steady'));
  const { url } = await openBalancer([flaky.url, steady.url], { healthPath: '/health', healthIntervalMs: 10 });
  const four = async (): Promise<string> => {
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await text(url));
    return [...new Set(answers)].toSorted().join();
  };
  await waitFor(async () => (await four()) === 'steady');
  ready = true;
  await waitFor(async () => (await four()) === 'flaky,steady');
  expect(await four()).toBe('flaky,steady');
});

test('events of a stream arrive one by one', async () => {
  const responses: ServerResponse[] = [];
  const pod = await openPod((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    responses.push(response);
  });
  const { url } = await openBalancer([pod.url]);
  const response = await fetch(url);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    responses[0]?.write(event);
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(event);
  }
  await reader.cancel();
});

test('two thousand requests wait at once, and all are answered', async () => {
  const waiting: ServerResponse[] = [];
  const pods = await Promise.all([1, 2].map(() => openPod((_request, response) => void waiting.push(response))));
  const balancer = await openBalancer(pods.map((pod) => pod.url));
  const count = 2_000;
  const answers = Array.from(
    { length: count },
    (_none, i) =>
      new Promise<number>((resolve, reject) => {
        const call = request(`${balancer.url}/${i}`, { agent: false }, (answer) => {
          answer.resume();
          answer.once('end', () => resolve(answer.statusCode ?? 0));
        });
        call.once('error', reject);
        call.end();
      }),
  );
  await waitFor(() => waiting.length === count, { describe: () => waiting.length });
  for (const response of waiting) response.end('news');
  expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
});

test('pods come and go: one that is not ready yet gets nothing, and what one that goes has begun it ends', async () => {
  let ready = false;
  let stalled = false;
  const slow = Promise.withResolvers<void>();
  const first = await openPod((request, response) => {
    if (request.url !== '/slow') return void response.end('a');
    stalled = true;
    void slow.promise.then(() => response.end('a'));
  });
  const second = await openPod((request, response) => {
    if (request.url === '/health' && !ready) response.statusCode = 503;
    response.end('b');
  });
  const balancer = await openBalancer([first.url], { healthPath: '/health', healthIntervalMs: 1_000_000 });
  await balancer.add(second.url);
  expect(await text(balancer.url)).toBe('a');
  expect(await text(balancer.url)).toBe('a');
  ready = true;
  await balancer.check();
  expect([await text(balancer.url), await text(balancer.url)].toSorted()).toEqual(['a', 'b']);

  const begun = [text(`${balancer.url}/slow`), text(`${balancer.url}/slow`)];
  await waitFor(() => stalled);
  balancer.remove(first.url);
  expect([await text(balancer.url), await text(balancer.url)]).toEqual(['b', 'b']);
  slow.resolve();
  expect((await Promise.all(begun)).toSorted()).toEqual(['a', 'b']);
});
