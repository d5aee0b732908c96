import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Linger } from './linger.ts';

const table = (oid: number) => ({ oid });

describe('the linger of tables without shapes', () => {
  test('a table goes once it was without shapes and requests all the time', () => {
    const linger = new Linger(100);
    expect(linger.observe([table(1)], 0)).toEqual([]);
    expect(linger.observe([table(1)], 99)).toEqual([]);
    expect(linger.observe([table(1), table(2)], 100)).toEqual([table(1)]);
  });

  test('a request starts it over, also one that comes after its turn was decided on', () => {
    const linger = new Linger(100);
    linger.observe([table(1)], 0);
    expect(linger.observe([table(1)], 100)).toEqual([table(1)]);
    linger.requested(1);
    expect(linger.isOver(1, 100)).toBe(false);
    expect(linger.observe([table(1)], 150)).toEqual([]);
    expect(linger.observe([table(1)], 250)).toEqual([table(1)]);
  });

  test('so does a shape that is seen, and not knowing', () => {
    const linger = new Linger(100);
    linger.observe([table(1)], 0);
    linger.observe([], 50);
    expect(linger.observe([table(1)], 120)).toEqual([]);
    linger.forget();
    expect(linger.observe([table(1)], 230)).toEqual([]);
    expect(linger.observe([table(1)], 330)).toEqual([table(1)]);
  });

  test('whatever happens, a table that goes was in no observation as needed, and in no request, for the whole linger', () => {
    const step = fc.record({
      ms: fc.integer({ min: 0, max: 60 }),
      unused: fc.uniqueArray(fc.integer({ min: 1, max: 3 })),
      request: fc.option(fc.integer({ min: 1, max: 3 })),
      known: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const linger = new Linger(100);
        const wantedAt = new Map<number, number>();
        let now = 0;
        for (const { ms, unused, request, known } of steps) {
          now += ms;
          if (!known) {
            linger.forget();
            for (const oid of [1, 2, 3]) wantedAt.set(oid, now);
            continue;
          }
          for (const { oid } of linger.observe(unused.map(table), now)) {
            expect(now - (wantedAt.get(oid) ?? 0)).toBeGreaterThanOrEqual(100);
          }
          for (const oid of [1, 2, 3]) if (!unused.includes(oid)) wantedAt.set(oid, now);
          if (request !== null) {
            linger.requested(request);
            wantedAt.set(request, now);
          }
        }
      }),
    );
  });
});
