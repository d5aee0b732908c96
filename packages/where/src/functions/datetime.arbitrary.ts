import fc from 'fast-check';
import { formatDate, formatTime, formatTimestamp } from '../types/datetime.ts';
import { Interval } from '../types/interval-value.ts';
import { formatInterval } from '../types/interval.ts';
import { narrow } from '../types/value.ts';

/** Operands of the functions of dates and times, as wire text: ordinary ones, boundaries and their neighbours. */

const FIRST_DAY = -2_451_545;
const LAST_DAY = 2_145_031_948;
const LAST_TIMESTAMP_DAY = 106_751_982;
const FIRST_MICROS = -211_813_488_000_000_000n;
const LAST_MICROS = 9_223_371_331_199_999_999n;
const INT32 = 2_147_483_647;
const INT64 = 9_223_372_036_854_775_807n;

const days = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -60_000, max: 40_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: FIRST_DAY, max: LAST_DAY }) },
  { weight: 1, arbitrary: fc.integer({ min: -800_000, max: -730_000 }) },
  {
    weight: 1,
    arbitrary: near([FIRST_DAY, LAST_DAY, LAST_TIMESTAMP_DAY, -730_485, 0, 59, -10_957], FIRST_DAY, LAST_DAY),
  },
);

const timeOfDay = fc.oneof(
  fc.integer({ min: 0, max: 86_400_000_000 }),
  fc.constantFrom(
    0,
    1,
    500_000,
    499_999,
    59_999_999,
    60_000_000,
    43_200_000_000,
    86_399_999_999,
    86_399_500_000,
    86_400_000_000,
  ),
);

const timestamp = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: -60_000, max: 40_000 }), timeOfDay)
      .map(([day, time]) => BigInt(day) * 86_400_000_000n + BigInt(time)),
  },
  { weight: 2, arbitrary: fc.bigInt({ min: FIRST_MICROS, max: LAST_MICROS }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(FIRST_MICROS, LAST_MICROS, 0n, -946_684_800_000_000n, -63_082_281_600_000_000n),
        fc.integer({ min: -3_000_000, max: 3_000_000 }),
      )
      .map(([base, offset]) => clamp(base + BigInt(offset))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: -735_000, max: 106_000_000 }), fc.constantFrom(0n, 43_200_000_000n))
      .map(([day, time]) => BigInt(day) * 86_400_000_000n + time),
  },
);

const small = fc.integer({ min: -40, max: 40 });
const int32 = fc.oneof(
  { weight: 6, arbitrary: small },
  { weight: 2, arbitrary: fc.integer({ min: -5000, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -INT32 - 1, max: INT32 }) },
  { weight: 1, arbitrary: near([-INT32 - 1, INT32, 0], -INT32 - 1, INT32) },
);
const micros = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -200_000_000_000, max: 200_000_000_000 }).map(BigInt) },
  { weight: 2, arbitrary: small.map((hours) => BigInt(hours) * 3_600_000_000n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, 1n, -1n, 86_400_000_000n, -86_400_000_000n, 86_399_999_999n) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }) },
  { weight: 1, arbitrary: fc.constantFrom(INT64, -INT64, -INT64 - 1n, INT64 - 1n) },
  { weight: 1, arbitrary: fc.bigInt({ min: -INT64, max: INT64 }) },
);

const anyInterval = fc
  .oneof(
    fc.tuple(int32, int32, micros),
    fc.tuple(small, small, micros),
    fc.tuple(fc.constant(0), fc.constant(0), micros),
  )
  .map(([months, day, time]) => formatInterval(new Interval(months, day, narrow(time))));

const units = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      ...'microseconds milliseconds second minute hour day week month quarter year decade century millennium'.split(
        ' ',
      ),
      ...'julian isoyear dow isodow doy epoch timezone timezone_hour timezone_minute'.split(' '),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...'us ms s m h d w y mon Mons qtr dec c mil millenniumx microsecondx MM j jd Epoch now infinity jan t bc ago dst'.split(
        ' ',
      ),
      ...['', ' day', 'secondx', 'daysı', 'DECADE', 'yrs', 'msecs'],
    ),
  },
);

const floats = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -1000, max: 1000 }).map((value) => value / 8) },
  { weight: 3, arbitrary: fc.integer({ min: -10_000, max: 10_000 }).map((value) => value / 1000) },
  { weight: 2, arbitrary: fc.double() },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0, -0, 0.1, 1 / 3, 1.5, -1, 59.9999995, 60, 1e-7, 1e18, Infinity, -Infinity, NaN),
  },
);

const zones = fc.constantFrom(
  ...['America/Denver', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'america/st_johns', 'Africa/Monrovia'],
  ...['Pacific/Apia', 'Europe/Dublin', 'UTC', 'CET', '+05:30', 'GMT-3', 'EST', 'Japan'],
);

/** Wire text of operands by type name. */
export const OPERANDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  date: withInfinity(days.map(formatDate)),
  time: timeOfDay.map(formatTime),
  timestamp: withInfinity(timestamp.map((value) => formatTimestamp(narrow(value), ''))),
  timestamptz: withInfinity(timestamp.map((value) => formatTimestamp(narrow(value), '+00'))),
  interval: anyInterval,
  int4: int32.map(String),
  float8: floats.map((value) => (Object.is(value, -0) ? '-0' : String(value))),
};
export const anyUnit = units;
export const anyZone = zones;

function withInfinity(values: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 20, arbitrary: values },
    { weight: 1, arbitrary: fc.constantFrom('infinity', '-infinity') },
  );
}

function near(points: readonly number[], min: number, max: number): fc.Arbitrary<number> {
  return fc
    .tuple(fc.constantFrom(...points), fc.integer({ min: -3, max: 3 }))
    .map(([point, offset]) => Math.min(max, Math.max(min, point + offset)));
}

function clamp(value: bigint): bigint {
  return value < FIRST_MICROS ? FIRST_MICROS : value > LAST_MICROS ? LAST_MICROS : value;
}
