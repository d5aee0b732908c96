import { ClauseRefusal } from '../errors.ts';
import { WHOLE, type Parsing } from './precedence.ts';
import type { CallSyntax, Syntax } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';

/** How large a clause may be (spec W 9.12). */
export interface ClauseLimits {
  /** Brackets and prefix operators inside one another. */
  readonly nesting: number;
  /** Operations one upon another: `a + b + c` has two. Keeps every walk over a clause from overflowing the stack. */
  readonly height: number;
  /** Operations, columns and constants; a constant in a list is free. */
  readonly nodes: number;
}

/** What the parts of the parser share: the tokens, and the account of what has been made of them. */
export class Grammar {
  readonly tokens: TokenStream;
  readonly #limits: ClauseLimits;
  /** Heights of the finished trees; leaves have none. */
  readonly #heights = new Map<Syntax, number>();
  #nodes = 0;

  constructor(tokens: TokenStream, limits: ClauseLimits) {
    this.tokens = tokens;
    this.#limits = limits;
  }

  /** Counts a finished node against the limits. Throws ClauseRefusal. */
  node<T extends Syntax>(node: T, children: readonly Syntax[]): T {
    if (++this.#nodes > this.#limits.nodes) {
      throw new ClauseRefusal(`clause has too many terms (limit ${this.#limits.nodes})`, node.at);
    }
    if (children.length === 0) return node;
    let height = 0;
    for (const child of children) height = Math.max(height, this.#heights.get(child) ?? 0);
    if (height >= this.#limits.height) {
      const limit = `limit ${this.#limits.height} operations one upon another`;
      throw new ClauseRefusal(`clause is nested too deeply (${limit})`, node.at);
    }
    this.#heights.set(node, height + 1);
    return node;
  }

  leaf<T extends Syntax>(node: T): T {
    return this.node(node, []);
  }

  /** A call without anything that only aggregates take. */
  call(name: string, args: readonly Syntax[], at: number): CallSyntax {
    return this.node({ kind: 'call', name, args, star: false, distinct: false, variadic: false, at }, args);
  }

  /** An element of a list. A literal, with its cast, costs a hash entry and not an evaluation: it does not count. */
  *listItem(): Parsing<Syntax> {
    const before = this.#nodes;
    const item = yield WHOLE;
    this.#nodes = Math.max(before, this.#nodes - 2);
    return item;
  }

  /** Checks the number of levels around what comes next. Throws ClauseRefusal. */
  checkNesting(levels: number): void {
    if (levels > this.#limits.nesting) {
      throw new ClauseRefusal(`clause is nested too deeply (limit ${this.#limits.nesting})`, this.tokens.peek().at);
    }
  }
}
