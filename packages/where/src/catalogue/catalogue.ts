import { implementationOf } from '../functions/registry.ts';
import type { Implementation } from '../functions/implementation.ts';
import { type as typeNamed, typeByName } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import { CASTS, FUNCTIONS, OPERATORS } from './catalogue.data.ts';

const PSEUDO = [
  'any',
  'anyarray',
  'anyelement',
  'anynonarray',
  'anyenum',
  'anyrange',
  'anycompatible',
  'anycompatiblearray',
  'anycompatiblenonarray',
  'anycompatiblerange',
] as const;

/** A declared argument type that accepts several types. */
export type Pseudo = (typeof PSEUDO)[number];
export type Param = Type | Pseudo;

/** An operator or a function of Postgres. Present in full, so that resolution sees what Postgres sees. */
export interface Routine {
  readonly signature: string;
  readonly params: readonly Param[];
  readonly result: Param;
  readonly strict: boolean;
  readonly variadic: boolean;
  /** Its result depends on nothing but its arguments, so that Postgres computes it at planning. */
  readonly immutable: boolean;
  /** Undefined: resolution may choose it, and the clause is refused then. */
  readonly implementation: Implementation | undefined;
}

export type CastContext = 'implicit' | 'assignment' | 'explicit';

export interface CatalogueCast {
  readonly context: CastContext;
  /** Signature of the function; undefined when the two types have the same representation, or go through text. */
  readonly signature: string | undefined;
  readonly throughText: boolean;
  readonly immutable: boolean;
}

const CONTEXTS: Readonly<Record<string, CastContext>> = { i: 'implicit', a: 'assignment', e: 'explicit' };

const operators = new Map<string, Routine[]>();
const functions = new Map<string, Routine[]>();
const casts = new Map<string, CatalogueCast>();

for (const line of OPERATORS.trim().split('\n')) {
  const [name, left, right, result, strict, volatility, signature] = line.split(' ') as [string, string, ...string[]];
  const params = (left === '-' ? [right] : [left, right]).map((one) => param(one as string));
  if (params.includes(undefined)) continue;
  add(operators, name, {
    signature: signature as string,
    params: params as Param[],
    result: param(result as string) as Param,
    strict: strict === 'true',
    variadic: false,
    immutable: volatility === 'i',
    implementation: implementationOf(signature as string),
  });
}

for (const line of FUNCTIONS.trim().split('\n')) {
  const [signature, result, strict, variadic, volatility] = line.split(' ') as [string, string, string, string, string];
  const open = signature.indexOf('(');
  const args = signature.slice(open + 1, -1);
  const params = args === '' ? [] : args.split(',').map(param);
  if (params.includes(undefined) || param(result) === undefined) continue;
  add(functions, signature.slice(0, open), {
    signature,
    params: params as Param[],
    result: param(result) as Param,
    strict: strict === 'true',
    variadic: variadic === 'true',
    immutable: volatility === 'i',
    implementation: implementationOf(signature),
  });
}

for (const line of CASTS.trim().split('\n')) {
  const [source, target, context, method, volatility, signature] = line.split(' ') as [string, string, ...string[]];
  casts.set(`${source} ${target}`, {
    context: CONTEXTS[context as string] as CastContext,
    signature,
    throughText: method === 'i',
    immutable: volatility === 'i',
  });
}

/** Operators of a name with so many operands. */
export function operatorsNamed(name: string, arity: 1 | 2): readonly Routine[] {
  return (operators.get(name) ?? []).filter((routine) => routine.params.length === arity);
}

export function functionsNamed(name: string): readonly Routine[] {
  return functions.get(name) ?? [];
}

/** The entry of `pg_cast`, length coercions of a type to itself included. */
export function catalogueCast(from: string, to: string): CatalogueCast | undefined {
  return casts.get(`${from} ${to}`);
}

export function isPseudo(one: Param): one is Pseudo {
  return typeof one === 'string';
}

function param(name: string): Param | undefined {
  return PSEUDO.find((pseudo) => pseudo === name) ?? typeByName(name);
}

function add(to: Map<string, Routine[]>, name: string, routine: Routine): void {
  const known = to.get(name);
  if (known === undefined) to.set(name, [routine]);
  else known.push(routine);
}

/** The type of a range's bounds. */
export function rangeSubtype(range: Type): Type {
  const names: Readonly<Record<string, string>> = {
    int4range: 'int4',
    int8range: 'int8',
    numrange: 'numeric',
    daterange: 'date',
    tsrange: 'timestamp',
    tstzrange: 'timestamptz',
  };
  return typeNamed(names[range.name] as string);
}
