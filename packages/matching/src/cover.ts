import { constantComparison, keyedColumn, type AccessKey } from '@shapecast/where';
import { castFrom } from '@shapecast/where';
import { childrenOf, connect, typeOfNode, type ConstNode, type Node } from '@shapecast/where';

/**
 * Something about one cell that a hash table can find. `key` null stands for SQL NULL.
 *
 * A row makes the clause TRUE exactly when it hits an atom of the cover whose `residual` is then TRUE too (undefined:
 * nothing is left to check).
 */
export interface Atom {
  readonly column: string;
  readonly key: AccessKey | null;
  readonly residual: Node | undefined;
}

/** Longer lists are scanned: an entry per element would cost more than it saves. */
const MAX_ATOMS = 10_000;

/** Estimates how many shapes an atom shares with others, so that a conjunction is filed under its rarest part. */
export type Crowding = (column: string, key: AccessKey | null) => number;

/** Atoms of which at least one is hit by every row that makes `node` TRUE (spec W 9.7). Undefined when there are none. */
export function coverOf(node: Node, crowding: Crowding): readonly Atom[] | undefined {
  const atoms = whenTrue(node, crowding);
  if (atoms === undefined || atoms.length > MAX_ATOMS) return undefined;
  // Where evaluating can raise an error, which operand comes first decides: then the whole clause is evaluated in order.
  return canFail(node) ? atoms.map((one) => ({ ...one, residual: node })) : atoms;
}

function whenTrue(node: Node, crowding: Crowding): readonly Atom[] | undefined {
  switch (node.kind) {
    case 'compare':
      return node.op === '=' ? equality(node) : undefined;
    case 'distinct':
      return node.negated ? notDistinct(node) : undefined;
    case 'in':
      return node.negated ? undefined : list(node);
    case 'isNull':
      return node.negated ? undefined : nullTest(node.arg);
    case 'isTruth':
      return truth(node, crowding);
    case 'column':
      return [{ column: node.name, key: 't', residual: undefined }];
    case 'not':
      return whenFalse(node.arg, crowding);
    case 'and':
      return cheapest(node.args, whenTrue, (others) => connect('and', others), crowding);
    case 'or':
      return union(node.args, whenTrue, crowding);
    case 'const':
      // TRUE is every row; FALSE and NULL are none.
      return node.value === true ? undefined : [];
    case 'cast':
    case 'like':
      return undefined;
  }
}

function whenFalse(node: Node, crowding: Crowding): readonly Atom[] | undefined {
  switch (node.kind) {
    case 'compare':
      return node.op === '<>' ? equality(node) : undefined;
    case 'distinct':
      return node.negated ? undefined : notDistinct(node);
    case 'in':
      return node.negated ? list(node) : undefined;
    case 'isNull':
      return node.negated ? nullTest(node.arg) : undefined;
    case 'column':
      return [{ column: node.name, key: 'f', residual: undefined }];
    case 'not':
      return whenTrue(node.arg, crowding);
    case 'and':
      return union(node.args, whenFalse, crowding);
    case 'or':
      return cheapest(node.args, whenFalse, (others) => connect('and', others.map(negation)), crowding);
    default:
      return undefined;
  }
}

/** Whether Postgres can raise an error while it evaluates `node` on some row. Casts that change a value may. */
function canFail(node: Node): boolean {
  if (node.kind === 'like' && mayDangle(node)) return true;
  if (node.kind === 'cast') {
    const from = typeOfNode(node.arg);
    if (from !== undefined && from !== node.to && castFrom(from, node.to)?.transparent !== true) return true;
  }
  return childrenOf(node).some(canFail);
}

/** A pattern that ends in its escape character is an error on some texts. */
function mayDangle({ pattern, escape }: Extract<Node, { kind: 'like' }>): boolean {
  return pattern.kind !== 'const' || pattern.text.endsWith(escape ?? '\\');
}

function equality(node: Extract<Node, { kind: 'compare' }>): readonly Atom[] | undefined {
  const found = constantComparison(node);
  if (found === undefined) return undefined;
  return found.constant.value === null ? [] : [atom(found.keyed.column.name, found.keyed.keyOf(found.constant))];
}

function notDistinct(node: Extract<Node, { kind: 'distinct' }>): readonly Atom[] | undefined {
  const found = constantComparison(node);
  if (found === undefined) return undefined;
  const { keyed, constant } = found;
  return [atom(keyed.column.name, constant.value === null ? null : keyed.keyOf(constant))];
}

function list(node: Extract<Node, { kind: 'in' }>): readonly Atom[] | undefined {
  const keyed = keyedColumn(node.arg, node.by);
  if (keyed === undefined || node.items.length > MAX_ATOMS) return undefined;
  const keys = new Set(node.items.filter((item: ConstNode) => item.value !== null).map(keyed.keyOf));
  return [...keys].map((key) => atom(keyed.column.name, key));
}

function nullTest(arg: Node): readonly Atom[] | undefined {
  return arg.kind === 'column' ? [atom(arg.name, null)] : undefined;
}

function truth(node: Extract<Node, { kind: 'isTruth' }>, crowding: Crowding): readonly Atom[] | undefined {
  if (node.negated) return undefined;
  if (node.truth === 'TRUE') return whenTrue(node.arg, crowding);
  if (node.truth === 'FALSE') return whenFalse(node.arg, crowding);
  return nullTest(node.arg);
}

/** Every row that decides the connective hits one of the operands, so all of them are needed. */
function union(
  args: readonly Node[],
  cover: (node: Node, crowding: Crowding) => readonly Atom[] | undefined,
  crowding: Crowding,
): readonly Atom[] | undefined {
  const atoms: Atom[] = [];
  for (const arg of args) {
    const part = cover(arg, crowding);
    if (part === undefined || atoms.length + part.length > MAX_ATOMS) return undefined;
    for (const one of part) atoms.push(one);
  }
  return atoms;
}

/** One operand is enough to find the row; the others are checked then. */
function cheapest(
  args: readonly Node[],
  cover: (node: Node, crowding: Crowding) => readonly Atom[] | undefined,
  rest: (others: readonly Node[]) => Node,
  crowding: Crowding,
): readonly Atom[] | undefined {
  let best: readonly Atom[] | undefined;
  let bestAt = -1;
  let bestCost = Infinity;
  for (const [i, arg] of args.entries()) {
    const atoms = cover(arg, crowding);
    if (atoms === undefined) continue;
    const cost = costOf(atoms, crowding);
    if (cost < bestCost) [best, bestAt, bestCost] = [atoms, i, cost];
  }
  if (best === undefined) return undefined;
  const others = rest(args.filter((_, i) => i !== bestAt));
  return best.map((one) => ({
    ...one,
    residual: one.residual === undefined ? others : connect('and', [one.residual, others]),
  }));
}

/** Rows expected to hit: NULLs and booleans match many rows, a key as many as shapes already wait for it. */
function costOf(atoms: readonly Atom[], crowding: Crowding): number {
  let cost = 0;
  for (const { column, key } of atoms.slice(0, 64)) {
    const wide = key === null || key === 't' || key === 'f' ? 1000 : 1;
    cost += wide + crowding(column, key);
  }
  return (cost * atoms.length) / Math.max(1, Math.min(64, atoms.length));
}

function atom(column: string, key: AccessKey | null): Atom {
  return { column, key, residual: undefined };
}

function negation(node: Node): Node {
  return { kind: 'not', arg: node };
}
