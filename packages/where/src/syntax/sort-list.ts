import { ClauseRefusal } from '../errors.ts';
import { ExpressionParser } from './expression-parser.ts';
import { Grammar } from './grammar.ts';
import { FOLLOWING_CLAUSES } from './keywords.ts';
import { CLIENT_LIMITS, parseGoal } from './parser.ts';
import { WHOLE } from './precedence.ts';
import type { Syntax } from './syntax.ts';
import { TokenStream } from './token-stream.ts';

/** What stands between the commas of an ORDER BY: any expression so far. */
export interface SortItem {
  readonly expression: Syntax;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last' | undefined;
}

/** Parses what stands behind ORDER BY, to its end. Throws ClauseRefusal. */
export function parseSortList(source: string): readonly SortItem[] {
  const tokens = new TokenStream(source);
  const grammar = new Grammar(tokens, CLIENT_LIMITS);
  const parser = new ExpressionParser(grammar);
  const items: SortItem[] = [];
  do {
    const expression = parseGoal(parser, grammar, WHOLE);
    const descending = direction(tokens);
    items.push({ expression, descending, nulls: nullsPlace(tokens) });
  } while (tokens.skipPunct(','));
  if (tokens.peek().kind === 'end') return items;
  if (tokens.isPunct(';')) throw new ClauseRefusal('Unexpected `;` in order by');
  if (tokens.wordOf(FOLLOWING_CLAUSES)) throw new ClauseRefusal('malformed query ending with SQL clauses');
  throw tokens.unexpected();
}

function direction(tokens: TokenStream): boolean {
  if (tokens.skipWord('desc')) return true;
  if (tokens.skipWord('asc') || !tokens.skipWord('using')) return false;
  const { kind, text, at } = tokens.next();
  // The two operators that every ordered type has; others would name what is executed.
  if (kind === 'op' && (text === '<' || text === '>')) return text === '>';
  throw new ClauseRefusal(`operator ${text} is not supported in ORDER BY clauses`, at);
}

function nullsPlace(tokens: TokenStream): 'first' | 'last' | undefined {
  if (!tokens.skipWord('nulls')) return undefined;
  if (tokens.skipWord('first')) return 'first';
  tokens.expectWord('last');
  return 'last';
}
