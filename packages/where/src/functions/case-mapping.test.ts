import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { lowerText, upperText } from './case-mapping.ts';

describe('of a locale that maps every character', () => {
  test.each([
    ['É', 'é'],
    ['ΟΣ', 'οσ'],
    ['İ', 'i'],
    ['STRASSE', 'strasse'],
    ['ẞ', 'ß'],
    ['\u{10400}', '\u{10428}'],
    ['Σ\u{10400}', 'σ\u{10428}'],
    ['\u1F88', '\u1F80'],
    ['', ''],
  ])('the lower case of %j is %j', (text, expected) => {
    expect(lowerText(text, 'one')).toBe(expected);
  });

  test.each([
    ['é', 'É'],
    ['straße', 'STRAßE'],
    ['ﬁ', 'ﬁ'],
    ['ŉ', 'ŉ'],
    ['ς', 'Σ'],
    ['ı', 'I'],
    ['ß\u{10428}', 'ß\u{10400}'],
    ['\u1F80', '\u1F88'],
    ['\u1F88', '\u1F88'],
    ['\u1FB3\u1FC3\u1FF3', '\u1FBC\u1FCC\u1FFC'],
    ['ǆ', 'Ǆ'],
    ['ÿ', 'Ÿ'],
  ])('the upper case of %j is %j', (text, expected) => {
    expect(upperText(text, 'one')).toBe(expected);
  });

  test.each(['\uA7CB', '\u{10D50}', '\u{16EA0}'])('a letter of Unicode 16 or later has no lower case: %j', (letter) => {
    expect(lowerText(letter, 'one')).toBe(letter);
  });

  test.each(['\u019B', '\u0264', '\u{10D70}'])('a letter got no upper case in Unicode 16: %j', (letter) => {
    expect(upperText(letter, 'one')).toBe(letter);
  });

  // The number is that of Postgres 14 to 17; a runtime with a newer Unicode must not change it.
  test('is the mapping of Unicode 15.1 for every code point', () => {
    const hash = createHash('sha256');
    let mapped = 0;
    for (let code = 1; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const char = String.fromCodePoint(code);
      const [lower, upper] = [lowerText(char, 'one'), upperText(char, 'one')];
      if (lower === char && upper === char) continue;
      mapped++;
      hash.update(`${code} ${lower.codePointAt(0)} ${upper.codePointAt(0)}\n`);
    }
    expect(mapped).toBe(2879);
    expect(hash.digest('hex')).toBe('ac188121fb36c8769f3002efcee5a5009c79e08cb45ca2e383b1b80eefe89cc5');
  });
});

describe('of the C locale', () => {
  test('maps ASCII letters only', () => {
    expect(lowerText('AZ[É', 'ascii')).toBe('az[É');
    expect(upperText('az{é', 'ascii')).toBe('AZ{é');
    expect(upperText('É', 'ascii')).toBe('É');
  });
});
