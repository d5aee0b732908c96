import { ClauseRefusal } from '../errors.ts';
import type { Grammar } from './grammar.ts';
import { badModifier, namedType } from './type-parser.ts';
import { WHOLE, type Goal, type Parsing } from './precedence.ts';
import type { Syntax } from './syntax.ts';

/** Postgres's FUNC_MAX_ARGS. */
const MAX_ARGUMENTS = 100;

/** Parses function calls from the parenthesis on. */
export class CallParser {
  readonly #grammar: Grammar;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  /** A call; or `type(10) 'constant'`, which looks like one up to its string. */
  *call(path: readonly string[], at: number): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    tokens.next();
    let star = false;
    let distinct = false;
    let variadic = false;
    let args: Syntax[] = [];
    if (tokens.isOperator('*')) {
      tokens.next();
      star = true;
    } else if (!tokens.isPunct(')')) {
      distinct = tokens.skipWord('distinct');
      const all = !distinct && tokens.skipWord('all');
      if (distinct || all) args = yield* this.rest([yield* this.argument(0)]);
      else ({ args, variadic } = yield* this.#argumentsOrVariadic());
      // ALL says what is so anyway, but only an aggregate may be told.
      distinct = this.#skipOrder() || distinct || all;
    }
    tokens.expectPunct(')');
    const literal = tokens.peek();
    if (literal.kind === 'string' && !star && !distinct && !variadic) {
      tokens.next();
      const type = { ...namedType(path, args.map(modifier), at), arrayDims: 0 };
      const arg = this.#grammar.leaf({ kind: 'string', text: literal.text, at: literal.at });
      return this.#grammar.node({ kind: 'cast', arg, type, at }, [arg]);
    }
    if (this.#skipAggregateClauses()) distinct = true;
    const name = path.length === 2 && path[0] === 'pg_catalog' ? (path[1] as string) : path.join('.');
    return this.#grammar.node({ kind: 'call', name, args, star, distinct, variadic, at }, args);
  }

  /** One argument, the `index`th. */
  *argument(index: number, goal: Goal = WHOLE): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { kind, at } = tokens.peek();
    if (index === MAX_ARGUMENTS) {
      throw new ClauseRefusal(`cannot pass more than ${MAX_ARGUMENTS} arguments to a function`, at);
    }
    if ((kind === 'word' || kind === 'quoted') && (tokens.isPunct('=>', 1) || tokens.isPunct(':=', 1))) {
      throw new ClauseRefusal('named arguments are not supported in this context', at);
    }
    return yield goal;
  }

  /** The arguments behind those that were read, up to the closing parenthesis. */
  *rest(first: readonly Syntax[]): Parsing<Syntax[]> {
    const args = [...first];
    while (this.#grammar.tokens.skipPunct(',')) args.push(yield* this.argument(args.length));
    return args;
  }

  *#argumentsOrVariadic(): Parsing<{ args: Syntax[]; variadic: boolean }> {
    const { tokens } = this.#grammar;
    const args: Syntax[] = [];
    do {
      const variadic = tokens.skipWord('variadic');
      args.push(yield* this.argument(args.length));
      if (variadic) return { args, variadic };
    } while (tokens.skipPunct(','));
    return { args, variadic: false };
  }

  /** ORDER BY behind the arguments. What is in it does not matter: no function with it is supported. */
  #skipOrder(): boolean {
    const { tokens } = this.#grammar;
    if (!tokens.skipWord('order')) return false;
    tokens.expectWord('by');
    tokens.skipToClosing();
    return true;
  }

  /** WITHIN GROUP, FILTER and OVER behind a call, in that order. */
  #skipAggregateClauses(): boolean {
    const { tokens } = this.#grammar;
    let found = false;
    if (tokens.skipWord('within')) {
      tokens.expectWord('group');
      found = this.#skipBrackets();
    }
    if (tokens.skipWord('filter')) found = this.#skipBrackets();
    if (tokens.skipWord('over')) {
      if (tokens.isPunct('(')) this.#skipBrackets();
      else tokens.columnName();
      found = true;
    }
    return found;
  }

  #skipBrackets(): true {
    this.#grammar.tokens.expectPunct('(');
    this.#grammar.tokens.skipToClosing();
    this.#grammar.tokens.expectPunct(')');
    return true;
  }
}

function modifier(syntax: Syntax): number {
  if (syntax.kind === 'integer' && syntax.text.length < 10) return Number(syntax.text);
  if (syntax.kind === 'unary' && syntax.op === '-') return -modifier(syntax.arg);
  throw badModifier(syntax);
}
