import { ClauseRefusal } from '../errors.ts';
import { RESERVED, SPECIAL_TYPE_STARTS, SQL_VALUE_FUNCTIONS } from './keywords.ts';
import { syntaxError, type Token } from './lexer.ts';
import type { Syntax } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';
import type { TypeParser } from './type-parser.ts';

/** What primaries need of the parser around them. */
export interface EnclosingParser {
  /** A whole expression; `restricted` as in Postgres's `b_expr`. */
  expression(restricted?: boolean): Syntax;
  /** Counts a finished node against the limits. */
  node<T extends Syntax>(node: T, children: readonly Syntax[]): T;
}

/** Parses what operators stand between: literals, columns, calls, casts and parentheses. */
export class PrimaryParser {
  readonly #source: string;
  readonly #tokens: TokenStream;
  readonly #types: TypeParser;
  readonly #parser: EnclosingParser;

  constructor(source: string, tokens: TokenStream, types: TypeParser, parser: EnclosingParser) {
    this.#source = source;
    this.#tokens = tokens;
    this.#types = types;
    this.#parser = parser;
  }

  primary(): Syntax {
    const token = this.#tokens.next();
    const at = token.at;
    switch (token.kind) {
      case 'string':
      case 'bits':
      case 'integer':
      case 'decimal':
        return this.#parser.node({ kind: token.kind, text: token.text, at }, []);
      case 'param':
        if (token.text.length > 5 || Number(token.text) > 65_535) {
          throw new ClauseRefusal(`parameter $${token.text} was not provided`, at);
        }
        return this.#parser.node({ kind: 'param', number: Number(token.text), at }, []);
      case 'quoted':
        return this.#named(token);
      case 'word':
        return this.#word(token);
      case 'punct':
        if (token.text === '(') return this.#parenthesised(at);
        throw syntaxError(this.#source, token);
      case 'op':
      case 'end':
        throw syntaxError(this.#source, token);
    }
  }

  #word(token: Token): Syntax {
    const at = token.at;
    const opens = this.#tokens.isPunct('(');
    switch (token.text) {
      case 'true':
      case 'false':
      case 'null':
        return this.#parser.node({ kind: token.text, at }, []);
      case 'case':
        throw new ClauseRefusal('CaseExpr is not supported in this context', at);
      case 'array':
        throw new ClauseRefusal('array expressions are not supported yet', at);
      case 'cast':
        return this.#cast(at);
      case 'exists':
        if (opens) throw sublink(at);
        break;
      case 'row':
        if (opens) throw new ClauseRefusal('row expressions are not supported yet', at);
        break;
      case 'nullif':
        if (opens) throw new ClauseRefusal('expression "=" of :AEXPR_NULLIF is not currently supported', at);
        break;
      case 'grouping':
        if (opens) throw new ClauseRefusal('aggregation is not supported in this context', at);
        break;
    }
    if (SQL_VALUE_FUNCTIONS.has(token.text)) {
      throw new ClauseRefusal('SQLValueFunction is not supported in this context', at);
    }
    // `left(...)` and `right(...)` are functions although the words are reserved.
    if (RESERVED.has(token.text) && !(opens && (token.text === 'left' || token.text === 'right'))) {
      throw syntaxError(this.#source, token);
    }
    return this.#named(token);
  }

  /** A column, a function call, or `type 'literal'`. */
  #named(token: Token): Syntax {
    const at = token.at;
    const literal = this.#typedLiteral(token);
    if (literal !== undefined) return literal;
    const path = [token.text];
    while (this.#tokens.skipPunct('.')) {
      const part = this.#tokens.next();
      if (part.kind === 'op' && part.text === '*')
        throw new ClauseRefusal('ColumnRef with * is not supported in this context', at);
      if (part.kind !== 'word' && part.kind !== 'quoted') throw syntaxError(this.#source, part);
      path.push(part.text);
    }
    if (this.#tokens.isPunct('(')) return this.#call(path, at);
    return this.#parser.node({ kind: 'column', path, at }, []);
  }

  #typedLiteral(token: Token): Syntax | undefined {
    const special = token.kind === 'word' && SPECIAL_TYPE_STARTS.has(token.text);
    if (!special && this.#tokens.peek().kind !== 'string') return undefined;
    const mark = this.#tokens.mark();
    this.#tokens.back();
    const type = special ? this.#types.tryType() : this.#types.type();
    const literal = this.#tokens.peek();
    if (type === undefined || literal.kind !== 'string') {
      this.#tokens.reset(mark);
      return undefined;
    }
    this.#tokens.next();
    const arg = this.#parser.node({ kind: 'string', text: literal.text, at: literal.at }, []);
    return this.#parser.node({ kind: 'cast', arg, type, at: token.at }, [arg]);
  }

  #cast(at: number): Syntax {
    this.#tokens.expectPunct('(');
    const arg = this.#parser.expression();
    this.#tokens.expectWord('as');
    const type = this.#types.type();
    this.#tokens.expectPunct(')');
    return this.#parser.node({ kind: 'cast', arg, type, at }, [arg]);
  }

  #call(path: readonly string[], at: number): Syntax {
    const name = path.length === 2 && path[0] === 'pg_catalog' ? (path[1] as string) : path.join('.');
    this.#tokens.expectPunct('(');
    const first = this.#tokens.peek();
    if (first.kind === 'op' && first.text === '*')
      throw new ClauseRefusal('aggregation is not supported in this context', at);
    if (isWord(first, 'variadic')) {
      throw new ClauseRefusal('explicit VARIADIC function calls are not currently supported', at);
    }
    if (isWord(first, 'distinct', 'all')) throw new ClauseRefusal('aggregation is not supported in this context', at);
    const args = this.#tokens.skipPunct(')') ? [] : this.#arguments();
    const after = this.#tokens.peek();
    if (isWord(after, 'over', 'filter', 'within')) {
      throw new ClauseRefusal('aggregation is not supported in this context', at);
    }
    return this.#parser.node({ kind: 'call', name, args, at }, args);
  }

  /** Arguments up to `)`, also in the forms with words between them: `extract(year from d)`, `position(a in b)`. */
  #arguments(): Syntax[] {
    const args: Syntax[] = [];
    do {
      while (this.#tokens.skipWord('leading') || this.#tokens.skipWord('trailing') || this.#tokens.skipWord('both'))
        continue;
      if (args.length > 0 || !this.#tokens.skipWord('from'))
        args.push(this.#parser.expression(isPositionAhead(this.#tokens)));
      else args.push(this.#parser.expression());
      if (args.length > 100)
        throw new ClauseRefusal('cannot pass more than 100 arguments to a function', this.#tokens.peek().at);
    } while (
      this.#tokens.skipPunct(',') ||
      ['from', 'for', 'in', 'placing', 'similar'].some((word) => this.#tokens.skipWord(word))
    );
    if (this.#tokens.isWord('order')) {
      throw new ClauseRefusal('aggregation is not supported in this context', this.#tokens.peek().at);
    }
    this.#tokens.expectPunct(')');
    return args;
  }

  #parenthesised(at: number): Syntax {
    if (isWord(this.#tokens.peek(), 'select', 'with', 'values', 'table')) throw sublink(at);
    const inner = this.#parser.expression();
    if (this.#tokens.isPunct(',')) throw new ClauseRefusal('row expressions are not supported yet', at);
    this.#tokens.expectPunct(')');
    if (this.#tokens.isPunct('.')) throw new ClauseRefusal('composite fields are not supported in this context', at);
    return inner;
  }
}

export function isWord(token: Token, ...words: readonly string[]): boolean {
  return token.kind === 'word' && words.includes(token.text);
}

/** `position(a IN b)`: the word before the open parenthesis decides that IN is a separator and no operator. */
function isPositionAhead(tokens: TokenStream): boolean {
  return tokens.isWordBehind(2, 'position');
}

function sublink(at: number): ClauseRefusal {
  return new ClauseRefusal('only `value IN (SELECT ...)` sublinks are supported right now', at);
}
