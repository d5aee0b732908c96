import { describe, expect, test } from 'vitest';
import type { RawAnswer } from './support/http.ts';
import { header, type ConformanceService } from './support/service.ts';

const EXPOSED = [
  'electric-cursor',
  'electric-handle',
  'electric-has-data',
  'electric-offset',
  'electric-schema',
  'electric-up-to-date',
  'electric-internal-known-error',
  'electric-snapshot',
  'retry-after',
];
const METHODS = 'GET, POST, HEAD, DELETE, OPTIONS';

/** CO-1 to CO-3, for whatever origin. */
export function expectCors(answer: RawAnswer): void {
  const exposed = header(answer, 'access-control-expose-headers').split(',');
  expect(exposed).toEqual(expect.arrayContaining(EXPOSED));
  expect(answer.headers).toMatchObject({
    'access-control-allow-methods': METHODS,
    'access-control-allow-origin': '*',
  });
  expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
}

/** Spec H 28.2 and section 3. */
export function describeCors(service: () => ConformanceService): void {
  describe('CORS', () => {
    const origin = { origin: 'https://a.example' };

    test('C015, C016 data is for any origin, with and without one', async () => {
      for (const headers of [origin, {}]) expectCors(await service().shape({ offset: '-1' }, { headers }));
    });

    test('C017 errors, redirects and 304 have the headers too, for every method', async () => {
      const { answer } = await service().open();
      const tag = { 'if-none-match': header(answer, 'etag') };
      const answers = [
        await service().shape({ offset: 'foo' }, { headers: origin }),
        await service().shape({ offset: '0_0', handle: 'other' }, { headers: origin }),
        await service().shape({ offset: '-1' }, { headers: { ...origin, ...tag } }),
        await service().shape({ offset: '-1' }, { headers: origin, method: 'POST', body: '{' }),
        await service().send('/v1/shape?x=%zz', { headers: origin }),
        await service().send('/v1/shape', { headers: origin, method: 'DELETE' }),
        await service().shape({ offset: '0_0' }, { headers: origin, method: 'HEAD' }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([400, 409, 304, 400, 400, 400, 400]);
      for (const each of answers) expectCors(each);
    });

    test('C018 a preflight is answered and may be kept for a day', async () => {
      const answer = await service().send('/v1/shape', { method: 'OPTIONS', headers: origin });
      expect([answer.status, answer.text]).toEqual([204, '']);
      expectCors(answer);
      expect(answer.headers['access-control-max-age']).toBe('86400');
      for (const name of ['cache-control', 'content-type', 'electric-handle']) {
        expect(answer.headers).not.toHaveProperty(name);
      }
    });

    const allowed = async (asked: string) => {
      const headers = { ...origin, 'access-control-request-headers': asked };
      const answer = await service().send('/v1/shape', { method: 'OPTIONS', headers });
      expect(answer.status).toBe(204);
      return (answer.headers['access-control-allow-headers'] ?? '').toLowerCase().split(/,\s*/);
    };

    test.each([
      ['C019', 'if-none-match'],
      ['C019', 'Traceparent'],
      ['C020', 'content-type, if-none-match'],
      ['CO-8', 'CONTENT-TYPE,If-None-Match ,traceparent'],
      ['CO-8', 'content-type,authorization,accept,cache-control,last-event-id,if-none-match,traceparent'],
      ['CO-8', ' last-event-id\t,\tauthorization'],
    ])('%s a preflight for %j allows each of them', async (_case, asked) => {
      const names = asked
        .toLowerCase()
        .split(',')
        .map((name) => name.trim());
      expect(await allowed(asked)).toEqual(expect.arrayContaining(names));
    });

    test('CO-8 what is not on the list is not allowed, and does not spoil the rest', async () => {
      const names = await allowed('x-custom, cookie, content-type');
      expect(names).toContain('content-type');
      expect(names).not.toContain('x-custom');
      expect(names).not.toContain('cookie');
    });

    test('CO-4 other routes allow reading', async () => {
      for (const path of ['/', '/v1/health', '/nope']) {
        const { headers } = await service().send(path, { headers: origin });
        expect(headers).toMatchObject({
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'GET, HEAD',
        });
      }
    });
  });
}
