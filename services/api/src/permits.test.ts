import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PermitPool, Permits, type Permit } from './permits.ts';

const isPermit = (taken: ReturnType<Permits['take']>): taken is Permit => 'release' in taken;

describe('permits of several sources', () => {
  test('O 4.6 a source that took all of them does not keep the others from theirs', () => {
    const pool = new PermitPool({ initial: 100, existing: 100 });
    const greedy = new Permits(pool);
    const modest = new Permits(pool);
    const count = (permits: Permits, times: number) =>
      Array.from({ length: times }, () => permits.take(undefined)).filter(isPermit).length;
    expect(count(greedy, 1_000)).toBe(100);
    expect(count(modest, 1_000)).toBe(50);
    expect(count(greedy, 10)).toBe(0);
  });

  test('beyond its own limit a source gets none, whatever room there is', () => {
    const pool = new PermitPool({ initial: 100, existing: 100 });
    let most = 2;
    const permits = new Permits(pool, () => most);
    const [first] = [permits.take(undefined), permits.take(undefined)];
    expect(permits.take(undefined)).toEqual({ refused: 'initial', limit: 2, own: true });
    most = 3;
    expect(isPermit(permits.take(undefined))).toBe(true);
    if (first && isPermit(first)) first.release();
    expect(permits.used).toEqual({ initial: 2, existing: 0 });
  });

  test('all of them come back, in whatever order they are taken, exchanged and released', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.constantFrom('take', 'begun', 'release'), fc.nat(20));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const pool = new PermitPool({ initial: 5, existing: 5 });
        const sources = [0, 1, 2].map(() => ({ permits: new Permits(pool, () => 4), taken: [] as Permit[] }));
        for (const [source, action, which] of steps) {
          const { permits, taken } = sources[source] as (typeof sources)[number];
          const permit = taken[which % Math.max(1, taken.length)];
          if (action === 'begun') permit?.begun('1-1');
          else if (action === 'release') permit?.release();
          else {
            const got = permits.take(which % 2 === 0 ? '1-1' : undefined);
            if (isPermit(got)) taken.push(got);
          }
          for (const kind of ['initial', 'existing'] as const) {
            expect(pool.used[kind]).toBe(sources.reduce((sum, { permits: of }) => sum + of.used[kind], 0));
            expect(pool.used[kind]).toBeLessThanOrEqual(10);
          }
        }
        for (const { taken } of sources) for (const permit of taken) permit.release();
        expect(pool.used).toEqual({ initial: 0, existing: 0 });
        const alone = new Permits(pool);
        expect(Array.from({ length: 6 }, () => alone.take(undefined)).filter(isPermit)).toHaveLength(5);
      }),
    );
  });
});
