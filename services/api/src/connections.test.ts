import { connect } from 'node:net';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, until } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

/** Everything a connection answers to these bytes until the server closes it. */
function conversation(api: ApiFixture, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: api.api.port, host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    socket.on('data', (part: Buffer) => (text += part.toString()));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.destroy();
      resolve(text);
    });
    socket.write(bytes);
  });
}

const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`;

describe('the last request of a connection', () => {
  test('is answered, the connection closes, and requests sent behind it get no answer at all', async () => {
    const api = (fixture = await new ApiFixture({ maxRequestsPerConnection: 3 }).start());
    const text = await conversation(api, get('/v1/shape?table=items&offset=-1').repeat(8));
    expect(statuses(text)).toEqual([200, 200, 200]);
    expect([...text.matchAll(/\r\nconnection: close\r\n/gi)]).toHaveLength(1);
    expect(text.slice(text.lastIndexOf('HTTP/1.1')).toLowerCase()).toContain('connection: close');
    expect(api.api.report().inProgress).toBe(0);
  });

  test('may be a live one', async () => {
    const api = (fixture = await new ApiFixture({ maxRequestsPerConnection: 2, longPollTimeoutMs: 200 }).start());
    const handle = await api.handle();
    const live = get(`/v1/shape?table=items&offset=0_inf&handle=${handle}&live=true`);
    const text = await conversation(api, get('/v1/health') + live + get('/v1/health').repeat(2));
    expect(statuses(text)).toEqual([200, 200]);
    expect(text).toMatch(/"up-to-date"[^\n]*$/);
    expect(api.api.report()).toMatchObject({ held: 0, inProgress: 0, permits: { initial: 0, existing: 0 } });
  });
});

/** The system's clock, on which the time that a body may take is over when `expire` is called. */
function bodyClock(): { readonly clock: Clock; readonly expire: () => void; readonly pending: () => number } {
  const timers = new Set<() => void>();
  const after: Clock['after'] = (delayMs, callback) => {
    if (delayMs !== 30_000) return systemClock.after(delayMs, callback);
    timers.add(callback);
    return () => void timers.delete(callback);
  };
  const clock = new Proxy(systemClock, {
    get: (target, name) => (name === 'after' ? after : (Reflect.get(target, name) as unknown)),
  });
  return { clock, expire: () => timers.forEach((callback) => callback()), pending: () => timers.size };
}

test('a client that does not finish its body is cut, and its permit is free', async () => {
  const { clock, expire, pending } = bodyClock();
  const api = (fixture = await new ApiFixture({ limits: { initial: 1, existing: 1 } }, { clock }).start());
  const cut = conversation(
    api,
    'POST /v1/shape?table=items&offset=-1 HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n{',
  );
  await until(() => pending() === 1);
  expect((await api.shape('offset=-1')).status).toBe(503);
  expire();
  expect(await cut.catch(() => '')).toBe('');
  await until(() => api.api.report().inProgress === 0);
  const served = await api.shape('offset=-1', { method: 'POST', body: '{}' });
  expect([served.status, pending()]).toEqual([200, 0]);
});
