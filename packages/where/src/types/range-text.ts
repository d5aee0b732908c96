import { InputError } from '../errors.ts';
import { isBlank } from './value.ts';

/** Text of the bounds of a range before their type's input function or after its output function; null is infinite. */
export interface RangeText {
  readonly lower: string | null;
  readonly upper: string | null;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;
}

/** What `range_in` makes of a text before the bounds are read. Throws InputError for what it refuses. */
export function readRangeText(text: string): RangeText | 'empty' {
  let start = 0;
  let end = text.length;
  while (isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  if (/^empty$/i.test(text.slice(start, end))) return 'empty';
  const open = text[start];
  if (open !== '[' && open !== '(') throw malformed();
  const lower = readBound(text, start + 1);
  if (text[lower.end] !== ',') throw malformed();
  const upper = readBound(text, lower.end + 1);
  const close = text[upper.end];
  if (close === ',' || upper.end + 1 !== end) throw malformed();
  return { lower: lower.text, upper: upper.text, lowerInclusive: open === '[', upperInclusive: close === ']' };
}

/** What `range_out` writes. */
export function writeRangeText(range: RangeText): string {
  const { lower, upper, lowerInclusive, upperInclusive } = range;
  return `${lowerInclusive ? '[' : '('}${quoteBound(lower)},${quoteBound(upper)}${upperInclusive ? ']' : ')'}`;
}

/** A bound reaches to a comma or bracket outside of quotes. Nothing at all, not even quotes, is an infinite bound. */
function readBound(text: string, start: number): { readonly text: string | null; readonly end: number } {
  if (isBoundEnd(text[start])) return { text: null, end: start };
  let out = '';
  let quoted = false;
  let at = start;
  while (quoted || !isBoundEnd(text[at])) {
    const char = text[at++];
    if (char === undefined) throw malformed();
    if (char === '\\') {
      const escaped = text[at++];
      if (escaped === undefined) throw malformed();
      out += escaped;
    } else if (char === '"' && quoted && text[at] === '"') {
      out += '"';
      at++;
    } else if (char === '"') {
      quoted = !quoted;
    } else {
      out += char;
    }
  }
  return { text: out, end: at };
}

function isBoundEnd(char: string | undefined): boolean {
  return char === ',' || char === ')' || char === ']';
}

function quoteBound(text: string | null): string {
  if (text === null) return '';
  if (text !== '' && !/["\\()[\], \t\n\v\f\r]/.test(text)) return text;
  return `"${text.replace(/["\\]/g, (char) => char + char)}"`;
}

function malformed(): InputError {
  return new InputError('malformed range literal');
}
