import { catalogueCast, type CastContext } from '../catalogue/catalogue.ts';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import { ArrayValue } from '../types/array-value.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { fnOf } from './registry.ts';

/** Converts a non-NULL value. Throws ClauseEvaluationError where Postgres raises an error. */
export type Convert = (value: Value) => Value | null;

/** How values of one type become values of another. */
export interface CastPath {
  /** The least explicit context in which Postgres applies it. */
  readonly context: CastContext;
  /** Undefined when the value stays as it is. */
  readonly convert: Convert | undefined;
  /** Values are equal after it exactly when they were before, and it never fails. */
  readonly faithful: boolean;
  /** The value becomes its wire text. */
  readonly writesText?: boolean;
  /** Postgres applies it to constants at planning already. */
  readonly immutable: boolean;
}

const FAITHFUL: ReadonlySet<string> = new Set([
  'int2 int4',
  'int2 int8',
  'int4 int8',
  'int2 numeric',
  'int4 numeric',
  'int8 numeric',
  'int2 float8',
  'int4 float8',
  'float4 float8',
  'name text',
]);

const paths = new Map<Type, Map<Type, CastPath | null>>();

/** The way from one type to another; undefined when there is none, or none that the engine knows. */
export function castPath(from: Type, to: Type): CastPath | undefined {
  let known = paths.get(from);
  if (known === undefined) paths.set(from, (known = new Map<Type, CastPath | null>()));
  let path = known.get(to);
  if (path === undefined) known.set(to, (path = findPath(from, to) ?? null));
  return path ?? undefined;
}

/** Whether Postgres converts `from` to `to` by itself. */
export function castsImplicitly(from: Type, to: Type): boolean {
  return from === to || castPath(from, to)?.context === 'implicit';
}

/**
 * Applies type modifiers as an explicit cast does: `varchar(n)`, `char(n)`, `numeric(p,s)`, `timestamp(p)`. Undefined when
 * the type takes none, or these are not supported.
 */
export function modifierOf(to: Type, modifiers: readonly number[]): Convert | undefined {
  const entry = catalogueCast(to.name, to.name);
  const typmod = typmodOf(to, modifiers);
  const name = to.name === 'bpchar' ? 'bpchar(bpchar,int4,bool)' : entry?.signature;
  if (name === undefined || typmod === undefined) return undefined;
  const coerce = fnOf(name, [to], to) as ((...args: unknown[]) => Value) | undefined;
  if (coerce === undefined) return undefined;
  return name.endsWith(',bool)') ? (value) => coerce(value, typmod, true) : (value) => coerce(value, typmod);
}

function typmodOf(to: Type, modifiers: readonly number[]): number | undefined {
  const [first, second] = modifiers;
  if (first === undefined) return undefined;
  switch (to.name) {
    case 'varchar':
    case 'bpchar':
      // The longest char(n) that may be padded for every row; Postgres itself goes to ten million.
      return modifiers.length === 1 && first >= 1 && first <= 10_000 ? first + 4 : undefined;
    case 'numeric':
      // Negative and excessive scales exist since Postgres 15 only.
      if (modifiers.length > 2 || first < 1 || first > 1000 || (second ?? 0) < 0 || (second ?? 0) > first)
        return undefined;
      return ((first << 16) | (second ?? 0)) + 4;
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return modifiers.length === 1 && first >= 0 && first <= 6 ? first : undefined;
    default:
      return undefined;
  }
}

function findPath(from: Type, to: Type): CastPath | undefined {
  if (from === to) return undefined;
  if (from.category === 'A' && to.category === 'A') return elementwise(from, to);
  const entry = catalogueCast(from.name, to.name);
  if (entry !== undefined) {
    const { context, immutable } = entry;
    if (entry.throughText) return throughText(from, to, context);
    // Types that are not understood are in the catalogue for resolution only; nothing evaluates their values.
    const opaque = !isUnderstood(from) || !isUnderstood(to);
    if (entry.signature === undefined || opaque) {
      return { context, convert: undefined, faithful: !opaque && from.identical === to.identical, immutable };
    }
    const fn = fnOf(entry.signature, [from], to);
    if (fn === undefined) return undefined;
    return { context, convert: fn as Convert, faithful: FAITHFUL.has(`${from.name} ${to.name}`), immutable };
  }
  // Everything has a text form: to a string type by assignment, from one when the clause says so.
  if (to.category === 'S' && isUnderstood(from)) {
    const context = from.category === 'S' ? 'explicit' : 'assignment';
    const immutable = from.stableText !== true;
    return { context, convert: writeText(from, to), faithful: false, writesText: true, immutable };
  }
  return from.category === 'S' && isUnderstood(to) ? throughText(from, to, 'explicit') : undefined;
}

/** Opaque types have no text the engine could vouch for; `json` has its own. */
export function isUnderstood(type: Type): boolean {
  return type.compare !== undefined || type.name === 'json' || type.element?.name === 'json';
}

/** Every element goes the way of the element types. */
function elementwise(from: Type, to: Type): CastPath | undefined {
  const path = castPath(from.element as Type, to.element as Type);
  if (path === undefined) return undefined;
  const { convert, context, faithful, immutable } = path;
  if (convert === undefined) return path;
  return {
    context,
    faithful,
    immutable,
    convert: (value) => {
      const array = value as ArrayValue;
      const elements = array.elements.map((element) => (element === null ? null : convert(element)));
      return new ArrayValue(elements, array.dims, array.lowerBounds);
    },
  };
}

function writeText(from: Type, to: Type): Convert {
  const write = (value: Value): string => from.format(value);
  return to.name === 'name' ? (value) => to.parse(write(value)).value : write;
}

function throughText(from: Type, to: Type, context: CastContext): CastPath {
  const convert: Convert = (value) => {
    const text = from.format(value);
    try {
      return to.parse(text).value;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new ClauseEvaluationError(
        error.undecided ? 'undecided' : 'postgres',
        `invalid input syntax for type ${to.name}`,
      );
    }
  };
  const immutable = from.stableText !== true && to.stableText !== true;
  return { context, convert, faithful: false, immutable };
}
