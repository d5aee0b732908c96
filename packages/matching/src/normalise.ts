import {
  mapChildren,
  mayFail,
  typeOfNode,
  type ArrayValue,
  type CompareNode,
  type CompareOp,
  type ConstNode,
  type InNode,
  type Node,
  type QuantifiedNode,
} from '@shapecast/where';
import { textOf } from './template-text.ts';

const NEGATED: Readonly<Record<CompareOp, CompareOp>> = {
  '=': '<>',
  '<>': '=',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
};
const SWAPPED: Readonly<Record<CompareOp, CompareOp>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '>': '<',
  '<=': '>=',
  '>=': '<=',
};

/**
 * Brings a clause into the form in which clauses that mean the same are the same (spec W 9.4): NOT only where it cannot be
 * avoided, constants on the right, AND and OR flat and sorted, equalities with one expression gathered into a list. TRUE,
 * FALSE and NULL stay what they are on every row.
 *
 * Operands that can raise an error keep their order and stay apart: which one is evaluated first would show (spec W 4).
 */
export function normalise(node: Node): Node {
  return push(node, false);
}

function push(node: Node, negated: boolean): Node {
  switch (node.kind) {
    case 'not':
      return push(node.arg, !negated);
    case 'and':
    case 'or':
      return connective((node.kind === 'and') !== negated ? 'and' : 'or', node.args, negated);
    case 'compare': {
      const turned = node.left.kind === 'const' && node.right.kind !== 'const' ? swapped(node) : node;
      return negated ? { ...turned, op: NEGATED[turned.op] } : turned;
    }
    case 'distinct': {
      const swap = node.left.kind === 'const' && node.right.kind !== 'const';
      const turned = swap ? { ...node, left: node.right, right: node.left } : node;
      return negated ? { ...turned, negated: !node.negated } : turned;
    }
    case 'in':
      return tidyList(negated ? { ...node, negated: !node.negated } : node);
    case 'isNull':
      return { ...node, arg: push(node.arg, false), negated: node.negated !== negated };
    case 'like':
    case 'similar':
      return negated ? { ...node, negated: !node.negated } : node;
    case 'isTruth':
      return { ...node, arg: push(node.arg, false), negated: node.negated !== negated };
    case 'const':
      return negated && node.value !== null ? truth(node, node.value !== true) : node;
    case 'quantified': {
      const listed = constantList(node);
      if (listed !== undefined) return push(listed, negated);
      return negated ? { kind: 'not', arg: node } : node;
    }
    default:
      return negated ? { kind: 'not', arg: node } : node;
  }
}

function swapped(node: CompareNode): CompareNode {
  return { ...node, op: SWAPPED[node.op], left: node.right, right: node.left };
}

function truth(like: ConstNode, value: boolean): ConstNode {
  return { ...like, value, text: value ? 't' : 'f' };
}

function connective(kind: 'and' | 'or', operands: readonly Node[], negated: boolean): Node {
  const args: Node[] = [];
  for (const operand of operands) {
    const arg = push(operand, negated);
    if (arg.kind === kind) args.push(...arg.args);
    else args.push(arg);
  }
  const ordered = args.some(mayFail) ? args : sorted(gathered(kind, args));
  return ordered.length === 1 ? (ordered[0] as Node) : { kind, args: ordered };
}

/** Sorted, each operand once. */
function sorted(args: readonly Node[]): readonly Node[] {
  if (args.length === 1) return args;
  const keyed = args.map((node) => ({ node, text: orderText(node) }));
  keyed.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  return keyed.filter((one, i) => one.text !== keyed[i - 1]?.text).map((one) => one.node);
}

/** Text that is equal for equal operands only; short for the most common kind. */
function orderText(node: Node): string {
  if (node.kind !== 'compare' || node.left.kind !== 'column' || node.right.kind !== 'const') return textOf(node);
  const { left, op, right } = node;
  const value = right.value === null ? 'NULL' : `'${right.text}`;
  return `${left.name}\0${left.typeOid} ${op} ${node.by.sql} ${right.type.sql} ${value}`;
}

/** `x = 1 OR x IN (2, 3)` is one list, and so is `x <> 1 AND x NOT IN (2, 3)`. */
function gathered(kind: 'and' | 'or', args: readonly Node[]): readonly Node[] {
  const candidates = args.filter((arg) => listPart(kind, arg) !== undefined);
  if (candidates.length < 2) return args;
  const lists = new Map<string, InNode>();
  const rest: Node[] = [];
  for (const arg of args) {
    const part = listPart(kind, arg);
    const items = part?.items;
    if (part === undefined || items === undefined || 'kind' in items) {
      rest.push(arg);
      continue;
    }
    const key = `${part.by.name} ${(items[0] as ConstNode).type.name} ${textOf(part.arg)}`;
    const known = lists.get(key);
    const all = known === undefined || 'kind' in known.items ? items : [...known.items, ...items];
    lists.set(key, { ...part, items: all });
  }
  return [...rest, ...[...lists.values()].map(tidyList)];
}

function listPart(kind: 'and' | 'or', node: Node): InNode | undefined {
  const negated = kind === 'and';
  if (node.kind === 'in') return node.negated === negated ? node : undefined;
  if (node.kind !== 'compare' || node.op !== (negated ? '<>' : '=') || node.right.kind !== 'const') return undefined;
  return { kind: 'in', arg: node.left, by: node.by, items: [node.right], negated };
}

/** Items sorted, each once, NULL at the end; a list of one is a comparison. */
function tidyList(node: InNode): Node {
  if ('kind' in node.items) return node;
  const byText = new Map<string, ConstNode>();
  let nothing: ConstNode | undefined;
  for (const item of node.items) {
    if (item.value === null) nothing = item;
    else byText.set(item.text, item);
  }
  const items = [...byText.values()];
  if (items.length < 10_000) items.sort((a, b) => (a.text < b.text ? -1 : 1));
  if (nothing !== undefined) items.push(nothing);
  const only = items.length === 1 ? items[0] : undefined;
  if (only === undefined) return { ...node, items };
  return { kind: 'compare', op: node.negated ? '<>' : '=', by: node.by, left: node.arg, right: only };
}

/** `x = ANY ('{1,2}')` and `x <> ALL ('{1,2}')` are lists too. */
function constantList(node: QuantifiedNode): Node | undefined {
  const { left, right, test, all } = node;
  const element = right.kind === 'const' ? right.type.element : undefined;
  if (right.kind !== 'const' || right.value === null || element === undefined) return undefined;
  const { elements } = right.value as ArrayValue;
  if (test.kind !== 'compare' || test.op !== (all ? '<>' : '=')) return undefined;
  if (test.right.kind !== 'bound' || test.right.index !== 1) return undefined;
  const arg = withLeft(test.left, left);
  // An empty array is decided without looking at the operand, unless that raises an error.
  if (elements.length === 0) {
    return mayFail(left) ? undefined : { kind: 'const', type: typeOfNode(node), value: all, text: all ? 't' : 'f' };
  }
  const items = elements.map((value): ConstNode => {
    return { kind: 'const', type: element, value, text: value === null ? '' : element.format(value) };
  });
  return { kind: 'in', arg, by: test.by, items, negated: all };
}

function withLeft(node: Node, left: Node): Node {
  return node.kind === 'bound' ? left : mapChildren(node, (child) => withLeft(child, left));
}
