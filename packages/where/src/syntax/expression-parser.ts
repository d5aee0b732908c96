import { ClauseRefusal } from '../errors.ts';
import type { Token } from './lexer.ts';
import type { Grammar } from './grammar.ts';
import {
  BEFORE_SIMILAR,
  behindPrefix,
  isComparison,
  isPattern,
  LEVEL,
  operatorLevel,
  prefixLevel,
  RESTRICTED,
  rightOperand,
  WHOLE,
  type Goal,
  type Parsing,
} from './precedence.ts';
import { PrimaryParser } from './primary-parser.ts';
import type { SubquerySyntax, Syntax } from './syntax.ts';
import { TypeParser } from './type-parser.ts';

/** Longest list of IN (spec W 9.12). */
const MAX_LIST_ITEMS = 32_767;

const QUANTIFIERS: ReadonlySet<string> = new Set(['any', 'some', 'all']);
/** What may follow IS besides what `#test` takes; the engine has none of it. */
const UNSUPPORTED_TESTS: ReadonlyMap<string, string> = new Map([
  ['json', 'IsJsonPredicate'],
  ['document', 'XmlExpr'],
  ...['normalized', 'nfc', 'nfd', 'nfkc', 'nfkd'].map((word): [string, string] => [word, 'IS NORMALIZED']),
]);

type Truth = 'TRUE' | 'FALSE' | 'UNKNOWN';
const TRUTHS: ReadonlyMap<string, Truth> = new Map([
  ['true', 'TRUE'],
  ['false', 'FALSE'],
  ['unknown', 'UNKNOWN'],
]);

/** An infix operator token, or OPERATOR(...). */
interface Operator {
  readonly text: string;
  readonly at: number;
  /** Written as OPERATOR(...). */
  readonly wrapped: boolean;
}

/** The Pratt part of the grammar: prefix, infix and postfix operators around primaries. */
export class ExpressionParser {
  readonly #grammar: Grammar;
  readonly #types: TypeParser;
  readonly #primaries: PrimaryParser;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
    this.#types = new TypeParser(grammar.tokens);
    this.#primaries = new PrimaryParser(grammar, this.#types);
  }

  *expression(goal: Goal): Parsing<Syntax> {
    let left = this.#primaries.leaf() ?? (yield* this.#prefix(goal.restricted));
    for (;;) {
      const level = this.#infixLevel(goal);
      if (level < goal.minLevel) return left;
      left = yield* this.#infix(left, level, goal.restricted);
    }
  }

  *#prefix(restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    if (token.kind === 'op' || this.#isOperatorAhead()) return yield* this.#prefixOperator(restricted);
    if (token.kind === 'word' && token.text === 'not' && !restricted) {
      tokens.next();
      const arg = yield behindPrefix(LEVEL.not, false);
      return this.#grammar.node({ kind: 'not', arg, at: token.at }, [arg]);
    }
    return yield* this.#primaries.primary(restricted);
  }

  *#prefixOperator(restricted: boolean): Parsing<Syntax> {
    const token = this.#grammar.tokens.peek();
    const { text, at, wrapped } = this.#operator();
    const level = wrapped ? LEVEL.operator + 1 : prefixLevel(text);
    if (level === undefined) throw this.#grammar.tokens.unexpected(token);
    const arg = yield behindPrefix(level, restricted);
    if (text === '-' && isNumber(arg)) {
      // Postgres puts a sign into the constant, which decides its type; OPERATOR(-) it does not.
      if (wrapped) throw new ClauseRefusal('OPERATOR(-) is not supported before a number; write - instead', at);
    } else if (text === '-' && !wrapped && arg.kind === 'unary' && arg.op === '-' && isNumber(arg.arg)) {
      return { ...arg.arg, at };
    }
    return this.#grammar.node({ kind: 'unary', op: text, arg, at }, [arg]);
  }

  /** Level of the infix operator that comes next; 0 when there is none. */
  #infixLevel(goal: Goal): number {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    if (token.kind === 'op') return operatorLevel(token.text);
    if (token.kind === 'punct') return token.text === '::' ? LEVEL.cast : LEVEL.none;
    if (token.kind !== 'word') return LEVEL.none;
    if (token.text === 'operator') return this.#isOperatorAhead() ? LEVEL.operator : LEVEL.none;
    if (goal.restricted) return token.text === 'is' ? LEVEL.is : LEVEL.none;
    switch (token.text) {
      case 'and':
        return LEVEL.and;
      case 'or':
        return LEVEL.or;
      case 'is':
      case 'isnull':
      case 'notnull':
        return LEVEL.is;
      case 'in':
      case 'between':
      case 'like':
      case 'ilike':
        return LEVEL.pattern;
      case 'similar':
        return goal === BEFORE_SIMILAR && !tokens.isWord('to', 1) ? LEVEL.none : LEVEL.pattern;
      case 'not':
        return isPattern(tokens.peek(1)) ? LEVEL.pattern : LEVEL.none;
      case 'collate':
        return LEVEL.collate;
      case 'at':
        return LEVEL.at;
      default:
        return LEVEL.none;
    }
  }

  /** The infix or postfix operator that comes next, and what is to its right. */
  *#infix(left: Syntax, level: number, restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    if (token.kind === 'op' || token.text === 'operator') return yield* this.#binary(left, level, restricted);
    switch (level) {
      case LEVEL.and:
        return yield* this.#connective('and', left, LEVEL.and);
      case LEVEL.or:
        return yield* this.#connective('or', left, LEVEL.or);
      case LEVEL.is:
        return yield* this.#test(left, restricted);
      case LEVEL.pattern:
        return yield* this.#pattern(left);
      case LEVEL.at:
        return yield* this.#atTimeZone(left);
    }
    tokens.next();
    if (level === LEVEL.collate) {
      return this.#grammar.node({ kind: 'collate', arg: left, name: tokens.path(), at: token.at }, [left]);
    }
    return this.#grammar.node({ kind: 'cast', arg: left, type: this.#types.type(), at: token.at }, [left]);
  }

  *#binary(left: Syntax, level: number, restricted: boolean): Parsing<Syntax> {
    const { text: op, at } = this.#operator();
    if (!restricted && this.#grammar.tokens.wordOf(QUANTIFIERS)) return yield* this.#quantified(left, op, at);
    const right = yield rightOperand(level, restricted);
    const node = this.#grammar.node({ kind: 'binary', op, left, right, at }, [left, right]);
    if (level === LEVEL.compare) this.#refuseSameLevel(isComparison);
    return node;
  }

  #isOperatorAhead(): boolean {
    return this.#grammar.tokens.isWord('operator') && this.#grammar.tokens.isPunct('(', 1);
  }

  /** An operator, also as `OPERATOR(schema.+)`. */
  #operator(): Operator {
    const { tokens } = this.#grammar;
    const { kind, text, at } = tokens.next();
    if (kind === 'op') return { text, at, wrapped: false };
    tokens.expectPunct('(');
    const schemas: string[] = [];
    while (tokens.peek().kind !== 'op') {
      schemas.push(tokens.columnName());
      tokens.expectPunct('.');
    }
    const name = tokens.next().text;
    tokens.expectPunct(')');
    const isBuiltIn = schemas.length === 0 || (schemas.length === 1 && schemas[0] === 'pg_catalog');
    return { text: isBuiltIn ? name : [...schemas, name].join('.'), at, wrapped: true };
  }

  /** One n-ary node for a whole chain, so that ten thousand terms are not ten thousand levels deep. */
  *#connective(kind: 'and' | 'or', first: Syntax, level: number): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const args = [first];
    const { at } = tokens.peek();
    while (tokens.skipWord(kind)) args.push(yield rightOperand(level));
    return this.#grammar.node({ kind, args, at }, args);
  }

  *#test(left: Syntax, restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { text, at } = tokens.next();
    if (text !== 'is')
      return this.#grammar.node({ kind: 'isNull', arg: left, negated: text === 'notnull', at }, [left]);
    const negated = tokens.skipWord('not');
    if (!restricted) {
      if (tokens.skipWord('null')) return this.#grammar.node({ kind: 'isNull', arg: left, negated, at }, [left]);
      const truth = tokens.wordOf(TRUTHS);
      if (truth !== undefined) {
        tokens.next();
        return this.#grammar.node({ kind: 'isTruth', truth: TRUTHS.get(truth.text) as Truth, arg: left, negated, at }, [
          left,
        ]);
      }
    }
    if (tokens.skipWord('distinct')) {
      tokens.expectWord('from');
      const right = yield rightOperand(LEVEL.is, restricted);
      const node = this.#grammar.node({ kind: 'distinct', left, right, negated, at }, [left, right]);
      this.#refuseSameLevel((next) => next.kind === 'word' && ['is', 'isnull', 'notnull'].includes(next.text));
      return node;
    }
    const next = tokens.peek();
    const unsupported = next.kind === 'word' ? UNSUPPORTED_TESTS.get(next.text) : undefined;
    if (unsupported !== undefined) throw new ClauseRefusal(`${unsupported} is not supported in this context`, at);
    throw tokens.unexpected();
  }

  /** IN, BETWEEN and the LIKE family; the NOT, if there is one, locates them. */
  *#pattern(left: Syntax): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.peek();
    const negated = tokens.skipWord('not');
    const keyword = tokens.next().text;
    if (keyword === 'in') return yield* this.#in(left, at, negated);
    if (keyword === 'similar') tokens.expectWord('to');
    else if (keyword !== 'between' && tokens.wordOf(QUANTIFIERS)) {
      return yield* this.#quantified(left, `${negated ? '!' : ''}~~${keyword === 'ilike' ? '*' : ''}`, at);
    }
    const node =
      keyword === 'between'
        ? yield* this.#between(left, at, negated)
        : yield* this.#like(left, at, keyword as 'like' | 'ilike' | 'similar', negated);
    this.#refuseSameLevel((next) => isPattern(next) || (tokens.isWord('not') && isPattern(tokens.peek(1))));
    return node;
  }

  *#in(left: Syntax, at: number, negated: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    if (!tokens.isPunct('(')) throw tokens.unexpected();
    const subquery = yield* this.#subquery();
    if (subquery !== undefined) return this.#inSubquery(left, subquery, at, negated);
    tokens.next();
    const items: Syntax[] = [];
    do {
      items.push(yield* this.#grammar.listItem());
      if (items.length > MAX_LIST_ITEMS) {
        throw new ClauseRefusal(`list has too many elements (limit ${MAX_LIST_ITEMS})`, tokens.peek().at);
      }
    } while (tokens.skipPunct(','));
    tokens.expectPunct(')');
    const only = items.length === 1 ? scalarSubquery(items[0] as Syntax) : undefined;
    if (only !== undefined) return this.#inSubquery(left, only, at, negated);
    return this.#grammar.node({ kind: 'in', arg: left, items, negated, at }, [left, ...items]);
  }

  #inSubquery(left: Syntax, { select }: SubquerySyntax, at: number, negated: boolean): Syntax {
    const form = negated ? 'notIn' : 'in';
    return this.#grammar.node({ kind: 'subquery', form, left, op: undefined, all: false, select, at }, [left]);
  }

  *#between(left: Syntax, at: number, negated: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const symmetric = tokens.skipWord('symmetric');
    if (!symmetric) tokens.skipWord('asymmetric');
    const low = yield RESTRICTED;
    tokens.expectWord('and');
    const high = yield rightOperand(LEVEL.pattern);
    return this.#grammar.node({ kind: 'between', arg: left, low, high, symmetric, negated, at }, [left, low, high]);
  }

  *#like(left: Syntax, at: number, keyword: 'like' | 'ilike' | 'similar', negated: boolean): Parsing<Syntax> {
    const pattern = yield rightOperand(LEVEL.pattern);
    const escape = this.#grammar.tokens.skipWord('escape') ? yield rightOperand(LEVEL.pattern) : undefined;
    const children = escape === undefined ? [left, pattern] : [left, pattern, escape];
    const parts = { arg: left, pattern, escape, negated, at };
    if (keyword === 'similar') return this.#grammar.node({ kind: 'similar', ...parts }, children);
    return this.#grammar.node({ kind: 'like', ...parts, insensitive: keyword === 'ilike' }, children);
  }

  /** ANY, SOME or ALL comes next. */
  *#quantified(left: Syntax, op: string, at: number): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const all = tokens.next().text === 'all';
    if (!tokens.isPunct('(')) throw tokens.unexpected();
    let subquery = yield* this.#subquery();
    if (subquery === undefined) {
      tokens.next();
      const rightAt = tokens.peek().at;
      const right = yield WHOLE;
      tokens.expectPunct(')');
      subquery = scalarSubquery(right);
      if (subquery === undefined) {
        return this.#grammar.node({ kind: 'quantified', op, all, left, right, rightAt, at }, [left, right]);
      }
    }
    const { select } = subquery;
    return this.#grammar.node({ kind: 'subquery', form: 'quantified', left, op, all, select, at }, [left]);
  }

  /** A SELECT in the parentheses that come next; undefined, with nothing read, when there is something else in them. */
  *#subquery(): Parsing<SubquerySyntax | undefined> {
    return this.#primaries.isSelectAhead(1) ? yield* this.#primaries.subquery() : undefined;
  }

  *#atTimeZone(left: Syntax): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.next();
    if (tokens.isWord('local')) throw new ClauseRefusal('AT LOCAL is not supported; name a time zone', at);
    tokens.expectWord('time');
    tokens.expectWord('zone');
    const zone = yield rightOperand(LEVEL.at);
    return this.#grammar.call('timezone', [zone, left], at);
  }

  /** Postgres's `%nonassoc`: `a < b < c` does not parse. */
  #refuseSameLevel(isSame: (token: Token) => boolean): void {
    if (isSame(this.#grammar.tokens.peek())) throw this.#grammar.tokens.unexpected();
  }
}

function isNumber(syntax: Syntax): boolean {
  return syntax.kind === 'integer' || syntax.kind === 'decimal';
}

/** A SELECT in parentheses, of which a second pair changes nothing. */
function scalarSubquery(syntax: Syntax): SubquerySyntax | undefined {
  return syntax.kind === 'subquery' && syntax.form === 'scalar' ? syntax : undefined;
}
