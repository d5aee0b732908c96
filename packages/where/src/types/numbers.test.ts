import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../errors.ts';
import {
  compareNumeric,
  decodeNumeric,
  formatNumeric,
  numericKey,
  numericKeyOf,
  parseNumericLiteral,
} from './decimal.ts';
import { formatFloat, nearestFloat32, numericToFloat, parseFloatLiteral, parseInteger } from './numbers.ts';

/** Whether the text is an error to every Postgres, or one that another version may read. */
function refusal(read: () => unknown): 'error' | 'undecided' | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.undecided ? 'undecided' : 'error';
  }
}

describe('a numeric', () => {
  test.each(['0', '0.00', '1.10', '-1.10', '100', '0.000001', '9007199254740993', '-9007199254740991.0'])(
    'keeps its display scale: %s',
    (text) => {
      expect(formatNumeric(decodeNumeric(text))).toBe(text);
      expect(parseNumericLiteral(text).text).toBe(text);
    },
  );

  test('has the scale of its text after the exponent', () => {
    expect(parseNumericLiteral('12.50e-1').text).toBe('1.250');
    expect(parseNumericLiteral('1.50e1').text).toBe('15.0');
    expect(parseNumericLiteral('-0.0e3').text).toBe('0');
  });

  test('equals and is found under one key at every scale', () => {
    const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 22n), max: 10n ** 22n }), fc.nat({ max: 22 }));
    fc.assert(
      fc.property(decimal, fc.integer({ min: 1, max: 90 }), ([coefficient, scale], more) => {
        const value = parseNumericLiteral(`${coefficient}e-${scale}`).value;
        const longer = decodeNumeric(`${formatNumeric(value)}${scale === 0 ? '.' : ''}${'0'.repeat(more)}`);
        expect(compareNumeric(value, longer)).toBe(0);
        expect(numericKeyOf(longer)).toBe(numericKeyOf(value));
        expect(numericKeyOf(longer)).toBe(numericKey(formatNumeric(value)));
      }),
    );
  });

  test('is ordered beyond the range and the digits of doubles', () => {
    const ordered = [
      '-1e900',
      '-1e309',
      '-1',
      '0.000',
      '1e-900',
      '2e-900',
      '1e22',
      '10000000000000000000000.1',
      '1e309',
    ];
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) {
        const order = compareNumeric(parseNumericLiteral(a).value, parseNumericLiteral(b).value);
        expect({ a, b, order }).toEqual({ a, b, order: Math.sign(i - j) });
      }
    }
  });

  test('is refused as a float beyond the range of the type', () => {
    expect(refusal(() => numericToFloat('float4', parseNumericLiteral('1e39').value))).toBe('error');
    expect(refusal(() => numericToFloat('float8', parseNumericLiteral('1e-400').value))).toBe('error');
    expect(numericToFloat('float8', parseNumericLiteral('0.000').value)).toBe(0);
  });
});

describe('float text', () => {
  test.each([
    ['float8', 1e15, '1e+15'],
    ['float8', 123456789012345, '123456789012345'],
    ['float8', 1e-5, '1e-05'],
    ['float8', 0.0001, '0.0001'],
    ['float8', -1.5e300, '-1.5e+300'],
    ['float8', -0, '-0'],
    ['float8', NaN, 'NaN'],
    ['float8', 5e-324, '5e-324'],
    ['float4', 1e6, '1e+06'],
    ['float4', 123456, '123456'],
    ['float4', Math.fround(0.1), '0.1'],
    ['float4', 16777216, '1.6777216e+07'],
    ['float4', 2 ** -149, '1e-45'],
  ] as const)('%s %d is %s', (name, value, text) => {
    expect(formatFloat(name, value)).toBe(text);
  });

  test('is not a decimal exactly between two floats, which JavaScript would take', () => {
    expect(String(295149e15)).toBe('295149000000000000000');
    expect(formatFloat('float8', 295149e15)).toBe('2.9514899999999997e+20');
  });

  test('reads back as the same float', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        expect(parseFloatLiteral('float8', formatFloat('float8', value))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.float(), (value) => {
        expect(parseFloatLiteral('float4', formatFloat('float4', value))).toBe(value);
      }),
    );
  });
});

describe('number input', () => {
  test.each(['', ' ', '-', '1.5', '1e3', '--1', '+ 1', 'x'])('of integers refuses %j', (text) => {
    expect(refusal(() => parseInteger('int4', text))).toBe('error');
  });

  test.each(['0x1F', '-0b1', '1_000', `${'0'.repeat(1000)}1`])('of integers leaves %j to Postgres', (text) => {
    expect(refusal(() => parseInteger('int4', text))).toBe('undecided');
  });

  test.each(['1_0.5', '0xff', '1e5000', '1e 5', '1'.repeat(1001)])('of numeric leaves %j to Postgres', (text) => {
    expect(refusal(() => parseNumericLiteral(text))).toBe('undecided');
  });

  test.each(['0x1p3', '-nan', 'nan(1)'])('of floats leaves %j to Postgres', (text) => {
    expect(refusal(() => parseFloatLiteral('float8', text))).toBe('undecided');
  });

  test('of float4 rounds once, also next to its limits', () => {
    expect(nearestFloat32('340282356779733661637539395458142568447')).toBe(Math.fround(3.4028234663852886e38));
    expect(nearestFloat32('340282356779733661637539395458142568448')).toBe(Infinity);
    expect(nearestFloat32('7.006492321624085354618e-46')).toBe(0);
    expect(nearestFloat32('7.006492321624085354619e-46')).toBe(2 ** -149);
  });
});
