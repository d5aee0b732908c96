import { catalogueCast, functionsNamed, operatorsNamed, type Param, type Routine } from '../catalogue/catalogue.ts';
import { ClauseRefusal } from '../errors.ts';
import { castPath } from '../functions/cast-paths.ts';
import type { CaseFold } from '../functions/like.ts';
import { AGGREGATES } from '../syntax/keywords.ts';
import type { CallSyntax } from '../syntax/syntax.ts';
import type { CallNode, Node } from '../tree.ts';
import { timeZone } from '../types/time-zone.ts';
import type { Type } from '../types/type.ts';
import { checkEquality, foldOf, isCollatable } from './collation.ts';
import type { BindContext } from './context.ts';
import { type as typeNamed } from '../types/types.ts';
import { coerce, joinCollations, operandType, TEXT, type Bound } from './operand.ts';
import { bindCompare, bindLike, isCompareOp, LIKE_OPS, noOverload } from './bind-predicate.ts';
import { resolveFunction, resolveOperator, type OperandType, type Resolved } from './resolve.ts';

const BPCHAR = typeNamed('bpchar');
const TIMESTAMP = typeNamed('timestamp');

/** Functions whose result depends on the locale's case rules. */
const CASE_FUNCTIONS: ReadonlySet<string> = new Set(['lower(text)', 'upper(text)']);

const LIKE_FUNCTIONS: ReadonlyMap<string, { readonly insensitive: boolean; readonly negated: boolean }> = new Map([
  ['like', { insensitive: false, negated: false }],
  ['notlike', { insensitive: false, negated: true }],
  // No function of Postgres, but one that client libraries write (spec W 2.4).
  ['ilike', { insensitive: true, negated: false }],
]);

/** `left op right` for any operator. */
export function bindBinary(context: BindContext, op: string, left: Bound, right: Bound, at: number): Bound {
  const like = LIKE_OPS.get(op);
  if (like !== undefined) {
    return predicate(bindLike(context, { arg: left, pattern: right, escape: undefined, ...like }, at), at);
  }
  if (isCompareOp(op)) return predicate(bindCompare(context, op, left, right, at), at);
  return bindOperator(context, op, [left, right], at);
}

export function bindUnary(context: BindContext, op: string, arg: Bound, at: number): Bound {
  return bindOperator(context, op, [arg], at);
}

function bindOperator(context: BindContext, op: string, operands: readonly Bound[], at: number): Bound {
  const arity = operands.length as 1 | 2;
  const candidates = operatorsNamed(op, arity);
  if (!candidates.some(isImplemented)) {
    throw new ClauseRefusal(`unknown ${arity === 1 ? 'unary' : 'binary'} operator "${op}"`, at);
  }
  const resolved = resolveOperator(candidates, operands.map(operandType));
  if (resolved === undefined || !isImplemented(resolved.routine)) throw noOverload(operands, at);
  return call(context, resolved, { name: op, form: arity === 1 ? 'prefix' : 'infix', operands, at });
}

export function bindFunction(context: BindContext, syntax: CallSyntax): Bound {
  const { name, at } = syntax;
  if (syntax.star || syntax.distinct || AGGREGATES.has(name)) {
    throw new ClauseRefusal('aggregation is not supported in this context', at);
  }
  if (syntax.variadic) {
    throw new ClauseRefusal('explicit VARIADIC function calls are not currently supported', at);
  }
  const unsupported = `unknown or unsupported function ${name}/${syntax.args.length}`;
  const like = syntax.args.length === 2 ? LIKE_FUNCTIONS.get(name) : undefined;
  const candidates = functionsNamed(name);
  const target = syntax.args.length === 1 ? context.namedType(name.split('.')) : undefined;
  if (like === undefined && target === undefined && !candidates.some(isImplemented)) {
    throw new ClauseRefusal(unsupported, at);
  }
  const operands = syntax.args.map((arg) => context.operand(arg));
  if (like !== undefined) {
    const [first, pattern] = operands as [Bound, Bound];
    // The function takes text, unlike the operator, which keeps the blanks of char(n).
    const padded = operandType(first) === BPCHAR;
    const arg = padded ? context.cast(first, TEXT, at) : first;
    return predicate(bindLike(context, { arg, pattern, escape: undefined, ...like }, at), at);
  }
  const types = operands.map(operandType);
  const [first] = operands;
  if (first !== undefined && target !== undefined && callsType(candidates, types[0] as OperandType, target)) {
    return context.cast(first, target, at);
  }
  let resolved = resolveFunction(candidates, types);
  if (resolved?.routine.signature === 'date_part(text,date)') {
    // Postgres writes this one out, so that the cast is an error where the field is NULL.
    operands[1] = context.cast(operands[1] as Bound, TIMESTAMP, at);
    resolved = resolveFunction(candidates, operands.map(operandType));
  }
  if (resolved === undefined) {
    const fits = candidates.some(({ params, variadic }) => variadic || params.length === types.length);
    if (!fits) throw new ClauseRefusal(unsupported, at);
    throw new ClauseRefusal(`Could not select a function overload for ${name}(${types.map(label).join(', ')})`, at);
  }
  if (!isImplemented(resolved.routine)) throw new ClauseRefusal(unsupported, at);
  return call(context, resolved, { name, form: 'function', operands, at });
}

/** A type's name called as a function is a cast, unless that would be a function's work (`func_get_detail` of Postgres). */
function callsType(candidates: readonly Routine[], from: OperandType, to: Type): boolean {
  if (candidates.some(({ params }) => params.length === 1 && params[0] === from)) return false;
  if (from === 'unknown') return true;
  const path = castPath(from, to);
  return path !== undefined && (path.convert === undefined || catalogueCast(from.name, to.name) === undefined);
}

interface CallParts {
  readonly name: string;
  readonly form: CallNode['form'];
  readonly operands: readonly Bound[];
  readonly at: number;
}

function call(context: BindContext, resolved: Resolved, parts: CallParts): Bound {
  const { routine, params, result } = resolved;
  const { operands, at } = parts;
  checkDomains(routine, operands, at);
  const textual = operands.filter((_, i) => isCollatable(params[i] as Type));
  for (const param of params) checkEquality(param, textual, at);
  const fold: CaseFold | undefined = CASE_FUNCTIONS.has(routine.signature)
    ? foldOf(context, parts.name, textual, at)
    : undefined;
  const args = operands.map((operand, i) => coerce(operand, params[i] as Type, context.fix));
  checkZone(routine, args[0], at);
  const node: CallNode = {
    kind: 'call',
    signature: routine.signature,
    name: parts.name,
    form: parts.form,
    strict: routine.strict,
    immutable: routine.immutable,
    args,
    type: result,
    fold,
    at,
  };
  return { node, at, collations: isCollatable(result) ? joinCollations(textual) : [] };
}

/** A zone that is not known here leaves every row undecided: better said at once. */
function checkZone(routine: Routine, zone: Node | undefined, at: number): void {
  if (!routine.signature.startsWith('timezone(text,') || zone?.kind !== 'const' || zone.value === null) return;
  if (timeZone(zone.value as string) !== undefined) return;
  throw new ClauseRefusal(`time zone "${zone.value as string}" is not known or means several; write its IANA name`, at);
}

/**
 * A polymorphic type is the domain itself, unlike that of an operator: what a range is of is not a domain over it, and a
 * literal next to a domain alone is read as the domain, with its constraints.
 */
function checkDomains({ params }: Routine, operands: readonly Bound[], at: number): void {
  const domain = operands.find(isDomain);
  if (domain === undefined) return;
  if (params.includes('anyelement') && params.length > 1) throw noOverload([], at);
  const literal = operands.find(({ node }, i) => node.kind === 'unknown' && isCompatible(params[i]));
  if (literal === undefined) return;
  throw new ClauseRefusal(
    'a literal next to a domain takes the type of the domain; cast it to its base type',
    literal.at,
  );
}

function isCompatible(param: Param | undefined): boolean {
  return typeof param === 'string' && param.startsWith('anycompatible');
}

function isDomain({ node }: Bound): boolean {
  return node.kind === 'column' && node.type.oid !== 0 && node.type.oid !== node.typeOid;
}

function isImplemented(routine: Routine): boolean {
  return routine.implementation !== undefined;
}

function predicate(node: Bound['node'], at: number): Bound {
  return { node, at, collations: [] };
}

function label(type: OperandType): string {
  return type === 'unknown' ? type : type.name;
}
