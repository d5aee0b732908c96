import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClauseEvaluationError } from '../errors.ts';
import { lowerText, type CaseFold } from './case-mapping.ts';
import { analyseLike, compileLike } from './like.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'B', 'é', 'É', '😀', '🙂', '\n', '%'), maxLength: 14 });
const pattern = fc.string({ unit: fc.constantFrom('a', 'b', 'B', 'É', '😀', '%', '_', '\\', '!'), maxLength: 10 });
const escape = fc.constantFrom('\\', '!', '', '%');
const fold = fc.constantFrom<(CaseFold | undefined)[]>(undefined, 'ascii', 'one');

/** One element of a pattern: a character, `undefined` for any, `null` for any sequence. */
function elementsOf(like: string, escapedBy: string): { elements: (string | undefined | null)[]; dangling: boolean } {
  const characters = [...like];
  const elements: (string | undefined | null)[] = [];
  for (let i = 0; i < characters.length; i++) {
    const char = characters[i] as string;
    if (char === escapedBy) {
      if (i + 1 === characters.length) return { elements, dangling: true };
      elements.push(characters[++i]);
    } else {
      elements.push(char === '%' ? null : char === '_' ? undefined : char);
    }
  }
  return { elements, dangling: false };
}

/** The definition, by dynamic programming: whether the first i elements match the first j characters. */
function matches(subject: string, elements: readonly (string | undefined | null)[]): boolean {
  const characters = [...subject];
  let reach = [true, ...characters.map(() => false)];
  for (const element of elements) {
    const first = reach[0] === true && element === null;
    const next = [first];
    for (const [j, char] of characters.entries()) {
      if (element === null) next.push(reach[j + 1] === true || next[j] === true);
      else next.push(reach[j] === true && (element === undefined || element === char));
    }
    reach = next;
  }
  return reach[characters.length] === true;
}

test('matches by the definition, and nothing when the pattern ends in its escape character', () => {
  fc.assert(
    fc.property(text, pattern, escape, fold, (subject, like, escapedBy, folded) => {
      const lower = (one: string): string => (folded === undefined ? one : lowerText(one, folded));
      const { elements, dangling } = elementsOf(like, escapedBy);
      const match = compileLike(like, escapedBy, folded);
      if (dangling) {
        expect(answer(() => match(subject))).not.toBe(true);
      } else {
        const folding = elements.map((element) => (typeof element === 'string' ? lower(element) : element));
        expect(match(subject)).toBe(matches(lower(subject), folding));
      }
    }),
    { numRuns: 3000 },
  );
});

function answer(match: () => boolean): boolean | 'error' {
  try {
    return match();
  } catch (error) {
    expect(error).toBeInstanceOf(ClauseEvaluationError);
    return 'error';
  }
}

test('what an analysis says holds for every text that matches', () => {
  fc.assert(
    fc.property(text, pattern, escape, fold, (subject, like, escapedBy, folded) => {
      const matched = answer(() => compileLike(like, escapedBy, folded)(subject)) === true;
      const { kind, literal, literals, prefix, suffix, longest } = analyseLike(like, escapedBy, folded);
      const value = folded === undefined ? subject : lowerText(subject, folded);
      if (kind === 'exact') expect(matched).toBe(value === literal);
      if (kind === 'prefix') expect(matched).toBe(value.startsWith(literal));
      if (kind === 'suffix') expect(matched).toBe(value.endsWith(literal));
      if (kind === 'substring') expect(matched).toBe(value.includes(literal));
      if (!matched) return;
      expect(value.startsWith(prefix) && value.endsWith(suffix)).toBe(true);
      for (const part of [...literals, longest]) expect(value).toContain(part);
    }),
    { numRuns: 3000 },
  );
});
