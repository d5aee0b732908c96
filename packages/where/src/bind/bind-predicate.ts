import { caseMapping, FIRST_USER_OID, sortsByCodePoint, typeLabel, type ClauseColumn } from '../column.ts';
import { ClauseEvaluationError, ClauseRefusal } from '../errors.ts';
import { compileLike, type CaseFold } from '../functions/like.ts';
import { alignInteger, coerce, operandType, type Bound, type FixParameter } from './operand.ts';
import { commonType, selectComparison, selectPattern, type OperandType } from './operators.ts';
import type { Syntax } from '../syntax/syntax.ts';
import { connect, type CompareOp, type ConstNode, type LikeNode, type Node } from '../tree.ts';
import { scalarType, type TypeName } from '../types/scalar-type.ts';

/** What the binder of predicates needs of the binder of expressions. */
export interface BindExpression {
  operand(syntax: Syntax): Bound;
  bool(syntax: Syntax): Node;
  column(name: string): ClauseColumn | undefined;
  readonly fix: FixParameter;
}

type Predicate = Extract<Syntax, { kind: 'binary' | 'isNull' | 'isTruth' | 'distinct' | 'between' | 'in' | 'like' }>;

const COMPARE_OPS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);
const LIKE_OPS: ReadonlyMap<string, { insensitive: boolean; negated: boolean }> = new Map([
  ['~~', { insensitive: false, negated: false }],
  ['!~~', { insensitive: false, negated: true }],
  ['~~*', { insensitive: true, negated: false }],
  ['!~~*', { insensitive: true, negated: true }],
]);
const NO_OVERLOAD = 'Could not select an operator overload';

/** Binds comparisons, tests, lists and patterns: resolves their operator and converts their operands. */
export class PredicateBinder {
  readonly #expressions: BindExpression;
  readonly #stored: boolean;

  constructor(expressions: BindExpression, options: { readonly stored: boolean }) {
    this.#expressions = expressions;
    this.#stored = options.stored;
  }

  bind(syntax: Predicate): Node {
    const { at } = syntax;
    switch (syntax.kind) {
      case 'binary':
        return this.#binary(syntax.op, syntax.left, syntax.right, at);
      case 'isNull':
        return { kind: 'isNull', arg: this.#anything(syntax.arg), negated: syntax.negated };
      case 'isTruth':
        return this.#truth(syntax, at);
      case 'distinct':
        return this.#distinct(syntax, at);
      case 'between':
        return this.#between(syntax, at);
      case 'in':
        return this.#in(syntax, at);
      case 'like':
        return this.#like(syntax, at);
    }
  }

  #binary(op: string, left: Syntax, right: Syntax, at: number): Node {
    const like = LIKE_OPS.get(op);
    if (like !== undefined) return this.#like({ arg: left, pattern: right, escape: undefined, ...like }, at);
    if (!COMPARE_OPS.has(op)) throw new ClauseRefusal(`unknown binary operator "${op}"`, at);
    return this.#compare(op as CompareOp, this.#expressions.operand(left), this.#expressions.operand(right), at);
  }

  #compare(op: CompareOp, left: Bound, right: Bound, at: number): Node {
    const candidate = selectComparison(this.#comparable(left, right, at), this.#comparable(right, left, at));
    if (candidate === undefined) throw new ClauseRefusal(NO_OVERLOAD, at);
    const { by } = candidate;
    if (op !== '=' && op !== '<>') this.#checkOrder(by, left, right, at);
    else this.#checkEquality(by, left, right, at);
    const first = coerce(left, candidate.left, this.#expressions.fix);
    // The first operand may have fixed a parameter that the second one is.
    const second = coerce(right, candidate.right, this.#expressions.fix);
    return { kind: 'compare', op, by, left: alignInteger(first, second), right: alignInteger(second, first) };
  }

  #distinct(syntax: Extract<Syntax, { kind: 'distinct' }>, at: number): Node {
    const compare = this.#compare(
      '=',
      this.#expressions.operand(syntax.left),
      this.#expressions.operand(syntax.right),
      at,
    );
    if (compare.kind !== 'compare') throw new Error('comparison expected');
    const { by, left, right } = compare;
    return { kind: 'distinct', by, left, right, negated: syntax.negated };
  }

  #truth(syntax: Extract<Syntax, { kind: 'isTruth' }>, at: number): Node {
    const bound = this.#expressions.operand(syntax.arg);
    const type = operandType(bound);
    if (type !== 'bool' && type !== 'unknown') {
      const test = `IS ${syntax.negated ? 'NOT ' : ''}${syntax.truth}`;
      throw new ClauseRefusal(`argument of ${test} must be bool, not ${this.#label(bound)}`, at);
    }
    const arg = coerce(bound, 'bool', this.#expressions.fix);
    return { kind: 'isTruth', truth: syntax.truth, arg, negated: syntax.negated };
  }

  /** Argument of a NULL test: any type will do. */
  #anything(syntax: Syntax): Node {
    const bound = this.#expressions.operand(syntax);
    return bound.node.kind === 'unknown' ? coerce(bound, 'text', this.#expressions.fix) : bound.node;
  }

  /** As Postgres rewrites it: `x >= low AND x <= high`, and `x < low OR x > high` for NOT. */
  #between(syntax: Extract<Syntax, { kind: 'between' }>, at: number): Node {
    const { negated, symmetric } = syntax;
    const bind = (part: Syntax): Bound => this.#expressions.operand(part);
    const range = (low: Syntax, high: Syntax): Node => {
      const first = this.#compare(negated ? '<' : '>=', bind(syntax.arg), bind(low), at);
      const second = this.#compare(negated ? '>' : '<=', bind(syntax.arg), bind(high), at);
      return connect(negated ? 'or' : 'and', [first, second]);
    };
    const straight = range(syntax.low, syntax.high);
    if (!symmetric) return straight;
    return connect(negated ? 'and' : 'or', [straight, range(syntax.high, syntax.low)]);
  }

  /**
   * Two or more items without columns become one list of their common type, each of the others an `=` of its own: so
   * does Postgres, and `f4 IN (0.1, 0.2)` compares as float4 where `f4 = 0.1` compares as float8.
   */
  #in(syntax: Extract<Syntax, { kind: 'in' }>, at: number): Node {
    const arg = this.#expressions.operand(syntax.arg);
    const items = syntax.items.map((item) => this.#expressions.operand(item));
    const plain = items.filter((item) => item.node.kind === 'unknown' || item.node.kind === 'const');
    const type = plain.length > 1 ? this.#listType(arg, plain, at) : undefined;
    const op = syntax.negated ? '<>' : '=';
    const parts: Node[] = type === undefined ? [] : [this.#list(arg, plain, type, syntax.negated, at)];
    for (const item of type === undefined ? items : items.filter((other) => !plain.includes(other))) {
      parts.push(this.#compare(op, this.#again(arg, syntax.arg), item, at));
    }
    return connect(syntax.negated ? 'and' : 'or', parts);
  }

  /** A second look at an operand whose first use may have given it a type. */
  #again(bound: Bound, syntax: Syntax): Bound {
    return bound.node.kind === 'unknown' ? this.#expressions.operand(syntax) : bound;
  }

  #listType(arg: Bound, items: readonly Bound[], at: number): TypeName | undefined {
    return commonType([arg, ...items].map((bound) => this.#comparable(bound, arg === bound ? items[0] : arg, at)));
  }

  #list(arg: Bound, items: readonly Bound[], type: TypeName, negated: boolean, at: number): Node {
    const candidate = selectComparison(this.#comparable(arg, items[0], at), type);
    if (candidate === undefined) throw new ClauseRefusal(NO_OVERLOAD, at);
    for (const item of items) this.#checkEquality(candidate.by, arg, item, at);
    const left = coerce(arg, candidate.left, this.#expressions.fix);
    const constants = items.map((item) => {
      const element = coerce(item, type, this.#expressions.fix) as ConstNode;
      return coerce(
        { node: element, at: item.at, collations: [] },
        candidate.right,
        this.#expressions.fix,
      ) as ConstNode;
    });
    const aligned = constants.map((item) => alignInteger(item, left) as ConstNode);
    const fits = aligned.every((item, i) => item !== constants[i] || item.value === null);
    const list = fits ? aligned.map((item) => retypeNull(item, aligned)) : constants;
    return { kind: 'in', arg: left, by: candidate.by, items: list, negated };
  }

  #like(syntax: Omit<Extract<Syntax, { kind: 'like' }>, 'kind' | 'at'>, at: number): Node {
    const arg = this.#expressions.operand(syntax.arg);
    const pattern = this.#expressions.operand(syntax.pattern);
    const escape = syntax.escape === undefined ? undefined : this.#escape(syntax.escape, at);
    const candidate = selectPattern(this.#comparable(arg, pattern, at), this.#comparable(pattern, arg, at));
    if (candidate === undefined) throw new ClauseRefusal(NO_OVERLOAD, at);
    this.#checkEquality('text', arg, pattern, at);
    const node: LikeNode = {
      kind: 'like',
      arg: coerce(arg, candidate.left, this.#expressions.fix),
      pattern: coerce(pattern, candidate.right, this.#expressions.fix),
      escape,
      fold: syntax.insensitive ? this.#fold(arg, pattern, at) : undefined,
      negated: syntax.negated,
    };
    return foldable(node, at);
  }

  /** The escape character; undefined for the backslash. NULL makes every match NULL, which nobody means. */
  #escape(syntax: Syntax, at: number): string | undefined {
    const bound = this.#expressions.operand(syntax);
    const type = operandType(bound);
    if (type === 'unknown' || type === 'text') {
      const node = coerce(bound, 'text', this.#expressions.fix);
      if (node.kind === 'const' && typeof node.value === 'string') {
        if ([...node.value].length > 1) throw new ClauseRefusal('Failed to apply function to constant arguments', at);
        return node.value === '\\' ? undefined : node.value;
      }
    }
    throw new ClauseRefusal('unknown or unsupported function like_escape/2', at);
  }

  /** The operand's type; refuses columns whose values the engine cannot compare. */
  #comparable(bound: Bound, other: Bound | undefined, at: number): OperandType {
    const type = operandType(bound);
    if (type !== undefined) return type;
    const { node } = bound;
    const column = node.kind === 'column' ? this.#expressions.column(node.name) : undefined;
    if (column === undefined || column.typeOid < FIRST_USER_OID) throw new ClauseRefusal(NO_OVERLOAD, at);
    if (column.typeKind === 'e' && other?.node.kind === 'unknown' && other.node.text !== null) {
      throw new ClauseRefusal(`invalid syntax for type ${typeLabel(column)}: ${other.node.text}`, other.at);
    }
    const advice = 'which is not supported here; cast it to text to compare';
    throw new ClauseRefusal(`column "${column.name}" has type ${typeLabel(column)}, ${advice}`, bound.at);
  }

  #checkEquality(by: TypeName, left: Bound, right: Bound, at: number): void {
    if (scalarType(by).category !== 'S') return;
    for (const column of collatedColumns(left, right)) {
      if (column.collation?.deterministic === false) {
        const what = `column "${column.name}" uses the nondeterministic collation "${column.collation.collate}"`;
        throw new ClauseRefusal(`${what}, which cannot be evaluated outside Postgres`, at);
      }
    }
  }

  /** Only code point order can be reproduced, so the collation has to be known to be that (spec W 5.1). */
  #checkOrder(by: TypeName, left: Bound, right: Bound, at: number): void {
    if (scalarType(by).category !== 'S' || left.collations === 'C' || right.collations === 'C') return;
    const columns = collatedColumns(left, right);
    const outside = 'which cannot be evaluated outside Postgres; add COLLATE "C"';
    if (columns.length === 0)
      throw new ClauseRefusal(`ordering comparison uses the database's collation, ${outside}`, at);
    for (const column of columns) {
      const { collation } = column;
      if (collation !== undefined && collation.deterministic && sortsByCodePoint(collation)) continue;
      const uses = collation === undefined ? 'a collation that is not known' : `collation "${collation.collate}"`;
      throw new ClauseRefusal(`ordering comparison on column "${column.name}" uses ${uses}, ${outside}`, at);
    }
  }

  #fold(arg: Bound, pattern: Bound, at: number): CaseFold {
    if (arg.collations === 'C' || pattern.collations === 'C') return 'ascii';
    const columns = collatedColumns(arg, pattern);
    if (this.#stored && columns.every((column) => column.collation === undefined)) return 'one';
    const folds = new Set(columns.map(({ collation }) => (collation ? caseMapping(collation) : 'unknown')));
    const [fold] = folds;
    if (folds.size === 1 && fold !== undefined && fold !== 'unknown') return fold;
    const where = columns.length === 1 ? ` of column "${columns[0]?.name}"` : '';
    const outside = 'cannot be evaluated outside Postgres; add COLLATE "C" to fold ASCII letters only';
    throw new ClauseRefusal(`ILIKE with the case rules${where} ${outside}`, at);
  }

  #label(bound: Bound): string {
    const type = operandType(bound);
    if (type !== undefined) return type;
    const column = bound.node.kind === 'column' ? this.#expressions.column(bound.node.name) : undefined;
    return column === undefined ? 'unknown' : typeLabel(column);
  }
}

function collatedColumns(left: Bound, right: Bound): readonly ClauseColumn[] {
  if (left.collations === 'C' || right.collations === 'C') return [];
  return [...left.collations, ...right.collations];
}

/** NULL in a list takes the type of the others, so that the list reads back as it is. */
function retypeNull(item: ConstNode, items: readonly ConstNode[]): ConstNode {
  if (item.value !== null) return item;
  const typed = items.find((other) => other.value !== null);
  return typed === undefined ? item : { ...item, type: typed.type };
}

/** Postgres evaluates what has only constants at once; when that fails, so does the request (spec W 3). */
function foldable(node: LikeNode, at: number): Node {
  const { arg, pattern, escape, fold } = node;
  if (pattern.kind !== 'const' || pattern.value === null) return node;
  try {
    const matches = compileLike(pattern.value as string, escape, fold);
    if (arg.kind === 'const' && arg.value !== null) matches(arg.value as string);
  } catch (error) {
    if (!(error instanceof ClauseEvaluationError)) throw error;
    throw new ClauseRefusal('Failed to apply function to constant arguments', at);
  }
  return node;
}
