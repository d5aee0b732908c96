import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseApiConfig } from './config.ts';
import { followSecretsFile } from './secrets-file.ts';
import { Secrets } from './secrets.ts';

const servers = { SHAPECAST_NATS_URL: 'nats://x', SHAPECAST_REDIS_URL: 'redis://x' };
let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shapecast-secrets-'));
  path = join(folder, 'secrets');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function problem(env: Record<string, string>): string {
  try {
    parseApiConfig({ ...servers, ...env });
    return '';
  } catch (err) {
    return (err as Error).message;
  }
}

describe('A20 secure mode at start', () => {
  test('needs a secret, unless insecure mode is asked for', () => {
    expect(problem({})).toContain('ELECTRIC_SECRET is required');
    expect(problem({ ELECTRIC_INSECURE: 'false' })).toContain('ELECTRIC_SECRET is required');
    expect(problem({ ELECTRIC_INSECURE: 'true' })).toBe('');
    expect(problem({ ELECTRIC_SECRET: 'hunter2' })).toBe('');
  });

  test('refuses a secret beside insecure mode, wherever it comes from, and repeats none', () => {
    writeFileSync(path, 'hunter2\n');
    for (const given of [{ ELECTRIC_SECRET: 'hunter2' }, { SHAPECAST_SECRETS_FILE: path }]) {
      const text = problem({ ELECTRIC_INSECURE: 'true', ...given });
      expect(text).toContain('exclude each other');
      expect(text).not.toContain('hunter2');
    }
  });

  test('takes a file of secrets in place of the variable, if it can be read and has one', () => {
    expect(problem({ SHAPECAST_SECRETS_FILE: path })).toContain(
      'SHAPECAST_SECRETS_FILE: expected the path of a file that can be read',
    );
    writeFileSync(path, '\n  \n');
    expect(problem({ SHAPECAST_SECRETS_FILE: path })).toContain('SHAPECAST_SECRETS_FILE: expected at least one secret');
    writeFileSync(path, 'a,b\n');
    expect(problem({ SHAPECAST_SECRETS_FILE: path })).toBe('');
  });

  test('is one complaint among the others', () => {
    expect(problem({ ELECTRIC_LONG_POLL_TIMEOUT: '0', ELECTRIC_PORT: 'x' })).toMatch(
      /ELECTRIC_PORT: expected.*ELECTRIC_LONG_POLL_TIMEOUT: expected.*ELECTRIC_SECRET is required/,
    );
  });
});

describe('the file of secrets', () => {
  const stop: AbortController[] = [];
  const running: Promise<void>[] = [];
  afterEach(async () => {
    for (const abort of stop.splice(0)) abort.abort();
    await Promise.all(running.splice(0));
  });

  function follow(fixed: readonly string[] = []): { allows: (secret: string) => boolean; errors: string[] } {
    const secrets = new Secrets(fixed);
    const abort = new AbortController();
    const errors: string[] = [];
    const log: Logger = { ...silentLogger, error: (_fields, message) => void errors.push(message) };
    stop.push(abort);
    running.push(followSecretsFile(path, secrets, { clock: systemClock, log }, abort.signal));
    return { allows: (secret) => secrets.allows({ secret }), errors };
  }

  test('has one secret per line, which may hold a comma, beside those of the variable', () => {
    writeFileSync(path, 'one\r\n two,three \n\n');
    const { allows } = follow(['fixed']);
    const allowed = ['one', 'two,three', 'fixed', 'two', '', ' two,three ', 'wrong'].map(allows);
    expect(allowed).toEqual([true, true, true, false, false, false, false]);
  });

  test('is read again: while both are in it both are valid, then only the new one', async () => {
    writeFileSync(path, 'old\n');
    const { allows } = follow();
    expect([allows('old'), allows('new')]).toEqual([true, false]);
    writeFileSync(path, 'old\nnew\n');
    await waitFor(() => allows('new'));
    expect(allows('old')).toBe(true);
    writeFileSync(path, 'new\n');
    await waitFor(() => !allows('old'));
    expect(allows('new')).toBe(true);
  });

  test('may be swapped by its folder, as Kubernetes does', async () => {
    writeFileSync(join(folder, 'v1'), 'old');
    writeFileSync(join(folder, 'v2'), 'new');
    symlinkSync(join(folder, 'v1'), path);
    const { allows } = follow();
    symlinkSync(join(folder, 'v2'), join(folder, 'next'));
    renameSync(join(folder, 'next'), path);
    await waitFor(() => allows('new') && !allows('old'));
    expect(allows('new')).toBe(true);
  });

  test('changes nothing when it is gone or has no secret left: nobody is let in and nobody locked out', async () => {
    writeFileSync(path, 'old\n');
    const { allows, errors } = follow();
    writeFileSync(path, '');
    await waitFor(() => errors.length > 0);
    expect([allows('old'), allows(''), allows('x')]).toEqual([true, false, false]);
    rmSync(path);
    writeFileSync(path, 'new\n');
    await waitFor(() => allows('new'));
    expect(errors).toEqual(['secrets file cannot be used, the secrets read before stay valid']);
  });
});
