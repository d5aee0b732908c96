import { silentLogger } from '@shapecast/service-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Watchers } from './watchers.ts';

test('tells exactly those whose prefix a key has, whoever came and went before', () => {
  const text = fc.stringMatching(/^[ab.]{0,4}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.boolean())), fc.array(text), (steps, keys) => {
      const watchers = new Watchers<never>(silentLogger);
      const told: string[] = [];
      const kept = steps.flatMap(([prefix, stays], i) => {
        const stop = watchers.add(prefix, (key) => told.push(`${i} ${key}`));
        if (!stays) stop();
        return stays ? [[i, prefix] as const] : [];
      });
      for (const key of keys) watchers.tell(key, undefined);
      const expected = keys.flatMap((key) =>
        kept.filter(([, prefix]) => key.startsWith(prefix)).map(([i]) => `${i} ${key}`),
      );
      expect(told.toSorted()).toEqual(expected.toSorted());
      expect(watchers.size).toBe(kept.length);
    }),
  );
});

test('one that leaves while it is told, and one that joins, get in nobody else’s way', () => {
  const watchers = new Watchers<never>(silentLogger);
  const told: string[] = [];
  const stop = watchers.add('a', () => {
    told.push('first');
    stop();
    watchers.add('a', () => told.push('joined'));
  });
  watchers.add('', () => told.push('all'));
  watchers.tell('a', undefined);
  expect(told.toSorted()).toEqual(['all', 'first']);
  watchers.tell('a', undefined);
  expect(told.toSorted()).toEqual(['all', 'all', 'first', 'joined']);
});
