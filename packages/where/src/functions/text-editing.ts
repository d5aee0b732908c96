import { ClauseEvaluationError } from '../errors.ts';
import { characterCount, characterIndex, utf8Bytes } from '../types/text.ts';

/** The longest text, in UTF-16 units, that a row may grow to here; Postgres goes on to a gigabyte. */
const MAX_LENGTH = 1 << 20;
/** The largest allocation of Postgres, less the header of a text. */
const MAX_BYTES = 0x3fffffff - 4;
const MAX_INT4 = 0x7fffffff;

/** `length` characters from the 1-based `start` on, which may be before the text; to its end without `length`. */
export function substring(text: string, start: number, length?: number): string {
  if (length !== undefined && length < 0) {
    throw new ClauseEvaluationError('postgres', 'negative substring length not allowed');
  }
  const from = characterIndex(text, start - 1);
  if (length === undefined) return text.slice(from);
  const characters = Math.min(start, 1) - 1 + length;
  if (characters <= 0) return '';
  const rest = text.slice(from);
  return rest.slice(0, characterIndex(rest, characters));
}

/** Puts `part` in the place of `length` characters from the 1-based `start` on; of as many as it has without `length`. */
export function overlay(text: string, part: string, start: number, length = characterCount(part)): string {
  if (start <= 0) throw new ClauseEvaluationError('postgres', 'negative substring length not allowed');
  if (start + length > MAX_INT4) throw new ClauseEvaluationError('postgres', 'integer out of range');
  return substring(text, 1, start - 1) + part + substring(text, start + length);
}

/** The `field`-th of the parts between separators, counted from the end when negative; empty when there is none. */
export function splitPart(text: string, separator: string, field: number): string {
  if (field === 0) throw new ClauseEvaluationError('postgres', 'field position must not be zero');
  if (separator === '') return field === 1 || field === -1 ? text : '';
  let wanted = field;
  if (field < 0) {
    wanted = countOccurrences(text, separator) + 2 + field;
    if (wanted < 1) return '';
  }
  let from = 0;
  for (let at = 1; at < wanted; at++) {
    const next = text.indexOf(separator, from);
    if (next === -1) return '';
    from = next + separator.length;
  }
  const end = text.indexOf(separator, from);
  return end === -1 ? text.slice(from) : text.slice(from, end);
}

/** Cuts the characters of `set` off one end or both. */
export function trim(text: string, set: string, side: 'start' | 'end' | 'both'): string {
  const characters = new Set(set);
  let start = 0;
  let end = text.length;
  while (side !== 'end' && start < end) {
    const char = String.fromCodePoint(text.codePointAt(start) as number);
    if (!characters.has(char)) break;
    start += char.length;
  }
  while (side !== 'start' && end > start) {
    const char = lastCharacter(text, end);
    if (!characters.has(char)) break;
    end -= char.length;
  }
  return text.slice(start, end);
}

function lastCharacter(text: string, end: number): string {
  const pair = end > 1 ? (text.codePointAt(end - 2) as number) : 0;
  return pair > 0xffff ? String.fromCodePoint(pair) : text.charAt(end - 1);
}

/** Exactly `length` characters: cut at the end, or filled up at one side with repetitions of `fill`. */
export function pad(text: string, length: number, fill: string, side: 'start' | 'end'): string {
  const wanted = Math.max(length, 0);
  const count = Math.min(characterCount(text), wanted);
  const total = fill === '' ? count : wanted;
  if (total * 4 > MAX_BYTES) throw new ClauseEvaluationError('postgres', 'requested length too large');
  const cut = text.slice(0, characterIndex(text, count));
  if (total === count) return cut;
  checkLength(total, text);
  const missing = total - count;
  const times = Math.ceil(missing / characterCount(fill));
  const filling = fill.repeat(times);
  const exact = filling.slice(0, characterIndex(filling, missing));
  return side === 'start' ? exact + cut : cut + exact;
}

export function repeat(text: string, count: number): string {
  if (count <= 0 || text === '') return '';
  if (utf8Bytes(text) * count > MAX_BYTES) throw new ClauseEvaluationError('postgres', 'requested length too large');
  checkLength(text.length * count, text);
  return text.repeat(count);
}

export function replace(text: string, from: string, to: string): string {
  if (from === '') return text;
  if (to.length > from.length) {
    checkLength(text.length + countOccurrences(text, from) * (to.length - from.length), text);
  }
  // A function, because `$` has a meaning in a replacement text.
  return text.replaceAll(from, () => to);
}

export function reverse(text: string): string {
  return [...text].reverse().join('');
}

/** Replaces every character of `from` by the one at its place in `to`, or deletes it when `to` is shorter. */
export function translate(text: string, from: string, to: string): string {
  const targets = [...to];
  const replacements = new Map<string, string>();
  for (const [i, char] of [...from].entries()) {
    if (!replacements.has(char)) replacements.set(char, targets[i] ?? '');
  }
  let translated = '';
  for (const char of text) translated += replacements.get(char) ?? char;
  return translated;
}

/** Occurrences that do not overlap, found from left to right. */
function countOccurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** What a clause may make of one value is bounded; a value that is longer already may keep its length. */
function checkLength(length: number, text: string): void {
  if (length > MAX_LENGTH && length > text.length) {
    throw new ClauseEvaluationError('undecided', `text of more than ${MAX_LENGTH} characters`);
  }
}
