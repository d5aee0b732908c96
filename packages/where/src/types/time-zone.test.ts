import { describe, expect, test } from 'vitest';
import type { ClauseEvaluationError } from '../errors.ts';
import { localOffset, timeZone, timeZoneOf } from './time-zone.ts';

const at = (text: string): number => Date.parse(text) / 1000;

describe('names', () => {
  test.each([
    ['Europe/Berlin', 3600],
    ['europe/BERLIN', 3600],
    ['Japan', 32_400],
    // An abbreviation goes before a zone of the same name.
    ['EST', -18_000],
    ['IST', 7200],
    ['z', 0],
    // POSIX counts west of Greenwich.
    ['+02', -7200],
    ['UTC+3', -10_800],
    ['GMT-03:30', 12_600],
    ['Etc/GMT+3', -10_800],
  ])('%s', (name, offset) => {
    expect(timeZone(name)?.offsetAt(at('2024-01-15T12:00:00Z'))).toBe(offset);
  });

  test.each(['Mars/Phobos', 'MSK', 'US/Pacific-New', 'SystemV/EST5', '+0530', '5', 'FOO5', '', 'AET', '+25'])(
    'does not know %j',
    (name) => {
      expect(timeZone(name)).toBeUndefined();
    },
  );

  test('that no Postgres can know are errors, others are undecided', () => {
    const reason = (name: string): string => {
      try {
        timeZoneOf(name);
        return 'known';
      } catch (error) {
        return (error as ClauseEvaluationError).reason;
      }
    };
    expect(['', 'foo bar', 'Straße'].map(reason)).toEqual(['postgres', 'postgres', 'postgres']);
    expect(['Mars/Phobos', 'FOO5', 'MSK'].map(reason)).toEqual(['undecided', 'undecided', 'undecided']);
  });
});

describe('offsets', () => {
  const berlin = timeZoneOf('Europe/Berlin');

  test('change at the second, and before zones were introduced have seconds', () => {
    expect(berlin.offsetAt(at('2024-03-31T00:59:59Z'))).toBe(3600);
    expect(berlin.offsetAt(at('2024-03-31T01:00:00Z'))).toBe(7200);
    expect(berlin.offsetAt(at('1850-01-01T00:00:00Z'))).toBe(3208);
    expect(timeZoneOf('Africa/Monrovia').offsetAt(at('1938-01-01T00:00:00Z'))).toBe(-2670);
  });

  test('repeat with the calendar in the far future', () => {
    const far = at('2024-07-01T00:00:00Z') + 500 * 146_097 * 86_400;
    expect(berlin.offsetAt(far)).toBe(7200);
    expect(berlin.offsetAt(far + 184 * 86_400)).toBe(3600);
  });

  test('of a local time that is skipped is the one before, of one that occurs twice the one after', () => {
    expect(localOffset(berlin, at('2024-03-31T02:30:00Z'))).toBe(3600);
    expect(localOffset(berlin, at('2024-10-27T02:30:00Z'))).toBe(3600);
    expect(localOffset(berlin, at('2024-10-27T01:59:59Z'))).toBe(7200);
    expect(localOffset(berlin, at('2024-03-31T03:00:00Z'))).toBe(7200);
  });

  test('settle a whole day that is skipped', () => {
    const apia = timeZoneOf('Pacific/Apia');
    expect(localOffset(apia, at('2011-12-30T12:00:00Z'))).toBe(-36_000);
    expect(localOffset(apia, at('2011-12-31T12:00:00Z'))).toBe(50_400);
  });
});
