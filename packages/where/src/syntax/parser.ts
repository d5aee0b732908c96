import { ClauseRefusal } from '../errors.ts';
import { FOLLOWING_CLAUSES } from './keywords.ts';
import { syntaxError, tokenize, type Token } from './lexer.ts';
import type { Syntax } from './syntax.ts';
import { TypeParser } from './type-parser.ts';
import { isWord, PrimaryParser } from './primary-parser.ts';
import { TokenStream } from './token-stream.ts';

/** Binding powers, lowest first (spec W 1.3). */
const LEVEL = {
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  compare: 5,
  pattern: 6,
  operator: 7,
  additive: 8,
  multiplicative: 9,
  power: 10,
  atTimeZone: 11,
  collate: 12,
  sign: 13,
  subscript: 14,
  cast: 15,
} as const;

const COMPARISONS: ReadonlySet<string> = new Set(['<', '>', '=', '<=', '>=', '<>']);
const MAX_LIST_ITEMS = 32_767;

/** How large a clause may be (spec W 9.12). `depth` keeps every walk over a clause from overflowing the stack. */
export interface ClauseLimits {
  readonly depth: number;
  readonly nodes: number;
}

export const CLIENT_LIMITS: ClauseLimits = { depth: 200, nodes: 10_000 };
/** Canonical SQL has a cast at every literal and parentheses around every operand, so it is deeper and longer. */
export const STORED_LIMITS: ClauseLimits = { depth: 1000, nodes: Infinity };

/** Parses a clause to its syntax tree. Throws ClauseRefusal. */
export function parseClause(source: string, limits: ClauseLimits): Syntax {
  return new ClauseParser(source, limits).parse();
}

/**
 * Pratt parser over the expression grammar of Postgres. Names, types and operators are not resolved here: what parses is
 * what Postgres's grammar takes, what it means is the binder's business. Constructs the engine does not know at all are
 * refused on sight.
 */
class ClauseParser {
  readonly #source: string;
  readonly #tokens: TokenStream;
  readonly #types: TypeParser;
  readonly #primaries: PrimaryParser;
  readonly #limits: ClauseLimits;
  /** Levels of the recursion in progress, and the height of every finished tree. */
  #depth = 0;
  readonly #heights = new WeakMap<Syntax, number>();
  #nodes = 0;

  constructor(source: string, limits: ClauseLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#tokens = new TokenStream(source, tokenize(source));
    this.#types = new TypeParser(this.#tokens);
    this.#primaries = new PrimaryParser(source, this.#tokens, this.#types, {
      expression: (restricted = false) => this.#expression(LEVEL.or, restricted),
      node: (node, children) => this.#node(node, ...children),
    });
  }

  parse(): Syntax {
    const clause = this.#expression(LEVEL.or);
    const next = this.#tokens.peek();
    if (next.kind === 'end') return clause;
    if (next.kind === 'punct' && next.text === ';') throw new ClauseRefusal('unescaped ";" causing statement split');
    if (next.kind === 'word' && FOLLOWING_CLAUSES.has(next.text)) {
      throw new ClauseRefusal('malformed query ending with SQL clauses');
    }
    throw syntaxError(this.#source, next);
  }

  /** `restricted` is Postgres's `b_expr`: no AND, OR, IS NULL, IN, LIKE or BETWEEN outside parentheses. */
  #expression(minLevel: number, restricted = false): Syntax {
    if (++this.#depth > this.#limits.depth) throw this.#tooDeep(this.#tokens.peek());
    let left = this.#prefix(restricted);
    for (;;) {
      const next = this.#infix(left, minLevel, restricted);
      if (next === undefined) break;
      left = next;
    }
    this.#depth--;
    return left;
  }

  #prefix(restricted: boolean): Syntax {
    const token = this.#tokens.peek();
    if (token.kind === 'word' && token.text === 'not' && !restricted) {
      this.#tokens.next();
      const arg = this.#expression(LEVEL.not);
      return this.#node({ kind: 'not', arg, at: token.at }, arg);
    }
    if (token.kind === 'op') {
      this.#tokens.next();
      if (COMPARISONS.has(token.text) || '*/%^'.includes(token.text)) throw syntaxError(this.#source, token);
      const level = token.text === '-' || token.text === '+' ? LEVEL.sign : LEVEL.operator + 1;
      const arg = this.#expression(level, restricted);
      return this.#node({ kind: 'unary', op: token.text, arg, at: token.at }, arg);
    }
    return this.#primaries.primary();
  }

  /** One operator and what is to its right; undefined when the next token binds looser than `minLevel` or is none. */
  #infix(left: Syntax, minLevel: number, restricted: boolean): Syntax | undefined {
    const token = this.#tokens.peek();
    if (token.kind === 'punct') return this.#postfix(left, token, minLevel);
    if (token.kind === 'op') {
      const level = operatorLevel(token.text);
      if (level < minLevel) return undefined;
      this.#tokens.next();
      return this.#operator(left, token, level, restricted);
    }
    if (token.kind !== 'word') return undefined;
    if (restricted && !(token.text === 'is' && this.#isDistinctAhead())) return undefined;
    switch (token.text) {
      case 'and':
        return minLevel <= LEVEL.and ? this.#connective('and', left, LEVEL.and) : undefined;
      case 'or':
        return minLevel <= LEVEL.or ? this.#connective('or', left, LEVEL.or) : undefined;
      case 'is':
      case 'isnull':
      case 'notnull':
        return minLevel <= LEVEL.is ? this.#test(left, restricted) : undefined;
      case 'in':
      case 'between':
      case 'like':
      case 'ilike':
      case 'similar':
        return minLevel <= LEVEL.pattern ? this.#pattern(left, this.#tokens.next(), token.text, false) : undefined;
      case 'not':
        return minLevel <= LEVEL.pattern ? this.#negatedPattern(left) : undefined;
      case 'collate':
        return minLevel <= LEVEL.collate ? this.#collate(left) : undefined;
      case 'at':
        return minLevel <= LEVEL.atTimeZone ? this.#atTimeZone(left) : undefined;
      default:
        return undefined;
    }
  }

  #postfix(left: Syntax, token: Token, minLevel: number): Syntax | undefined {
    if (token.text === '::' && minLevel <= LEVEL.cast) {
      this.#tokens.next();
      const type = this.#types.type();
      return this.#node({ kind: 'cast', arg: left, type, at: token.at }, left);
    }
    if (token.text === '[' && minLevel <= LEVEL.subscript) {
      throw new ClauseRefusal('array subscripts are not supported yet', token.at);
    }
    return undefined;
  }

  #operator(left: Syntax, token: Token, level: number, restricted: boolean): Syntax {
    const after = this.#tokens.peek();
    if (after.kind === 'word' && (after.text === 'any' || after.text === 'some' || after.text === 'all')) {
      throw new ClauseRefusal('ANY and ALL are not supported yet', after.at);
    }
    const right = this.#expression(level + 1, restricted);
    const node = this.#node({ kind: 'binary', op: token.text, left, right, at: token.at }, left, right);
    if (level === LEVEL.compare) this.#refuseSameLevel(isComparison);
    return node;
  }

  /** One n-ary node for a whole chain, so that ten thousand terms are not ten thousand levels deep. */
  #connective(kind: 'and' | 'or', first: Syntax, level: number): Syntax {
    const args = [first];
    const at = this.#tokens.peek().at;
    while (this.#tokens.skipWord(kind)) args.push(this.#expression(level + 1));
    return this.#node({ kind, args, at }, ...args);
  }

  #test(left: Syntax, restricted: boolean): Syntax {
    const token = this.#tokens.next();
    const at = token.at;
    if (token.text !== 'is')
      return this.#node({ kind: 'isNull', arg: left, negated: token.text === 'notnull', at }, left);
    const negated = this.#tokens.skipWord('not');
    if (this.#tokens.skipWord('null')) return this.#node({ kind: 'isNull', arg: left, negated, at }, left);
    for (const truth of ['TRUE', 'FALSE', 'UNKNOWN'] as const) {
      if (this.#tokens.skipWord(truth.toLowerCase())) {
        return this.#node({ kind: 'isTruth', truth, arg: left, negated, at }, left);
      }
    }
    if (this.#tokens.skipWord('distinct')) {
      this.#tokens.expectWord('from');
      const right = this.#expression(LEVEL.is + 1, restricted);
      const node = this.#node({ kind: 'distinct', left, right, negated, at }, left, right);
      this.#refuseSameLevel((next) => isWord(next, 'is', 'isnull', 'notnull'));
      return node;
    }
    const next = this.#tokens.peek();
    if (isWord(next, 'json', 'document', 'normalized', 'nfc', 'nfd', 'nfkc', 'nfkd')) {
      throw new ClauseRefusal(`IS ${next.text.toUpperCase()} is not supported in this context`, at);
    }
    throw syntaxError(this.#source, next);
  }

  #isDistinctAhead(): boolean {
    return isWord(this.#tokens.peek(1), 'distinct') || isWord(this.#tokens.peek(2), 'distinct');
  }

  #negatedPattern(left: Syntax): Syntax | undefined {
    const after = this.#tokens.peek(1);
    if (!isWord(after, 'in', 'between', 'like', 'ilike', 'similar')) return undefined;
    const not = this.#tokens.next();
    this.#tokens.next();
    return this.#pattern(left, not, after.text, true);
  }

  /** IN, BETWEEN and the LIKE family; `token` is the one that locates it. */
  #pattern(left: Syntax, token: Token, keyword: string, negated: boolean): Syntax {
    const at = token.at;
    if (keyword === 'in') return this.#in(left, at, negated);
    const node = keyword === 'between' ? this.#between(left, at, negated) : this.#like(left, at, keyword, negated);
    this.#refuseSameLevel(
      (next) =>
        isWord(next, 'in', 'between', 'like', 'ilike', 'similar') ||
        (isWord(next, 'not') && isWord(this.#tokens.peek(1), 'in', 'between', 'like', 'ilike', 'similar')),
    );
    return node;
  }

  #in(left: Syntax, at: number, negated: boolean): Syntax {
    this.#tokens.expectPunct('(');
    if (isWord(this.#tokens.peek(), 'select', 'with', 'values', 'table')) {
      throw new ClauseRefusal('subqueries are not supported yet', at);
    }
    const items = this.#list(')', MAX_LIST_ITEMS);
    return this.#node({ kind: 'in', arg: left, items, negated, at }, left, ...items);
  }

  #between(left: Syntax, at: number, negated: boolean): Syntax {
    const symmetric = this.#tokens.skipWord('symmetric');
    if (!symmetric) this.#tokens.skipWord('asymmetric');
    const low = this.#expression(LEVEL.or, true);
    this.#tokens.expectWord('and');
    const high = this.#expression(LEVEL.pattern + 1);
    return this.#node({ kind: 'between', arg: left, low, high, symmetric, negated, at }, left, low, high);
  }

  #like(left: Syntax, at: number, keyword: string, negated: boolean): Syntax {
    if (keyword === 'similar') this.#tokens.expectWord('to');
    const after = this.#tokens.peek();
    if (isWord(after, 'any', 'some', 'all')) throw new ClauseRefusal('ANY and ALL are not supported yet', after.at);
    const pattern = this.#expression(LEVEL.pattern + 1);
    const escape = this.#tokens.skipWord('escape') ? this.#expression(LEVEL.pattern + 1) : undefined;
    if (keyword === 'similar') {
      const count = escape === undefined ? 1 : 2;
      throw new ClauseRefusal(`unknown or unsupported function similar_to_escape/${count}`, at);
    }
    const insensitive = keyword === 'ilike';
    const children = escape === undefined ? [left, pattern] : [left, pattern, escape];
    return this.#node({ kind: 'like', arg: left, pattern, escape, insensitive, negated, at }, ...children);
  }

  #collate(left: Syntax): Syntax {
    const { at } = this.#tokens.next();
    const name = this.#tokens.path();
    return this.#node({ kind: 'collate', arg: left, name, at }, left);
  }

  #atTimeZone(left: Syntax): Syntax | undefined {
    if (!isWord(this.#tokens.peek(1), 'time')) return undefined;
    const { at } = this.#tokens.next();
    this.#tokens.expectWord('time');
    this.#tokens.expectWord('zone');
    const zone = this.#expression(LEVEL.atTimeZone + 1);
    return this.#node({ kind: 'call', name: 'timezone', args: [zone, left], at }, zone, left);
  }

  #list(close: string, max: number): Syntax[] {
    const items: Syntax[] = [];
    do {
      const before = this.#nodes;
      items.push(this.#expression(LEVEL.or));
      // A literal, with its cast, costs a hash entry and not an evaluation: it does not count.
      this.#nodes = Math.max(before, this.#nodes - 2);
      if (items.length > max) throw this.#tooMany(this.#tokens.peek());
    } while (this.#tokens.skipPunct(','));
    this.#tokens.expectPunct(close);
    return items;
  }

  /** Postgres's `%nonassoc`: `a < b < c` does not parse. */
  #refuseSameLevel(isSame: (token: Token) => boolean): void {
    const next = this.#tokens.peek();
    if (isSame(next)) throw syntaxError(this.#source, next);
  }

  #node<T extends Syntax>(node: T, ...children: readonly Syntax[]): T {
    let height = 0;
    for (const child of children) height = Math.max(height, this.#heights.get(child) ?? 0);
    if (height >= this.#limits.depth) throw this.#tooDeep(node);
    if (++this.#nodes > this.#limits.nodes) throw this.#tooMany(node);
    if (height > 0 || children.length > 0) this.#heights.set(node, height + 1);
    return node;
  }

  #tooDeep(place: { readonly at: number }): ClauseRefusal {
    return new ClauseRefusal(`clause is nested too deeply (limit ${this.#limits.depth})`, place.at);
  }

  #tooMany(place: { readonly at: number }): ClauseRefusal {
    return new ClauseRefusal(`clause has too many terms (limit ${this.#limits.nodes})`, place.at);
  }
}

function operatorLevel(op: string): number {
  if (COMPARISONS.has(op)) return LEVEL.compare;
  if (op === '+' || op === '-') return LEVEL.additive;
  if (op === '*' || op === '/' || op === '%') return LEVEL.multiplicative;
  if (op === '^') return LEVEL.power;
  return LEVEL.operator;
}

function isComparison(token: Token): boolean {
  return token.kind === 'op' && COMPARISONS.has(token.text);
}
