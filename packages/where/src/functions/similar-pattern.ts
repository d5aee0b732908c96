import { InputError } from '../errors.ts';
import { characterCount } from '../types/text.ts';

/** A pattern of SIMILAR TO as a tree. */
export type Pattern =
  /** One character out of a set of code points. */
  | { readonly kind: 'set'; readonly matches: (code: number) => boolean }
  | { readonly kind: 'sequence'; readonly items: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly branches: readonly Pattern[] }
  /** Without `max`: any number of times. */
  | { readonly kind: 'repeat'; readonly item: Pattern; readonly min: number; readonly max: number | undefined };

const MAX_DEPTH = 50;
/** Limit of Postgres on the numbers of `{m,n}`. */
const MAX_REPEAT = 255;
const ANY: Pattern = { kind: 'set', matches: () => true };

interface Reader {
  readonly characters: readonly string[];
  readonly escape: string;
  at: number;
}

/** Reads a pattern. Throws InputError for what Postgres refuses, and for what has no equivalent here. */
export function parseSimilar(text: string, escape: string): Pattern {
  if (characterCount(escape) > 1) throw new InputError('invalid escape string');
  const reader: Reader = { characters: [...text], escape, at: 0 };
  const pattern = parseChoice(reader, 0);
  if (reader.at < reader.characters.length) throw new InputError('unbalanced parentheses');
  return pattern;
}

function parseChoice(reader: Reader, depth: number): Pattern {
  if (depth > MAX_DEPTH) throw new InputError('pattern is nested too deeply');
  const branches = [parseSequence(reader, depth)];
  while (reader.characters[reader.at] === '|' && reader.escape !== '|') {
    reader.at++;
    branches.push(parseSequence(reader, depth));
  }
  return branches.length === 1 ? (branches[0] as Pattern) : { kind: 'choice', branches };
}

function parseSequence(reader: Reader, depth: number): Pattern {
  const items: Pattern[] = [];
  for (;;) {
    const char = reader.characters[reader.at];
    if (char === undefined || ((char === '|' || char === ')') && char !== reader.escape)) break;
    items.push(parseRepeat(reader, parseItem(reader, depth)));
  }
  return { kind: 'sequence', items };
}

function parseItem(reader: Reader, depth: number): Pattern {
  const char = reader.characters[reader.at++] as string;
  if (char === reader.escape) return character(escaped(reader));
  switch (char) {
    case '%':
      return { kind: 'repeat', item: ANY, min: 0, max: undefined };
    case '_':
      return ANY;
    case '(': {
      const inner = parseChoice(reader, depth + 1);
      if (reader.characters[reader.at++] !== ')') throw new InputError('unbalanced parentheses');
      return inner;
    }
    case '[':
      return parseSet(reader);
    case '*':
    case '+':
    case '?':
    case '{':
    case '}':
      throw new InputError('nothing to repeat');
    default:
      return character(char);
  }
}

function character(char: string): Pattern {
  const wanted = char.codePointAt(0);
  return { kind: 'set', matches: (code) => code === wanted };
}

/** The character after the escape. Letters and digits would have a meaning of their own, `"` separates. */
function escaped(reader: Reader): string {
  const char = reader.characters[reader.at++];
  if (char === undefined || !ESCAPABLE.test(char)) throw new InputError('this escape is not supported');
  return char;
}

/** ASCII punctuation and blanks without the double quote. */
const ESCAPABLE = /^[ !#-/:-@[-`{-~]$/;

function parseRepeat(reader: Reader, item: Pattern): Pattern {
  const times = parseTimes(reader);
  if (times === undefined) return item;
  const [min, max] = times;
  // `%` is two elements to Postgres, of which the second already repeats the first.
  if (item.kind === 'repeat') throw new InputError('nothing to repeat');
  if (parseTimes(reader) !== undefined) throw new InputError('a repetition is repeated');
  return { kind: 'repeat', item, min, max };
}

function parseTimes(reader: Reader): [min: number, max: number | undefined] | undefined {
  const char = reader.characters[reader.at];
  if (char === reader.escape) return undefined;
  switch (char) {
    case '*':
      reader.at++;
      return [0, undefined];
    case '+':
      reader.at++;
      return [1, undefined];
    case '?':
      reader.at++;
      return [0, 1];
    case '{':
      return parseBounds(reader);
    default:
      return undefined;
  }
}

/** `{m}`, `{m,}`, `{m,n}`. */
function parseBounds(reader: Reader): [min: number, max: number | undefined] {
  const end = reader.characters.indexOf('}', reader.at);
  const bounds = /^\{([0-9]{1,3})(,([0-9]{0,3}))?\}$/.exec(reader.characters.slice(reader.at, end + 1).join(''));
  if (bounds === null || bounds[0].includes(reader.escape || '\0')) throw new InputError('invalid repetition count');
  const min = Number(bounds[1]);
  const max = bounds[2] === undefined ? min : bounds[3] === '' ? undefined : Number(bounds[3]);
  if (min > MAX_REPEAT || (max ?? min) > MAX_REPEAT || (max ?? min) < min) {
    throw new InputError('invalid repetition count');
  }
  reader.at = end + 1;
  return [min, max];
}

/** `[...]` and `[^...]` of characters and ranges. Versions of Postgres differ on brackets and escapes inside. */
function parseSet(reader: Reader): Pattern {
  const negated = reader.characters[reader.at] === '^' && reader.escape !== '^';
  if (negated) reader.at++;
  const end = reader.characters.indexOf(']', reader.at);
  const members = reader.characters.slice(reader.at, end);
  const unusual = members.some((char) => char === '[' || char === '\\' || char === '^' || char === reader.escape);
  if (end <= reader.at || unusual || reader.escape === ']') throw new InputError('this set is not supported');
  reader.at = end + 1;
  const ranges = parseRanges(members);
  const contains = (code: number): boolean => ranges.some(([low, high]) => low <= code && code <= high);
  return { kind: 'set', matches: negated ? (code) => !contains(code) : contains };
}

function parseRanges(members: readonly string[]): readonly (readonly [low: number, high: number])[] {
  const ranges: (readonly [number, number])[] = [];
  for (let i = 0; i < members.length;) {
    const low = members[i] as string;
    const isRange = members[i + 1] === '-' && i + 2 < members.length;
    const high = isRange ? (members[i + 2] as string) : low;
    const lowCode = low.codePointAt(0) as number;
    const highCode = high.codePointAt(0) as number;
    // A hyphen may only be what makes a range: where else it may stand is a science.
    if (low === '-' || high === '-' || lowCode > highCode) throw new InputError('this set is not supported');
    ranges.push([lowCode, highCode]);
    i += isRange ? 3 : 1;
  }
  return ranges;
}
