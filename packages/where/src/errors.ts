/**
 * A row on which a clause has no value.
 *
 * `postgres`: Postgres raises an error for this row too (a bad cast, a pattern that ends in its escape character). The
 * row is not in the shape, and that is final. `undecided`: the engine cannot evaluate what Postgres could, for instance a
 * cell whose text it does not understand; the shape can no longer be trusted and rotates (spec R 13.4.2, W 4).
 */
export class ClauseEvaluationError extends Error {
  override readonly name = 'ClauseEvaluationError';
  readonly reason: 'postgres' | 'undecided';

  /** `message` names types and causes, never row values. */
  constructor(reason: 'postgres' | 'undecided', message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Text that an input function does not take. Caught at binding, where the location is known. */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** Some version of Postgres may read the text although we do not: for a cell the answer is open, not an error. */
  readonly undecided: boolean;

  constructor(message: string, undecided = false) {
    super(message);
    this.undecided = undecided;
  }
}

/** Why a clause is refused. Thrown inside the parser and the binder only; `parseWhere` turns it into its answer. */
export class ClauseRefusal extends Error {
  override readonly name = 'ClauseRefusal';
  /** UTF-16 index into the clause; undefined for refusals without a location. */
  readonly at: number | undefined;
  readonly kind: 'syntax' | 'semantic';
  readonly field: 'where' | 'params';

  constructor(
    reason: string,
    at?: number,
    kind: 'syntax' | 'semantic' = 'semantic',
    field: 'where' | 'params' = 'where',
  ) {
    super(reason);
    this.at = at;
    this.kind = kind;
    this.field = field;
  }
}

/**
 * The text of a refusal: `At location N: reason`, N in characters. Syntax errors count from the start of `wrapper`, the
 * statement that the reference puts a client's text behind (H PA-6), others from the start of the text.
 */
export function locate(refusal: ClauseRefusal, text: string, wrapper: string): string {
  if (refusal.at === undefined) return refusal.message;
  let characters = 0;
  for (const _ of text.slice(0, refusal.at)) characters++;
  const location = refusal.kind === 'syntax' ? characters + wrapper.length : characters;
  return `At location ${location}: ${refusal.message}`;
}
