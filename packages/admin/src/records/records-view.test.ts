import { openMemoryMessaging, type Registries, type Registry } from '@shapecast/messaging';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { RecordsView } from './records-view.ts';

const BUCKET = { name: 'things', ttlMs: 10_000 };

/** `now` and what was to happen after some time move when told. */
function manualClock() {
  let passedMs = 0;
  const due: { readonly at: number; readonly callback: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    now: () => passedMs,
    after(ms, callback) {
      const one = { at: passedMs + ms, callback };
      due.push(one);
      return () => void due.splice(due.indexOf(one), 1);
    },
  };
  return {
    clock,
    pass(ms: number) {
      passedMs += ms;
      for (const one of due.filter(({ at }) => at <= passedMs)) {
        due.splice(due.indexOf(one), 1);
        one.callback();
      }
    },
  };
}

/** A registry that counts who watches it. */
class Watched<T> implements Registry<T> {
  readonly #inner: Registry<T>;
  readonly #onWatch: (change: 1 | -1) => void;

  constructor(inner: Registry<T>, onWatch: (change: 1 | -1) => void) {
    this.#inner = inner;
    this.#onWatch = onWatch;
  }

  get = (key: string) => this.#inner.get(key);
  create = (key: string, value: T) => this.#inner.create(key, value);
  update = (key: string, value: T, revision: number) => this.#inner.update(key, value, revision);
  put = (key: string, value: T) => this.#inner.put(key, value);
  delete = (key: string) => this.#inner.delete(key);
  list = (prefix: string) => this.#inner.list(prefix);

  async watch(...given: Parameters<Registry<T>['watch']>): Promise<() => void> {
    const stop = await this.#inner.watch(...given);
    this.#onWatch(1);
    return () => {
      this.#onWatch(-1);
      stop();
    };
  }
}

function open() {
  const time = manualClock();
  const { registries } = openMemoryMessaging(systemClock);
  let watches = 0;
  const counted: Registries = {
    open: async <T>(...given: Parameters<Registries['open']>) =>
      new Watched<T>(await registries.open<T>(...given), (change) => (watches += change)),
  };
  const view = new RecordsView({ registries: counted, clock: time.clock });
  return { registries, view, pass: (ms: number) => time.pass(ms), watches: () => watches };
}

test('shows what is in a registry, as it changes, without asking again', async () => {
  const { registries, view, watches } = open();
  const registry = await registries.open<number>(BUCKET.name, BUCKET);
  await registry.put('a', 1);
  expect([...(await view.all<number>(BUCKET))]).toEqual([['a', 1]]);
  await registry.put('b', 2);
  await registry.delete('a');
  await waitFor(async () => (await view.all(BUCKET)).size === 1);
  expect([...(await view.all<number>(BUCKET))]).toEqual([['b', 2]]);
  expect(watches()).toBe(1);
});

test('leaves out what was not written for as long as entries last', async () => {
  const { registries, view, pass } = open();
  const registry = await registries.open<number>(BUCKET.name, BUCKET);
  await registry.put('a', 1);
  await registry.put('b', 1);
  expect((await view.all(BUCKET)).size).toBe(2);
  pass(9_000);
  await registry.put('b', 2);
  await waitFor(async () => (await view.all(BUCKET)).get('b') === 2);
  pass(2_000);
  expect([...(await view.all<number>(BUCKET))]).toEqual([['b', 2]]);
});

test('follows nothing that nobody has looked at for a minute', async () => {
  const { view, pass, watches } = open();
  await view.all(BUCKET);
  pass(50_000);
  await view.all(BUCKET);
  pass(50_000);
  expect(watches()).toBe(1);
  pass(70_000);
  await waitFor(() => watches() === 0);
  await view.all(BUCKET);
  expect(watches()).toBe(1);
  view.stop();
  await waitFor(() => watches() === 0);
});
