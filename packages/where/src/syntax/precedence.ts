import type { Token } from './lexer.ts';
import type { Syntax } from './syntax.ts';

/** Binding powers, lowest first (spec W 1.3). Subscripts belong to the value they follow and have none. */
export const LEVEL = {
  none: 0,
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  compare: 5,
  pattern: 6,
  operator: 7,
  additive: 8,
  multiplicative: 9,
  power: 10,
  at: 11,
  collate: 12,
  sign: 13,
  cast: 14,
} as const;

/** What to parse next: an expression whose infix operators bind at least as strongly as `minLevel`. */
export interface Goal {
  readonly minLevel: number;
  /** Postgres's `b_expr`: no AND, OR, NOT, IS NULL, IN, LIKE, BETWEEN, ANY, COLLATE or AT TIME ZONE outside parentheses. */
  readonly restricted: boolean;
  /** One more level of nesting: the expression is in brackets of some kind, or behind a prefix operator. */
  readonly nested: boolean;
}

/**
 * A part of the parser. It yields a goal and goes on with the syntax that was found for it, so that expressions inside
 * expressions cost no stack.
 */
export type Parsing<T> = Generator<Goal, T, Syntax>;

/** A whole expression, between brackets or keywords. */
export const WHOLE: Goal = { minLevel: LEVEL.or, restricted: false, nested: true };
/** The first operand of SUBSTRING, which may be followed by a SIMILAR that is no operator. */
export const BEFORE_SIMILAR: Goal = { ...WHOLE };
/** A whole `b_expr`. */
export const RESTRICTED: Goal = { minLevel: LEVEL.or, restricted: true, nested: true };

const GOALS = Array.from({ length: LEVEL.cast + 2 }, (_, minLevel) =>
  [false, true].map((restricted) => [false, true].map((nested) => ({ minLevel, restricted, nested }))),
);

/** The operand of a prefix operator, with the operators from this level on. */
export function behindPrefix(level: number, restricted: boolean): Goal {
  return goal(level, restricted, true);
}

/** The right operand of an infix operator of this level: only what binds stronger, since all of them group to the left. */
export function rightOperand(level: number, restricted = false): Goal {
  return goal(level + 1, restricted, false);
}

function goal(level: number, restricted: boolean, nested: boolean): Goal {
  return (GOALS[level] as Goal[][])[Number(restricted)]?.[Number(nested)] as Goal;
}

const COMPARISONS: ReadonlySet<string> = new Set(['<', '>', '=', '<=', '>=', '<>']);

/** Level of an infix operator; OPERATOR() has that of the operators without a place of their own, whatever it names. */
export function operatorLevel(op: string): number {
  if (COMPARISONS.has(op)) return LEVEL.compare;
  if (op === '+' || op === '-') return LEVEL.additive;
  if (op === '*' || op === '/' || op === '%') return LEVEL.multiplicative;
  if (op === '^') return LEVEL.power;
  return LEVEL.operator;
}

/**
 * Level from which on operators belong to the operand of a prefix operator; undefined for the operators that are infix
 * only. An infix operator of its own level is not among them: `@ a || b` is `(@ a) || b`.
 */
export function prefixLevel(op: string): number | undefined {
  if (op === '+' || op === '-') return LEVEL.sign;
  return operatorLevel(op) === LEVEL.operator ? LEVEL.operator + 1 : undefined;
}

export function isComparison(token: Token): boolean {
  return token.kind === 'op' && COMPARISONS.has(token.text);
}

const PATTERNS: ReadonlySet<string> = new Set(['between', 'ilike', 'in', 'like', 'similar']);

/** BETWEEN, IN and the LIKE family: what a NOT in front of it belongs to. */
export function isPattern(token: Token): boolean {
  return token.kind === 'word' && PATTERNS.has(token.text);
}
