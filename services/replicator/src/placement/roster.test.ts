import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { Roster } from './roster.ts';

/** Processes that look in turn, on a clock that the test moves: each step is one look of each. */
function installation() {
  const { registries } = openMemoryMessaging(systemClock);
  const sleepers: (() => void)[] = [];
  const clock: Clock = { ...systemClock, sleep: () => new Promise((resolve) => sleepers.push(resolve)) };
  const process = (id: string, running: string[] = []) => {
    const roster = new Roster({ registries, clock, log: silentLogger }, id);
    const stop = new AbortController();
    const looked = { count: 0 };
    void roster.run(
      () => ({ running }),
      () => void (looked.count += 1),
      stop.signal,
    );
    return { roster, running, looked, stop: () => stop.abort() };
  };
  const step = async (times = 1) => {
    for (let i = 0; i < times; i += 1) {
      for (const wake of sleepers.splice(0)) wake();
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { process, step };
}

test('processes see what the others run, and which of them has been there for a while', async () => {
  const { process, step } = installation();
  const [a, b] = [process('a'), process('b', ['s1'])];
  expect(a.roster.others).toBeUndefined();
  await step(3);
  expect(a.roster.others).toEqual([{ id: 'b', running: ['s1'], leaving: false, settled: false }]);
  b.running.push('s2');
  await step(12);
  expect(a.roster.others).toEqual([{ id: 'b', running: ['s1', 's2'], leaving: false, settled: true }]);
  expect(b.roster.others?.map(({ id }) => id)).toEqual(['a']);
});

test('one that says nothing any more is gone after five looks, and has to settle when it is back', async () => {
  const { process, step } = installation();
  const [a, b] = [process('a'), process('b')];
  await step(14);
  b.stop();
  await step(4);
  expect(a.roster.others?.map(({ id }) => id)).toEqual(['b']);
  await step(4);
  expect(a.roster.others).toEqual([]);
  process('b', ['s3']);
  await step(2);
  expect(a.roster.others).toEqual([{ id: 'b', running: ['s3'], leaving: false, settled: false }]);
});

test('one that leaves says so, and is no more once it has', async () => {
  const { process, step } = installation();
  const [a, b] = [process('a'), process('b')];
  await step(3);
  b.running.push('s1');
  await b.roster.leave(['s1']);
  await step(4);
  expect(a.roster.others).toMatchObject([{ id: 'b', leaving: true, running: ['s1'] }]);
  b.stop();
  await step(1);
  await b.roster.remove();
  await step(2);
  expect(a.roster.others).toEqual([]);
});
