import type { Value } from './value.ts';

/** `pg_type.typcategory` of the supported types. */
export type TypeCategory = 'A' | 'B' | 'D' | 'E' | 'I' | 'N' | 'R' | 'S' | 'T' | 'U';

/** A literal that went through an input function. */
interface Literal {
  readonly value: Value;
  /** Text that the same input function reads back as this value. For types with canonical output it is the wire text. */
  readonly text: string;
}

/** Everything the engine knows about one type: the module a new type adds. Types are compared by reference. */
export interface Type {
  /** As in messages: `int4`, `int4[]`, `enum mood`. */
  readonly name: string;
  /** As it is written in SQL: `int4`, `int4[]`, `"public"."mood"`. */
  readonly sql: string;
  readonly oid: number;
  readonly category: TypeCategory;
  readonly preferred: boolean;
  /** Input function for literals. Throws InputError for what Postgres refuses, and for what we cannot read exactly. */
  readonly parse: (text: string) => Literal;
  /** Value of a cell of the wire (spec W 2.1). Throws InputError for text Postgres does not write. */
  readonly decode: (text: string) => Value;
  /** The type's output function under the display settings of our sessions; equals the wire text of the value. */
  readonly format: (value: Value) => string;
  /** `===` on values is the type's own equality. */
  readonly identical?: boolean;
  /** `===` and `<` on values are the type's own equality and order. */
  readonly plain?: boolean;
  /** The order of the type's btree operators; undefined for types without one. Text: code points, the caller checks the collation. */
  readonly compare: ((a: Value, b: Value) => number) | undefined;
  /**
   * Key under which equal cells meet in a hash table, taken from wire text. Undefined when wire text is the key itself.
   * Throws InputError when the text has to be understood and is not.
   */
  readonly key: ((text: string) => string | number) | undefined;
  /** Its input or output function is not immutable in Postgres: constants are not read or written at planning. */
  readonly stableText?: boolean;
  /** Of an array type. */
  readonly element: Type | undefined;
}
