import { describe, expect, test } from 'vitest';
import { meaning, type Attack } from './generator.ts';
import { judge } from './judge.ts';
import type { RawAnswer } from './raw-connection.ts';
import { runCrossTenant } from './run.ts';
import type { Tenant } from './tenants.ts';

const tenant = (id: string, more: Partial<Tenant> = {}): Tenant => ({
  ...{
    id,
    mark: `mark of ${id}`,
    secrets: [`secret of ${id}`],
    key: undefined,
    open: false,
    paused: false,
    tokens: [],
  },
  ...{ handles: new Set([`handle of ${id}`]), ...more },
});
const tenants = [tenant('acme'), tenant('bravo'), tenant('paused-one', { paused: true })] as const;
const [acme, bravo, paused] = tenants;

describe('what the query says', () => {
  test.each([
    ['source_id=acme&secret=secret+of+acme', acme, 'secret'],
    ['source_id=acme&source_id=bravo&secret=secret+of+acme', bravo, 'none'],
    ['source_id=acme&source_id[]=bravo&secret=secret+of+acme', undefined, 'none'],
    ['source_id[]=bravo&source_id=acme&secret=secret+of+acme', acme, 'secret'],
    ['%73ource_id=acme&secret=x&api_secret=secret+of+acme', acme, 'none'],
    ['source_id=acme&api_secret=secret+of+acme&x=%zz', acme, 'secret'],
    ['source_id=Acme&secret=secret+of+acme', undefined, 'none'],
  ])('%s', (query, named, right) => {
    expect(meaning(query, [], tenants)).toEqual({ named, right });
  });
});

describe('the judge', () => {
  const unknown: RawAnswer = { status: 401, headers: [['cache-control', 'no-store']], body: 'no' };
  const attack = (named: Tenant | undefined, right: Attack['right'], more: Partial<Attack> = {}): Attack => ({
    ...{ method: 'GET', target: '/v1/shape', headers: [], body: '', toShapes: true, plain: false },
    ...{ named, right, ...more },
  });
  const answer = (body: string, status = 200, headers: RawAnswer['headers'] = []): RawAnswer => ({
    status,
    headers,
    body,
  });
  const verdict = (given: Attack, got: RawAnswer) => judge(given, got, tenants, unknown);

  test('takes what a source gives to its own', () => {
    expect(verdict(attack(acme, 'secret'), answer('mark of acme'))).toBeUndefined();
    expect(
      verdict(attack(bravo, 'none'), { ...unknown, headers: [...unknown.headers, ['date', 'x']] }),
    ).toBeUndefined();
  });

  test.each([
    ['rows of another source', attack(acme, 'secret'), answer('mark of acme, mark of bravo')],
    [
      'rows of another source in a header',
      attack(acme, 'secret'),
      answer('', 200, [['electric-schema', 'mark of bravo']]),
    ],
    ['rows for nothing', attack(acme, 'none'), answer('mark of acme')],
    ['rows of a paused source', attack(paused, 'secret'), answer('mark of paused-one')],
    ['the handle of another source', attack(acme, 'secret'), answer('', 409, [['electric-handle', 'handle of bravo']])],
    ['a secret', attack(acme, 'secret'), answer('secret of acme', 400)],
    ['another refusal', attack(acme, 'none'), answer('not quite', 401, [['cache-control', 'no-store']])],
    ['another header of a refusal', attack(acme, 'none'), answer('no', 401)],
    ['an answer that is empty', attack(acme, 'none'), answer('[]')],
    ['a token that is not good', attack(acme, 'signed'), answer('[]')],
    ['nothing for its own', attack(acme, 'secret', { plain: true }), answer('[]')],
    ['an error', attack(acme, 'secret'), answer('', 500)],
  ])('complains about %s', (_what, given, got) => {
    expect(verdict(given, got)).toBeDefined();
  });
});

/** `npm run bench -- cross-tenant` sends a million. */
const REQUESTS = Number(process.env['SHAPECAST_TEST_CROSS_TENANT_REQUESTS'] ?? 15_000);

test('O 4.4 no request gets anything of a tenant of which it has nothing', async () => {
  const report = await runCrossTenant({ seed: 7, requests: REQUESTS });
  expect(report.violations).toEqual([]);
  expect(report.requests).toBeGreaterThanOrEqual(REQUESTS);
  // The run is worth something: most were turned away, and some were not.
  expect(report.refusedAlike).toBeGreaterThan(REQUESTS / 4);
  expect(report.served).toBeGreaterThan(REQUESTS / 50);
});
