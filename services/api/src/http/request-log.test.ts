import { expect, test } from 'vitest';
import { redactQuery } from './request-log.ts';

test.each([
  ['', ''],
  ['table=items&offset=-1', 'table=items&offset=-1'],
  ['table=items&secret=s3cr3t&offset=-1', 'table=items&secret=[REDACTED]&offset=-1'],
  [
    'api_secret=x&token=x&access_token=x&api_key=x&password=x',
    ['api_secret', 'token', 'access_token', 'api_key', 'password'].map((name) => `${name}=[REDACTED]`).join('&'),
  ],
  ['%73ecret=x', '%73ecret=[REDACTED]'],
  ['SECRET=x', 'SECRET=[REDACTED]'],
  ['secret[]=x&secret[a]=y&secret%5B%5D=z', 'secret[]=[REDACTED]&secret[a]=[REDACTED]&secret%5B%5D=[REDACTED]'],
  ['+secret+=x', '+secret+=[REDACTED]'],
  ['%zz=x', '%zz=[REDACTED]'],
  ['secret=a=b', 'secret=[REDACTED]'],
  ['secret', 'secret'],
  ['secretary=x', 'secretary=x'],
])('%j is logged as %j', (query, shown) => {
  expect(redactQuery(query)).toBe(shown);
});

test('a long query is cut', () => {
  expect(redactQuery(`where=${'a'.repeat(30_000)}`).length).toBeLessThan(2_100);
});
