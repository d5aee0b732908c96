import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lsn } from './lsn.ts';
import { BEFORE_ALL, SNAPSHOT_END, compareOffsets, formatOffset, parseOffset, snapshotChunkEnd } from './offset.ts';

const anyOffset = fc.oneof(
  fc.constant(BEFORE_ALL),
  fc.constant(SNAPSHOT_END),
  fc.record({
    tx: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(lsn),
    op: fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
  }),
);

describe('offset grammar (OF-1)', () => {
  test('every offset survives its wire form', () => {
    fc.assert(
      fc.property(anyOffset, (offset) => {
        expect(parseOffset(formatOffset(offset))).toEqual(offset);
      }),
    );
  });

  test.each([
    ['-1', '-1'],
    ['-1_0', '-1'],
    ['0_0', '0_0'],
    ['0_02', '0_2'],
    ['007_003', '7_3'],
    ['0_inf', '0_inf'],
    ['18446744073709551615_4', '18446744073709551615_4'],
    ['00000000000000000000000018446744073709551615_4', undefined],
    ['0000000000000000018446744073709551615_4', '18446744073709551615_4'],
  ])('%s is read as %s', (text, normal) => {
    const offset = parseOffset(text);
    expect(offset && formatOffset(offset)).toBe(normal);
  });

  test.each([
    '10',
    '1_2_3',
    '0_-1',
    '1.5_0',
    '1_2 ',
    ' 1_2',
    '0_INF',
    '',
    '_',
    '1_',
    '_1',
    '-1_1',
    '-2_0',
    'now',
    'inf_0',
    '18446744073709551616_0',
    '1_9007199254740992',
    '1_2\n',
    '0x1_2',
    '1e3_0',
  ])('T62 %j has an invalid format', (text) => {
    expect(parseOffset(text)).toBeUndefined();
  });
});

describe('offset order (OF-2)', () => {
  test('is total: antisymmetric, transitive, and zero only for equals', () => {
    fc.assert(
      fc.property(anyOffset, anyOffset, anyOffset, (a, b, c) => {
        expect(Math.sign(compareOffsets(a, b)) + Math.sign(compareOffsets(b, a))).toBe(0);
        expect(compareOffsets(a, b) === 0).toBe(formatOffset(a) === formatOffset(b));
        if (compareOffsets(a, b) <= 0 && compareOffsets(b, c) <= 0) expect(compareOffsets(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('-1 is below everything and inf above every integer of its transaction', () => {
    fc.assert(
      fc.property(anyOffset, (offset) => {
        expect(compareOffsets(BEFORE_ALL, offset)).toBeLessThanOrEqual(0);
        if (offset.tx === 0n) expect(compareOffsets(offset, SNAPSHOT_END)).toBeLessThanOrEqual(0);
        if (offset.tx > 0n) expect(compareOffsets(SNAPSHOT_END, offset)).toBeLessThan(0);
      }),
    );
  });

  test.each([
    ['9_0', '10_0'],
    ['1_9', '1_10'],
    ['9007199254740992_0', '9007199254740993_0'],
    ['9223372036854775807_0', '9223372036854775808_0'],
    ['0_5', '0_inf'],
  ])('%s comes before %s', (earlier, later) => {
    expect(compareOffsets(parseOffset(earlier) ?? BEFORE_ALL, parseOffset(later) ?? BEFORE_ALL)).toBeLessThan(0);
  });

  test('the end of snapshot chunk n is 0_n', () => {
    expect(formatOffset(snapshotChunkEnd(3))).toBe('0_3');
  });
});
