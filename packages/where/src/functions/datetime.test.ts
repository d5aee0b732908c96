import { describe, expect, test } from 'vitest';
import { evaluate } from './datetime.oracle.ts';

/** `arguments | result` per line, all in wire text. */
function holds(signature: string, result: string, cases: string): void {
  for (const line of cases.trim().split('\n')) {
    const parts = line.split('|').map((part) => part.trim());
    const expected = parts.pop();
    expect({ line, value: evaluate(signature, parts, result) }).toEqual({ line, value: expected });
  }
}

describe('arithmetic', () => {
  test('adds days to dates inside their range', () => {
    holds(
      'date_pli(date,int4)',
      'date',
      `2024-02-28 | 2 | 2024-03-01
       infinity | -5 | infinity
       5874897-12-31 | 1 | error
       4714-11-24 BC | -1 | error`,
    );
  });

  test('counts the days between dates, but not between infinite ones', () => {
    holds('date_mi(date,date)', 'int4', '2024-03-01 | 2024-02-01 | 29\n infinity | 2024-01-01 | error');
  });

  test('adds months, then days, then time; the day of the month gives way', () => {
    holds(
      'timestamp_pl_interval(timestamp,interval)',
      'timestamp',
      `2024-01-31 10:00:00 | P1M | 2024-02-29 10:00:00
       2024-01-31 10:00:00 | P1M1DT-24H | 2024-02-29 10:00:00
       0001-01-31 00:00:00 | P-1M | 0001-12-31 00:00:00 BC
       infinity | P-1Y | infinity
       294276-12-31 23:59:59.999999 | PT0.000001S | error
       294276-12-31 00:00:00 | P1DT-24H | error`,
    );
  });

  test('subtracts timestamps into days and time of one sign', () => {
    holds(
      'timestamp_mi(timestamp,timestamp)',
      'interval',
      `2024-01-01 00:00:00 | 2024-01-02 01:00:00 | P-1DT-1H
       infinity | infinity | error
       infinity | 2024-01-01 00:00:00 | undecided
       294276-01-01 00:00:00 | 4000-01-01 00:00:00 BC | undecided`,
    );
  });

  test('turns times round the clock', () => {
    holds('time_pl_interval(time,interval)', 'time', '23:00:00 | P5DT2H | 01:00:00\n 24:00:00 | PT0S | 00:00:00');
    holds('time_mi_interval(time,interval)', 'time', '01:00:00 | PT2H | 23:00:00');
  });

  test('spills fractions of months and days down', () => {
    holds(
      'interval_mul(interval,float8)',
      'interval',
      `P1D | 1.5 | P1DT12H
       P1M | 0.5 | P15D
       P1Y2M3DT4H5M6S | 1.3 | P1Y6M9DT26H54M37.8S
       PT1S | NaN | error
       PT0S | Infinity | error
       PT1S | Infinity | undecided
       P178956970Y | 10 | error`,
    );
    holds('interval_div(interval,float8)', 'interval', 'P1M | 4 | P7DT12H\n P1D | 0 | error\n P1D | Infinity | PT0S');
  });

  test('gives all fields of a justified interval one sign', () => {
    holds('justify_interval(interval)', 'interval', 'P1MT-1H | P29DT23H\n P-1MT719H | PT-1H\n P1M-1DT-1H | P28DT23H');
    holds('justify_hours(interval)', 'interval', 'PT49H | P2DT1H\n P2147483647DT24H | undecided');
    holds('justify_days(interval)', 'interval', 'P35D | P1M5D');
  });

  test('leaves open where one more field value became infinity', () => {
    holds('interval_um(interval)', 'interval', 'P1M-2D | P-1M2D\n P-2147483648D | error');
    holds('timestamp_mi_interval(timestamp,interval)', 'timestamp', '2024-01-01 00:00:00 | P-2147483648D | undecided');
  });
});

describe('parts', () => {
  test('are numerics with the scale of their unit', () => {
    holds(
      'extract(text,timestamp)',
      'numeric',
      `second | 2024-02-29 10:20:30.5 | 30.500000
       milliseconds | 2024-02-29 10:20:30.5 | 30500.000
       epoch | 1970-01-01 00:00:01 | 1.000000
       year | 0044-03-15 00:00:00 BC | -44
       century | 0001-01-01 00:00:00 BC | -1
       isoyear | 2024-12-30 00:00:00 | 2025
       week | 2024-12-30 00:00:00 | 1
       isodow | 2024-12-29 00:00:00 | 7
       julian | 2000-01-01 12:00:00 | 2451545.50000000000000000000
       day | infinity | null
       epoch | -infinity | -Infinity
       timezone | 2024-01-01 00:00:00 | error
       fortnight | 2024-01-01 00:00:00 | error`,
    );
  });

  test('of dates are those of the calendar', () => {
    holds(
      'extract(text,date)',
      'numeric',
      'doy | 2024-12-31 | 366\n hour | 2024-12-31 | error\n day | infinity | null',
    );
    holds('date_part(text,date)', 'float8', 'hour | 2024-12-31 | 0\n day | 5874897-12-31 | error');
  });

  test('of intervals leave open what versions see differently', () => {
    holds(
      'extract(text,interval)',
      'numeric',
      `epoch | P1Y1M1DT1S | 34236001.000000
       month | P-1Y-2M | -2
       hour | PT100H | 100
       week | P14D | undecided
       quarter | P-1M | undecided
       dow | P1D | error`,
    );
  });
});

describe('date_trunc', () => {
  test('cuts years as the calendar numbers them', () => {
    holds(
      'date_trunc(text,timestamp)',
      'timestamp',
      `week | 2024-01-01 10:00:00 | 2024-01-01 00:00:00
       quarter | 2024-06-30 10:00:00 | 2024-04-01 00:00:00
       decade | 2024-06-30 10:00:00 | 2020-01-01 00:00:00
       century | 2000-06-30 10:00:00 | 1901-01-01 00:00:00
       millennium | 2001-06-30 10:00:00 | 2001-01-01 00:00:00
       century | 0044-03-15 00:00:00 BC | 0100-01-01 00:00:00 BC
       hour | infinity | infinity
       fortnight | infinity | undecided
       century | 4714-11-24 00:00:00 BC | error`,
    );
  });

  test('in a zone finds midnight there', () => {
    holds(
      'date_trunc(text,timestamptz,text)',
      'timestamptz',
      `day | 2024-03-31 12:00:00+00 | Europe/Berlin | 2024-03-30 23:00:00+00
       day | 2024-04-01 12:00:00+00 | Europe/Berlin | 2024-03-31 22:00:00+00
       hour | 2024-10-27 01:30:00+00 | Europe/Berlin | 2024-10-27 01:00:00+00
       day | 2024-04-01 12:00:00+00 | Mars/Phobos | undecided`,
    );
  });
});

describe('conversions', () => {
  test('see timestamptz in UTC and in named zones', () => {
    holds(
      'timezone(text,timestamptz)',
      'timestamp',
      `America/Denver | 2001-02-16 17:38:40+00 | 2001-02-16 10:38:40
       Mars/Phobos | infinity | infinity
       foo bar | 2001-02-16 17:38:40+00 | error
       +14 | 4714-11-24 00:00:00+00 BC | error`,
    );
    holds('timezone(text,timestamp)', 'timestamptz', 'Europe/Berlin | 2024-03-31 02:30:00 | 2024-03-31 01:30:00+00');
    holds('timezone(interval,timestamp)', 'timestamptz', 'PT2H | 2024-01-01 00:00:00 | 2023-12-31 22:00:00+00');
    holds('timezone(interval,timestamp)', 'timestamptz', 'P1D | 2024-01-01 00:00:00 | error');
  });

  test('round half a step away from 2000', () => {
    holds(
      'timestamp(timestamp,int4)',
      'timestamp',
      `2024-01-01 00:00:00.5 | 0 | 2024-01-01 00:00:01
       1999-12-31 23:59:59.5 | 0 | 1999-12-31 23:59:59
       2024-01-01 00:00:00.123456 | 3 | 2024-01-01 00:00:00.123
       294276-12-31 23:59:59.9 | 0 | undecided`,
    );
    holds('time(time,int4)', 'time', '23:59:59.95 | 1 | 24:00:00');
  });

  test('cut dates and times out of timestamps', () => {
    holds('date(timestamp)', 'date', '1999-12-31 23:59:59 | 1999-12-31\n -infinity | -infinity');
    holds('time(timestamp)', 'time', '1999-12-31 23:59:59.5 | 23:59:59.5\n infinity | null');
    holds('time(interval)', 'time', 'P1DT-2H | 22:00:00');
    holds('timestamp(date)', 'timestamp', '2024-01-01 | 2024-01-01 00:00:00\n 5874897-12-31 | error');
  });

  test('put dates and times together', () => {
    holds(
      'make_date(int4,int4,int4)',
      'date',
      '2024 | 2 | 29 | 2024-02-29\n -44 | 3 | 15 | 0044-03-15 BC\n 0 | 1 | 1 | error',
    );
    holds(
      'make_time(int4,int4,float8)',
      'time',
      '8 | 15 | 23.5 | 08:15:23.5\n 24 | 0 | 0.1 | error\n 1 | 1 | NaN | error',
    );
  });
});
