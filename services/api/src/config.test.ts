import { describe, expect, onTestFinished, test } from 'vitest';
import { apiOptions, parseApiConfig } from './config.ts';
import { ApiFixture } from './testing/api-fixture.ts';

const env = { SHAPECAST_NATS_URL: 'nats://x', SHAPECAST_REDIS_URL: 'redis://x', ELECTRIC_INSECURE: 'true' };
const optionsOf = (more: Record<string, string>) => apiOptions(parseApiConfig({ ...env, ...more }));

describe('the API listens', () => {
  test('on every IPv4 address, on every IPv6 address when told so, or where it is told', () => {
    expect(optionsOf({}).host).toBe('0.0.0.0');
    expect(optionsOf({ ELECTRIC_LISTEN_ON_IPV6: 'true' }).host).toBe('::');
    expect(optionsOf({ ELECTRIC_LISTEN_ON_IPV6: 'true', SHAPECAST_HOST: '127.0.0.1' }).host).toBe('127.0.0.1');
  });

  test('for IPv4 too when it listens on every IPv6 address', async () => {
    const { api } = new ApiFixture({ host: '::' });
    onTestFinished(() => api.stop());
    await api.start(new AbortController().signal);
    expect((await fetch(`http://127.0.0.1:${api.port}/`)).status).toBe(200);
  });
});

test('what a spec has values for and the reference no variable can be set', () => {
  expect(optionsOf({})).toMatchObject({ readyTimeoutMs: 5_000, sseKeepAliveMs: 21_000, sseTimeoutMs: 60_000 });
  const set = { SHAPECAST_READY_TIMEOUT: '1s', SHAPECAST_SSE_KEEPALIVE: '2s', SHAPECAST_SSE_TIMEOUT: '3s' };
  expect(optionsOf(set)).toMatchObject({ readyTimeoutMs: 1_000, sseKeepAliveMs: 2_000, sseTimeoutMs: 3_000 });
});
