import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatLsn, lsn, maxLsn, parseDecimalLsn, parseLsn } from './lsn.ts';

const anyLsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(lsn);

describe('lsn', () => {
  test('every LSN survives both text forms', () => {
    fc.assert(
      fc.property(anyLsn, (value) => {
        expect(parseLsn(formatLsn(value))).toBe(value);
        expect(parseDecimalLsn(String(value))).toBe(value);
      }),
    );
  });

  test('reads the text form of Postgres', () => {
    expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
    expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe((1n << 64n) - 1n);
    expect(formatLsn(lsn(0x7fffffff00000001n))).toBe('7FFFFFFF/1');
  });

  test.each(['', '0', '0/', '/0', '0/123456789', 'g/0', '0/0/0', ' 0/0'])('%j is not the text form', (text) => {
    expect(parseLsn(text)).toBeUndefined();
  });

  test.each(['', '-1', '1.5', '18446744073709551616', '1e3', ' 1'])('%j is not the decimal form', (text) => {
    expect(parseDecimalLsn(text)).toBeUndefined();
  });

  test('refuses to mark a number outside of 64 bits', () => {
    expect(() => lsn(-1n)).toThrow('out of range');
    expect(() => lsn(1n << 64n)).toThrow('out of range');
  });

  test('the larger of two is compared in 64 bits', () => {
    const a = lsn(9_007_199_254_740_993n);
    const b = lsn(9_007_199_254_740_992n);
    expect(maxLsn(a, b)).toBe(a);
    expect(maxLsn(b, a)).toBe(a);
  });
});
