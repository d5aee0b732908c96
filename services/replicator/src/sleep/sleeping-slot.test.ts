import type { GuardedSlot, SlotReport } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import { openMemoryMessaging, SourceSleep } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { SleepingSlot } from './sleeping-slot.ts';

const signal = new AbortController().signal;
const PERIOD_MS = 60_000;

/** `keptBytes` may change; 100 are allowed. */
async function guarded() {
  let now = 1_000_000;
  const clock = { ...systemClock, now: () => now };
  const deps = { clock, log: silentLogger };
  const sleep = new SourceSleep({ ...deps, registries: openMemoryMessaging(systemClock).registries }, 'src');
  const state = { keptBytes: 10n, looks: 0, gone: false };
  const slot: GuardedSlot = {
    report: async (): Promise<SlotReport | undefined> => {
      state.looks += 1;
      if (state.gone) return undefined;
      const [walLsn, start] = [1_000n as Lsn, (1_000n - state.keptBytes) as Lsn];
      return { walLsn, confirmedLsn: start, restartLsn: start, locked: false, walStatus: 'reserved' };
    },
    drop: async () => undefined,
  };
  const options = { budget: { bytes: 100n, ageMs: 1 }, periodMs: PERIOD_MS };
  const resting = new SleepingSlot({ ...deps, slot, sleep: () => sleep }, options);
  return { resting, sleep, state, pass: (ms: number) => (now += ms) };
}

test('a slot of a source that is awake is looked at whenever somebody asks', async () => {
  const { resting, state } = await guarded();
  expect(await resting.report(signal)).toMatchObject({ walLsn: 1_000n });
  expect(await resting.report(signal)).toMatchObject({ walLsn: 1_000n });
  expect(state.looks).toBe(2);
});

test('while the source sleeps there is one look in a period, after which it goes on sleeping', async () => {
  const { resting, sleep, state, pass } = await guarded();
  await sleep.fallAsleep('one');
  for (let i = 0; i < 3; i += 1) expect(await resting.report(signal)).toBeUndefined();
  expect(state.looks).toBe(0);
  for (const looks of [1, 2]) {
    pass(PERIOD_MS);
    for (let i = 0; i < 3; i += 1) expect(await resting.report(signal)).toBeUndefined();
    expect(state.looks).toBe(looks);
  }
  state.gone = true;
  pass(PERIOD_MS);
  expect(await resting.report(signal)).toBeUndefined();
  expect(sleep.asleep).toBe(true);
});

test('a source for which much WAL is kept is woken', async () => {
  const { resting, sleep, state, pass } = await guarded();
  await sleep.fallAsleep('one');
  state.keptBytes = 50n;
  pass(PERIOD_MS);
  expect(await resting.report(signal)).toBeUndefined();
  expect({ asleep: sleep.asleep, waking: sleep.waking }).toEqual({ asleep: false, waking: true });
  expect(await resting.report(signal)).toBeDefined();
});
