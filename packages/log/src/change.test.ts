import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { POSITION_ZERO, comparePositions, formatPosition, parsePosition } from './change.ts';
import { anyPosition } from './record.arbitrary.ts';

describe('position', () => {
  test('every position survives its stored form', () => {
    fc.assert(
      fc.property(anyPosition, (position) => {
        expect(parsePosition(formatPosition(position))).toEqual(position);
      }),
    );
  });

  test('orders by LSN in 64 bits, then by operation', () => {
    fc.assert(
      fc.property(anyPosition, anyPosition, (a, b) => {
        const order = a.lsn === b.lsn ? a.op - b.op : a.lsn < b.lsn ? -1 : 1;
        expect(Math.sign(comparePositions(a, b))).toBe(Math.sign(order));
        expect(comparePositions(POSITION_ZERO, a)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test.each(['', '1', '1_', '_1', '-1_0', '1_-1', '1_2_3', '1_inf'])('%j is not a position', (text) => {
    expect(parsePosition(text)).toBeUndefined();
  });
});
