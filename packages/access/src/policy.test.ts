import { describe, expect, test } from 'vitest';
import { parsePolicy } from './policy.ts';

const KEY = { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' };
const JWT = { keys: [KEY] };

function problems(value: unknown): readonly string[] {
  const parsed = parsePolicy(value);
  return parsed.ok ? [] : parsed.problems;
}

describe('a policy', () => {
  test('may be as small as its keys: grants only', () => {
    expect(parsePolicy({ jwt: JWT })).toMatchObject({ ok: true, policy: { rules: [], grantClaim: ['shape'] } });
  });

  test('finds its tables as requests do', () => {
    const parsed = parsePolicy({ jwt: JWT, rules: [{ table: 'Items' }, { table: 'app."Mixed"' }] });
    expect(parsed.ok && parsed.policy.rules.map(({ table }) => table)).toEqual([
      { schema: 'public', name: 'items' },
      { schema: 'app', name: 'Mixed' },
    ]);
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /^policy: /],
    ['no keys at all', { jwt: {} }, /^jwt: expected either jwksUrl or keys$/],
    ['keys and a URL', { jwt: { ...JWT, jwksUrl: 'https://a.example/jwks' } }, /^jwt: expected either/],
    ['a URL of another kind', { jwt: { jwksUrl: 'file:///etc/passwd' } }, /^jwt\.jwksUrl: /],
    ['a private key', { jwt: { keys: [{ kty: 'EC', d: 'xyz' }] } }, /^jwt\.keys\[0\]: .*private key/],
    [
      'a shared algorithm without a shared key',
      { jwt: { jwksUrl: 'https://a.example/', algorithms: ['HS256'] } },
      /^jwt\.algorithms: HS256/,
    ],
    ['no algorithm', { jwt: { ...JWT, algorithms: ['none'] } }, /^jwt\.algorithms\[0\]: /],
    ['a field that does not exist', { jwt: JWT, rule: [] }, /rule/],
    ['a table that is no name', { jwt: JWT, rules: [{ table: 'a.b.c' }] }, /^rules\[0\]\.table: /],
    [
      'a claim in quotes',
      { jwt: JWT, rules: [{ table: 'a' }, { table: 'b', where: "x = '{claims.y}'" }] },
      /^rules\[1\]\.where: a claim stands inside quotes/,
    ],
    ['conditions on nothing', { jwt: JWT, rules: [{ table: 'a', when: { 'a b': 1 } }] }, /^rules\[0\]\.when/],
  ])('with %s names the field that is wrong', (_name, value, problem) => {
    expect(problems(value).join('\n')).toMatch(problem);
  });

  test('repeats no key in what is wrong with it', () => {
    const text = problems({ jwt: { keys: [{ ...KEY, kty: 'what', k: 'dG9wLXNlY3JldA' }] } }).join();
    expect(text).toMatch(/jwt\.keys\[0\]\.kty/);
    expect(text).not.toContain('dG9wLXNlY3JldA');
  });
});
