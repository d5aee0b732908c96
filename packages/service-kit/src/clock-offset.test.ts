import { expect, test } from 'vitest';
import { clockOffset } from './clock-offset.ts';
import { systemClock, wallTime, type Clock } from './clock.ts';

/** A clock that a remote answer moves on by the time that the answer takes. */
function walkingClock(): { readonly clock: Clock; readonly walk: (ms: number) => void } {
  let now = 1_000_000;
  return { clock: { ...systemClock, wall: () => now }, walk: (ms) => void (now += ms) };
}

test('the quickest of several answers is believed, halfway through its round trip', async () => {
  const { clock, walk } = walkingClock();
  const delays = [
    [900, 100],
    [5, 5],
    [0, 400],
  ];
  const offset = await clockOffset(clock, async () => {
    const [there = 0, back = 0] = delays.shift() ?? [];
    walk(there);
    const remote = wallTime(clock) + 250;
    walk(back);
    return remote;
  });
  expect(offset).toEqual({ aheadMs: 250, roundTripMs: 10 });
});

test('there is no offset to a server that does not tell its time', async () => {
  expect(await clockOffset(systemClock, async () => undefined)).toBeUndefined();
});
