import type { CaseFold } from './functions/like.ts';
import type { Type } from './types/type.ts';
import type { Value } from './types/value.ts';

export type CompareOp = '=' | '<>' | '<' | '<=' | '>' | '>=';

export interface ConstNode {
  readonly kind: 'const';
  readonly type: Type;
  readonly value: Value | null;
  /** Input text of the value; empty for NULL. */
  readonly text: string;
  /** Postgres computes it when it runs the query, not before: AND, OR and CASE are not simplified by it. */
  readonly late?: boolean;
}

export interface ColumnNode {
  readonly kind: 'column';
  readonly name: string;
  readonly typeOid: number;
  /** Of a domain: its base type. Opaque types have values that only NULL tests may look at. */
  readonly type: Type;
}

export interface CastNode {
  readonly kind: 'cast';
  readonly to: Type;
  readonly modifiers: readonly number[];
  /** Inserted by the binder, found again on re-parsing, so not printed. */
  readonly implicit: boolean;
  readonly arg: Node;
  /** Where the clause says so; for messages about constants. */
  readonly at: number;
}

/** An operator or function of the catalogue applied to operands of exactly its types. */
export interface CallNode {
  readonly kind: 'call';
  /** `proname(argument types)` as declared. */
  readonly signature: string;
  /** The operator or the function's name, as printed. */
  readonly name: string;
  readonly form: 'infix' | 'prefix' | 'function';
  /** NULL when any argument is, without being called. */
  readonly strict: boolean;
  /** Postgres computes it of constants before it runs the query. */
  readonly immutable: boolean;
  readonly args: readonly Node[];
  readonly type: Type;
  /** Of `lower` and `upper`: the locale's rules. */
  readonly fold: CaseFold | undefined;
  readonly at: number;
}

export interface CompareNode {
  readonly kind: 'compare';
  readonly op: CompareOp;
  /** Type whose order decides; both operands have its representation. */
  readonly by: Type;
  readonly left: Node;
  readonly right: Node;
  /** Text is ordered by the collation the operands have in Postgres, not by code point: in clauses that only run there. */
  readonly ownCollation?: true;
}

/** `IS [NOT] DISTINCT FROM`: NULL is a value like others. */
export interface DistinctNode {
  readonly kind: 'distinct';
  readonly by: Type;
  readonly left: Node;
  readonly right: Node;
  readonly negated: boolean;
}

export interface InNode {
  readonly kind: 'in';
  readonly arg: Node;
  readonly by: Type;
  /** At least two; in a template the slot that holds them. */
  readonly items: readonly ConstNode[] | SlotNode;
  readonly negated: boolean;
}

export interface LikeNode {
  readonly kind: 'like';
  readonly arg: Node;
  readonly pattern: Node;
  /** Undefined: the backslash. Empty: nothing escapes. */
  readonly escape: string | undefined;
  /** How both sides are lower-cased first; undefined for LIKE. */
  readonly fold: CaseFold | undefined;
  readonly negated: boolean;
}

/** `arg SIMILAR TO pattern`. */
export interface SimilarNode {
  readonly kind: 'similar';
  readonly arg: Node;
  readonly pattern: string;
  /** Undefined: the backslash. Empty: nothing escapes. */
  readonly escape: string | undefined;
  readonly negated: boolean;
}

/** `left op ANY (right)` or `ALL`: `test` for every element of an array. */
export interface QuantifiedNode {
  readonly kind: 'quantified';
  readonly all: boolean;
  readonly left: Node;
  /** An array. */
  readonly right: Node;
  /** A predicate over `bound` 0, the left value, and `bound` 1, the element. */
  readonly test: Node;
  /** The operator as written: `=`, `LIKE`. */
  readonly op: string;
}

/** The value that the quantified predicate around it is looking at. */
export interface BoundNode {
  readonly kind: 'bound';
  readonly index: 0 | 1;
  readonly type: Type;
}

/** `<` and its like on rows: the first pair that is unequal or NULL decides. */
export interface RowCompareNode {
  readonly kind: 'rowCompare';
  readonly op: '<' | '<=' | '>' | '>=';
  readonly pairs: readonly Pick<CompareNode, 'by' | 'left' | 'right' | 'ownCollation'>[];
}

export interface CaseNode {
  readonly kind: 'case';
  readonly type: Type;
  readonly whens: readonly { readonly when: Node; readonly then: Node }[];
  readonly otherwise: Node;
}

export interface NullifNode {
  readonly kind: 'nullif';
  readonly type: Type;
  readonly by: Type;
  readonly left: Node;
  readonly right: Node;
}

/** `coalesce`, `greatest`, `least`: operands of one type. */
export interface ChoiceNode {
  readonly kind: 'coalesce' | 'greatest' | 'least';
  readonly type: Type;
  readonly args: readonly Node[];
  /** The clause says COLLATE "C" in an operand. */
  readonly collated: boolean;
}

/** `ARRAY[...]`; with `nested` the items are arrays. */
export interface ArrayNode {
  readonly kind: 'array';
  readonly type: Type;
  readonly items: readonly Node[];
  readonly nested: boolean;
}

export type Subscript =
  | { readonly slice: false; readonly index: Node }
  | { readonly slice: true; readonly lower: Node | undefined; readonly upper: Node | undefined };

export interface SubscriptNode {
  readonly kind: 'subscript';
  readonly type: Type;
  readonly arg: Node;
  readonly subscripts: readonly Subscript[];
}

/** Stands for a constant that a template leaves open (spec W 9.4). */
export interface SlotNode {
  readonly kind: 'slot';
  readonly index: number;
  readonly type: Type;
  readonly role: 'value' | 'list' | 'pattern';
}

/**
 * A clause after names, types and operators are settled. Every node has one Postgres meaning; nothing is left to look up.
 * BETWEEN, lists with columns, and equality of rows are already comparisons.
 */
export type Node =
  | ConstNode
  | ColumnNode
  | CastNode
  | CallNode
  | CompareNode
  | InNode
  | LikeNode
  | SimilarNode
  | QuantifiedNode
  | BoundNode
  | RowCompareNode
  | CaseNode
  | NullifNode
  | ChoiceNode
  | ArrayNode
  | SubscriptNode
  | SlotNode
  | { readonly kind: 'and' | 'or'; readonly args: readonly Node[] }
  | { readonly kind: 'not'; readonly arg: Node }
  | { readonly kind: 'isNull'; readonly arg: Node; readonly negated: boolean }
  | {
      readonly kind: 'isTruth';
      readonly truth: 'TRUE' | 'FALSE' | 'UNKNOWN';
      readonly arg: Node;
      readonly negated: boolean;
    }
  | DistinctNode;

/** Type of a node's value; undefined for predicates, whose type is boolean. */
export function valueTypeOf(node: Node): Type | undefined {
  switch (node.kind) {
    case 'const':
    case 'column':
    case 'call':
    case 'bound':
    case 'case':
    case 'nullif':
    case 'coalesce':
    case 'greatest':
    case 'least':
    case 'array':
    case 'subscript':
    case 'slot':
      return node.type;
    case 'cast':
      return node.to;
    default:
      return undefined;
  }
}

export function childrenOf(node: Node): readonly Node[] {
  const children: Node[] = [];
  mapChildren(node, (child) => {
    children.push(child);
    return child;
  });
  return children;
}

/** The node with each of its children replaced, in order of evaluation; the same node when none changed. */
export function mapChildren(node: Node, change: (child: Node) => Node): Node {
  switch (node.kind) {
    case 'const':
    case 'column':
    case 'bound':
    case 'slot':
      return node;
    case 'cast':
    case 'similar':
    case 'not':
    case 'isNull':
    case 'isTruth': {
      const arg = change(node.arg);
      return arg === node.arg ? node : { ...node, arg };
    }
    case 'call':
    case 'coalesce':
    case 'greatest':
    case 'least':
    case 'and':
    case 'or': {
      const args = mapAll(node.args, change);
      return args === node.args ? node : { ...node, args };
    }
    case 'array': {
      const items = mapAll(node.items, change);
      return items === node.items ? node : { ...node, items };
    }
    case 'compare':
    case 'distinct':
    case 'nullif': {
      const left = change(node.left);
      const right = change(node.right);
      return left === node.left && right === node.right ? node : { ...node, left, right };
    }
    case 'in': {
      const arg = change(node.arg);
      const items =
        'kind' in node.items ? (change(node.items) as SlotNode) : (mapAll(node.items, change) as readonly ConstNode[]);
      return arg === node.arg && items === node.items ? node : { ...node, arg, items };
    }
    case 'like': {
      const arg = change(node.arg);
      const pattern = change(node.pattern);
      return arg === node.arg && pattern === node.pattern ? node : { ...node, arg, pattern };
    }
    case 'quantified': {
      const left = change(node.left);
      const right = change(node.right);
      const test = change(node.test);
      return left === node.left && right === node.right && test === node.test ? node : { ...node, left, right, test };
    }
    case 'rowCompare': {
      let changed = false;
      const pairs = node.pairs.map((pair) => {
        const left = change(pair.left);
        const right = change(pair.right);
        changed ||= left !== pair.left || right !== pair.right;
        return { by: pair.by, left, right };
      });
      return changed ? { ...node, pairs } : node;
    }
    case 'case': {
      let changed = false;
      const whens = node.whens.map((arm) => {
        const when = change(arm.when);
        const then = change(arm.then);
        changed ||= when !== arm.when || then !== arm.then;
        return { when, then };
      });
      const otherwise = change(node.otherwise);
      return changed || otherwise !== node.otherwise ? { ...node, whens, otherwise } : node;
    }
    case 'subscript': {
      const arg = change(node.arg);
      let changed = arg !== node.arg;
      const through = (part: Node | undefined): Node | undefined => {
        const next = part === undefined ? undefined : change(part);
        changed ||= next !== part;
        return next;
      };
      const subscripts = node.subscripts.map((one): Subscript =>
        one.slice
          ? { slice: true, lower: through(one.lower), upper: through(one.upper) }
          : { slice: false, index: through(one.index) as Node },
      );
      return changed ? { ...node, arg, subscripts } : node;
    }
  }
}

function mapAll(nodes: readonly Node[], change: (child: Node) => Node): readonly Node[] {
  let changed = false;
  const next = nodes.map((node) => {
    const result = change(node);
    changed ||= result !== node;
    return result;
  });
  return changed ? next : nodes;
}

/** AND or OR of `args`, with nested ones of the same kind taken in; the only operand when there is one. */
export function connect(kind: 'and' | 'or', args: readonly Node[]): Node {
  const flat = args.flatMap((arg) => (arg.kind === kind ? arg.args : [arg]));
  return flat.length === 1 ? (flat[0] as Node) : { kind, args: flat };
}

/** Names of the columns a tree refers to, sorted. */
export function columnsOf(node: Node): string[] {
  const names = new Set<string>();
  visit(node, (part) => {
    if (part.kind === 'column') names.add(part.name);
  });
  return [...names].sort();
}

/** Calls `look` for a node and everything below it. */
export function visit(node: Node, look: (node: Node) => void): void {
  look(node);
  mapChildren(node, (child) => {
    visit(child, look);
    return child;
  });
}
