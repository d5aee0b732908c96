import { openMemoryMessaging, type Hints } from '@shapecast/messaging';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { ApiProcesses } from './api-processes.ts';

/** A hundred times as fast. */
const fast: Clock = {
  ...systemClock,
  now: () => systemClock.now() * 100,
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
};

test('processes count each other, also those that end without a word, and not while nobody can be heard', async () => {
  const messaging = openMemoryMessaging(systemClock);
  let reachable = true;
  const { hints } = messaging;
  const open = (id: string, parts: { readonly hints: Hints; readonly clock: Clock } = { hints, clock: fast }) => {
    const abort = new AbortController();
    const connected = () => reachable;
    const processes = new ApiProcesses({ ...parts, connected }, id);
    return { processes, running: processes.run(abort.signal), abort };
  };
  const all = [open('a'), open('b'), open('c')];
  const counts = () => all.map(({ processes }) => processes.count);
  // At once: whoever comes asks the others.
  await waitFor(() => counts().every((count) => count === 3));
  /** Neither hears anything nor, once it was killed, tells anything. */
  const mortal = () => {
    let killed = false;
    const sleep: Clock['sleep'] = (ms, signal) => (killed ? new Promise(() => {}) : fast.sleep(ms, signal));
    const parts = {
      hints: { publish: hints.publish.bind(hints), subscribe: () => () => {} },
      clock: { ...fast, sleep },
    };
    return { parts, kill: () => (killed = true) };
  };
  const d = mortal();
  open('d', d.parts);
  await waitFor(() => counts().every((count) => count === 4));
  d.kill();
  await waitFor(() => counts().every((count) => count === 3));
  all[2]?.abort.abort();
  await all[2]?.running;
  await waitFor(() =>
    counts()
      .slice(0, 2)
      .every((count) => count === 2),
  );
  all[1]?.abort.abort();
  const lone = all[0]?.processes;
  await waitFor(() => lone?.count === 1);
  reachable = false;
  const e = mortal();
  open('e', e.parts);
  await waitFor(() => lone?.count === 2);
  e.kill();
  // Twice as long as a silent one is counted otherwise.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(lone?.count).toBe(2);
  reachable = true;
  await waitFor(() => lone?.count === 1);
  all[0]?.abort.abort();
  await all[0]?.running;
});
