import { createHash } from 'node:crypto';
import type { Implementations } from './implementation.ts';
import { substring } from './text-editing.ts';

/** Functions on bytea. A value is `\x` and two hex digits for every byte. */
export const BYTEA_FUNCTIONS: Implementations = {
  'length(bytea)': byteLength,
  'octet_length(bytea)': byteLength,
  'bit_length(bytea)': (bytes: string) => byteLength(bytes) * 8,
  'substring(bytea,int4)': slice,
  'substring(bytea,int4,int4)': slice,
  'substr(bytea,int4)': slice,
  'substr(bytea,int4,int4)': slice,
  'position(bytea,bytea)': position,
  'byteacat(bytea,bytea)': (a: string, b: string) => a + b.slice(2),
  'md5(bytea)': (bytes: string) => createHash('md5').update(bytes.slice(2), 'hex').digest('hex'),
};

function byteLength(bytes: string): number {
  return bytes.length / 2 - 1;
}

/** As for text, with two digits in the place of a character. */
function slice(bytes: string, start: number, length?: number): string {
  const digits = bytes.slice(2);
  const first = start * 2 - 1;
  return `\\x${length === undefined ? substring(digits, first) : substring(digits, first, length * 2)}`;
}

/** 1-based place of the first occurrence; 0 without one. */
function position(bytes: string, part: string): number {
  const digits = part.slice(2);
  let at = bytes.indexOf(digits, 2);
  while (at !== -1 && at % 2 === 1) at = bytes.indexOf(digits, at + 1);
  return at === -1 ? 0 : at / 2;
}
