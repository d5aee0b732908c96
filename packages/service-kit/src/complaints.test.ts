import { expect, test } from 'vitest';
import { systemClock } from './clock.ts';
import { Complaints } from './complaints.ts';

function world() {
  let now = 1_000_000;
  const complaints = new Complaints({ ...systemClock, now: () => now });
  return { complaints, pass: (ms: number) => void (now += ms) };
}

test('each kind of failure is told when it comes up, then once a minute', () => {
  const { complaints, pass } = world();
  const told: string[] = [];
  for (let second = 0; second < 180; second += 1) {
    for (const kind of ['refused', 'timeout']) if (complaints.failed(kind)) told.push(`${kind} ${second}`);
    pass(1_000);
  }
  expect(told).toEqual(['refused 0', 'timeout 0', 'refused 60', 'timeout 60', 'refused 120', 'timeout 120']);
});

test('a failure after a success is news, and its time begins again', () => {
  const { complaints, pass } = world();
  expect(complaints.worked()).toBe(false);
  expect(complaints.failed('refused')).toBe(true);
  pass(7_000);
  expect(complaints.failingMs).toBe(7_000);
  expect(complaints.failed('refused')).toBe(false);
  expect(complaints.worked()).toBe(true);
  expect(complaints.failingMs).toBe(0);
  pass(1);
  expect(complaints.failed('refused')).toBe(true);
  expect(complaints.failingMs).toBe(0);
});

test('a clock that is set back silences nothing', () => {
  const { complaints, pass } = world();
  complaints.failed('refused');
  pass(-3_600_000);
  expect(complaints.failed('refused')).toBe(true);
  expect(complaints.failingMs).toBe(0);
});
