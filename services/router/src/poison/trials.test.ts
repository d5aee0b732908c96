import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { Trials } from './trials.ts';

const stream = { source: 's', incarnation: 1 };

function installation() {
  const { registries } = openMemoryMessaging(systemClock);
  /** Each life of a process has trials of its own. */
  return () => new Trials({ registries, log: silentLogger }, stream);
}

test('F129 a shard whose owners end three times at one place, each while trying the next record, must not evaluate it', async () => {
  const process = installation();
  const first = await process().suspect(0, 7);
  expect(first.unsafe).toBe(false);
  await first.begin();
  const second = await process().suspect(0, 7);
  expect(second.unsafe).toBe(false);
  await second.begin();
  expect((await process().suspect(0, 7)).unsafe).toBe(true);
});

test('a shard that was not trying anything when its owner ended is not to blame, however often', async () => {
  const process = installation();
  for (let life = 0; life < 10; life += 1) {
    const trials = process();
    const [guilty, idle, paused] = [await trials.suspect(0, 7), await trials.suspect(1, 7), await trials.suspect(2, 7)];
    await paused.begin();
    // An outage came in between; the process lives.
    await paused.pause();
    await guilty.begin();
    expect([guilty.unsafe, idle.unsafe, paused.unsafe]).toEqual([life >= 2, false, false]);
  }
});

test('a shard that has moved on begins anew', async () => {
  const process = installation();
  for (const seq of [7, 7, 8, 8]) {
    const trial = await process().suspect(0, seq);
    expect(trial.unsafe).toBe(false);
    await trial.begin();
  }
  const trial = await process().suspect(0, 8);
  expect(trial.unsafe).toBe(true);
  await trial.begin();
  await trial.end();
  expect((await process().suspect(0, 8)).unsafe).toBe(false);
});

test('one record at a time is tried in a process, in whatever way a trial ends', async () => {
  const trials = installation()();
  const [a, b, c] = [await trials.suspect(0, 7), await trials.suspect(1, 7), await trials.suspect(2, 7)];
  expect([await a.begin(), await a.begin(), await b.begin()]).toEqual([true, true, false]);
  await a.end();
  expect([await b.begin(), await c.begin()]).toEqual([true, false]);
  await b.pause();
  expect(await c.begin()).toBe(true);
});
