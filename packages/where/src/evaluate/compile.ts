import { castPath, modifierOf, type Convert } from '../functions/cast-paths.ts';
import { quantified } from '../functions/array-expression.ts';
import { compileSimilar } from '../functions/similar.ts';
import { compileLike, matchesLike, type LikeMatcher } from '../functions/like.ts';
import type { CallNode, CastNode, CompareNode, DistinctNode, InNode, LikeNode, Node, QuantifiedNode } from '../tree.ts';
import { valueTypeOf } from '../tree.ts';
import type { ArrayValue } from '../types/array-value.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { fnOfCall } from './calls.ts';
import { compileAnd, compileOr } from './connectives.ts';
import { comparison, orderOf, widening } from './compare.ts';
import { prepareItems, type PreparedList } from './prepared.ts';
import type { RowValues } from './row-values.ts';
import { compileArray, compileSubscript } from './structures.ts';

/** Value of an expression on a row; null is SQL NULL. `slot` says which instance of a template. Throws ClauseEvaluationError. */
export type Evaluate = (row: RowValues, slot: number) => Value | null;
/** Truth of a predicate on a row; null is UNKNOWN. Throws ClauseEvaluationError. */
export type Test = (row: RowValues, slot: number) => boolean | null;

/** Ordinal of a column in the rows that will be evaluated. */
export type OrdinalOf = (column: string) => number;

/** The constants of the instances of a template: for every slot node, what each instance has there. */
export interface SlotSource {
  readonly columns: readonly SlotColumn[];
}

/** By role: a Value or null, what `prepareList` made, what `preparePattern` made. */
export interface SlotColumn {
  get(slot: number): unknown;
}

const BOOL = typeNamed('bool');
const NO_SLOTS: SlotSource = { columns: [] };

/** Compiles a predicate to closures. Three-valued; AND and OR stop at the first operand that decides (spec W 4). */
export function compileTest(node: Node, ordinalOf: OrdinalOf, slots: SlotSource = NO_SLOTS): Test {
  return new Compiler(ordinalOf, slots).test(node);
}

/** Compiles an expression of any type. */
export function compileValue(node: Node, ordinalOf: OrdinalOf, slots: SlotSource = NO_SLOTS): Evaluate {
  return new Compiler(ordinalOf, slots).value(node);
}

/** What the quantified predicate being evaluated is looking at. */
interface Scope {
  left: Value | null;
  element: Value | null;
}

export class Compiler {
  readonly ordinalOf: OrdinalOf;
  readonly #slots: SlotSource;
  #scope: Scope | undefined;

  constructor(ordinalOf: OrdinalOf, slots: SlotSource) {
    this.ordinalOf = ordinalOf;
    this.#slots = slots;
  }

  test(node: Node): Test {
    switch (node.kind) {
      case 'compare':
        return this.#compare(node);
      case 'in':
        return this.#in(node);
      case 'like':
        return this.#like(node);
      case 'and':
        return compileAnd(node.args.map((arg) => this.test(arg)));
      case 'or':
        return compileOr(node.args.map((arg) => this.test(arg)));
      case 'not': {
        const arg = this.test(node.arg);
        return (row, slot) => {
          const value = arg(row, slot);
          return value === null ? null : !value;
        };
      }
      case 'isNull':
        return this.#nullTest(node.arg, node.negated);
      case 'isTruth': {
        const arg = this.test(node.arg);
        const wanted = node.truth === 'UNKNOWN' ? null : node.truth === 'TRUE';
        const { negated } = node;
        return (row, slot) => (arg(row, slot) === wanted) !== negated;
      }
      case 'similar': {
        const arg = this.value(node.arg);
        const matches = compileSimilar(node.pattern, node.escape);
        const { negated } = node;
        return (row, slot) => {
          const text = arg(row, slot);
          return text === null ? null : matches(text as string) !== negated;
        };
      }
      case 'distinct':
        return this.#distinct(node);
      case 'quantified':
        return this.#quantified(node);
      case 'rowCompare':
        return this.#rowCompare(node);
      default:
        return this.value(node) as Test;
    }
  }

  value(node: Node): Evaluate {
    switch (node.kind) {
      case 'const': {
        const { value } = node;
        return () => value;
      }
      case 'column': {
        const ordinal = this.ordinalOf(node.name);
        const { type } = node;
        return (row) => row.value(ordinal, type);
      }
      case 'slot': {
        const column = this.#slots.columns[node.index] as SlotColumn;
        return (_, slot) => column.get(slot) as Value | null;
      }
      case 'bound': {
        const scope = this.#scope as Scope;
        return node.index === 0 ? () => scope.left : () => scope.element;
      }
      case 'cast':
        return this.#cast(node);
      case 'call':
        return this.#call(node);
      case 'case': {
        const whens = node.whens.map((arm) => ({ when: this.test(arm.when), then: this.value(arm.then) }));
        const otherwise = this.value(node.otherwise);
        return (row, slot) => {
          for (const { when, then } of whens) if (when(row, slot) === true) return then(row, slot);
          return otherwise(row, slot);
        };
      }
      case 'nullif': {
        const left = this.value(node.left);
        const widenLeft = this.#widened(left, node.left, node.by);
        const right = this.operand(node.right, node.by);
        const equal = comparison(node.by, '=');
        return (row, slot) => {
          const a = widenLeft(row, slot);
          const b = right(row, slot);
          return a !== null && b !== null && equal(a, b) ? null : left(row, slot);
        };
      }
      case 'coalesce': {
        const args = node.args.map((arg) => this.value(arg));
        return (row, slot) => {
          for (const arg of args) {
            const value = arg(row, slot);
            if (value !== null) return value;
          }
          return null;
        };
      }
      case 'greatest':
      case 'least':
        return this.#extreme(node.args, node.type, node.kind === 'greatest' ? 1 : -1);
      case 'array':
        return compileArray(
          node,
          node.items.map((item) => this.value(item)),
        );
      case 'subscript':
        return compileSubscript(node, this);
      default:
        return this.test(node);
    }
  }

  /** An operand of a comparison by `by`, as a value of that type. */
  operand(node: Node, by: Type): Evaluate {
    return this.#widened(this.value(node), node, by);
  }

  #widened(value: Evaluate, node: Node, by: Type): Evaluate {
    const widen = widening(valueTypeOf(node) ?? BOOL, by);
    if (widen === undefined) return value;
    if (node.kind === 'const') {
      const constant = node.value === null ? null : widen(node.value);
      return () => constant;
    }
    return converting(value, widen);
  }

  #compare(node: CompareNode): Test {
    const left = this.operand(node.left, node.by);
    const right = this.operand(node.right, node.by);
    const holds = comparison(node.by, node.op);
    return (row, slot) => {
      // Strict operators see NULLs only after all operands are evaluated: an error on the right beats a NULL on the left.
      const a = left(row, slot);
      const b = right(row, slot);
      return a === null || b === null ? null : holds(a, b);
    };
  }

  #distinct(node: DistinctNode): Test {
    const left = this.operand(node.left, node.by);
    const right = this.operand(node.right, node.by);
    const equal = comparison(node.by, '=');
    const { negated } = node;
    return (row, slot) => {
      const a = left(row, slot);
      const b = right(row, slot);
      const same = a === null || b === null ? a === b : equal(a, b);
      return same === negated;
    };
  }

  #in(node: InNode): Test {
    const arg = this.operand(node.arg, node.by);
    const found = !node.negated;
    const missing = node.negated;
    const look = (list: PreparedList, value: Value): boolean | null =>
      list.has(value) ? found : list.hasNull ? null : missing;
    if ('kind' in node.items) {
      const column = this.#slots.columns[node.items.index] as SlotColumn;
      return (row, slot) => {
        const value = arg(row, slot);
        return value === null ? null : look(column.get(slot) as PreparedList, value);
      };
    }
    const list = prepareItems(node.items, node.by);
    return (row, slot) => {
      const value = arg(row, slot);
      return value === null ? null : look(list, value);
    };
  }

  #like(node: LikeNode): Test {
    const { escape, fold, negated, pattern } = node;
    const arg = this.value(node.arg);
    if (pattern.kind === 'slot' && pattern.role === 'pattern') {
      const column = this.#slots.columns[pattern.index] as SlotColumn;
      return (row, slot) => {
        const text = arg(row, slot);
        const matches = column.get(slot) as LikeMatcher | null;
        return text === null || matches === null ? null : matches(text as string) !== negated;
      };
    }
    if (pattern.kind === 'const') {
      const matches = pattern.value === null ? null : compileLike(pattern.value as string, escape, fold);
      return (row, slot) => {
        const text = arg(row, slot);
        return text === null || matches === null ? null : matches(text as string) !== negated;
      };
    }
    const patternOf = this.value(pattern);
    return (row, slot) => {
      const text = arg(row, slot);
      const value = patternOf(row, slot);
      if (text === null || value === null) return null;
      return matchesLike(text as string, value as string, escape, fold) !== negated;
    };
  }

  /** Opaque columns have no value to read, but they are NULL or not. */
  #nullTest(arg: Node, negated: boolean): Test {
    if (arg.kind === 'column') {
      const ordinal = this.ordinalOf(arg.name);
      return (row) => (row.cell(ordinal) === null) !== negated;
    }
    const value = this.value(arg);
    return (row, slot) => (value(row, slot) === null) !== negated;
  }

  #quantified(node: QuantifiedNode): Test {
    const left = this.value(node.left);
    const right = this.value(node.right);
    const outer = this.#scope;
    const scope: Scope = { left: null, element: null };
    this.#scope = scope;
    const test = this.test(node.test);
    this.#scope = outer;
    const { all } = node;
    return (row, slot) => {
      const value = left(row, slot);
      const array = right(row, slot);
      if (array === null) return null;
      scope.left = value;
      const holds = (element: Value | null): boolean | null => {
        scope.element = element;
        return test(row, slot);
      };
      return quantified(holds, array as ArrayValue, all);
    };
  }

  #rowCompare(node: Extract<Node, { kind: 'rowCompare' }>): Test {
    const pairs = node.pairs.map(({ by, left, right }) => ({
      left: this.operand(left, by),
      right: this.operand(right, by),
      compare: orderOf(by),
    }));
    const { op } = node;
    return (row, slot) => {
      for (const { left, right, compare } of pairs) {
        const a = left(row, slot);
        const b = right(row, slot);
        if (a === null || b === null) return null;
        const order = compare(a, b);
        if (order !== 0) return order < 0 ? op === '<' || op === '<=' : op === '>' || op === '>=';
      }
      return op === '<=' || op === '>=';
    };
  }

  #call(node: CallNode): Evaluate {
    const fn = fnOfCall(node);
    const args = node.args.map((arg) => this.value(arg));
    const [first, second] = args;
    if (node.strict && args.length === 1 && first !== undefined) {
      return (row, slot) => {
        const value = first(row, slot);
        return value === null ? null : fn(value);
      };
    }
    if (node.strict && args.length === 2 && first !== undefined && second !== undefined) {
      return (row, slot) => {
        const a = first(row, slot);
        const b = second(row, slot);
        return a === null || b === null ? null : fn(a, b);
      };
    }
    const { strict } = node;
    return (row, slot) => {
      const values = args.map((arg) => arg(row, slot));
      return strict && values.includes(null) ? null : fn(...values);
    };
  }

  #cast(node: CastNode): Evaluate {
    const value = this.#plainCast(node);
    const modify = node.modifiers.length === 0 ? undefined : modifierOf(node.to, node.modifiers);
    return modify === undefined ? value : converting(value, modify);
  }

  #plainCast(node: CastNode): Evaluate {
    const { arg, to } = node;
    const from = valueTypeOf(arg) ?? BOOL;
    if (from === to) return this.value(arg);
    const path = castPath(from, to);
    if (path === undefined) throw new Error(`no cast from ${from.name} to ${to.name}`);
    // A cell's text is at hand; there is nothing to format.
    if (arg.kind === 'column' && path.writesText === true && to.name !== 'name') {
      const ordinal = this.ordinalOf(arg.name);
      return (row) => row.cell(ordinal);
    }
    const value = this.value(arg);
    return path.convert === undefined ? value : converting(value, path.convert);
  }

  #extreme(nodes: readonly Node[], type: Type, sign: 1 | -1): Evaluate {
    const args = nodes.map((arg) => this.value(arg));
    const compare = orderOf(type);
    return (row, slot) => {
      let best: Value | null = null;
      for (const arg of args) {
        const value = arg(row, slot);
        if (value !== null && (best === null || compare(value, best) * sign > 0)) best = value;
      }
      return best;
    };
  }
}

function converting(value: Evaluate, convert: Convert): Evaluate {
  return (row, slot) => {
    const result = value(row, slot);
    return result === null ? null : convert(result);
  };
}
