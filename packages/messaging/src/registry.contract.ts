import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshName, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';
import type { Registry, RegistryEntry } from './registry.ts';

interface Value {
  readonly holder: string;
}

export interface RegistryContractOptions {
  /** Lets time pass until a TTL of one second is over. */
  readonly passTtl: () => Promise<void>;
}

/** What every implementation of Registry promises. */
export function describeRegistry(name: string, open: OpenMessaging, options: RegistryContractOptions): void {
  describe(`registry of ${name}`, () => {
    let pair: MessagingPair;
    let registry: Registry<Value>;
    let other: Registry<Value>;
    beforeAll(async () => {
      pair = await open();
      const bucket = freshName();
      registry = await pair.one.registries.open<Value>(bucket);
      other = await pair.other.registries.open<Value>(bucket);
    });
    afterAll(() => pair.close());

    const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
      while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
    };

    test('an entry is read by the other member with its revision', async () => {
      const key = freshName();
      expect(await registry.get(key)).toBeUndefined();
      const revision = await registry.put(key, { holder: 'a' });
      expect(await other.get(key)).toEqual({ key, value: { holder: 'a' }, revision });
    });

    test('of two who create an entry one succeeds', async () => {
      const key = freshName();
      const revisions = await Promise.all([registry.create(key, { holder: 'a' }), other.create(key, { holder: 'b' })]);
      expect(revisions.filter((revision) => revision !== undefined)).toHaveLength(1);
      expect(await registry.create(key, { holder: 'c' })).toBeUndefined();
    });

    test('an update needs the current revision', async () => {
      const key = freshName();
      const first = await registry.put(key, { holder: 'a' });
      const second = await registry.update(key, { holder: 'b' }, first);
      expect(second).toBeGreaterThan(first);
      expect(await other.update(key, { holder: 'c' }, first)).toBeUndefined();
      expect((await other.get(key))?.value).toEqual({ holder: 'b' });
    });

    test('an entry that is not there cannot be updated', async () => {
      expect(await registry.update(freshName(), { holder: 'a' }, 1)).toBeUndefined();
    });

    test('a deleted entry is gone and can be created again', async () => {
      const key = freshName();
      const first = await registry.put(key, { holder: 'a' });
      await registry.delete(key);
      expect(await registry.get(key)).toBeUndefined();
      expect(await registry.update(key, { holder: 'b' }, first)).toBeUndefined();
      expect(await registry.create(key, { holder: 'c' })).toBeGreaterThan(first);
    });

    test('a list has the entries under a prefix, in the order of their keys', async () => {
      const [source, another] = [freshName(), freshName()];
      for (const key of [`${source}.b`, `${source}.a`, `${source}x.a`, `${another}.a`, `${source}.c`]) {
        await registry.put(key, { holder: key });
      }
      await registry.delete(`${source}.c`);
      expect((await other.list(`${source}.`)).map((entry) => entry.key)).toEqual([`${source}.a`, `${source}.b`]);
      expect((await other.list(source)).map((entry) => entry.key)).toEqual([
        `${source}.a`,
        `${source}.b`,
        `${source}x.a`,
      ]);
      expect((await other.list('')).length).toBeGreaterThanOrEqual(4);
      expect(await other.list(`${freshName()}.`)).toEqual([]);
    });

    test('a watch tells the current entries before it returns, then writes and deletions of others', async () => {
      const source = freshName();
      await registry.put(`${source}.a`, { holder: 'a1' });
      const told: [string, string | undefined][] = [];
      const onChange = (key: string, entry: RegistryEntry<Value> | undefined) =>
        told.push([key.slice(source.length + 1), entry?.value.holder]);
      const stop = await registry.watch(`${source}.`, onChange);
      expect(told).toEqual([['a', 'a1']]);
      await other.put(`${source}.b`, { holder: 'b1' });
      await other.put(`${freshName()}.a`, { holder: 'elsewhere' });
      await other.put(`${source}.a`, { holder: 'a2' });
      await other.delete(`${source}.b`);
      await until(() => told.length >= 4);
      expect(told.slice(1)).toEqual([
        ['b', 'b1'],
        ['a', 'a2'],
        ['b', undefined],
      ]);
      stop();
      await other.put(`${source}.a`, { holder: 'a3' });
      expect(told).toHaveLength(4);
    });

    test('watches of one process do not mix: each is told its own entries, from the beginning, until it ends', async () => {
      const [a, b] = [freshName(), freshName()];
      const told: Record<string, string[]> = { a: [], b: [], late: [], failing: [] };
      const teller = (name: string) => (key: string, entry: RegistryEntry<Value> | undefined) =>
        void told[name]?.push(`${key.slice(a.length + 1)} ${entry?.value.holder}`);
      const stopA = await registry.watch(`${a}.`, teller('a'));
      const stopB = await registry.watch(`${b}.`, teller('b'));
      const stopFailing = await registry.watch(`${a}.`, (key, entry) => {
        teller('failing')(key, entry);
        throw new Error('a watcher that fails is no reason for others to miss something');
      });
      await other.put(`${a}.x`, { holder: '1' });
      await other.put(`${b}.y`, { holder: '1' });
      // Begins behind these writes, whatever has been pushed by then.
      const stopLate = await registry.watch(a, teller('late'));
      expect(told['late']).toEqual(['x 1']);
      await until(() => told['a']?.length === 1 && told['b']?.length === 1);
      stopA();
      stopA();
      await other.put(`${a}.x`, { holder: '2' });
      await other.delete(`${b}.y`);
      await until(() => told['late']?.length === 2 && told['b']?.length === 2);
      expect(told).toEqual({ a: ['x 1'], b: ['y 1', 'y undefined'], late: ['x 1', 'x 2'], failing: ['x 1', 'x 2'] });
      for (const stop of [stopB, stopLate, stopFailing]) stop();
      // The last one has left; who comes then begins anew.
      const stopAgain = await registry.watch(`${a}.`, teller('a'));
      expect(told['a']).toEqual(['x 1', 'x 2']);
      stopAgain();
    });

    test('of many who begin to watch at once each is told what is there', async () => {
      const bucket = freshName();
      const [mine, theirs] = [
        await pair.one.registries.open<Value>(bucket),
        await pair.other.registries.open<Value>(bucket),
      ];
      const sources = Array.from({ length: 30 }, (_, i) => `s${i}`);
      await Promise.all(sources.map((source) => theirs.put(`${source}.a`, { holder: source })));
      const told = new Map<string, string[]>();
      const stops = await Promise.all(
        sources.map((source) =>
          mine.watch(`${source}.`, (_, entry) =>
            told.set(source, [...(told.get(source) ?? []), entry?.value.holder ?? '-']),
          ),
        ),
      );
      expect(sources.map((source) => told.get(source))).toEqual(sources.map((source) => [source]));
      await Promise.all(sources.map((source) => theirs.put(`${source}.a`, { holder: `${source}!` })));
      await until(() => sources.every((source) => told.get(source)?.length === 2));
      for (const stop of stops) stop();
    });

    test('with a time to live, entries vanish that long after their last write', async () => {
      const bucket = freshName();
      const expiring = await pair.one.registries.open<Value>(bucket, { ttlMs: 1_000 });
      const revision = await expiring.create('gone', { holder: 'a' });
      expect((await expiring.list('')).map((entry) => entry.key)).toEqual(['gone']);
      await options.passTtl();
      await until(async () => (await expiring.get('gone')) === undefined);
      expect(await expiring.list('')).toEqual([]);
      expect(await expiring.update('gone', { holder: 'a' }, revision ?? 0)).toBeUndefined();
      expect(await expiring.create('gone', { holder: 'b' })).toBeGreaterThan(revision ?? 0);
    });
  });
}
