import { describe, expect, test } from 'vitest';
import { systemClock } from '@shapecast/service-kit';
import { DdlQueue } from './ddl-queue.ts';

const never = new AbortController().signal;

function queue(debounceMs = 0): {
  readonly queue: DdlQueue;
  readonly done: string[];
  readonly work: (name: string) => () => Promise<void>;
} {
  const done: string[] = [];
  const work = (name: string) => async () => {
    done.push(`${name} begins`);
    await Promise.resolve();
    done.push(`${name} ends`);
  };
  return { queue: new DdlQueue({ clock: systemClock }, { debounceMs }, never), done, work };
}

describe('changes of the publication', () => {
  test('are done one after the other and in the order of their places', async () => {
    const { queue: changes, done, work } = queue();
    await Promise.all(['c', 'a', 'b'].map((name) => changes.run(name, name, work(name))));
    expect(done).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(changes.passes).toBe(1);
  });

  test('that come while a pass runs are one pass behind it, and the same one is there once', async () => {
    const { queue: changes, done, work } = queue();
    const gate = Promise.withResolvers<void>();
    const first = changes.run('slow', 'slow', () => gate.promise);
    await Promise.resolve();
    const burst = Array.from({ length: 100 }, (_, i) => changes.run(`t${i % 3}`, `t${i % 3}`, work(`t${i % 3}`)));
    gate.resolve();
    await Promise.all([first, ...burst]);
    expect(done.filter((line) => line.endsWith('begins'))).toEqual(['t0 begins', 't1 begins', 't2 begins']);
    expect(changes.passes).toBe(2);
  });

  test('that come within the debounce time are done together', async () => {
    const { queue: changes, work } = queue(20);
    const early = changes.run('a', 'a', work('a'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([early, changes.run('b', 'b', work('b'))]);
    expect(changes.passes).toBe(1);
  });

  test('fail alone, and can be asked for again', async () => {
    const { queue: changes, done, work } = queue();
    const failing = changes.run('a', 'a', () => Promise.reject(new Error('locked')));
    const [a, b] = await Promise.allSettled([failing, changes.run('b', 'b', work('b'))]);
    expect([a.status, b.status]).toEqual(['rejected', 'fulfilled']);
    await changes.run('a', 'a', work('a'));
    expect(done).toEqual(['b begins', 'b ends', 'a begins', 'a ends']);
  });
});
