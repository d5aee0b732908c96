import { compileTest } from './compile.ts';
import { RowValues } from './row-values.ts';
import { connect, type ConstNode, type Node } from '../tree.ts';

const NO_ROW = new RowValues([]);

/**
 * Does what Postgres's planner does with constants before it evaluates anything. This is not about speed: `x OR TRUE` is
 * TRUE and `x = NULL` is NULL also on rows where evaluating x would raise an error (spec W 3, "constant folding").
 */
export function foldConstants(node: Node): Node {
  switch (node.kind) {
    case 'const':
    case 'column':
    case 'cast':
      return node;
    case 'and':
    case 'or':
      return foldConnective(node.kind, node.args.map(foldConstants));
    case 'not':
    case 'isTruth':
    case 'isNull': {
      const arg = foldConstants(node.arg);
      return evaluated({ ...node, arg }, [arg]);
    }
    case 'compare':
      return isNull(node.left) || isNull(node.right) ? UNKNOWN : evaluated(node, [node.left, node.right]);
    case 'in':
      return isNull(node.arg) ? UNKNOWN : evaluated(node, [node.arg]);
    case 'like':
      return isNull(node.arg) || isNull(node.pattern) ? UNKNOWN : evaluated(node, [node.arg, node.pattern]);
    case 'distinct':
      return evaluated(node, [node.left, node.right]);
  }
}

const UNKNOWN: ConstNode = truth(null);

/** One operand that decides makes the others vanish; neutral ones are dropped; NULLs become one, at the end. */
function foldConnective(kind: 'and' | 'or', args: readonly Node[]): Node {
  const decides = kind === 'or';
  const rest: Node[] = [];
  let unknown = false;
  for (const arg of args) {
    if (arg.kind !== 'const') rest.push(arg);
    else if (arg.value === decides) return truth(decides);
    else if (arg.value === null) unknown = true;
  }
  if (unknown) rest.push(UNKNOWN);
  return rest.length === 0 ? truth(!decides) : connect(kind, rest);
}

/** The value of a node whose operands are constants; the node itself otherwise. */
function evaluated(node: Node, operands: readonly Node[]): Node {
  if (operands.some((operand) => operand.kind !== 'const')) return node;
  return truth(compileTest(node, noColumns)(NO_ROW));
}

function isNull(node: Node): boolean {
  return node.kind === 'const' && node.value === null;
}

function truth(value: boolean | null): ConstNode {
  return { kind: 'const', type: 'bool', value, text: value === null ? '' : value ? 't' : 'f' };
}

function noColumns(name: string): never {
  throw new Error(`column ${name} in a constant expression`);
}
