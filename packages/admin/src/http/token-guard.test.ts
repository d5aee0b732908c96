import { systemClock } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { TokenGuard } from './token-guard.ts';

const TOKEN = 'the-token-of-this-test';

describe('the guard of the admin API', () => {
  let now = 1_000_000;
  const clock = { ...systemClock, now: () => now };
  const guess = (guard: TokenGuard, address: string, token = 'wrong') => guard.check(`Bearer ${token}`, address).kind;

  test.each([
    [undefined, 'wrong'],
    ['', 'wrong'],
    [TOKEN, 'wrong'],
    [`Basic ${TOKEN}`, 'wrong'],
    [`Bearer ${TOKEN}x`, 'wrong'],
    [`Bearer ${TOKEN.slice(1)}`, 'wrong'],
    [`Bearer ${TOKEN} ${TOKEN}`, 'wrong'],
    [`Bearer ${TOKEN}`, 'ok'],
    [`bearer  ${TOKEN} `, 'ok'],
    ['Bearer its-successor', 'ok'],
  ])('%s is %s', (header, verdict) => {
    expect(new TokenGuard([TOKEN, 'its-successor'], clock).check(header, 'a').kind).toBe(verdict);
  });

  test('ten wrong ones are too many, for that address only, and it regains one every six seconds', () => {
    const guard = new TokenGuard([TOKEN], clock);
    for (let i = 0; i < 10; i += 1) expect(guess(guard, 'a')).toBe('wrong');
    expect(guard.check(`Bearer ${TOKEN}`, 'a')).toEqual({ kind: 'limited', retryAfterS: 6 });
    expect(guess(guard, 'b', TOKEN)).toBe('ok');
    now += 5_900;
    expect(guess(guard, 'a')).toBe('limited');
    now += 200;
    expect(guess(guard, 'a')).toBe('wrong');
    expect(guess(guard, 'a')).toBe('limited');
    now += 6_100;
    expect(guess(guard, 'a', TOKEN)).toBe('ok');
    now += 600_000;
    for (let i = 0; i < 10; i += 1) expect(guess(guard, 'a')).toBe('wrong');
  });

  test('asking without a token is no guess', () => {
    const guard = new TokenGuard([TOKEN], clock);
    for (let i = 0; i < 50; i += 1) guard.check(undefined, 'a');
    expect(guess(guard, 'a', TOKEN)).toBe('ok');
  });

  test('remembers a bounded number of addresses, the latest', () => {
    const guard = new TokenGuard([TOKEN], clock);
    for (let i = 0; i < 10; i += 1) guess(guard, 'first');
    expect(guess(guard, 'first')).toBe('limited');
    for (let i = 0; i < 10_000; i += 1) guess(guard, `address-${i}`);
    expect(guess(guard, 'first')).toBe('wrong');
    expect(guess(guard, 'address-9999')).toBe('wrong');
  });
});
