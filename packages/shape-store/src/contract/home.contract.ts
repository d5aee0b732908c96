import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { disposable, type OpenStore } from './fixtures.ts';

/** Whose the store is: two installations that were pointed at one by mistake do not both get it. */
export function describeHome(open: OpenStore): void {
  describe('home', () => {
    test('a store that nobody has claimed has no mark, and the first claim makes it', async () => {
      await using store = disposable(await open());
      const source = randomUUID();
      expect(await store.readHome(source)).toBeUndefined();
      const claimed = await store.claimHome(source, { installation: 'one' });
      expect(claimed).toEqual({ kind: 'ours', store: expect.stringMatching(/^.{16,}$/) as string });
      const home = await store.readHome(source);
      expect({ kind: 'ours', store: home?.store }).toEqual(claimed);
      expect(home?.installation).toBe('one');
    });

    test('the mark of another installation stays, and is told apart from itself whenever that renews it', async () => {
      await using store = disposable(await open());
      const source = randomUUID();
      const first = await store.claimHome(source, { installation: 'one' });
      const seen = await store.claimHome(source, { installation: 'two' });
      expect(seen).toMatchObject({ kind: 'foreign', installation: 'one' });
      expect(await store.claimHome(source, { installation: 'two' })).toEqual(seen);
      expect(await store.claimHome(source, { installation: 'one' })).toEqual(first);
      const renewed = await store.claimHome(source, { installation: 'two' });
      expect(renewed.kind === 'foreign' && seen.kind === 'foreign' && renewed.beat !== seen.beat).toBe(true);
    });

    test('a mark is replaced only as it was seen', async () => {
      await using store = disposable(await open());
      const source = randomUUID();
      const claim = async () => {
        const outcome = await store.claimHome(source, { installation: 'two' });
        return outcome.kind === 'foreign' ? outcome.beat : '';
      };
      await store.claimHome(source, { installation: 'one' });
      const outdated = await claim();
      await store.claimHome(source, { installation: 'one' });
      expect(await store.claimHome(source, { installation: 'two', insteadOf: outdated })).toMatchObject({
        kind: 'foreign',
      });
      const taken = await store.claimHome(source, { installation: 'two', insteadOf: await claim() });
      expect(taken.kind).toBe('ours');
      expect(await store.readHome(source)).toMatchObject({ installation: 'two' });
      expect(await store.claimHome(source, { installation: 'one' })).toMatchObject({
        kind: 'foreign',
        installation: 'two',
      });
    });

    test('a mark that is forgotten is gone, and nobody else has lost his', async () => {
      await using store = disposable(await open());
      const [a, b] = [randomUUID(), randomUUID()];
      for (const source of [a, b]) await store.claimHome(source, { installation: 'one' });
      await store.forgetHome(a);
      await store.forgetHome(a);
      expect(await store.readHome(a)).toBeUndefined();
      expect(await store.readHome(b)).toMatchObject({ installation: 'one' });
      expect(await store.claimHome(a, { installation: 'two' })).toMatchObject({ kind: 'ours' });
    });

    test('sources have marks of their own', async () => {
      await using store = disposable(await open());
      const [a, b] = [randomUUID(), randomUUID()];
      await store.claimHome(a, { installation: 'one' });
      expect(await store.claimHome(b, { installation: 'two' })).toMatchObject({ kind: 'ours' });
    });
  });
}
