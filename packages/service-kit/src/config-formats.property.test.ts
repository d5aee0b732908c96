import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bytes, count, flag, json, list, milliseconds, port, ratio, serverUrls } from './config-formats.ts';
import { parseConfig } from './config.ts';

const HOUR_MS = 3_600_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
const UNITS_MS = { '': 1, ms: 1, msec: 1, s: 1_000, sec: 1_000, m: 60_000, min: 60_000, h: HOUR_MS };
const UNITS_BYTES = {
  '': 1,
  B: 1,
  KB: 1e3,
  KiB: 1024,
  MB: 1e6,
  MiB: 1024 ** 2,
  GB: 1e9,
  GiB: 1024 ** 3,
};

const unitOf = <U extends object>(units: U) => fc.constantFrom(...(Object.entries(units) as [string, number][]));
const blank = fc.constantFrom('', ' ');

describe('a duration', () => {
  const duration = milliseconds(7, '');

  test('is a number with a unit, and bare it is milliseconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), unitOf(UNITS_MS), blank, (number, [unit, factor], between) => {
        expect(duration.parse(` ${number}${between}${unit} `)).toBe(number * factor);
      }),
    );
  });

  test('may have decimals, and is whole milliseconds in the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9_999 }), (thousandths) => {
        expect(duration.parse(`${(thousandths / 1_000).toFixed(3)}s`)).toBe(thousandths);
      }),
    );
  });

  test('is never 0 or less, nor more than a timer takes, however it is written', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (text) => {
        const result = duration.safeParse(text);
        if (!result.success) return;
        expect(Number.isInteger(result.data)).toBe(true);
        expect(result.data).toBeGreaterThan(0);
        expect(result.data).toBeLessThanOrEqual(MAX_TIMER_MS);
      }),
    );
  });

  test.each(['0', '0ms', '0.0001', '-1', '1e3', '597h', 'abc', '5 minutes', '1s2', 'Infinity', '٣'])(
    'is not %j',
    (text) => expect(duration.safeParse(text).success).toBe(false),
  );

  test('may be 0 where that is stated, but nothing that rounds to it', () => {
    const zero = milliseconds(7, '', { zero: true });
    expect([zero.parse('0'), zero.parse('0s'), zero.safeParse('0.1ms').success]).toEqual([0, 0, false]);
  });

  test('may be longer than a timer takes where no timer is set to it', () => {
    expect(milliseconds(7, '', { maxMs: 1_000 * HOUR_MS }).parse('600h')).toBe(600 * HOUR_MS);
  });
});

describe('a size', () => {
  test('is a number of bytes, or of powers of 1000 or 1024', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5_000 }), unitOf(UNITS_BYTES), blank, (number, [unit, factor], between) => {
        expect(bytes(7, '').parse(`${number}${between}${unit}`)).toBe(number * factor);
      }),
    );
  });

  test.each(['-1', '1 kb', '1TB', 'KiB', '99999999999999GiB'])('is not %j', (text) => {
    expect(bytes(7, '').safeParse(text).success).toBe(false);
  });
});

test('a count is a whole number within its limits', () => {
  fc.assert(
    fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 0, max: 20 }), (number, min) => {
      expect(count(7, '', min, 30).safeParse(String(number)).success).toBe(number >= min && number <= 30);
    }),
  );
  expect(count(7, '').safeParse('99999999999999999999').success).toBe(false);
  expect(count(7, '').safeParse('1.5').success).toBe(false);
});

test('a share is a number from 0 to 1', () => {
  expect([ratio(1, '').parse('0.8'), ratio(1, '').parse('.5'), ratio(1, '').parse('1')]).toEqual([0.8, 0.5, 1]);
  for (const text of ['1.01', '-0.1', '1e-1', '80%']) expect(ratio(1, '').safeParse(text).success).toBe(false);
});

test('a switch is true or false and nothing else', () => {
  expect([flag(false, '').parse('true'), flag(true, '').parse('false')]).toEqual([true, false]);
  for (const text of ['TRUE', 'yes', '1']) expect(flag(false, '').safeParse(text).success).toBe(false);
});

test('a list has what stands between commas, without blanks around it and without empty parts', () => {
  const part = fc.string({ minLength: 1, maxLength: 5 }).filter((text) => !/[,\s]/.test(text));
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      expect(list('').parse(parts.map((text) => ` ${text} `).join(',') + ', ,')).toEqual(parts);
    }),
  );
});

test('a port that Kubernetes has set to an address says what to do about it', () => {
  expect(port(3000, '').parse('8080')).toBe(8080);
  for (const text of ['65536', '-1', 'http']) expect(port(3000, '').safeParse(text).success).toBe(false);
  expect(port(3000, '').safeParse('tcp://10.0.0.1:3000').error?.message).toContain('enableServiceLinks');
});

test('a server address has one of the schemes, or none, and a host', () => {
  const url = serverUrls(['nats', 'tls'], 4222, '');
  for (const text of ['nats://a', 'a:4222', 'tls://u:p@a:1,nats://b']) expect(url.safeParse(text).success).toBe(true);
  for (const text of ['', ',', 'http://a', 'nats://', 'nats://a,redis://b']) {
    expect(url.safeParse(text).success).toBe(false);
  }
});

test('no value is repeated in the message, whatever the form', () => {
  const schema = z.object({
    A: milliseconds(1, ''),
    B: bytes(1, ''),
    C: count(1, ''),
    D: flag(true, ''),
    E: json(z.object({ a: z.int() }), '{"a":1}', undefined, ''),
    F: port(1, ''),
    G: ratio(1, ''),
    H: serverUrls(['redis'], 6379, ''),
  });
  const names = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, [name]])) as Record<
    keyof typeof schema.shape,
    string[]
  >;
  const secret = fc.string({ minLength: 8, maxLength: 30 }).map((text) => `hunter2${text}`);
  fc.assert(
    fc.property(secret, (value) => {
      const env = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, `ftp://me:${value}@x`]));
      let message = '';
      try {
        parseConfig(schema, names, env);
      } catch (err) {
        message = (err as Error).message;
      }
      expect(message).toMatch(/A: .*B: .*C: .*D: .*E: .*F: .*G: .*H: /);
      expect(message).not.toContain('hunter2');
    }),
  );
});
