import { mayFail, type CompareOp, type Node } from '@shapecast/where';
import type { IndexKind } from './atom.ts';
import { callAtom, patternAtom } from './cover-atoms.ts';
import { cheapest, conjunction, type Option } from './cover-conjunction.ts';
import {
  booleanValue,
  comparison,
  distinct,
  hasNull,
  inList,
  isConstant,
  isNullConstant,
  notDistinct,
  nullTest,
  outsideList,
} from './cover-leaves.ts';
import { inexact, NEVER, single, union, type Cover, type PlanContext } from './cover-set.ts';

/** The cheapest cover of a predicate; undefined when only evaluating it can tell. No atoms: it is never TRUE. */
export function coverOf(node: Node, context: PlanContext): Cover | undefined {
  const cover = whenTrue(node, context);
  if (cover === undefined || !mayFail(node)) return cover;
  // Where evaluating can raise an error, the first operand decides: then the whole clause is evaluated, in its order.
  return { ...cover, atoms: cover.atoms.map((atom) => ({ ...atom, exact: false })) };
}

export function kindOf(cover: Cover | undefined): IndexKind {
  if (cover === undefined) return 'scan';
  const kinds = new Set(
    cover.atoms.map((atom): IndexKind => {
      if (atom.kind === 'starts') return 'prefix';
      if (atom.kind !== 'pattern') return atom.kind;
      return atom.part === 'exact' ? 'equality' : atom.part === 'substring' ? 'substring' : 'prefix';
    }),
  );
  const [first = 'never'] = kinds;
  return kinds.size > 1 ? 'mixed' : first;
}

function whenTrue(node: Node, context: PlanContext): Cover | undefined {
  switch (node.kind) {
    case 'and':
      return conjunction(
        node.args,
        node.args.map((arg) => whenTrue(arg, context)),
        context,
      );
    case 'or':
      return union(node.args.map((arg) => whenTrue(arg, context)));
    case 'not':
      return whenFalse(node.arg, context);
    case 'compare':
      return comparison(node.op, node, context);
    case 'distinct':
      return node.negated ? notDistinct(node, context) : distinct(node, context);
    case 'in':
      return node.negated ? outsideList(node, context) : inList(node, context);
    case 'like':
      return node.negated ? undefined : single(patternAtom(node, context));
    case 'isNull':
      return node.negated ? whenNotNull(node.arg, context) : whenNull(node.arg, context);
    case 'isTruth':
      return truth(node, node.negated, context);
    case 'const':
      return node.value === true ? undefined : NEVER;
    case 'call':
      return single(callAtom(node, context)) ?? booleanValue(node, true, context);
    case 'quantified':
      return single(callAtom(node, context));
    case 'rowCompare':
    case 'slot':
      return undefined;
    default:
      return booleanValue(node, true, context);
  }
}

function whenFalse(node: Node, context: PlanContext): Cover | undefined {
  switch (node.kind) {
    case 'and':
      return union(node.args.map((arg) => whenFalse(arg, context)));
    case 'or': {
      const options = node.args.map((arg, i): Option => [whenFalse(arg, context), [i]]);
      return cheapest(
        options,
        node.args.map((arg): Node => ({ kind: 'not', arg })),
      );
    }
    case 'not':
      return whenTrue(node.arg, context);
    case 'compare':
      return comparison(NEGATED[node.op], node, context);
    case 'distinct':
      return node.negated ? distinct(node, context) : notDistinct(node, context);
    case 'in':
      return node.negated ? inList(node, context) : outsideList(node, context);
    case 'like':
      return node.negated ? single(patternAtom(node, context)) : undefined;
    case 'isNull':
      return node.negated ? whenNull(node.arg, context) : whenNotNull(node.arg, context);
    case 'isTruth':
      return truth(node, !node.negated, context);
    case 'const':
      return node.value === false ? undefined : NEVER;
    case 'quantified':
    case 'rowCompare':
    case 'slot':
      return undefined;
    default:
      return booleanValue(node, false, context);
  }
}

const NEGATED: Readonly<Record<CompareOp, CompareOp>> = {
  '=': '<>',
  '<>': '=',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
};

/** Rows on which a predicate is NULL, or an expression is. */
function whenNull(node: Node, context: PlanContext): Cover | undefined {
  switch (node.kind) {
    case 'and':
    case 'or':
      // One operand is NULL then, but the others can still decide.
      return inexact(union(node.args.map((arg) => whenNull(arg, context))));
    case 'not':
      return whenNull(node.arg, context);
    case 'compare':
      if (!isConstant(node.right)) return undefined;
      return isNullConstant(node.right) ? undefined : nullTest(node.left, false, context);
    case 'in':
      return hasNull(node.items, context) ? undefined : nullTest(node.arg, false, context);
    case 'like':
      return isConstant(node.pattern) && !isNullConstant(node.pattern) ? nullTest(node.arg, false, context) : undefined;
    case 'similar':
      return nullTest(node.arg, false, context);
    case 'isNull':
    case 'isTruth':
    case 'distinct':
      return NEVER;
    case 'const':
      return node.value === null ? undefined : NEVER;
    case 'quantified':
    case 'rowCompare':
    case 'slot':
      return undefined;
    default:
      return nullTest(node, false, context);
  }
}

function whenNotNull(node: Node, context: PlanContext): Cover | undefined {
  switch (node.kind) {
    case 'and':
    case 'or':
    case 'not':
    case 'compare':
    case 'in':
    case 'like':
      return union([whenTrue(node, context), whenFalse(node, context)]);
    case 'isNull':
    case 'isTruth':
    case 'distinct':
      return undefined;
    case 'const':
      return node.value === null ? NEVER : undefined;
    case 'quantified':
    case 'rowCompare':
    case 'slot':
      return undefined;
    default:
      return nullTest(node, true, context);
  }
}

function truth(node: Extract<Node, { kind: 'isTruth' }>, negated: boolean, context: PlanContext): Cover | undefined {
  const { arg } = node;
  const yes = (): Cover | undefined => whenTrue(arg, context);
  const no = (): Cover | undefined => whenFalse(arg, context);
  const unknown = (): Cover | undefined => whenNull(arg, context);
  switch (node.truth) {
    case 'TRUE':
      return negated ? union([no(), unknown()]) : yes();
    case 'FALSE':
      return negated ? union([yes(), unknown()]) : no();
    case 'UNKNOWN':
      return negated ? union([yes(), no()]) : unknown();
  }
}
