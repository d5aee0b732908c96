import fc from 'fast-check';

/** Literals as people and programs write them, right and nearly right. */

const integer = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const padded = (max: number): fc.Arbitrary<string> => integer(0, max).map((value) => String(value).padStart(2, '0'));
const maybe = (text: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.oneof(fc.constant(''), text);
const joined = (...parts: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((texts) => texts.join(''));
const one = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const digits = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: one(...'0123456789'), minLength: 1, maxLength }),
    one('5', '25', '1', '999999', '0000005', '9999995', '99999949', '123456'),
  );

const year = fc.oneof(integer(1850, 2100), integer(1, 9999), integer(4700, 4720), integer(10_000, 300_000));
const date = fc
  .tuple(year, padded(13), padded(32), one('-', '-', '-', ''))
  .map(([y, m, d, dash]) => `${String(y).padStart(4, '0')}${dash}${m}${dash}${d}`);
const clock = fc.oneof(
  joined(padded(25), one(':'), padded(60)),
  joined(padded(24), one(':'), padded(60), one(':'), padded(61), maybe(joined(one('.'), digits(9)))),
  one('24:00:00', '24:00', '23:59:60', '12:00', '00:00:00.000001', '23:59:59.9999999'),
);
const meridiem = one(' AM', ' PM', 'am', 'pm', ' Pm');
const zone = fc.oneof(
  one(
    'Z',
    'z',
    ' UTC',
    '+00',
    '-03:30',
    '+0545',
    ' +01',
    '-15:59:59',
    '+05:30:15',
    '+16',
    'Z+3',
    ' GMT+3',
    ' utc-02:30',
  ),
  one(
    ' Europe/Berlin',
    ' America/St_Johns',
    'Asia/Kolkata',
    ' africa/monrovia',
    ' Etc/GMT+3',
    ' EST',
    ' cet',
    ' PST8PDT',
  ),
  one(' Pacific/Apia', ' Australia/Lord_Howe', ' America/Denver', ' Europe/Dublin', ' MSK', ' Japan', ' Mars/Phobos'),
);
const word = one(
  ...['infinity', '-infinity', 'epoch', ' Infinity ', 'EPOCH', 'now', 'today', 'tomorrow', 'yesterday', 'allballs', ''],
  ...[
    '01/02/2024',
    '2024/01/02',
    'Jan 2 2024',
    '2024-1-2',
    '24-01-02',
    '2024.01.02',
    'J2451545',
    'infinityx',
    '+infinity',
  ],
);

export const anyTimestampLiteral = fc.oneof(
  {
    weight: 20,
    arbitrary: joined(
      date,
      one(' ', 'T', '  ', 't'),
      clock,
      maybe(meridiem),
      maybe(zone),
      maybe(one(' BC', 'BC', ' bc')),
    ),
  },
  { weight: 4, arbitrary: joined(date, maybe(one(' BC', ' bc', 'BC', ' AD'))) },
  { weight: 1, arbitrary: word },
);
export const anyTimeLiteral = fc.oneof(
  { weight: 10, arbitrary: joined(clock, maybe(meridiem)) },
  { weight: 1, arbitrary: joined(maybe(one(' ')), clock, maybe(zone)) },
  { weight: 1, arbitrary: word },
);

const unit = one(
  ...[
    'year',
    'years',
    'yr',
    'y',
    'mon',
    'mons',
    'month',
    'months',
    'week',
    'w',
    'day',
    'days',
    'd',
    'hour',
    'hours',
    'h',
  ],
  ...[
    'hrs',
    'minute',
    'min',
    'm',
    'second',
    'secs',
    's',
    'ms',
    'milliseconds',
    'us',
    'microseconds',
    'decade',
    'century',
  ],
  ...[
    'c',
    'millennium',
    'mil',
    'Days',
    'MONTHS',
    'qtr',
    'quarter',
    'fortnight',
    'ago',
    'dec',
    'decs',
    'usec',
    'msec',
    'mm',
  ],
);
const count = fc.oneof(integer(0, 40).map(String), integer(0, 3_000_000_000).map(String), integer(0, 400).map(String));
const decimal = fc.oneof(
  { weight: 3, arbitrary: count },
  { weight: 2, arbitrary: joined(count, one('.'), digits(8)) },
  { weight: 1, arbitrary: joined(one('.'), digits(7)) },
);
const sign = one('', '', '', '-', '+', '- ');
const spanClock = fc.oneof(
  joined(sign, count, one(':'), padded(60)),
  joined(
    sign,
    integer(0, 50).map(String),
    one(':'),
    padded(60),
    one(':'),
    padded(61),
    maybe(joined(one('.'), digits(8))),
  ),
  joined(padded(59), one(':'), padded(59), one('.'), digits(6)),
);
const field = joined(sign, decimal, one(' ', '', ' '), unit);
const blank = one(' ', '  ', ', ', ' @ ', '');
const verbose = joined(
  maybe(one('@ ')),
  fc.array(joined(field, blank), { minLength: 0, maxLength: 4 }).map((fields) => fields.join('')),
  maybe(spanClock),
  maybe(one(' ago', ' AGO', ' 5', ' ago ')),
);
const sql = joined(
  maybe(joined(sign, count, one('-'), integer(0, 12).map(String))),
  one(' ', ''),
  maybe(joined(sign, count)),
  one(' '),
  maybe(spanClock),
);
const isoNumber = joined(one('', '', '-'), decimal);
const iso = fc.oneof(
  joined(
    one('P'),
    ...['Y', 'M', 'W', 'D'].map((designator) => maybe(joined(isoNumber, one(designator)))),
    maybe(joined(one('T'), ...['H', 'M', 'S'].map((designator) => maybe(joined(isoNumber, one(designator)))))),
  ),
  joined(
    one('P'),
    maybe(joined(padded(99), padded(99), one('-'), padded(12), one('-'), padded(31))),
    maybe(joined(one('T'), padded(24), one(':'), padded(60), one(':'), padded(60), maybe(joined(one('.'), digits(6))))),
  ),
);

export const anyIntervalLiteral = fc.oneof(
  { weight: 6, arbitrary: verbose },
  { weight: 3, arbitrary: sql },
  { weight: 4, arbitrary: iso },
  {
    weight: 1,
    arbitrary: one(
      'infinity',
      '-infinity',
      '',
      ' ',
      'PT',
      'P',
      'PT0S',
      '1',
      '-0.5',
      '1 2',
      'day',
      'P1',
      'PT5',
      '1:2:3:4',
      '1-13',
      '- 1 day',
      '1day2hours',
      '1d2h',
      '1y-2mon',
      '.5 days',
      '1. day',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: one(...'PTYMDHSW0123456789.-+: dayshourmnic@,'), maxLength: 16 }) },
);
