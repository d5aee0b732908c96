import { expect, test } from 'vitest';
import { parseNatsUrl } from './servers.ts';

test('a URL gives the server, with the default port', () => {
  expect(parseNatsUrl('nats://queue.internal')).toEqual({
    servers: ['queue.internal:4222'],
    tls: false,
    display: 'nats://queue.internal:4222',
  });
});

test('credentials are decoded and are not in what is displayed', () => {
  const parsed = parseNatsUrl('tls://a%40b:p%3Aw@one:5222, tls://[::1]:6222');
  expect(parsed).toEqual({
    servers: ['one:5222', '[::1]:6222'],
    user: 'a@b',
    pass: 'p:w',
    tls: true,
    display: 'tls://one:5222,tls://[::1]:6222',
  });
});

test('a user without a password is a token', () => {
  expect(parseNatsUrl('nats://t0ken@one')).toMatchObject({ token: 't0ken' });
});

test('a host without a scheme is understood', () => {
  expect(parseNatsUrl('localhost:4333').servers).toEqual(['localhost:4333']);
});

test.each(['', 'http://user:s3cret@one', 'nats://user:s3cret@:x'])('%j is refused without repeating it', (url) => {
  expect(() => parseNatsUrl(url)).toThrow(/nats:\/\/host:4222/);
  expect(() => parseNatsUrl(url)).not.toThrow(/s3cret/);
});
