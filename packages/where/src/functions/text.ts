import { createHash } from 'node:crypto';
import { ClauseEvaluationError } from '../errors.ts';
import { characterCount, characterIndex, stripTrailingBlanks, utf8Bytes } from '../types/text.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { BYTEA_FUNCTIONS } from './bytea.ts';
import { lowerText, upperText } from './case-mapping.ts';
import type { Implementations } from './implementation.ts';
import { matchesLike } from './like.ts';
import { TEXT_CASTS } from './text-casts.ts';
import { overlay, pad, repeat, replace, reverse, splitPart, substring, translate, trim } from './text-editing.ts';

/**
 * Functions on text and bytea, and the casts between the text types. Positions and lengths count characters, that is code points. `lower` and `upper` are those of a
 * locale that maps every character; see ASCII_CASE_FUNCTIONS.
 */
export const TEXT_FUNCTIONS: Implementations = {
  ...TEXT_CASTS,
  ...BYTEA_FUNCTIONS,

  'textcat(text,text)': (a: string, b: string) => a + b,
  'textanycat(text,anynonarray)': {
    of: ([, type]: readonly Type[]) => {
      const toText = textCast(type as Type);
      return (text: string, value: Value) => text + toText(value);
    },
  },
  'anytextcat(anynonarray,text)': {
    of: ([type]: readonly Type[]) => {
      const toText = textCast(type as Type);
      return (value: Value, text: string) => toText(value) + text;
    },
  },
  'concat(any)': {
    of:
      (types: readonly Type[]) =>
      (...values: readonly (Value | null)[]) =>
        join('', types, values),
  },
  'concat_ws(text,any)': {
    of:
      ([, ...types]: readonly Type[]) =>
      (separator: string | null, ...values: readonly (Value | null)[]) =>
        separator === null ? null : join(separator, types, values),
  },

  'lower(text)': (text: string) => lowerText(text, 'one'),
  'upper(text)': (text: string) => upperText(text, 'one'),

  'length(text)': characterCount,
  'char_length(text)': characterCount,
  'character_length(text)': characterCount,
  'length(bpchar)': paddedLength,
  'char_length(bpchar)': paddedLength,
  'character_length(bpchar)': paddedLength,
  'octet_length(text)': utf8Bytes,
  'octet_length(bpchar)': utf8Bytes,
  'bit_length(text)': (text: string) => utf8Bytes(text) * 8,

  'substring(text,int4)': substring,
  'substring(text,int4,int4)': substring,
  'substr(text,int4)': substring,
  'substr(text,int4,int4)': substring,
  'left(text,int4)': left,
  'right(text,int4)': right,
  'overlay(text,text,int4)': overlay,
  'overlay(text,text,int4,int4)': overlay,
  'split_part(text,text,int4)': splitPart,

  'btrim(text)': (text: string) => trim(text, ' ', 'both'),
  'btrim(text,text)': (text: string, set: string) => trim(text, set, 'both'),
  'ltrim(text)': (text: string) => trim(text, ' ', 'start'),
  'ltrim(text,text)': (text: string, set: string) => trim(text, set, 'start'),
  'rtrim(text)': (text: string) => trim(text, ' ', 'end'),
  'rtrim(text,text)': (text: string, set: string) => trim(text, set, 'end'),
  'lpad(text,int4)': (text: string, length: number) => pad(text, length, ' ', 'start'),
  'lpad(text,int4,text)': (text: string, length: number, fill: string) => pad(text, length, fill, 'start'),
  'rpad(text,int4)': (text: string, length: number) => pad(text, length, ' ', 'end'),
  'rpad(text,int4,text)': (text: string, length: number, fill: string) => pad(text, length, fill, 'end'),
  'repeat(text,int4)': repeat,
  'replace(text,text,text)': replace,
  'reverse(text)': reverse,
  'translate(text,text,text)': translate,

  'position(text,text)': position,
  'strpos(text,text)': position,
  'starts_with(text,text)': (text: string, prefix: string) => text.startsWith(prefix),
  'like(text,text)': (text: string, pattern: string) => matchesLike(text, pattern),
  'like(name,text)': (text: string, pattern: string) => matchesLike(text, pattern),
  'notlike(text,text)': (text: string, pattern: string) => !matchesLike(text, pattern),
  'notlike(name,text)': (text: string, pattern: string) => !matchesLike(text, pattern),
  'like_escape(text,text)': likeEscape,

  'ascii(text)': (text: string) => text.codePointAt(0) ?? 0,
  'chr(int4)': character,
  'md5(text)': (text: string) => createHash('md5').update(text, 'utf8').digest('hex'),
};

/** `lower` and `upper` of the locales `C` and `POSIX`, and of COLLATE "C". */
export const ASCII_CASE_FUNCTIONS: Implementations = {
  'lower(text)': (text: string) => lowerText(text, 'ascii'),
  'upper(text)': (text: string) => upperText(text, 'ascii'),
};

/** The cast of a type to text where it is not the output function: blanks of `char(n)` go, booleans are words. */
function textCast(type: Type): (value: Value) => string {
  switch (type.name) {
    case 'bool':
      return (value) => (value === true ? 'true' : 'false');
    case 'bpchar':
      return (value) => stripTrailingBlanks(value as string);
    case 'inet':
      return (value) => withPrefixLength(type.format(value));
    default:
      return type.format;
  }
}

/** The output function of `inet` leaves out the prefix length of a single host, its cast to text does not. */
function withPrefixLength(text: string): string {
  if (text.includes('/')) return text;
  return text.includes(':') ? `${text}/128` : `${text}/32`;
}

function join(separator: string, types: readonly Type[], values: readonly (Value | null)[]): string {
  const texts: string[] = [];
  for (const [i, value] of values.entries()) {
    if (value !== null) texts.push((types[i] as Type).format(value));
  }
  return texts.join(separator);
}

/** The blanks at the end of `char(n)` do not count. */
function paddedLength(text: string): number {
  return characterCount(stripTrailingBlanks(text));
}

/** The first `count` characters; without the last ones when negative. */
function left(text: string, count: number): string {
  return text.slice(0, characterIndex(text, count < 0 ? characterCount(text) + count : count));
}

/** The last `count` characters; without the first ones when negative. */
function right(text: string, count: number): string {
  // Minus the smallest integer is itself in Postgres, which then skips nothing.
  if (count === -0x80000000) return text;
  return text.slice(characterIndex(text, count < 0 ? -count : characterCount(text) - count));
}

function position(text: string, part: string): number {
  const at = text.indexOf(part);
  return at === -1 ? 0 : characterCount(text.slice(0, at)) + 1;
}

/** A pattern with this escape character, written with the backslash. */
function likeEscape(pattern: string, escape: string): string {
  if (escape === '') return pattern.replaceAll('\\', '\\\\');
  if (characterCount(escape) > 1) throw new ClauseEvaluationError('postgres', 'invalid escape string');
  if (escape === '\\') return pattern;
  let escaped = '';
  let afterEscape = false;
  for (const char of pattern) {
    if (char === escape && !afterEscape) {
      escaped += '\\';
      afterEscape = true;
      continue;
    }
    escaped += char === '\\' && !afterEscape ? '\\\\' : char;
    afterEscape = false;
  }
  return escaped;
}

function character(code: number): string {
  if (code < 1 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw new ClauseEvaluationError('postgres', 'there is no such character');
  }
  return String.fromCodePoint(code);
}
