import fc from 'fast-check';
import { expect, test } from 'vitest';
import { XidWidener } from './xid.ts';

const CYCLE = 2n ** 32n;

test('finds the id that was cut to 32 bits, within half a cycle of the newest known', () => {
  const newest = fc.bigInt({ min: CYCLE, max: 2n ** 60n });
  const distance = fc.bigInt({ min: -(2n ** 31n) + 1n, max: 2n ** 31n - 1n });
  fc.assert(
    fc.property(newest, distance, (known, apart) => {
      const xid = known + apart;
      expect(new XidWidener(known).widen(Number(xid % CYCLE))).toBe(xid);
    }),
  );
});

test('follows ids across the wrap', () => {
  const widener = new XidWidener(CYCLE - 2n);
  expect(widener.widen(0xffff_ffff)).toBe(CYCLE - 1n);
  expect(widener.widen(3)).toBe(CYCLE + 3n);
  expect(widener.widen(0xffff_fffe)).toBe(CYCLE - 2n);
});

test('never goes below the first cycle', () => {
  expect(new XidWidener(700n).widen(0xffff_0000)).toBe(0xffff_0000n);
});

test('learns from samples, but not from older ones', () => {
  const widener = new XidWidener(1_000n);
  widener.observe(3n * CYCLE);
  widener.observe(2_000n);
  expect(widener.widen(5)).toBe(3n * CYCLE + 5n);
});
