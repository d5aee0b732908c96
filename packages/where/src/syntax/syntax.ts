/** What the parser makes of a clause: names and constants are not looked at yet. `at` is a UTF-16 index into the clause. */
export type Syntax =
  | { readonly kind: 'null' | 'true' | 'false'; readonly at: number }
  | { readonly kind: 'string' | 'integer' | 'decimal' | 'bits'; readonly text: string; readonly at: number }
  | { readonly kind: 'param'; readonly number: number; readonly at: number }
  | { readonly kind: 'column'; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'and' | 'or'; readonly args: readonly Syntax[]; readonly at: number }
  | { readonly kind: 'not'; readonly arg: Syntax; readonly at: number }
  | { readonly kind: 'binary'; readonly op: string; readonly left: Syntax; readonly right: Syntax; readonly at: number }
  | { readonly kind: 'unary'; readonly op: string; readonly arg: Syntax; readonly at: number }
  | { readonly kind: 'isNull'; readonly arg: Syntax; readonly negated: boolean; readonly at: number }
  | {
      readonly kind: 'isTruth';
      readonly truth: 'TRUE' | 'FALSE' | 'UNKNOWN';
      readonly arg: Syntax;
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'distinct';
      readonly left: Syntax;
      readonly right: Syntax;
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'between';
      readonly arg: Syntax;
      readonly low: Syntax;
      readonly high: Syntax;
      readonly symmetric: boolean;
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'in';
      readonly arg: Syntax;
      readonly items: readonly Syntax[];
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'like';
      readonly arg: Syntax;
      readonly pattern: Syntax;
      readonly escape: Syntax | undefined;
      readonly insensitive: boolean;
      readonly negated: boolean;
      readonly at: number;
    }
  | {
      readonly kind: 'similar';
      readonly arg: Syntax;
      readonly pattern: Syntax;
      readonly escape: Syntax | undefined;
      readonly negated: boolean;
      readonly at: number;
    }
  /** `left op ANY (right)` or `left op ALL (right)`; `LIKE ANY` has its operator's name, `~~`. */
  | {
      readonly kind: 'quantified';
      readonly op: string;
      readonly all: boolean;
      readonly left: Syntax;
      readonly right: Syntax;
      /** Where `right` starts: the token after the parenthesis. */
      readonly rightAt: number;
      readonly at: number;
    }
  | { readonly kind: 'cast'; readonly arg: Syntax; readonly type: TypeSyntax; readonly at: number }
  | { readonly kind: 'collate'; readonly arg: Syntax; readonly name: readonly string[]; readonly at: number }
  | CallSyntax
  /** `ARRAY[...]`. The bare brackets of a nested one are arrays of their own. */
  | { readonly kind: 'array'; readonly items: readonly Syntax[]; readonly at: number }
  /** Consecutive subscripts of one value; `at` is where the value starts. */
  | {
      readonly kind: 'subscript';
      readonly arg: Syntax;
      readonly subscripts: readonly SubscriptSyntax[];
      readonly at: number;
    }
  /** `explicit`: with the word ROW, the only way to write a row of none or one. */
  | { readonly kind: 'row'; readonly items: readonly Syntax[]; readonly explicit: boolean; readonly at: number }
  | {
      readonly kind: 'case';
      /** The value that the WHENs are compared with; undefined when they are conditions. */
      readonly arg: Syntax | undefined;
      readonly whens: readonly { readonly when: Syntax; readonly then: Syntax }[];
      readonly otherwise: Syntax | undefined;
      readonly at: number;
    }
  | { readonly kind: 'coalesce' | 'greatest' | 'least'; readonly args: readonly Syntax[]; readonly at: number }
  | { readonly kind: 'nullif'; readonly left: Syntax; readonly right: Syntax; readonly at: number }
  /** A function without parentheses whose value is the session's: CURRENT_DATE, USER. `name` in lower case. */
  | { readonly kind: 'sqlValue'; readonly name: string; readonly at: number }
  | SubquerySyntax;

/** A function call; EXTRACT, TRIM, AT TIME ZONE and their like are calls of the function they stand for. */
export interface CallSyntax {
  readonly kind: 'call';
  /** `schema.name` outside pg_catalog. */
  readonly name: string;
  readonly args: readonly Syntax[];
  /** `f(*)`. */
  readonly star: boolean;
  /** Something only aggregates and window functions take was there: DISTINCT, ORDER BY, FILTER, OVER, WITHIN GROUP. */
  readonly distinct: boolean;
  /** The last argument was said to be VARIADIC. */
  readonly variadic: boolean;
  readonly at: number;
}

/** One pair of brackets behind a value. */
export type SubscriptSyntax =
  | { readonly slice: false; readonly index: Syntax }
  | { readonly slice: true; readonly lower: Syntax | undefined; readonly upper: Syntax | undefined };

export interface SubquerySyntax {
  readonly kind: 'subquery';
  readonly form: 'in' | 'notIn' | 'exists' | 'scalar' | 'quantified' | 'array';
  /** What is compared with the subquery; undefined for `exists`, `scalar` and `array`. */
  readonly left: Syntax | undefined;
  /** Operator of a quantified comparison, else undefined. */
  readonly op: string | undefined;
  /** A quantified comparison with ALL. */
  readonly all: boolean;
  readonly select: SubqueryText;
  /** The keyword or operator; for a scalar subquery its parenthesis. */
  readonly at: number;
}

/** A SELECT as far as it is `SELECT columns FROM tables WHERE condition`. */
export interface SubqueryText {
  readonly columns: readonly Syntax[];
  readonly from: readonly {
    readonly path: readonly string[];
    readonly alias: string | undefined;
    readonly at: number;
  }[];
  readonly where: Syntax | undefined;
  /** There was more: a join, GROUP BY, LIMIT, UNION, WITH, VALUES, `*`. What is here is then only its beginning. */
  readonly otherClauses: boolean;
  readonly distinct: boolean;
  readonly at: number;
}

export interface TypeSyntax {
  /**
   * As in `pg_type`, without pg_catalog: `int4`, `bpchar`, `timestamptz`; `schema.name` outside pg_catalog. The one-byte
   * type of the catalogs is `"char"`, in its quotes.
   */
  readonly name: string;
  /** The name in parts; `pg_catalog` comes first where the grammar has a spelling of its own, as for `integer`. */
  readonly path: readonly string[];
  /** Those of `interval` are as in its type modifier: the fields as a bit mask (7FFF for all), then the precision. */
  readonly modifiers: readonly number[];
  readonly arrayDims: number;
  readonly at: number;
}
