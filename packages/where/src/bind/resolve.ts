import { arrayOf, type as typeNamed } from '../types/types.ts';
import type { Type, TypeCategory } from '../types/type.ts';
import { isPseudo, rangeSubtype, type Param, type Pseudo, type Routine } from '../catalogue/catalogue.ts';
import { castsImplicitly } from '../functions/cast-paths.ts';

/** What is known of an operand before its operator is: a type, or that it is a literal without one. */
export type OperandType = Type | 'unknown';

/** A routine with its polymorphic types made concrete. */
export interface Resolved {
  readonly routine: Routine;
  /** One per operand. */
  readonly params: readonly Type[];
  readonly result: Type;
}

/** Operator resolution (manual 10.2; spec W 3). `undefined` when none or several remain. */
export function resolveOperator(
  candidates: readonly Routine[],
  operands: readonly OperandType[],
): Resolved | undefined {
  const [left, right] = operands;
  if (operands.length === 2) {
    const assumed = [left === 'unknown' ? right : left, right === 'unknown' ? left : right];
    const exact = candidates.find(({ params }) => params.every((param, i) => param === assumed[i]));
    if (exact !== undefined) return concrete(exact, operands);
  } else {
    const exact = candidates.find(({ params }) => params[0] === left);
    if (exact !== undefined) return concrete(exact, operands);
  }
  return choose(candidates, operands);
}

/** Function resolution (manual 10.3). */
export function resolveFunction(
  candidates: readonly Routine[],
  operands: readonly OperandType[],
): Resolved | undefined {
  const fitting = candidates.flatMap((routine) => {
    if (routine.params.length === operands.length && !routine.variadic) return [routine];
    if (!routine.variadic || operands.length < routine.params.length) return [];
    const last = routine.params.at(-1) as Param;
    const extra = Array.from({ length: operands.length - routine.params.length }, () => last);
    return [{ ...routine, params: [...routine.params, ...extra] }];
  });
  const exact = fitting.find(({ params }) => params.every((param, i) => param === operands[i]));
  return exact !== undefined ? concrete(exact, operands) : choose(fitting, operands);
}

/**
 * Common type of CASE arms, lists, ARRAY items (manual 10.5). `conflict` holds the two types that have none in common.
 * All unknown gives text.
 */
export function commonType(
  operands: readonly OperandType[],
): { readonly type: Type } | { readonly conflict: readonly [Type, Type] } {
  let common: Type | undefined;
  for (const operand of operands) {
    if (operand === 'unknown' || operand === common) continue;
    if (common === undefined) {
      common = operand;
      continue;
    }
    if (operand.category !== common.category) return { conflict: [operand, common] };
    if (!common.preferred && castsImplicitly(common, operand) && !castsImplicitly(operand, common)) common = operand;
  }
  const result = common ?? typeNamed('text');
  const stuck = operands.find((operand) => operand !== 'unknown' && !castsImplicitly(operand, result));
  return stuck === undefined ? { type: result } : { conflict: [stuck as Type, result] };
}

/** `func_match_argtypes` and `func_select_candidate` of Postgres. */
function choose(routines: readonly Routine[], operands: readonly OperandType[]): Resolved | undefined {
  let candidates = routines.filter((routine) => accepts(routine.params, operands));
  const unique = (): Resolved | undefined =>
    candidates.length === 1 ? concrete(candidates[0] as Routine, operands) : undefined;
  if (candidates.length < 2) return unique();
  candidates = keepBest(candidates, (param, i) => operands[i] !== 'unknown' && param === operands[i]);
  if (candidates.length === 1) return unique();
  candidates = keepBest(candidates, (param, i) => {
    const operand = operands[i] as OperandType;
    return operand !== 'unknown' && (param === operand || isPreferred(param, operand.category));
  });
  if (candidates.length === 1) return unique();
  if (!operands.includes('unknown')) return undefined;
  candidates = resolveUnknowns(candidates, operands);
  if (candidates.length === 1) return unique();
  return sameForAll(candidates, operands);
}

/** Unknown literals go to the string category when any candidate has it there, else to the one all candidates share. */
function resolveUnknowns(candidates: readonly Routine[], operands: readonly OperandType[]): Routine[] {
  const wanted: { readonly category: string; readonly preferred: boolean }[] = [];
  for (const [i, operand] of operands.entries()) {
    if (operand !== 'unknown') continue;
    let category: string | undefined;
    let preferred = false;
    let conflict = false;
    for (const { params } of candidates) {
      const param = params[i] as Param;
      const own = isPseudo(param) ? 'P' : param.category;
      const ownPreferred = !isPseudo(param) && param.preferred;
      if (category === undefined) [category, preferred] = [own, ownPreferred];
      else if (own === category) preferred ||= ownPreferred;
      else if (own === 'S') [category, preferred] = ['S', ownPreferred];
      else conflict = true;
    }
    if (conflict && category !== 'S') return [...candidates];
    wanted[i] = { category: category as string, preferred };
  }
  const kept = candidates.filter(({ params }) =>
    params.every((param, i) => {
      const want = wanted[i];
      if (want === undefined) return true;
      const own = isPseudo(param) ? 'P' : param.category;
      return own === want.category && (!want.preferred || (!isPseudo(param) && param.preferred));
    }),
  );
  return kept.length > 0 ? kept : [...candidates];
}

/** Last resort: when all known operands have one type, the unknown ones are taken to have it too. */
function sameForAll(candidates: readonly Routine[], operands: readonly OperandType[]): Resolved | undefined {
  const known = operands.filter((operand) => operand !== 'unknown');
  const [first] = known;
  if (first === undefined || known.some((type) => type !== first)) return undefined;
  const assumed = operands.map(() => first);
  const fitting = candidates.filter(({ params }) => accepts(params, assumed));
  return fitting.length === 1 ? concrete(fitting[0] as Routine, operands) : undefined;
}

function keepBest(candidates: Routine[], matches: (param: Param, at: number) => boolean): Routine[] {
  const scores = candidates.map(({ params }) => params.filter(matches).length);
  const best = Math.max(...scores);
  return candidates.filter((_, i) => scores[i] === best);
}

function isPreferred(param: Param, category: TypeCategory): boolean {
  return !isPseudo(param) && param.preferred && param.category === category;
}

function accepts(params: readonly Param[], operands: readonly OperandType[]): boolean {
  const plain = params.every((param, i) => {
    const operand = operands[i] as OperandType;
    return operand === 'unknown' || isPseudo(param) || castsImplicitly(operand, param);
  });
  return plain && (!params.some(isPseudo) || bindings(params, operands) !== undefined);
}

/** What the polymorphic types of a call stand for. */
interface Bindings {
  readonly element: Type | undefined;
  readonly array: Type | undefined;
  readonly range: Type | undefined;
  readonly compatible: Type | undefined;
}

const SIMPLE: ReadonlySet<Pseudo> = new Set(['anyelement', 'anynonarray', 'anyenum', 'anyarray', 'anyrange']);

/** Undefined when the operands do not agree. A member is undefined when only unknown literals could say it. */
function bindings(params: readonly Param[], operands: readonly OperandType[]): Bindings | undefined {
  let element: Type | undefined;
  let array: Type | undefined;
  let range: Type | undefined;
  const compatible: Type[] = [];
  const agree = (known: Type | undefined, now: Type): boolean => known === undefined || known === now;
  for (const [i, param] of params.entries()) {
    const operand = operands[i] as OperandType;
    if (!isPseudo(param) || operand === 'unknown') continue;
    switch (param) {
      case 'any':
        break;
      case 'anyelement':
      case 'anynonarray':
      case 'anyenum':
        if (!agree(element, operand)) return undefined;
        element = operand;
        break;
      case 'anyarray':
        if (operand.element === undefined || operand.category !== 'A' || !agree(array, operand)) return undefined;
        array = operand;
        break;
      case 'anyrange':
        if (operand.category !== 'R' || !agree(range, operand)) return undefined;
        range = operand;
        break;
      case 'anycompatible':
      case 'anycompatiblenonarray':
        compatible.push(operand);
        break;
      case 'anycompatiblearray':
        if (operand.element === undefined || operand.category !== 'A') return undefined;
        compatible.push(operand.element);
        break;
      case 'anycompatiblerange':
        return undefined;
    }
  }
  if (array?.element !== undefined) {
    if (!agree(element, array.element)) return undefined;
    element = array.element;
  }
  if (range !== undefined) {
    const subtype = rangeSubtype(range);
    if (!agree(element, subtype)) return undefined;
    element = subtype;
  }
  if (params.includes('anynonarray') && element?.category === 'A') return undefined;
  if (params.includes('anyenum') && element?.category !== 'E') return undefined;
  const common = compatible.length === 0 ? undefined : commonType(compatible);
  if (common !== undefined && 'conflict' in common) return undefined;
  if (params.includes('anycompatiblenonarray') && common?.type.category === 'A') return undefined;
  return { element, array: array ?? (element && arrayOf(element)), range, compatible: common?.type };
}

/** The concrete types of a routine's parameters and result. Undefined when unknown literals leave them open. */
function concrete(routine: Routine, operands: readonly OperandType[]): Resolved | undefined {
  const bound = bindings(routine.params, operands);
  if (bound === undefined) return undefined;
  const needed = [...routine.params, routine.result].filter(isPseudo);
  // Literals alone do not say what an array or an enum is of; what is merely compatible is text then.
  if (needed.some((param) => SIMPLE.has(param)) && bound.element === undefined) return undefined;
  const compatible = bound.compatible ?? typeNamed('text');
  const resolve = (param: Param, operand: OperandType | undefined): Type | undefined => {
    if (!isPseudo(param)) return param;
    switch (param) {
      case 'any':
        return operand === 'unknown' || operand === undefined ? typeNamed('text') : operand;
      case 'anyelement':
      case 'anynonarray':
      case 'anyenum':
        return bound.element;
      case 'anyarray':
        return bound.array;
      case 'anyrange':
        return bound.range;
      case 'anycompatible':
      case 'anycompatiblenonarray':
        return compatible;
      case 'anycompatiblearray':
        return arrayOf(compatible);
      case 'anycompatiblerange':
        return undefined;
    }
  };
  const params = routine.params.map((param, i) => resolve(param, operands[i]));
  const result = resolve(routine.result, undefined);
  if (result === undefined || params.includes(undefined)) return undefined;
  return { routine, params: params as Type[], result };
}
