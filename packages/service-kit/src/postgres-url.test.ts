import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePostgresUrl, type PostgresUrl } from './postgres-url.ts';

const parsed = (text: string): PostgresUrl => {
  const url = parsePostgresUrl(text);
  if ('problem' in url) throw new Error(url.problem);
  return url;
};
const problem = (text: string): string => {
  const url = parsePostgresUrl(text);
  return 'problem' in url ? url.problem : `accepted: ${inspect(url)}`;
};

describe('a database URL', () => {
  test.each(['postgres', 'postgresql'])('may begin with %s', (scheme) => {
    expect(parsed(`${scheme}://me:secret@db.example:6543/app?sslmode=require`)).toEqual({
      host: 'db.example',
      port: 6543,
      user: 'me',
      database: 'app',
      sslMode: 'require',
    });
  });

  test.each(['http://me@db/app', 'mysql://me@db/app', 'postgresq://me@db/app', 'me@db/app', ''])(
    'has no other scheme: %s',
    (text) => expect(problem(text)).toBe('the scheme must be postgresql or postgres'),
  );

  test('has a port, a database and no password when it does not say', () => {
    for (const text of ['postgres://me@db', 'postgres://me@db/']) {
      expect(parsed(text)).toMatchObject({ port: 5432, database: 'me', sslMode: undefined });
      expect(parsed(text).password).toBeUndefined();
    }
  });

  test.each(['postgres:///app', 'postgres://me:secret@/app', 'postgres://me:secret@:5432/app'])(
    'needs a host: %s',
    (text) => expect(problem(text)).toBe('a host is required'),
  );

  test('needs a user name', () => {
    expect(problem('postgres://db/app')).toBe('a user name is required');
  });

  test('may have any text in user name, password and database', () => {
    const encode = encodeURIComponent;
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (u, p, d) => {
        const url = parsed(`postgresql://${encode(u)}:${encode(p)}@db/${encode(d)}`);
        expect([url.user, url.password]).toEqual([u, p]);
        // The URL standard drops these two as path segments, however they are written.
        if (d !== '.' && d !== '..') expect(url.database).toBe(d);
      }),
    );
  });

  test('may have an IPv6 address in brackets', () => {
    expect(parsed('postgres://me@[2001:db8::1]:6543/app')).toMatchObject({ host: '2001:db8::1', port: 6543 });
  });

  test.each(['disable', 'allow', 'prefer', 'require'])('takes sslmode=%s', (mode) => {
    expect(parsed(`postgres://me@db/app?sslmode=${mode}`).sslMode).toBe(mode);
  });

  test.each(['verify-ca', 'verify-full'])('points sslmode=%s at the CA file', (mode) => {
    expect(problem(`postgres://me@db/app?sslmode=${mode}`)).toMatch(/ELECTRIC_DATABASE_CA_CERTIFICATE_FILE/);
  });

  test.each(['', 'REQUIRE', 'on'])('refuses sslmode=%j', (mode) => {
    expect(problem(`postgres://me@db/app?sslmode=${mode}`)).toBe('sslmode must be disable, allow, prefer or require');
  });

  test('never says replication: both kinds of connection are made', () => {
    expect(problem('postgres://me@db/app?replication=database')).toBe('the replication parameter is not allowed');
  });

  test('T55 ignores parameters that we do not know', () => {
    const text = 'postgres://me@db/app?application_name=x&channel_binding=require&options=endpoint%3Dy&pgbouncer=true';
    expect(parsed(text)).toMatchObject({ host: 'db', user: 'me', database: 'app' });
  });

  test('keeps its password out of dumps and problems', () => {
    const url = parsed('postgres://me:hunter2@db/app');
    expect(url.password).toBe('hunter2');
    expect(inspect(url, { depth: null }) + JSON.stringify({ ...url })).not.toContain('hunter2');
    for (const text of [
      'postgres://me:hunter2/x@db/app',
      'postgres://me:hunter2%zz@db/app',
      'postgres://me:hunter2@db:hunter2/app',
      'postgres://me:hunter2@/app',
      'postgres://me:hunter2@db/app?sslmode=hunter2',
    ]) {
      expect(problem(text)).not.toContain('accepted');
      expect(problem(text)).not.toContain('hunter2');
    }
  });
});
