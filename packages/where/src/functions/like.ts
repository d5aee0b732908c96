import { ClauseEvaluationError } from '../errors.ts';
import { characterEnd, characterStart } from '../types/text.ts';
import { lowerText, type CaseFold } from './case-mapping.ts';

export type { CaseFold } from './case-mapping.ts';

/** Matches a whole text against a pattern. Throws ClauseEvaluationError where Postgres misses a character to escape. */
export type LikeMatcher = (text: string) => boolean;

/**
 * Compiles a LIKE pattern (spec W 5.2): `%` any sequence, `_` one character, `escape` makes the next character literal,
 * an empty `escape` disables that. With `fold` both sides are lower-cased first, as ILIKE does.
 *
 * A match takes O(text x pattern) at worst, O(text) per literal between two `%`; no recursion, no copy of the text.
 */
export function compileLike(pattern: string, escape = '\\', fold?: CaseFold): LikeMatcher {
  const split = splitPattern(pattern, escape, fold);
  const matches = simpleMatcher(shapeOf(split)) ?? ((text: string) => match(text, split));
  return fold === undefined ? matches : (text) => matches(lowerText(text, fold));
}

/** Patterns that come from rows repeat; the memory this takes is bounded by both numbers. */
const CACHED_PATTERNS = 256;
const MAX_CACHED_LENGTH = 1000;
const cache = new Map<string, LikeMatcher>();

/** `text LIKE pattern` for patterns that are not constant: keeps the last few hundred compiled. */
export function matchesLike(text: string, pattern: string, escape = '\\', fold?: CaseFold): boolean {
  if (pattern.length > MAX_CACHED_LENGTH) return compileLike(pattern, escape, fold)(text);
  const key = `${fold ?? ''} ${escape} ${pattern}`;
  let matches = cache.get(key);
  if (matches === undefined) {
    matches = compileLike(pattern, escape, fold);
    if (cache.size >= CACHED_PATTERNS) cache.clear();
    cache.set(key, matches);
  }
  return matches(text);
}

/** What an index may conclude from a pattern. All texts are lower-cased when `fold` was given, as the value must be. */
export interface LikeShape {
  /**
   * `exact`: matches `literal` and nothing else. `prefix`, `suffix`, `substring`: matches exactly the texts that have
   * `literal` there, `%` being the prefix ''. `general`: everything else.
   */
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'substring' | 'general';
  /** Empty for `general`. */
  readonly literal: string;
  /** All maximal runs of literal characters, in order. Each occurs in every text that matches, as do the next three. */
  readonly literals: readonly string[];
  /** Every text that matches starts with this; may be empty. */
  readonly prefix: string;
  /** Every text that matches ends with this; may be empty. */
  readonly suffix: string;
  /** The first of the longest of `literals`; empty without any. */
  readonly longest: string;
}

export function analyseLike(pattern: string, escape = '\\', fold?: CaseFold): LikeShape {
  return shapeOf(splitPattern(pattern, escape, fold));
}

/** A run of literal characters, or a number of characters that may be any. */
type Element = string | number;

/** Stands after a `%`: first `skip` characters of any kind, then `elements` as early as possible. */
interface Part {
  readonly skip: number;
  /** Begins with a literal; empty only in the last part, for a pattern that ends in wildcards. */
  readonly elements: readonly Element[];
}

interface SplitPattern {
  /** What stands before the first `%`. */
  readonly head: readonly Element[];
  /** One for every group of wildcards that begins with a `%`. Empty for patterns without `%`. */
  readonly parts: readonly Part[];
  /** The pattern ends in its escape character: it matches nothing, and is an error where matching gets there. */
  readonly dangling: boolean;
}

function splitPattern(pattern: string, escape: string, fold: CaseFold | undefined): SplitPattern {
  const head: Element[] = [];
  const parts: { skip: number; elements: Element[] }[] = [];
  let elements = head;
  let escaped = false;
  for (const char of pattern) {
    const last = elements.length - 1;
    const before = elements[last];
    const part = parts.at(-1);
    if (escaped || (char !== escape && char !== '%' && char !== '_')) {
      const literal = fold === undefined ? char : lowerText(char, fold);
      if (typeof before === 'string') elements[last] = before + literal;
      else elements.push(literal);
      escaped = false;
    } else if (char === escape) {
      escaped = true;
    } else if (char === '%') {
      if (part !== undefined && part.elements.length === 0) continue;
      elements = [];
      parts.push({ skip: 0, elements });
    } else if (part !== undefined && part.elements.length === 0) {
      part.skip++;
    } else if (typeof before === 'number') {
      elements[last] = before + 1;
    } else {
      elements.push(1);
    }
  }
  return { head, parts, dangling: escaped };
}

function shapeOf({ head, parts, dangling }: SplitPattern): LikeShape {
  const all = [head, ...parts.map((part) => part.elements)];
  const literals = all.flat().filter((element) => typeof element === 'string');
  const [first] = head;
  const last = all.at(-1)?.at(-1);
  const longest = literals.reduce((long, literal) => (literal.length > long.length ? literal : long), '');
  const prefix = typeof first === 'string' ? first : '';
  const suffix = typeof last === 'string' && !dangling ? last : '';
  const kind = dangling ? 'general' : kindOf(head, parts);
  return { kind, literal: kind === 'general' ? '' : longest, literals, prefix, suffix, longest };
}

function kindOf(head: readonly Element[], parts: readonly Part[]): LikeShape['kind'] {
  const segments = [head, ...parts.map((part) => part.elements)];
  const plain = segments.every((segment) => segment.length <= 1 && typeof segment[0] !== 'number');
  if (!plain || parts.some((part) => part.skip > 0)) return 'general';
  const [before, middle, after] = segments.map((segment) => segment.length > 0);
  if (segments.length === 1) return 'exact';
  if (segments.length === 2) return !middle ? 'prefix' : before ? 'general' : 'suffix';
  return segments.length === 3 && !before && !after ? 'substring' : 'general';
}

function simpleMatcher({ kind, literal }: LikeShape): LikeMatcher | undefined {
  switch (kind) {
    case 'exact':
      return (text) => text === literal;
    case 'prefix':
      return (text) => text.startsWith(literal);
    case 'suffix':
      return (text) => text.endsWith(literal);
    case 'substring':
      return (text) => text.includes(literal);
    case 'general':
      return undefined;
  }
}

/**
 * Follows MatchText of Postgres (like_match.c), also in where it notices a missing character. That tries the parts from
 * left to right, each at the first place it fits, and once it is past a `%` it never returns to an earlier one.
 */
function match(text: string, { head, parts, dangling }: SplitPattern): boolean {
  let at = matchForward(text, 0, head);
  if (at === -1) return false;
  if (parts.length === 0) return at === text.length ? !dangling : reachedEnd(dangling);
  for (const [i, { skip, elements }] of parts.entries()) {
    const last = i === parts.length - 1;
    // With no text left Postgres leaves its loop before it looks at what follows the `%`.
    if (at === text.length) return last && skip === 0 && elements.length === 0 && !dangling;
    at = characterEnd(text, at, skip);
    if (at === -1) return false;
    if (elements.length === 0) return dangling ? reachedEnd(dangling) : true;
    if (last && !dangling) return matchesEnd(text, at, elements);
    at = search(text, at, elements);
    if (at === -1) return false;
  }
  return at < text.length && reachedEnd(dangling);
}

/** The end of the pattern while there is text. */
function reachedEnd(dangling: boolean): false {
  if (dangling) throw new ClauseEvaluationError('postgres', 'LIKE pattern must not end with escape character');
  return false;
}

/** Where the elements end when they begin at `at`; -1 when they do not match there. */
function matchForward(text: string, at: number, elements: readonly Element[]): number {
  let end = at;
  for (const element of elements) {
    if (typeof element === 'string') {
      if (!text.startsWith(element, end)) return -1;
      end += element.length;
    } else {
      end = characterEnd(text, end, element);
      if (end === -1) return -1;
    }
  }
  return end;
}

/** Where the elements end at their first occurrence from `from` on; -1 without one. The first element is a literal. */
function search(text: string, from: number, elements: readonly Element[]): number {
  const [first] = elements as [string];
  for (let at = text.indexOf(first, from); at !== -1; at = text.indexOf(first, at + 1)) {
    const end = elements.length === 1 ? at + first.length : matchForward(text, at, elements);
    if (end !== -1) return end;
  }
  return -1;
}

/** Whether the elements match the end of the text without reaching before `from`. */
function matchesEnd(text: string, from: number, elements: readonly Element[]): boolean {
  let at = text.length;
  for (let i = elements.length - 1; i >= 0; i--) {
    const element = elements[i] as Element;
    if (typeof element === 'string') {
      if (!text.endsWith(element, at)) return false;
      at -= element.length;
    } else {
      at = characterStart(text, at, element);
    }
    if (at < from) return false;
  }
  return true;
}
