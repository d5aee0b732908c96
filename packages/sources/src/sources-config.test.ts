import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { processEnvironment, sourceEnvironment } from './source-environment.ts';
import { registrySources } from './sources-config.ts';

const key = () => randomBytes(32).toString('base64');
const registry = { SHAPECAST_SOURCES: 'registry' };
const messageOf = (task: () => unknown): string => {
  try {
    task();
    return '';
  } catch (err) {
    return (err as Error).message;
  }
};

test('sources are in the environment unless it says otherwise', () => {
  expect(registrySources('router', { DATABASE_URL: 'x' })).toBeUndefined();
  expect(messageOf(() => registrySources('router', { SHAPECAST_SOURCES: 'file' }))).toBe(
    'Invalid configuration. SHAPECAST_SOURCES: expected environment or registry',
  );
});

test('a process has the keys of its role, and no others', () => {
  const env = { ...registry, SHAPECAST_SOURCES_KEY: `${key()},${key()}`, SHAPECAST_SOURCES_API_KEY: key() };
  const has = (role: 'replicator' | 'router' | 'api') => Object.keys(registrySources(role, env) ?? {});
  expect(has('replicator')).toEqual(['database', 'api']);
  expect(has('router')).toEqual(['database']);
  expect(has('api')).toEqual(['api']);
});

test('what is missing or has no meaning is said, keys never', () => {
  expect(messageOf(() => registrySources('replicator', registry))).toBe(
    'Invalid configuration. SHAPECAST_SOURCES_KEY: is required with SHAPECAST_SOURCES=registry; ' +
      'SHAPECAST_SOURCES_API_KEY: is required with SHAPECAST_SOURCES=registry',
  );
  const wrong = messageOf(() => registrySources('router', { ...registry, SHAPECAST_SOURCES_KEY: 'not-so-secret' }));
  expect(wrong).toContain('SHAPECAST_SOURCES_KEY: expected 32 bytes in base64');
  expect(wrong).not.toContain('not-so-secret');
  const env = { ...registry, SHAPECAST_SOURCES_API_KEY: key(), ELECTRIC_SECRET: 's' };
  expect(messageOf(() => registrySources('api', env))).toContain('ELECTRIC_SECRET: says something of one source');
});

test('what a source says of itself wins over the environment of the process', () => {
  const base = {
    SHAPECAST_SHARDS: '8',
    ELECTRIC_MAX_SHAPES: '5',
    SHAPECAST_NATS_URL: 'nats://n',
    ELECTRIC_SECRET: 's',
  };
  const settings = {
    id: 'acme',
    state: 'active',
    origin: 'file',
    labels: {},
    limits: {} as never,
    environment: { ELECTRIC_MAX_SHAPES: '100', ELECTRIC_REPLICATION_STREAM_ID: 'blue' },
    changedAt: 0,
  } as const;
  const env = sourceEnvironment({ settings, database: { databaseUrl: 'postgresql://u@h/d' } }, base);
  expect(env).toMatchObject({
    SHAPECAST_SOURCE_ID: 'acme',
    DATABASE_URL: 'postgresql://u@h/d',
    SHAPECAST_SHARDS: '8',
    ELECTRIC_MAX_SHAPES: '100',
    ELECTRIC_REPLICATION_STREAM_ID: 'blue',
    SHAPECAST_NATS_URL: 'nats://n',
  });
  expect(env['ELECTRIC_POOLED_DATABASE_URL']).toBeUndefined();
  expect(env['ELECTRIC_SECRET']).toBeUndefined();
  expect(processEnvironment({ DATABASE_URL: 'postgresql://u@other/d', ELECTRIC_PORT: '1' })).toEqual({
    DATABASE_URL: 'postgresql://source@source.invalid/source',
    ELECTRIC_INSECURE: 'true',
    ELECTRIC_PORT: '1',
  });
});
