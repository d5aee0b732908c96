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
  | { readonly kind: 'cast'; readonly arg: Syntax; readonly type: TypeSyntax; readonly at: number }
  | { readonly kind: 'collate'; readonly arg: Syntax; readonly name: readonly string[]; readonly at: number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Syntax[]; readonly at: number };

export interface TypeSyntax {
  /** Lower case, spelled as in `pg_type` where the grammar has a special spelling: `int4`, `bpchar`, `timestamptz`. */
  readonly name: string;
  readonly modifiers: readonly number[];
  readonly arrayDims: number;
  readonly at: number;
}
