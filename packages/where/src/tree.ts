import type { CaseFold } from './functions/like.ts';
import type { TypeName } from './types/scalar-type.ts';
import type { Value } from './types/value.ts';

export type CompareOp = '=' | '<>' | '<' | '<=' | '>' | '>=';

export interface ConstNode {
  readonly kind: 'const';
  readonly type: TypeName;
  readonly value: Value | null;
  /** Input text of the value; empty for NULL. */
  readonly text: string;
}

export interface ColumnNode {
  readonly kind: 'column';
  readonly name: string;
  readonly typeOid: number;
  /** Undefined when the cells are opaque: then only NULL tests and, for enums, the cast to text may use it. */
  readonly type: TypeName | undefined;
}

export interface CastNode {
  readonly kind: 'cast';
  readonly to: TypeName;
  readonly modifiers: readonly number[];
  /** Inserted by the binder, found again on re-parsing, so not printed. */
  readonly implicit: boolean;
  readonly arg: Node;
}

export interface CompareNode {
  readonly kind: 'compare';
  readonly op: CompareOp;
  /** Type whose order decides; both operands have its representation. */
  readonly by: TypeName;
  readonly left: Node;
  readonly right: Node;
}

/** `IS [NOT] DISTINCT FROM`: NULL is a value like others. */
export interface DistinctNode {
  readonly kind: 'distinct';
  readonly by: TypeName;
  readonly left: Node;
  readonly right: Node;
  readonly negated: boolean;
}

export interface InNode {
  readonly kind: 'in';
  readonly arg: Node;
  readonly by: TypeName;
  /** At least two. */
  readonly items: readonly ConstNode[];
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

/**
 * A clause after names, types and operators are settled. Every node has one Postgres meaning; nothing is left to look up.
 * BETWEEN and lists with columns are already comparisons.
 */
export type Node =
  | ConstNode
  | ColumnNode
  | CastNode
  | CompareNode
  | InNode
  | LikeNode
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

/** Undefined for an opaque column. */
export function typeOfNode(node: Node): TypeName | undefined {
  switch (node.kind) {
    case 'const':
    case 'column':
      return node.type;
    case 'cast':
      return node.to;
    default:
      return 'bool';
  }
}

export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'const':
    case 'column':
      return [];
    case 'cast':
    case 'not':
    case 'isNull':
    case 'isTruth':
      return [node.arg];
    case 'in':
      return [node.arg, ...node.items];
    case 'like':
      return [node.arg, node.pattern];
    case 'compare':
    case 'distinct':
      return [node.left, node.right];
    case 'and':
    case 'or':
      return node.args;
  }
}

/** AND or OR of `args`, with nested ones of the same kind taken in; the only operand when there is one. */
export function connect(kind: 'and' | 'or', args: readonly Node[]): Node {
  const flat = args.flatMap((arg) => (arg.kind === kind ? arg.args : [arg]));
  return flat.length === 1 ? (flat[0] as Node) : { kind, args: flat };
}

/** Names of the columns a tree refers to, sorted. */
export function columnsOf(node: Node): string[] {
  const names = new Set<string>();
  collect(node, names);
  return [...names].sort();
}

function collect(node: Node, names: Set<string>): void {
  if (node.kind === 'column') names.add(node.name);
  else for (const child of childrenOf(node)) collect(child, names);
}
