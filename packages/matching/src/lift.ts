import {
  analyseLike,
  mapChildren,
  type ConstNode,
  type ArrayValue,
  type InNode,
  type LikeNode,
  type LikeShape,
  type Node,
  type SlotNode,
  type Type,
  type Value,
} from '@shapecast/where';
import { textOf } from './template-text.ts';

/** A constant taken out of a clause; what is left is the clause's template. */
export type Constant =
  | { readonly role: 'value'; readonly type: Type; readonly value: Value; readonly text: string }
  | {
      readonly role: 'list';
      readonly type: Type;
      readonly node: InNode;
      readonly items: readonly ConstNode[];
      readonly hasNull: boolean;
    }
  | { readonly role: 'pattern'; readonly node: LikeNode; readonly text: string; readonly shape: LikeShape };

export interface Lifted {
  readonly tree: Node;
  readonly constants: readonly Constant[];
  /** Tells templates apart: the tree, and of each constant what decides how it can be indexed. */
  readonly key: string;
}

/**
 * Takes the constants out of a normalised clause (spec W 9.4). NULLs and booleans stay, and so do constants inside
 * operands that are compared with a constant: those operands are what indexes are keyed by.
 */
export function lift(tree: Node): Lifted {
  const constants: Constant[] = [];
  const lifted = liftPredicate(tree, constants);
  return { tree: lifted, constants, key: `${textOf(lifted)} ${constants.map(traitOf).join(' ')}` };
}

function liftPredicate(node: Node, constants: Constant[]): Node {
  switch (node.kind) {
    case 'and':
    case 'or':
    case 'not':
    case 'isTruth':
      return mapChildren(node, (child) => liftPredicate(child, constants));
    case 'isNull':
      return isPredicate(node.arg) ? { ...node, arg: liftPredicate(node.arg, constants) } : node;
    case 'compare':
    case 'distinct':
      if (node.right.kind === 'const') {
        return isConstant(node.right) ? { ...node, right: liftValue(node.right, constants) } : node;
      }
      return mapChildren(node, (child) => liftOperand(child, constants));
    case 'in':
      return liftList(node, constants);
    case 'like':
      return liftPattern(node, constants);
    case 'call':
      return mapChildren(node, (child) => (isConstant(child) ? liftValue(child, constants) : child));
    case 'quantified':
      return isConstant(node.left) ? { ...node, left: liftValue(node.left, constants) } : node;
    default:
      return node;
  }
}

/** Constants anywhere in an operand of a comparison that no index can serve. */
function liftOperand(node: Node, constants: Constant[]): Node {
  switch (node.kind) {
    case 'const':
      return isConstant(node) ? liftValue(node, constants) : node;
    case 'cast':
    case 'coalesce':
    case 'greatest':
    case 'least':
      return mapChildren(node, (child) => liftOperand(child, constants));
    case 'call':
      return mapChildren(node, (child) => liftOperand(child, constants));
    default:
      return node;
  }
}

function liftList(node: InNode, constants: Constant[]): Node {
  if ('kind' in node.items) return node;
  const [first] = node.items;
  if (first === undefined) return node;
  const hasNull = node.items.some((item) => item.value === null);
  const slot = slotFor(constants, first.type, 'list');
  const items = node.items.filter((item) => item.value !== null);
  constants.push({ role: 'list', type: first.type, node, items, hasNull });
  return { ...node, items: slot };
}

function liftPattern(node: LikeNode, constants: Constant[]): Node {
  const { pattern, escape, fold } = node;
  if (!isConstant(pattern)) return node;
  const slot = slotFor(constants, pattern.type, 'pattern');
  const text = pattern.value as string;
  constants.push({ role: 'pattern', node, text, shape: analyseLike(text, escape, fold) });
  return { ...node, pattern: slot };
}

function liftValue(node: ConstNode, constants: Constant[]): SlotNode {
  const slot = slotFor(constants, node.type, 'value');
  constants.push({ role: 'value', type: node.type, value: node.value as Value, text: node.text });
  return slot;
}

function slotFor(constants: readonly Constant[], type: Type, role: SlotNode['role']): SlotNode {
  return { kind: 'slot', index: constants.length, type, role };
}

function isConstant(node: Node): node is ConstNode {
  return node.kind === 'const' && node.value !== null && typeof node.value !== 'boolean';
}

function isPredicate(node: Node): boolean {
  return ['and', 'or', 'not', 'isTruth', 'isNull', 'compare', 'distinct', 'in', 'like', 'similar'].includes(node.kind);
}

/** Lists of up to so many items are covered alike. */
const LIST_CLASSES = [16, 256, 10_000];

/** What an index has to know about a constant besides its type; instances that differ in it are of different templates. */
function traitOf(constant: Constant): string {
  switch (constant.role) {
    case 'value':
      if (constant.type.element !== undefined) return arrayTrait(constant.value as ArrayValue);
      return typeof constant.value === 'bigint' ? 'big' : typeof constant.value === 'object' ? 'object' : '-';
    case 'list': {
      const size = LIST_CLASSES.findIndex((limit) => constant.items.length <= limit);
      const big = constant.items.some((item) => typeof item.value === 'bigint');
      return `list${size}${constant.hasNull ? 'null' : ''}${big ? 'big' : ''}`;
    }
    case 'pattern': {
      const { kind, prefix, suffix, longest } = constant.shape;
      const lengths = [prefix, suffix, longest].map((text) => Math.min(text.length, 4)).join('');
      return `${kind}${lengths}`;
    }
  }
}

function arrayTrait({ elements }: ArrayValue): string {
  if (elements.includes(null)) return 'null';
  return elements.length === 0 ? 'empty' : elements.length === 1 ? 'one' : elements.length <= 10_000 ? 'many' : 'huge';
}
