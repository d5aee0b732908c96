import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/**
 * What a Postgres function computes. Of a strict function no argument is NULL; others get null for NULL. Throws
 * ClauseEvaluationError: reason `postgres` where Postgres raises an error, `undecided` where only Postgres knows.
 */
export type Fn = (...args: never[]) => Value | null;

/** A function whose code depends on the types it is called with: polymorphic ones, `concat`. */
export interface Polymorphic {
  readonly of: (args: readonly Type[], result: Type) => Fn;
}

export type Implementation = Fn | Polymorphic;

/**
 * Implementations by the signature of the Postgres function, `proname(argument types)`: `int4pl(int4,int4)`,
 * `array_append(anycompatiblearray,anycompatible)`, `concat(any)`. Operators and casts appear under their function.
 */
export type Implementations = Readonly<Record<string, Implementation>>;
