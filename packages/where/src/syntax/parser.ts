import { ClauseRefusal } from '../errors.ts';
import { ExpressionParser } from './expression-parser.ts';
import { Grammar, type ClauseLimits } from './grammar.ts';
import { FOLLOWING_CLAUSES } from './keywords.ts';
import { WHOLE, type Goal, type Parsing } from './precedence.ts';
import type { Syntax } from './syntax.ts';
import { TokenStream } from './token-stream.ts';

export const CLIENT_LIMITS: ClauseLimits = { nesting: 200, height: 1000, nodes: 20_000 };
/** Canonical SQL has parentheses around every operand and a cast at every literal, so it is deeper and longer. */
export const STORED_LIMITS: ClauseLimits = { nesting: 10_000, height: 3000, nodes: Infinity };

/**
 * Parses a clause to its syntax tree. Names, types and operators are not resolved here: what parses is what Postgres's
 * grammar takes, what it means is the binder's business. Constructs without a place in the tree are refused on sight, with
 * a `semantic` refusal; a `syntax` one is for what Postgres does not parse either. Throws ClauseRefusal.
 */
export function parseClause(source: string, limits: ClauseLimits): Syntax {
  const tokens = new TokenStream(source);
  const grammar = new Grammar(tokens, limits);
  const clause = parseGoal(new ExpressionParser(grammar), grammar, WHOLE);
  const next = tokens.peek();
  if (next.kind === 'end') return clause;
  if (tokens.isPunct(';')) throw new ClauseRefusal('unescaped ";" causing statement split');
  if (tokens.wordOf(FOLLOWING_CLAUSES)) throw new ClauseRefusal('malformed query ending with SQL clauses');
  throw tokens.unexpected();
}

/** Runs the parts of the parser with a stack of their own: nesting is bounded by `limits` and not by the call stack. */
export function parseGoal(parser: ExpressionParser, grammar: Grammar, first: Goal): Syntax {
  const parts: { readonly parsing: Parsing<Syntax>; readonly goal: Goal }[] = [];
  let nesting = 0;
  let goal: Goal | undefined = first;
  let found: Syntax | undefined;
  for (;;) {
    if (goal !== undefined) {
      if (goal.nested) grammar.checkNesting(++nesting);
      parts.push({ parsing: parser.expression(goal), goal });
    }
    const part = parts.at(-1);
    if (part === undefined) return found as Syntax;
    // The first `next` of a generator takes no value.
    const step: IteratorResult<Goal, Syntax> =
      goal === undefined ? part.parsing.next(found as Syntax) : part.parsing.next(undefined as never);
    if (step.done === true) {
      parts.pop();
      if (part.goal.nested) nesting--;
      found = step.value;
      goal = undefined;
    } else {
      goal = step.value;
    }
  }
}
