import { ClauseEvaluationError } from '../errors.ts';

/** Matches a whole text against a pattern. Throws ClauseEvaluationError for a pattern that ends in its escape character. */
export type LikeMatcher = (text: string) => boolean;

/** How a locale lower-cases: ASCII letters only, or every code point to one other. */
export type CaseFold = 'ascii' | 'one';

/** One character of a pattern: a code point, any single one, or any sequence. */
type Element = number | 'one' | 'many';

/**
 * Compiles a LIKE pattern (spec W 5.2): `%` any sequence, `_` one character, `escape` makes the next character literal.
 *
 * Greedy with one point to go back to, the last `%`: O(text x pattern) at worst and no recursion. A pattern that ends in
 * the escape character is an error only where matching gets there with text left, as in Postgres.
 */
export function compileLike(pattern: string, escape = '\\', fold?: CaseFold): LikeMatcher {
  const { elements, dangling } = split(pattern, escape, fold);
  if (dangling && elements.includes('many')) {
    // Where exactly Postgres notices the missing character depends on how far its recursion got.
    throw new ClauseEvaluationError('undecided', 'LIKE pattern with % must not end with escape character');
  }
  const matches = simpleMatcher(elements, dangling) ?? ((text: string) => match(codePoints(text), elements, dangling));
  return fold === undefined ? matches : (text) => matches(foldText(text, fold));
}

/**
 * Lower case as `lower()` of a libc or builtin UTF-8 locale does it: one code point to one, without context. `ascii` is
 * that of the C locale.
 */
function foldText(text: string, fold: CaseFold): string {
  let folded = '';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code < 0x80) folded += code >= 65 && code <= 90 ? String.fromCharCode(code + 32) : char;
    else folded += fold === 'one' ? lowerOne(char) : char;
  }
  return folded;
}

/** U+0130 is the letter whose full mapping has two code points; the simple one is `i`. */
function lowerOne(char: string): string {
  if (char === '\u0130') return 'i';
  const lower = char.toLowerCase();
  return [...lower].length === 1 ? lower : char;
}

function split(
  pattern: string,
  escape: string,
  fold: CaseFold | undefined,
): { elements: Element[]; dangling: boolean } {
  const elements: Element[] = [];
  let escaped = false;
  const literalOf = (char: string): number =>
    (fold === undefined ? char : foldText(char, fold)).codePointAt(0) as number;
  for (const char of pattern) {
    if (escaped) {
      elements.push(literalOf(char));
      escaped = false;
    } else if (char === escape) escaped = true;
    else if (char === '%') {
      if (elements.at(-1) !== 'many') elements.push('many');
    } else if (char === '_') elements.push('one');
    else elements.push(literalOf(char));
  }
  return { elements, dangling: escaped };
}

/** The common forms without a copy of the text: `abc`, `abc%`, `%abc`, `%abc%`. */
function simpleMatcher(elements: readonly Element[], dangling: boolean): LikeMatcher | undefined {
  if (dangling || elements.includes('one')) return undefined;
  if (!elements.includes('many')) {
    const exact = literal(elements);
    return (text) => text === exact;
  }
  const first = elements[0] === 'many';
  const last = elements.at(-1) === 'many';
  const inner = elements.slice(first ? 1 : 0, last && elements.length > 1 ? -1 : elements.length);
  if (inner.includes('many')) return undefined;
  const part = literal(inner);
  if (first && (last || inner.length === 0)) return (text) => text.includes(part);
  return first ? (text) => text.endsWith(part) : (text) => text.startsWith(part);
}

function literal(elements: readonly Element[]): string {
  return elements.map((element) => String.fromCodePoint(element as number)).join('');
}

function codePoints(text: string): number[] {
  const points: number[] = [];
  for (const char of text) points.push(char.codePointAt(0) as number);
  return points;
}

function match(text: readonly number[], pattern: readonly Element[], dangling: boolean): boolean {
  let at = 0;
  let element = 0;
  let retryElement = -1;
  let retryAt = 0;
  while (at < text.length) {
    const wanted = pattern[element];
    if (wanted === 'many') {
      retryElement = ++element;
      retryAt = at;
      if (element === pattern.length && !dangling) return true;
      continue;
    }
    if (wanted === undefined && dangling) {
      throw new ClauseEvaluationError('postgres', 'LIKE pattern must not end with escape character');
    }
    if (wanted === 'one' || wanted === text[at]) {
      at++;
      element++;
      continue;
    }
    if (retryElement === -1) return false;
    element = retryElement;
    at = ++retryAt;
  }
  while (pattern[element] === 'many') element++;
  return element === pattern.length && !dangling;
}
