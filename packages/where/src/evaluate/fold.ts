import { ClauseEvaluationError, ClauseRefusal } from '../errors.ts';
import { castPath } from '../functions/cast-paths.ts';
import { connect, mapChildren, valueTypeOf, type ConstNode, type Node } from '../tree.ts';
import { type as typeNamed } from '../types/types.ts';
import { compileTest, compileValue } from './compile.ts';
import { RowValues } from './row-values.ts';

const NO_ROW = new RowValues();
const BOOL = typeNamed('bool');
const UNKNOWN: ConstNode = truth(null);

/**
 * Does what Postgres's planner does with constants before it evaluates anything. This is not about speed: `x OR TRUE` is
 * TRUE and `x = NULL` is NULL also on rows where evaluating x would raise an error, and `1 / 0` is an error without any
 * row (spec W 3, "constant folding"). Throws ClauseRefusal for that.
 */
export function foldConstants(node: Node): Node {
  switch (node.kind) {
    case 'const':
    case 'column':
    case 'bound':
    case 'slot':
      return node;
    case 'and':
    case 'or':
      return foldConnective(node.kind, node.args);
    case 'case':
      return foldCase(node);
    case 'coalesce':
      return foldCoalesce(node);
    case 'compare':
    case 'in':
    case 'similar':
    case 'like': {
      const folded = mapChildren(node, foldConstants);
      return operandsOf(folded).some(isNull) ? UNKNOWN : evaluated(folded);
    }
    case 'call': {
      const folded = mapChildren(node, foldConstants);
      return folded.kind === 'call' && folded.strict && folded.args.some(isNull)
        ? { kind: 'const', type: folded.type, value: null, text: '' }
        : evaluated(folded);
    }
    case 'nullif': {
      const folded = mapChildren(node, foldConstants);
      if (folded.kind !== 'nullif') return folded;
      return isNull(folded.left) || isNull(folded.right) ? folded.left : evaluated(folded);
    }
    case 'quantified': {
      const left = foldConstants(node.left);
      const right = foldConstants(node.right);
      const folded = left === node.left && right === node.right ? node : { ...node, left, right };
      return left.kind === 'const' && right.kind === 'const'
        ? constantOf(folded, isLate(left) || isLate(right) || !isImmutable(node.test))
        : folded;
    }
    default:
      return evaluated(mapChildren(node, foldConstants));
  }
}

/** Operands that make a strict operator NULL when they are. */
function operandsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'compare':
      return [node.left, node.right];
    case 'in':
      return [node.arg];
    case 'similar':
      return [node.arg];
    case 'like':
      return [node.arg, node.pattern];
    default:
      return [];
  }
}

/**
 * One operand that decides makes the others vanish, those after it before they are looked at; neutral ones are dropped;
 * NULLs become one, at the end.
 */
function foldConnective(kind: 'and' | 'or', args: readonly Node[]): Node {
  const decides = kind === 'or';
  const rest: Node[] = [];
  let unknown = false;
  for (const arg of args) {
    const folded = foldConstants(arg);
    if (folded.kind !== 'const' || isLate(folded)) rest.push(folded);
    else if (folded.value === decides) return truth(decides);
    else if (folded.value === null) unknown = true;
  }
  if (unknown) rest.push(UNKNOWN);
  return rest.length === 0 ? truth(!decides) : connect(kind, rest);
}

/** Arms whose condition cannot hold go unseen; one whose condition holds always is the last. */
function foldCase(node: Extract<Node, { kind: 'case' }>): Node {
  const whens: { readonly when: Node; readonly then: Node }[] = [];
  for (const arm of node.whens) {
    const when = foldConstants(arm.when);
    if (when.kind !== 'const' || isLate(when)) whens.push({ when, then: foldConstants(arm.then) });
    else if (when.value === true) {
      const otherwise = foldConstants(arm.then);
      return whens.length === 0 ? otherwise : { ...node, whens, otherwise };
    }
  }
  const otherwise = foldConstants(node.otherwise);
  return whens.length === 0 ? otherwise : { ...node, whens, otherwise };
}

/** NULLs go; what stands after a constant goes unseen. */
function foldCoalesce(node: Extract<Node, { kind: 'coalesce' | 'greatest' | 'least' }>): Node {
  const args: Node[] = [];
  for (const arg of node.args) {
    const folded = foldConstants(arg);
    if (isNull(folded)) continue;
    args.push(folded);
    if (folded.kind === 'const' && !isLate(folded)) break;
  }
  const [first] = args;
  if (first === undefined) return { kind: 'const', type: node.type, value: null, text: '' };
  return (first.kind === 'const' && !isLate(first)) || args.length === 1 ? first : { ...node, args };
}

/** The value of a node whose operands are constants; the node itself otherwise. */
function evaluated(node: Node): Node {
  // Strict like everything that casts: NULL stays NULL, and nothing has to be called for that.
  if (node.kind === 'cast' && isNull(node.arg)) return { kind: 'const', type: node.to, value: null, text: '' };
  let constant = true;
  let late = !isImmutable(node);
  mapChildren(node, (child) => {
    constant &&= child.kind === 'const';
    late ||= isLate(child);
    return child;
  });
  return constant ? constantOf(node, late) : node;
}

function constantOf(node: Node, late: boolean): Node {
  try {
    const type = valueTypeOf(node);
    if (type === undefined) return { ...truth(compileTest(node, noColumns)(NO_ROW, 0)), ...(late ? { late } : {}) };
    const value = compileValue(node, noColumns)(NO_ROW, 0);
    const text = value === null ? '' : type.format(value);
    return { kind: 'const', type, value, text, ...(late ? { late } : {}) };
  } catch (error) {
    if (!(error instanceof ClauseEvaluationError)) throw error;
    // An error when the query runs: on every row that gets there.
    if (late) return node;
    const at = node.kind === 'call' || node.kind === 'cast' ? node.at : undefined;
    throw new ClauseRefusal('Failed to apply function to constant arguments', at);
  }
}

function isImmutable(node: Node): boolean {
  switch (node.kind) {
    case 'call':
      return node.immutable;
    case 'cast':
      return castPath(valueTypeOf(node.arg) ?? BOOL, node.to)?.immutable !== false;
    case 'compare':
    case 'distinct':
    case 'nullif':
      // A timestamp is a moment only in the session's time zone.
      return node.by.name !== 'timestamptz' || valueTypeOf(node.left) === valueTypeOf(node.right);
    default:
      return true;
  }
}

function isLate(node: Node): boolean {
  return node.kind === 'const' && node.late === true;
}

/** NULL, and Postgres knows it beforehand. */
function isNull(node: Node): boolean {
  return node.kind === 'const' && node.value === null && node.late !== true;
}

function truth(value: boolean | null): ConstNode {
  return { kind: 'const', type: BOOL, value, text: value === null ? '' : value ? 't' : 'f' };
}

function noColumns(name: string): never {
  throw new Error(`column ${name} in a constant expression`);
}

/**
 * What Postgres makes of a folded condition that stands as a WHERE: NULL there is as good as FALSE, so constants that are
 * NULL go, and with them operands that might have raised an error.
 */
export function asQualification(node: Node): Node {
  if (node.kind === 'const' && node.value === null) return truth(false);
  if (node.kind !== 'and' && node.kind !== 'or') return node;
  return simplified(node.kind, node.args.map(asQualification));
}

function simplified(kind: 'and' | 'or', args: readonly Node[]): Node {
  const decides = kind === 'or';
  const rest = args.filter((arg) => arg.kind !== 'const' || isLate(arg));
  if (args.some((arg) => arg.kind === 'const' && !isLate(arg) && arg.value === decides)) return truth(decides);
  return rest.length === 0 ? truth(!decides) : connect(kind, rest);
}
