import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { ARRAY_FUNCTIONS } from './array.ts';
import { DATETIME_FUNCTIONS } from './datetime.ts';
import type { Fn, Implementation, Implementations } from './implementation.ts';
import { JSON_FUNCTIONS } from './json.ts';
import { NETWORK_FUNCTIONS } from './network.ts';
import { NUMERIC_FUNCTIONS } from './numeric.ts';
import { RANGE_FUNCTIONS } from './range.ts';
import { TEXT_FUNCTIONS } from './text.ts';

const NULL_FUNCTIONS: Implementations = {
  'num_nulls(any)': (...values: readonly (Value | null)[]) => values.filter((value) => value === null).length,
  'num_nonnulls(any)': (...values: readonly (Value | null)[]) => values.filter((value) => value !== null).length,
};

const ALL: Implementations = {
  ...NULL_FUNCTIONS,
  ...NUMERIC_FUNCTIONS,
  ...TEXT_FUNCTIONS,
  ...DATETIME_FUNCTIONS,
  ...ARRAY_FUNCTIONS,
  ...JSON_FUNCTIONS,
  ...RANGE_FUNCTIONS,
  ...NETWORK_FUNCTIONS,
};

export function implementationOf(signature: string): Implementation | undefined {
  return Object.hasOwn(ALL, signature) ? ALL[signature] : undefined;
}

/**
 * The function for arguments of these types. Undefined for functions of the catalogue that are there for overload resolution
 * only (ADR 7): the binder refuses a clause that resolves to one.
 */
export function fnOf(signature: string, args: readonly Type[], result: Type): Fn | undefined {
  const implementation = implementationOf(signature);
  if (implementation === undefined || typeof implementation === 'function') return implementation;
  return implementation.of(args, result);
}
