import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { redisConfig, redisConnection, redisNames, redisProblems } from './common-config.ts';
import { parseConfig, type Environment } from './config.ts';
import { parseRedisUrl } from './redis-url.ts';

describe('the URL of Redis', () => {
  test('names a server, or several nodes of a cluster', () => {
    expect(parseRedisUrl('redis://me:secret@one:7000/2')).toEqual({
      kind: 'servers',
      urls: ['redis://me:secret@one:7000/2'],
    });
    expect(parseRedisUrl('one:7000, rediss://two')).toEqual({
      kind: 'servers',
      urls: ['redis://one:7000', 'rediss://two'],
    });
  });

  test('names sentinels, and who they call the primary', () => {
    expect(
      parseRedisUrl('redis+sentinel://me:s%40cret@a:1,[::1]:2,c/my-primary/3?sentinel_user=u&sentinel_password=p%25'),
    ).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
        { host: 'c', port: 26_379 },
      ],
      name: 'my-primary',
      database: 3,
      tls: false,
      user: 'me',
      password: 's@cret',
      sentinelUser: 'u',
      sentinelPassword: 'p%',
    });
    expect(parseRedisUrl('rediss+sentinel://only-a-password@a/x')).toMatchObject({
      tls: true,
      user: '',
      password: 'only-a-password',
    });
  });

  test.each([
    '',
    ',',
    'http://one',
    'redis://',
    'redis://one,postgres://two',
    'redis+sentinel://a:1',
    'redis+sentinel:///name',
    'redis+sentinel://hunter2:%zz@a/name',
    'redis+sentinel://a:99999/name',
  ])('%s is none, and no part of it is repeated', (text) => {
    const parsed = parseRedisUrl(text);
    expect('problem' in parsed && parsed.problem).toMatch(/expected|%25/);
    expect(JSON.stringify(parsed)).not.toContain('hunter2');
  });
});

describe('settings of Redis', () => {
  const parse = (env: Environment) => parseConfig(z.object(redisConfig), redisNames, env, redisProblems);

  test('say what to connect to', () => {
    expect(redisConnection(parse({ SHAPECAST_REDIS_URL: 'redis://one' }))).toEqual({
      url: 'redis://one',
      cluster: false,
    });
    const cluster = { SHAPECAST_REDIS_URL: 'redis://one,redis://two', SHAPECAST_REDIS_CLUSTER: 'true' };
    expect(redisConnection(parse(cluster))).toEqual({ url: 'redis://one,redis://two', cluster: true });
  });

  test('several servers are a cluster, and a cluster has no sentinels', () => {
    expect(() => parse({ SHAPECAST_REDIS_URL: 'redis://one,redis://two' })).toThrow('SHAPECAST_REDIS_CLUSTER=true');
    expect(() => parse({ SHAPECAST_REDIS_URL: 'redis+sentinel://a/x', SHAPECAST_REDIS_CLUSTER: 'true' })).toThrow(
      'SHAPECAST_REDIS_CLUSTER',
    );
    expect(() => parse({ SHAPECAST_REDIS_URL: 'redis+sentinel://a' })).toThrow('SHAPECAST_REDIS_URL');
  });
});
