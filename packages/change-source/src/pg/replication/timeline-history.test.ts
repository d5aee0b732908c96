import { expect, test } from 'vitest';
import { parseTimelineHistory } from './timeline-history.ts';

test('reads where timelines were left, and passes over comments and empty lines', () => {
  const content =
    '1\t0/3000060\tno recovery target specified\n\n# by hand\n2\tFF/10000000\tbefore 2026-01-01 00:00:00+00\n';
  expect(parseTimelineHistory(content)).toEqual([
    { timeline: 1, endLsn: 0x3000060n },
    { timeline: 2, endLsn: 0xff10000000n },
  ]);
});

test('an empty history has nothing', () => {
  expect(parseTimelineHistory('')).toEqual([]);
});

test.each(['1', 'one\t0/1\tx', '1\t0-1\tx', '99999999999\t0/1'])('%j proves nothing', (line) => {
  expect(() => parseTimelineHistory(line)).toThrow('cannot be read');
});
