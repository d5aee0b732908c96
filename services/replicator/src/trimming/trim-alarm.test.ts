import { expect, test } from 'vitest';
import { TrimAlarms, type TrimState } from './trim-alarm.ts';

const state: TrimState = { shard: 3, behindMs: 0, maxAgeMs: 1_000, bytes: 0, maxBytes: 1_000 };
const told = (alarms: TrimAlarms, now: Partial<TrimState>) =>
  alarms.look({ ...state, ...now }).map(({ type, share }) => `${type} ${share}`);

test('F117 a shard that stays behind is told of at a quarter and at half of the life of a record, once each', () => {
  const alarms = new TrimAlarms();
  const ages = [0, 249, 250, 300, 499, 500, 900];
  const all = ages.map((behindMs) => told(alarms, { behindMs }));
  expect(all).toEqual([[], [], ['trimming_blocked 25'], [], [], ['trimming_blocked 50'], []]);
  expect(told(alarms, { behindMs: 260 })).toEqual([]);
  expect(told(alarms, { behindMs: 260, shard: 4 })).toEqual(['trimming_blocked 25']);
  expect(told(alarms, { behindMs: 0, shard: 4 })).toEqual([]);
  expect(told(alarms, { behindMs: 600, shard: 4 })).toEqual(['trimming_blocked 50']);
});

test('F109 a stream that fills up is told of once on the way up', () => {
  const alarms = new TrimAlarms();
  const all = [700, 750, 800, 900, 990, 500, 760].map((bytes) => told(alarms, { bytes }));
  expect(all).toEqual([
    [],
    ['stream_nearly_full 75'],
    [],
    ['stream_nearly_full 90'],
    [],
    [],
    ['stream_nearly_full 75'],
  ]);
});

test('says which shard, for how long and until when', () => {
  const hour = 3_600_000;
  const [alarm] = new TrimAlarms().look({ ...state, behindMs: 20 * hour, maxAgeMs: 72 * hour });
  expect(alarm?.message).toMatch(/^Shard 3 .* for 20 h; after 72 h /);
});

test('streams without limits have no alarms', () => {
  expect(told(new TrimAlarms(), { behindMs: 1e12, bytes: 1e12, maxAgeMs: undefined, maxBytes: undefined })).toEqual([]);
});
