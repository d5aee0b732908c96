import { InputError } from '../errors.ts';
import { IntervalFields, roundHalfEven, type IntervalUnit } from './interval-fields.ts';
import type { Interval } from './interval-value.ts';

/** What stands between blanks, commas and `@`. */
interface Token {
  readonly kind: 'number' | 'months' | 'time' | 'word';
  readonly text: string;
}

const UNITS = unitTable();
/** Words that a number may follow without a blank. */
const GLUED = new Set(['d', 'h', 'm', 's', 'y', 'mon', 'dec']);
/** Fields that one token sets; setting one twice is an error. */
type Mask = IntervalUnit;
const MAX_DIGITS = 18;
/** More than any sensible literal has. Postgres itself stops at 25 fields. */
const MAX_TOKENS = 24;

/**
 * Postgres's own notation (`@ 1 year 2 mons -3 days 04:05:06 ago`) and SQL's (`1-2 3 4:05:06`). Units stand after their
 * number, so tokens are read from the right; a number without a unit is seconds, or days when a time or hours follow.
 */
export function parseVerboseInterval(text: string): Interval {
  const tokens = tokenize(text);
  const fields = new IntervalFields();
  const seen = new Set<Mask>();
  const ago = tokens.at(-1)?.text === 'ago';
  if (ago) tokens.pop();
  let unit: IntervalUnit | undefined = ago ? undefined : 'second';
  let pending = false;
  for (const token of tokens.reverse()) {
    switch (token.kind) {
      case 'word':
        if (pending) throw invalid();
        unit = UNITS.get(token.text.slice(0, 10));
        if (unit === undefined) throw invalid();
        pending = true;
        continue;
      case 'time':
        if (pending) throw invalid();
        // Postgres overwrites what fractions of days have left there.
        if (fields.hasTime) throw invalid();
        for (const field of ['hour', 'minute', 'second', 'millisecond', 'microsecond'] as const) mark(seen, field);
        fields.addTime(readTime(token.text));
        unit = 'day';
        break;
      case 'months':
        if (pending) throw invalid();
        mark(seen, 'month');
        addYearsAndMonths(fields, token.text);
        unit = 'month';
        break;
      case 'number':
        if (unit === undefined) throw invalid();
        addNumber(fields, seen, unit, token.text);
        if (unit === 'hour') unit = 'day';
        break;
    }
    pending = false;
  }
  if (pending || seen.size === 0) throw invalid();
  return fields.finish(ago);
}

function addNumber(fields: IntervalFields, seen: Set<Mask>, unit: IntervalUnit, text: string): void {
  const point = text.indexOf('.');
  const whole = point === -1 ? text : text.slice(0, point);
  // The sign of -0.5 is not in its whole part.
  const size = point === -1 ? 0 : Number(`0${text.slice(point)}`);
  mark(seen, unit);
  if (unit === 'second' && size !== 0) {
    mark(seen, 'millisecond');
    mark(seen, 'microsecond');
  }
  fields.add(unit, integer(whole), text.startsWith('-') ? -size : size);
}

/** `1-2` is a year and two months; a sign is that of both. */
function addYearsAndMonths(fields: IntervalFields, text: string): void {
  const dash = text.indexOf('-', 1);
  const years = integer(text.slice(0, dash));
  const months = integer(text.slice(dash + 1));
  if (months > 11n) throw new InputError('interval out of range', true);
  fields.add('month', years * 12n + (text.startsWith('-') ? -months : months), 0);
}

/** `4:05`, `4:05:06.7`, and minutes and seconds as `5:06.7`; microseconds. */
function readTime(text: string): bigint {
  const match = /^([+-]?)(\d{1,18}):(\d{1,9})(?::(\d{1,9}))?(\.\d{1,20})?$/.exec(text);
  if (match === null) throw invalid();
  const [, sign, first = '', second = '', third, fraction] = match;
  const short = third === undefined && fraction !== undefined;
  const hours = short ? 0n : BigInt(first);
  const minutes = BigInt(short ? first : second);
  const seconds = BigInt(short ? second : (third ?? 0));
  if (minutes > 59n || seconds > 60n) throw new InputError('interval out of range', true);
  const micros = fraction === undefined ? 0 : roundHalfEven(Number(`0${fraction}`) * 1_000_000);
  const total = ((hours * 60n + minutes) * 60n + seconds) * 1_000_000n + BigInt(micros);
  return sign === '-' ? -total : total;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = /[ \t-\r@,]*/y;
    rest.lastIndex = at;
    rest.exec(text);
    at = rest.lastIndex;
    if (at === text.length) break;
    const token = nextToken(text, at);
    tokens.push({ kind: token.kind, text: token.text });
    at = token.end;
    if (tokens.length > MAX_TOKENS) throw invalid();
  }
  return tokens;
}

const PATTERNS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['time', /(?:[+-][ \t-\r]*)?\d+:[\d:.]*/y],
  ['months', /(?:[+-][ \t-\r]*)?\d+-\d+(?![-\d:.])/y],
  ['number', /(?:[+-][ \t-\r]*)?\d+(?:\.\d+)?(?![-./:\d])/y],
  ['number', /\.\d+/y],
  ['word', /[a-z]+/iy],
];

function nextToken(text: string, at: number): Token & { readonly end: number } {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) continue;
    const end = pattern.lastIndex;
    const found = match[0].replace(/\s/g, '').toLowerCase();
    if (kind === 'word') {
      // Postgres takes `day-2`, and `year2` too, for one word.
      const glued = /[\d+]/.test(text[end] ?? '') && GLUED.has(found);
      if (/[-./+\d]/.test(text[end] ?? '') && !glued) throw invalid();
    }
    return { kind, text: found, end };
  }
  throw invalid();
}

function integer(text: string): bigint {
  if (text.length > MAX_DIGITS) throw new InputError('interval out of range', true);
  return text === '' || text === '-' || text === '+' ? 0n : BigInt(text.startsWith('+') ? text.slice(1) : text);
}

function mark(seen: Set<Mask>, field: Mask): void {
  if (seen.has(field)) throw invalid();
  seen.add(field);
}

function invalid(): InputError {
  return new InputError('invalid syntax', true);
}

/** Names of units; Postgres compares the first ten characters. */
function unitTable(): ReadonlyMap<string, IntervalUnit> {
  const names: Readonly<Record<IntervalUnit, string>> = {
    millennium: 'mil mils millennia millennium',
    century: 'c cent centuries century',
    decade: 'dec decs decade decades',
    year: 'y yr yrs year years',
    month: 'mon mons month months',
    week: 'w week weeks',
    day: 'd day days',
    hour: 'h hr hrs hour hours',
    minute: 'm min mins minute minutes',
    second: 's sec secs second seconds',
    millisecond: 'ms msec msecs msecond mseconds millisecon',
    microsecond: 'us usec usecs usecond useconds microsecon',
  };
  const table = new Map<string, IntervalUnit>();
  for (const [unit, words] of Object.entries(names) as [IntervalUnit, string][]) {
    for (const word of words.split(' ')) table.set(word, unit);
  }
  return table;
}
