import { castPath } from '../functions/cast-paths.ts';
import { operatorsNamed } from '../catalogue/catalogue.ts';
import { ClauseRefusal } from '../errors.ts';
import type { SubscriptSyntax, Syntax } from '../syntax/syntax.ts';
import { connect, type Node, type Subscript } from '../tree.ts';
import { arrayOf } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import { bindBinary } from './bind-call.ts';
import { bindCompare, bindDistinct, bindExactly, noOverload } from './bind-predicate.ts';
import { checkOrder, isCollatable } from './collation.ts';
import { again, type BindContext } from './context.ts';
import { BOOL, coerce, constant, INT4, joinCollations, operandType, TEXT, typeOfNode, type Bound } from './operand.ts';
import { commonType, resolveOperator, type OperandType } from './resolve.ts';

type Of<K extends Syntax['kind']> = Extract<Syntax, { kind: K }>;

/** `ARRAY[...]`. A cast around it says what the elements are: `element` is then their type. */
export function bindArray(context: BindContext, syntax: Of<'array'>, target?: Type): Bound {
  const { at } = syntax;
  const element = target?.element;
  if (syntax.items.length === 0) {
    if (target === undefined) throw new ClauseRefusal('cannot determine type of empty array', at);
    return { node: { kind: 'array', type: target, items: [], nested: false }, at, collations: [] };
  }
  // The bare brackets inside are arrays of the same type.
  const items = syntax.items.map((item) =>
    item.kind === 'array' ? bindArray(context, item, target) : context.operand(item),
  );
  const nested = items.some((item) => isArray(operandType(item)));
  if (target !== undefined && element !== undefined) {
    const to = nested ? target : element;
    const nodes = items.map((item) => explicit(context, item, to));
    return { node: { kind: 'array', type: target, items: nodes, nested }, at, collations: joinCollations(items) };
  }
  const common = oneType('ARRAY', items, at);
  const type = common.category === 'A' ? common : arrayOf(common);
  if (type === undefined) throw new ClauseRefusal(`arrays of ${common.name} are not supported`, at);
  const nodes = items.map((item) => coerce(item, common, context.fix));
  return { node: { kind: 'array', type, items: nodes, nested }, at, collations: joinCollations(items) };
}

/** An element that the cast around the array converts. */
function explicit(context: BindContext, item: Bound, to: Type): Node {
  const from = operandType(item);
  if (from === 'unknown' || from === to || castPath(from, to)?.context === 'implicit') {
    return coerce(item, to, context.fix);
  }
  return context.cast(item, to, item.at).node as Node;
}

function isArray(type: OperandType): boolean {
  return type !== 'unknown' && type.category === 'A';
}

/** `arr[i]`, `arr[l:u]`. With one slice among them, `[n]` means `[1:n]`. */
export function bindSubscript(context: BindContext, syntax: Of<'subscript'>): Bound {
  const arg = context.operand(syntax.arg);
  const type = operandType(arg);
  if (type === 'unknown' || type.category !== 'A' || type.element === undefined) {
    const name = type === 'unknown' ? type : type.name;
    throw new ClauseRefusal(`cannot subscript type ${name}, which is not an array`, syntax.at);
  }
  if (syntax.subscripts.length > 6) throw new ClauseRefusal('an array has at most 6 dimensions', syntax.at);
  const slices = syntax.subscripts.some((one) => one.slice);
  const subscripts = syntax.subscripts.map((one) => bindOne(context, one, slices));
  const node: Node = {
    kind: 'subscript',
    type: slices ? type : type.element,
    arg: arg.node as Node,
    subscripts,
  };
  return { node, at: syntax.at, collations: arg.collations };
}

function bindOne(context: BindContext, syntax: SubscriptSyntax, slices: boolean): Subscript {
  const index = (part: Syntax): Node => {
    const bound = context.operand(part);
    const type = operandType(bound);
    if (type === 'unknown' || type === INT4) return coerce(bound, INT4, context.fix);
    const path = castPath(type, INT4);
    if (path === undefined || path.context === 'explicit') {
      throw new ClauseRefusal('array subscript must have type integer', bound.at);
    }
    return { kind: 'cast', to: INT4, modifiers: [], implicit: true, arg: bound.node as Node, at: bound.at };
  };
  if (syntax.slice) {
    const lower = syntax.lower && index(syntax.lower);
    return { slice: true, lower, upper: syntax.upper && index(syntax.upper) };
  }
  if (slices) return { slice: true, lower: constant(INT4, 1, '1'), upper: index(syntax.index) };
  return { slice: false, index: index(syntax.index) };
}

/** `left op ANY (array)` and ALL. */
export function bindQuantified(context: BindContext, syntax: Of<'quantified'>): Bound {
  const { op, all, at } = syntax;
  const left = context.operand(syntax.left);
  let right = context.operand(syntax.right);
  const given = operandType(right);
  let element: Type | 'unknown' = 'unknown';
  if (given !== 'unknown') {
    if (given.category !== 'A' || given.element === undefined) {
      throw new ClauseRefusal('argument of ANY must be an array'.replace('ANY', all ? 'ALL' : 'ANY'), syntax.rightAt);
    }
    element = given.element;
  }
  const resolved = resolveOperator(operatorsNamed(op, 2), [operandType(left), element]);
  const [leftType, rightType] = resolved?.params ?? [];
  if (leftType === undefined || rightType === undefined) throw noOverload([left], at);
  const leftNode = coerce(left, leftType, context.fix);
  // The operator decides what the elements are; those of a literal are read as that.
  const array = arrayOf(rightType);
  if (array === undefined) throw noOverload([left], at);
  right = again(context, right, syntax.right);
  const rightNode = coerce(right, array, context.fix);
  const test = bindBinary(
    context,
    op,
    { node: { kind: 'bound', index: 0, type: leftType }, at: left.at, collations: left.collations },
    { node: { kind: 'bound', index: 1, type: rightType }, at: right.at, collations: right.collations },
    at,
  ).node as Node;
  if (typeOfNode(test) !== BOOL) throw new ClauseRefusal('ANY/ALL requires operator that returns bool', at);
  return { node: { kind: 'quantified', all, left: leftNode, right: rightNode, test, op }, at, collations: [] };
}

/** A comparison of two rows. */
export function bindRows(context: BindContext, op: string, left: Of<'row'>, right: Of<'row'>, at: number): Node {
  const sides = pair(context, left, right, at);
  switch (op) {
    case '=':
    case '<>':
      return connect(
        op === '=' ? 'and' : 'or',
        sides.map(([a, b]) => bindCompare(context, op, a, b, at)),
      );
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const pairs = sides.map(([a, b]) => bindCompare(context, op, a, b, at));
      if (pairs.length === 1) return pairs[0] as Node;
      return { kind: 'rowCompare', op, pairs: pairs.map(({ kind: _kind, op: _op, ...one }) => one) };
    }
    default:
      throw noOverload([], at);
  }
}

export function bindRowDistinct(
  context: BindContext,
  left: Of<'row'>,
  right: Of<'row'>,
  negated: boolean,
  at: number,
): Node {
  const sides = pair(context, left, right, at).map(([a, b]) => bindDistinct(context, a, b, negated, at));
  return connect(negated ? 'and' : 'or', sides);
}

/** `(a, b) IN ((1, 2), (3, 4))`. */
export function bindRowIn(context: BindContext, arg: Of<'row'>, syntax: Of<'in'>): Node {
  const { negated, at } = syntax;
  const parts = syntax.items.map((item) => {
    if (item.kind !== 'row') throw noOverload([], at);
    return bindRows(context, negated ? '<>' : '=', arg, item, at);
  });
  return connect(negated ? 'and' : 'or', parts);
}

/** All fields NULL, or none. */
export function bindRowNull(context: BindContext, row: Of<'row'>, negated: boolean): Node {
  const tests = row.items.map((item): Node => {
    const bound = context.operand(item);
    const arg = bound.node.kind === 'unknown' ? coerce(bound, TEXT, context.fix) : bound.node;
    return { kind: 'isNull', arg, negated };
  });
  if (tests.length === 0) return constant(BOOL, true, 't');
  return connect('and', tests);
}

function pair(context: BindContext, left: Of<'row'>, right: Of<'row'>, at: number): (readonly [Bound, Bound])[] {
  if (left.items.length !== right.items.length) {
    throw new ClauseRefusal('unequal number of entries in row expressions', at);
  }
  if (left.items.length === 0) throw new ClauseRefusal('cannot compare rows of zero length', at);
  return left.items.map((item, i) => [context.operand(item), context.operand(right.items[i] as Syntax)] as const);
}

/** CASE in both forms; the one with a value becomes comparisons with it. */
export function bindCase(context: BindContext, syntax: Of<'case'>): Bound {
  const { at } = syntax;
  const arg = syntax.arg === undefined ? undefined : caseArgument(context, syntax.arg);
  const conditions = syntax.whens.map(({ when }) =>
    arg === undefined ? context.bool(when) : bindCompare(context, '=', arg, context.operand(when), when.at),
  );
  const results = syntax.whens.map(({ then }) => context.operand(then));
  const otherwise: Bound =
    syntax.otherwise === undefined
      ? { node: { kind: 'unknown', text: null, param: undefined }, at, collations: [] }
      : context.operand(syntax.otherwise);
  const type = oneType('CASE', [otherwise, ...results], at);
  const whens = conditions.map((when, i) => ({ when, then: coerce(results[i] as Bound, type, context.fix) }));
  const node: Node = { kind: 'case', type, whens, otherwise: coerce(otherwise, type, context.fix) };
  return { node, at, collations: joinCollations([otherwise, ...results]) };
}

function caseArgument(context: BindContext, syntax: Syntax): Bound {
  const bound = context.operand(syntax);
  return bound.node.kind === 'unknown' ? { ...bound, node: coerce(bound, TEXT, context.fix) } : bound;
}

export function bindNullif(context: BindContext, syntax: Of<'nullif'>): Bound {
  const left = context.operand(syntax.left);
  const { by, left: first, right } = bindExactly(context, '=', left, context.operand(syntax.right), syntax.at);
  return {
    node: { kind: 'nullif', type: typeOfNode(first), by, left: first, right },
    at: syntax.at,
    // A literal that became a name has the collation of names.
    collations: left.node.kind === 'unknown' && typeOfNode(first).name === 'name' ? 'C' : left.collations,
  };
}

export function bindChoice(context: BindContext, syntax: Of<'coalesce' | 'greatest' | 'least'>): Bound {
  const { kind, at } = syntax;
  const items = syntax.args.map((arg) => context.operand(arg));
  const type = oneType(kind.toUpperCase(), items, at);
  if (kind !== 'coalesce') {
    if (type.compare === undefined) throw noOverload(items, at);
    checkOrder(context, type, items, at);
  }
  const args = items.map((item) => coerce(item, type, context.fix));
  const collations = isCollatable(type) ? joinCollations(items) : [];
  return { node: { kind, type, args, collated: collations === 'C' && type.name !== 'name' }, at, collations };
}

function oneType(what: string, items: readonly Bound[], at: number): Type {
  const common = commonType(items.map(operandType));
  if ('type' in common) return common.type;
  const [one, other] = common.conflict;
  throw new ClauseRefusal(`${what} types ${one.name} and ${other.name} cannot be matched`, at);
}
