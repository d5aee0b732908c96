import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import {
  compareNumeric,
  decodeNumeric,
  exactDecimal,
  formatNumeric,
  numericKey,
  numericKeyOf,
  parseNumericLiteral,
} from './decimal.ts';
import { nearestFloat32, parseFloatLiteral } from './numbers.ts';
import { compareCodePoints } from './text.ts';
import { type as typeNamed } from './types.ts';

/** Input text to output text, or undefined when refused. */
function read(type: string, text: string): string | undefined {
  try {
    return typeNamed(type).parse(text).text;
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

describe('input', () => {
  test.each([
    ['int4', ' 7 ', '7'],
    ['int4', '+7', '7'],
    ['int4', '7.0', undefined],
    ['int4', '', undefined],
    ['int2', '40000', undefined],
    ['int8', '-9223372036854775808', '-9223372036854775808'],
    ['int8', '9223372036854775808', undefined],
    ['int4', '0x1F', undefined],
    ['numeric', '1e3', '1000'],
    ['numeric', '.5', '0.5'],
    ['numeric', '-0.00', '0.00'],
    ['numeric', '12.50e-1', '1.250'],
    ['numeric', 'nan', 'NaN'],
    ['numeric', '-inf', '-Infinity'],
    ['numeric', '1e', undefined],
    ['float8', '1e400', undefined],
    ['float8', '1e-400', undefined],
    ['float8', 'Infinity', 'Infinity'],
    ['float8', '-0', '-0'],
    ['float4', '0.1', '0.1'],
    ['float4', '16777217', '1.6777216e+07'],
    ['float4', '3.5e38', undefined],
    ['bool', ' TRUE ', 't'],
    ['bool', 'o', undefined],
    ['bool', 'of', 'f'],
    ['uuid', '{A0EEBC999C0B4EF8BB6D6BB9BD380A11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', 'a0eebc99-9c0b4ef8bb6d6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', undefined],
    ['bytea', '\\x0aFF', '\\x0aff'],
    ['bytea', '\\x0', undefined],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', '2023-02-29', undefined],
    ['date', '2024-13-01', undefined],
    ['date', '20240229', '2024-02-29'],
    ['date', '0044-03-15 BC', '0044-03-15 BC'],
    ['date', '0001-02-29 BC', '0001-02-29 BC'],
    ['date', '0000-01-01', undefined],
    ['date', '5874898-01-01', undefined],
    ['date', '4714-11-23 BC', undefined],
    ['date', '2024-01-01T10:00:00.000Z', '2024-01-01'],
    ['date', 'epoch', '1970-01-01'],
    ['date', 'tomorrow', undefined],
    ['time', '10:00', '10:00:00'],
    ['time', '10:00 PM', '22:00:00'],
    ['time', '12:30 AM', '00:30:00'],
    ['time', '24:00:00', '24:00:00'],
    ['time', '24:00:01', undefined],
    ['time', '10:59:60', '11:00:00'],
    ['time', '10:00:00.1234567', '10:00:00.123457'],
    ['timestamp', '2024-01-01', '2024-01-01 00:00:00'],
    ['timestamp', '2024-01-01 24:00:00', '2024-01-02 00:00:00'],
    ['timestamp', '2024-01-01T10:00:00+05', '2024-01-01 10:00:00'],
    ['timestamp', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999'],
    ['timestamp', '294277-01-01', undefined],
    ['timestamptz', '2024-01-01T10:00:00Z', '2024-01-01 10:00:00+00'],
    ['timestamptz', '2024-01-01 10:00:00+05:30', '2024-01-01 04:30:00+00'],
    ['timestamptz', '2024-01-01 10:00:00-0330', '2024-01-01 13:30:00+00'],
    ['timestamptz', '2024-01-01 10:00 UTC', '2024-01-01 10:00:00+00'],
    ['timestamptz', '2024-01-01 10:00:00 Europe/Berlin', '2024-01-01 09:00:00+00'],
    ['timestamptz', '4714-11-24 00:00:00+00 BC', '4714-11-24 00:00:00+00 BC'],
    ['timestamptz', '4714-11-24 00:00:00+01 BC', undefined],
    ['name', 'x'.repeat(70), 'x'.repeat(63)],
    ['name', 'é'.repeat(40), 'é'.repeat(31)],
  ] as [string, string, string | undefined][])('%s takes %j as %j', (type, text, expected) => {
    expect(read(type, text)).toBe(expected);
  });

  test.each([
    'date',
    'time',
    'timestamp',
    'timestamptz',
    'uuid',
    'numeric',
    'float8',
    'float4',
    'int8',
    'bool',
  ] as const)('%s reads its own output back as the same value, and refuses the rest with an InputError', (name) => {
    const type = typeNamed(name);
    const anything = fc.string({ unit: fc.constantFrom(...'0123456789-+: .eETZBCNanifty{}'), maxLength: 24 });
    fc.assert(
      fc.property(anything, (text) => {
        let literal;
        try {
          literal = type.parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          return;
        }
        expect(type.parse(literal.text)).toEqual(literal);
        expect(type.compare?.(type.decode(literal.text), literal.value)).toBe(0);
      }),
      { numRuns: 3000 },
    );
  });

  test('dates and timestamps of every size survive being written and read', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n }), (micros) => {
        const type = typeNamed('timestamp');
        const text = type.format(micros);
        expect(BigInt(type.parse(text).value as bigint)).toBe(micros);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -2_451_545, max: 2_145_031_948 }), (days) => {
        const type = typeNamed('date');
        expect(type.parse(type.format(days)).value).toBe(days);
      }),
    );
  });
});

describe('numeric', () => {
  const finite = fc
    .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat({ max: 25 }))
    .map(([coefficient, scale]) => {
      const digits = (coefficient < 0n ? -coefficient : coefficient).toString().padStart(scale + 1, '0');
      const whole = digits.slice(0, digits.length - scale);
      const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`;
      return { coefficient, scale, text: coefficient < 0n ? `-${text}` : text };
    });

  test('compares exactly, whatever the scales', () => {
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        const scale = BigInt(Math.max(a.scale, b.scale));
        const x = a.coefficient * 10n ** (scale - BigInt(a.scale));
        const y = b.coefficient * 10n ** (scale - BigInt(b.scale));
        const expected = x < y ? -1 : x > y ? 1 : 0;
        expect(Math.sign(compareNumeric(decodeNumeric(a.text), decodeNumeric(b.text)))).toBe(expected);
        expect(numericKey(a.text) === numericKey(b.text)).toBe(expected === 0);
      }),
      { numRuns: 2000 },
    );
  });

  test('has one key for equal values, from the wire and from constants', () => {
    fc.assert(
      fc.property(finite, ({ text }) => {
        expect(numericKeyOf(parseNumericLiteral(text).value)).toBe(numericKey(text === '-0' ? '0' : text));
      }),
    );
  });

  test('puts NaN above Infinity above every number', () => {
    const ordered = ['-Infinity', '-1e40', '-1', '0', '1e-30', '1', '1e40', 'Infinity', 'NaN'].map(
      (text) => parseNumericLiteral(text).value,
    );
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) expect(Math.sign(compareNumeric(a, b))).toBe(Math.sign(i - j));
    }
  });

  test('takes the exact value of a double', () => {
    expect(formatNumeric(exactDecimal(0.1))).toBe('0.1000000000000000055511151231257827021181583404541015625');
    expect(formatNumeric(exactDecimal(-(2 ** 70)))).toBe('-1180591620717411303424');
  });
});

describe('float4', () => {
  test('rounds a decimal once, also where a double would be half-way', () => {
    // Just above the middle of 1 and the next float4; the nearest double is the middle itself.
    expect(nearestFloat32('1.00000005960464477539062500001')).toBe(Math.fround(1.0000001192092896));
    expect(nearestFloat32('1.000000059604644775390625')).toBe(1);
    expect(nearestFloat32('1.00000005960464477539062499999')).toBe(1);
  });

  test('agrees with the nearer of two neighbours on any decimal', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        // String() forgets the sign of a negative zero, which is a value of its own.
        expect(nearestFloat32(Object.is(value, -0) ? '-0' : String(value))).toBe(value);
      }),
    );
    expect(() => parseFloatLiteral('float4', '1e39')).toThrow(InputError);
  });
});

test('text sorts by code points', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
    }),
  );
  expect(compareCodePoints('\uffee', '😀')).toBeLessThan(0);
});
