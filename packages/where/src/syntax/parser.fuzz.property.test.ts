import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { ClauseRefusal } from '../errors.ts';
import { anyGrammaticalText, anyMutatedText, anyTokens } from './clause-text.arbitrary.ts';
import { CLIENT_LIMITS, parseClause, STORED_LIMITS } from './parser.ts';
import { printSyntax } from './print-syntax.ts';
import type { Syntax } from './syntax.ts';
import { TokenStream } from './token-stream.ts';

/** The tree, or undefined for a refusal. Anything else that is thrown is a failure of the test. */
function tryParse(text: string): Syntax | undefined {
  try {
    return parseClause(text, CLIENT_LIMITS);
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
    expect(error.message).not.toBe('');
    if (error.at !== undefined) {
      expect(error.at).toBeGreaterThanOrEqual(0);
      expect(error.at).toBeLessThanOrEqual(text.length);
    }
    return undefined;
  }
}

function withoutPlaces(syntax: Syntax): unknown {
  return JSON.parse(
    JSON.stringify(syntax, (key, value: unknown) => (key === 'at' || key === 'rightAt' ? undefined : value)),
  );
}

describe('parseClause', () => {
  test('answers any text with a tree or a refusal', () => {
    const anyText = fc.oneof(anyTokens, anyMutatedText, fc.string({ unit: 'binary' }), fc.string({ maxLength: 30 }));
    fc.assert(
      fc.property(anyText, (text) => {
        tryParse(text);
      }),
      { numRuns: 5000 },
    );
  });

  test('makes a tree whose size and places are bounded by the text', () => {
    fc.assert(
      fc.property(anyGrammaticalText, (text) => {
        const tree = tryParse(text);
        if (tree === undefined) return;
        const nodes = JSON.stringify(tree).match(/"kind":/g) ?? [];
        // Every node has a token of its own, apart from the constant and the cast of SUBSTRING ... FOR.
        expect(nodes.length).toBeLessThanOrEqual(2 * text.length + 2);
        for (const [, at] of JSON.stringify(tree).matchAll(/"at":(\d+)/g)) expect(Number(at)).toBeLessThan(text.length);
      }),
      { numRuns: 2000 },
    );
  });

  test('reads a tree that was printed with parentheses as the same tree', () => {
    fc.assert(
      fc.property(anyGrammaticalText, (text) => {
        const tree = tryParse(text);
        if (tree === undefined || /"(subquery|bits)"|"distinct":true/.test(JSON.stringify(tree))) return;
        const again = parseClause(printSyntax(tree), STORED_LIMITS);
        expect(printSyntax(again)).toBe(printSyntax(tree));
      }),
      { numRuns: 2000 },
    );
  });

  test('does not depend on white space, comments and the case of words', () => {
    fc.assert(
      fc.property(anyTokens, fc.constantFrom('  ', '\n', ' /* a /* b */ */ ', ' -- x\n', '\v'), (text, blank) => {
        if (/['"$/-]/.test(text)) return;
        const tree = tryParse(text);
        const spaced = tryParse(
          `${blank}${text.replaceAll(/[ \n]/g, blank).replaceAll(/[a-z]/g, (letter) => letter.toUpperCase())}${blank}`,
        );
        expect(spaced === undefined).toBe(tree === undefined);
        if (tree !== undefined && spaced !== undefined) expect(withoutPlaces(spaced)).toEqual(withoutPlaces(tree));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the work of parseClause', () => {
  // What may go wrong: look-ahead that is repeated, prefixes that are read again, copies of what was read so far.
  test.each<[string, (n: number) => string]>([
    ['terms of OR', (n) => Array(n).fill('a = 1').join(' OR ')],
    ['terms of +', (n) => Array(n).fill('a').join(' + ')],
    ['list elements', (n) => `a IN (${Array(n).fill(`'x'`).join()})`],
    ['array elements', (n) => `a = ARRAY[${Array(n).fill('[1]').join()}]`],
    ['parentheses', (n) => `${'('.repeat(n)}a${')'.repeat(n)}`],
    ['parentheses without end', (n) => '('.repeat(n)],
    ['prefix operators', (n) => `${'+ '.repeat(n)}a`],
    ['signs in a row', (n) => `${'+'.repeat(n)}a`],
    ['signs behind an operator', (n) => `a <${'+'.repeat(n)}a`],
    ['casts', (n) => `a${'::int'.repeat(n)}`],
    ['subscripts', (n) => `a${'[1]'.repeat(n)}`],
    ['brackets of a type', (n) => `a::int${'[]'.repeat(n)}`],
    ['parts of a name', (n) => `a${'.a'.repeat(n)}`],
    ['nested calls', (n) => `${'f('.repeat(n)}a${')'.repeat(n)}`],
    ['nested subqueries', (n) => `${'(SELECT '.repeat(n)}a${')'.repeat(n)}`],
    ['set operations', (n) => `${'('.repeat(n)}(SELECT 1)${' UNION SELECT 1)'.repeat(n)}`],
    ['nested CASE', (n) => `${'CASE WHEN '.repeat(n)}a${' THEN a END'.repeat(n)}`],
    ['strings on lines of their own', (n) => `${`'x'\n`.repeat(n)} = a`],
    ['strings with escapes', (n) => `E'${'\\xc3\\xa9a'.repeat(n)}'`],
    ['strings with Unicode escapes', (n) => `a IN (${Array(n).fill(`U&'!0061' UESCAPE '!'`).join()})`],
    ['comments', (n) => `a = ${'/* x */ '.repeat(n)}1`],
    ['comments in comments', (n) => `a = ${'/*'.repeat(n)}${'*/'.repeat(n)}1`],
    ['dollars', (n) => `a = $x$${'$x'.repeat(n)}$x$`],
    ['digits', (n) => `a = ${'1_'.repeat(n)}1`],
  ])('grows with the number of %s, and not faster', (_, text) => {
    const small = steps(text(400));
    expect(small).toBeGreaterThan(400);
    expect(steps(text(1600))).toBeLessThan(small * 4.2 + 500);
  });
});

/** Characters and tokens that are looked at while a text is parsed: a measure of time that is always the same. */
function steps(text: string): number {
  const peek = vi.spyOn(TokenStream.prototype, 'peek');
  const next = vi.spyOn(TokenStream.prototype, 'next');
  let characters = 0;
  const source = new Proxy(new String(text), {
    get(target, key) {
      characters++;
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const found: unknown = Reflect.apply(value, text, args);
        // What slice() copies and indexOf() passes over.
        if (typeof found === 'string') characters += found.length;
        if (key === 'indexOf') characters += (found === -1 ? text.length : Number(found)) - Number(args[1]);
        return found;
      };
    },
  });
  try {
    parseClause(source as unknown as string, STORED_LIMITS);
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
  }
  const tokens = peek.mock.calls.length + next.mock.calls.length;
  peek.mockRestore();
  next.mockRestore();
  return characters + tokens;
}
