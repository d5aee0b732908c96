import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import { Interval } from './interval-value.ts';
import { compareIntervals, decodeInterval, formatInterval, intervalKey, parseInterval } from './interval.ts';
import { narrow } from './value.ts';

const read = (text: string): string => formatInterval(parseInterval(text));

describe('literals', () => {
  test.each([
    ['1 year 2 mons -3 days 04:05:06', 'P1Y2M-3DT4H5M6S'],
    ['@ 1 year 2 days ago', 'P-1Y-2D'],
    ['1-2', 'P1Y2M'],
    ['-1-2 +3 -4:05:06.7', 'P-1Y-2M3DT-4H-5M-6.7S'],
    ['3 4:05:06', 'P3DT4H5M6S'],
    ['5:06.5', 'PT5M6.5S'],
    ['90', 'PT1M30S'],
    ['1 2 hours', 'P1DT2H'],
    ['0.5 months', 'P15D'],
    ['0.5 days', 'PT12H'],
    ['1.5 weeks', 'P10DT12H'],
    ['1.5 years', 'P1Y6M'],
    ['2 decades 1 century 1 millennium', 'P1120Y'],
    ['5 m', 'PT5M'],
    ['1d2h3m4s', 'P1DT2H3M4S'],
    ['1 day, 2 hours', 'P1DT2H'],
    ['1500 ms 3 microseconds', 'PT1.500003S'],
    ['P1Y2M3W4DT5H6M7.8S', 'P1Y2M25DT5H6M7.8S'],
    ['P-1Y-2M', 'P-1Y-2M'],
    ['P0001-02-03T04:05:06', 'P1Y2M3DT4H5M6S'],
    ['P0.5D', 'PT12H'],
    ['PT', 'PT0S'],
    ['0:0:60', 'PT1M'],
    ['-0.25 s', 'PT-0.25S'],
    ['2562047788:00:54.775807', 'PT2562047788H54.775807S'],
  ])('takes %j as %s', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  test.each([
    ...[
      'infinity',
      '-infinity',
      '',
      'day',
      '1 day 1 day',
      '1 fortnight',
      '1-13',
      '1 qtr',
      ' P1D',
      'P1',
      'P1D2',
      '1:60',
    ],
    ...['1 day ago 2 hours', '1 hour 2:03', '178956971 years', '3000000000 days', '2562047789 hours', '1y-2mon', '12-'],
    // Postgres 14 truncates to 6 months what later versions round to 7.
    ...['0.55 years', '0.0000015 s', '1.5 years 1 mon', 'P0.55Y'],
  ])('refuses %j', (text) => {
    expect(() => parseInterval(text)).toThrow(InputError);
  });

  test('leaves open what only some Postgres reads', () => {
    const undecided = (text: string): boolean => {
      try {
        parseInterval(text);
      } catch (error) {
        return (error as InputError).undecided;
      }
      throw new Error(`${text} is read`);
    };
    expect(['infinity', '0.55 years', '5 mm', 'P.5Y'].map(undecided)).toEqual([true, true, true, true]);
    expect(['', 'soon', '@'].map(undecided)).toEqual([false, false, false]);
  });

  test('reads any text in time, or refuses it with an InputError', () => {
    const texts = fc.string({ unit: fc.constantFrom(...'PTYMD0123456789.-+: dayshourmn@,'), maxLength: 40 });
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const value = parseInterval(text);
          expect(decodeInterval(formatInterval(value))).toEqual(value);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 3000 },
    );
    expect(() => parseInterval('1'.repeat(100_000))).toThrow(InputError);
    expect(() => parseInterval('1 '.repeat(100_000))).toThrow(InputError);
  });
});

describe('wire text', () => {
  const anyInterval = fc
    .tuple(fc.integer(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
    .map(([months, days, micros]) => new Interval(months, days, narrow(micros)));

  test('reads back as the same fields', () => {
    fc.assert(
      fc.property(anyInterval, (value) => {
        expect(decodeInterval(formatInterval(value))).toEqual(value);
      }),
    );
  });

  test('may be in another style', () => {
    expect(formatInterval(decodeInterval('1 mon -1 hour'))).toBe('P1MT-1H');
    expect(formatInterval(decodeInterval('PT-0.5S'))).toBe('PT-0.5S');
    expect(formatInterval(decodeInterval('P1W'))).toBe('P7D');
  });

  test('of an infinite interval is refused', () => {
    expect(() => decodeInterval('infinity')).toThrow(InputError);
    expect(() => decodeInterval('P178956970Y7M2147483647DT2562047788H54.775807S')).toThrow(InputError);
  });

  test('has the same key exactly for equal intervals', () => {
    const near = fc
      .tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -61, max: 61 }), fc.integer({ min: -49, max: 49 }))
      .map(([months, days, hours]) => new Interval(months, days, hours * 3_600_000_000));
    const any = fc.oneof(near, anyInterval);
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(intervalKey(formatInterval(a)) === intervalKey(formatInterval(b))).toBe(compareIntervals(a, b) === 0);
      }),
    );
    expect(['P1M', 'P30D', 'PT720H', 'P2M-30D'].map(intervalKey)).toEqual(Array(4).fill('2592000000000'));
    expect(compareIntervals(parseInterval('1 month'), parseInterval('31 days'))).toBe(-1);
  });
});
