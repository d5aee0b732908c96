/** How a locale maps case: ASCII letters only (`C`, `POSIX`), or every code point to one other (`C.UTF-8` and its like). */
export type CaseFold = 'ascii' | 'one';

/**
 * Lower case as `lower()` of a libc or builtin locale: one code point to one, without context (spec W 5.3).
 *
 * `one` is the simple mapping of Unicode 15.1, whatever Unicode this runtime knows. It is that of Postgres 14 to 18 with
 * libc, as long as libc is older than Unicode 16, and of the builtin provider of 17. The builtin provider of 18 maps 54
 * code points more, all letters of Unicode 16 and their partners U+019B and U+0264 (spec W 10.5 b).
 */
export function lowerText(text: string, fold: CaseFold): string {
  if (fold === 'ascii') return ASCII_UPPER.test(text) ? mapCharacters(text, lowerAscii) : text;
  return LOWER_DIFFERS.test(text) ? mapCharacters(text, lowerOne) : text.toLowerCase();
}

/** Upper case as `upper()` of a libc or builtin locale; see `lowerText`. */
export function upperText(text: string, fold: CaseFold): string {
  if (fold === 'ascii') return ASCII_LOWER.test(text) ? mapCharacters(text, upperAscii) : text;
  return UPPER_DIFFERS.test(text) ? mapCharacters(text, upperOne) : text.toUpperCase();
}

const ASCII_UPPER = /[A-Z]/;
const ASCII_LOWER = /[a-z]/;

/** Letters that got a partner in Unicode 16 and 17, and so in this runtime: upper case, then lower case. */
const NEW_UPPER = /[\u1C89\uA7CB\uA7CC\uA7CE\uA7D2\uA7D4\uA7DA\uA7DC\u{10D50}-\u{10D65}\u{16EA0}-\u{16EB8}]/u;
const NEW_LOWER = /[\u019B\u0264\u1C8A\uA7CD\uA7CF\uA7D3\uA7D5\uA7DB\u{10D70}-\u{10D85}\u{16EBB}-\u{16ED3}]/u;

/** Texts with none of these are mapped as a whole, which is many times faster: final sigma is the one rule with context. */
const LOWER_DIFFERS = new RegExp(`[\u0130\u03A3]|${NEW_UPPER.source}`, 'u');
/** Letters with a mapping to several code points, among others in their neighbourhood that come out right either way. */
const UPPER_DIFFERS = new RegExp(
  `[\u00DF\u0149\u01F0\u0390\u03B0\u0587\u1E96-\u1E9A\u1F50-\u1FFC\uFB00-\uFB17]|${NEW_LOWER.source}`,
  'u',
);

function mapCharacters(text: string, map: (char: string, code: number) => string): string {
  let mapped = '';
  for (const char of text) mapped += map(char, char.codePointAt(0) as number);
  return mapped;
}

function lowerAscii(char: string, code: number): string {
  return code >= 65 && code <= 90 ? String.fromCharCode(code + 32) : char;
}

function upperAscii(char: string, code: number): string {
  return code >= 97 && code <= 122 ? String.fromCharCode(code - 32) : char;
}

function lowerOne(char: string, code: number): string {
  if (code < 0x80) return lowerAscii(char, code);
  // The letter whose full mapping has two code points; the simple one has none of the dot.
  if (code === 0x130) return 'i';
  return NEW_UPPER.test(char) ? char : char.toLowerCase();
}

function upperOne(char: string, code: number): string {
  if (code < 0x80) return upperAscii(char, code);
  const title = titleOfIotaSubscript(code);
  if (title !== undefined) return String.fromCharCode(title);
  if (NEW_LOWER.test(char)) return char;
  const upper = char.toUpperCase();
  return upper.length === char.length ? upper : char;
}

/** Greek letters with iota subscript: their simple mapping is the letter with iota adscript, not two letters. */
function titleOfIotaSubscript(code: number): number | undefined {
  if (code < 0x1f80 || code > 0x1ff3) return undefined;
  if (code < 0x1fb0) return (code & 8) === 0 ? code + 8 : undefined;
  return code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3 ? code + 9 : undefined;
}
