import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isShapecastError } from '@shapecast/errors';
import { parseConfig, type Environment } from './config.ts';
import { databaseConfig, databaseConnection, databaseNames, databaseProblems } from './database-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'shapecast-ca-'));
const caFile = join(folder, 'ca.pem');
writeFileSync(caFile, 'a certificate');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (env: Environment) => parseConfig(z.object(databaseConfig), databaseNames, env, databaseProblems);
const problem = (env: Environment): string => {
  try {
    parse(env);
    return 'accepted';
  } catch (error) {
    return isShapecastError(error, 'INVALID_CONFIG') ? error.message : String(error);
  }
};
const url = 'postgres://me:hunter2@db/app';

describe('settings of the database', () => {
  test('are few unless wanted', () => {
    const config = parse({ DATABASE_URL: url });
    expect(config).toMatchObject({ databaseUrl: url, useIpv6: false, poolSize: 20 });
    expect(config.queryUrl).toBeUndefined();
    expect(databaseConnection(config)).toEqual({
      useIpv6: false,
      tcp: {
        keepaliveIdleS: undefined,
        keepaliveIntervalS: undefined,
        keepaliveCount: undefined,
        userTimeoutMs: undefined,
      },
    });
  });

  test('are those of the reference', () => {
    const config = parse({
      DATABASE_URL: url,
      ELECTRIC_QUERY_DATABASE_URL: 'postgres://old@pool/app',
      ELECTRIC_POOLED_DATABASE_URL: 'postgres://me@pool/app',
      ELECTRIC_DATABASE_CA_CERTIFICATE_FILE: caFile,
      ELECTRIC_DATABASE_USE_IPV6: 'true',
      ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE: '10',
      ELECTRIC_DATABASE_TCP_KEEPALIVE_INTERVAL: '5',
      ELECTRIC_DATABASE_TCP_KEEPALIVE_COUNT: '3',
      ELECTRIC_DATABASE_TCP_USER_TIMEOUT: '30s',
      ELECTRIC_DB_POOL_SIZE: '6',
    });
    expect(config).toMatchObject({ queryUrl: 'postgres://me@pool/app', poolSize: 6 });
    expect(databaseConnection(config)).toEqual({
      caCertificate: 'a certificate',
      useIpv6: true,
      tcp: { keepaliveIdleS: 10, keepaliveIntervalS: 5, keepaliveCount: 3, userTimeoutMs: 30_000 },
    });
  });

  test.each([
    ['DATABASE_URL', { DATABASE_URL: 'mysql://me:hunter2@db/app' }, /DATABASE_URL: the scheme must be/],
    ['the query URL', { ELECTRIC_POOLED_DATABASE_URL: 'postgres://hunter2' }, /POOLED_DATABASE_URL: a user name is/],
    ['sslmode', { DATABASE_URL: `${url}?sslmode=verify-full` }, /set ELECTRIC_DATABASE_CA_CERTIFICATE_FILE to verify/],
    ['replication', { DATABASE_URL: `${url}?replication=true` }, /the replication parameter is not allowed/],
    [
      'the CA file',
      { ELECTRIC_DATABASE_CA_CERTIFICATE_FILE: join(folder, 'none') },
      /CA_CERTIFICATE_FILE: expected the path/,
    ],
    ['the pool', { ELECTRIC_DB_POOL_SIZE: '0' }, /POOL_SIZE: expected a whole number of at least 1/],
    ['keepalive', { ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE: '10s' }, /KEEPALIVE_IDLE: expected a whole number/],
  ])('stop the start when %s is wrong, and show no password', (_what, env, message) => {
    const said = problem({ DATABASE_URL: url, ...env });
    expect(said).toMatch(message);
    expect(said).not.toContain('hunter2');
  });

  test.each(['DATABASE_URL', 'ELECTRIC_POOLED_DATABASE_URL'])('forbid a CA file and %s without TLS', (name) => {
    const env = { DATABASE_URL: url, [name]: `${url}?sslmode=disable` };
    expect(problem(env)).toBe('accepted');
    expect(problem({ ...env, ELECTRIC_DATABASE_CA_CERTIFICATE_FILE: caFile })).toContain(
      "When ELECTRIC_DATABASE_CA_CERTIFICATE_FILE is set, sslmode must be omitted or set to a value other than 'disable'",
    );
  });
});
