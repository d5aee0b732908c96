import { accept, type Checked } from './field-errors.ts';
import { isObject, type Params } from './query-string.ts';

/** The members of a subset request, typed but not yet checked against a table. */
export interface SubsetParams {
  readonly where?: string;
  /** Values of `$n` by n. */
  readonly params: Readonly<Record<string, string>>;
  readonly orderBy?: string;
  /** Decimal integers that fit a bigint of Postgres. */
  readonly limit?: string;
  readonly offset?: string;
}

const INVALID = 'is invalid';
const MAX_DIGITS = 100;
const MAX_BIGINT = 2n ** 63n - 1n;

/**
 * Types the members of `subset` (spec H 13); members that are unknown, or a structured form for proxies, are ignored. Empty and
 * blank count as absent (QP-3). The errors of all members at once, not nested.
 */
export function parseSubsetParams(subset: Params): Checked<SubsetParams> {
  const errors: Record<string, readonly string[]> = {};
  const where = text(subset.where, () => (errors.where = [INVALID]));
  const orderBy = text(subset.order_by, () => (errors.order_by = [INVALID]));
  const limit = integer(subset.limit, 1n, (problem) => (errors.limit = [problem]));
  const offset = integer(subset.offset, 0n, (problem) => (errors.offset = [problem]));
  const params = clauseParams(subset.params, (problem) => (errors.params = [problem]));
  const paged = limit !== undefined || offset !== undefined;
  if (paged && orderBy === undefined) errors.order_by ??= ['order_by is required when limit or offset is present'];
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  return accept({
    params: params ?? {},
    ...(where === undefined ? undefined : { where }),
    ...(orderBy === undefined ? undefined : { orderBy }),
    ...(limit === undefined ? undefined : { limit }),
    ...(offset === undefined ? undefined : { offset }),
  });
}

function text(value: unknown, refuse: () => void): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  refuse();
  return undefined;
}

/** Numbers and strings are equally good (QP-10). What is larger than any table is as good as the largest bigint. */
function integer(value: unknown, least: 0n | 1n, refuse: (problem: string) => void): string | undefined {
  if (value === undefined || value === null || (typeof value === 'string' && value.trim() === '')) return undefined;
  const number = toBigInt(value);
  if (number !== undefined && number >= least) return String(number < MAX_BIGINT ? number : MAX_BIGINT);
  if (number === undefined) refuse(INVALID);
  else refuse(least === 0n ? 'must be greater than or equal to 0' : 'must be greater than 0');
  return undefined;
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string' || value.length > MAX_DIGITS || !/^[+-]?\d+$/.test(value)) return undefined;
  return BigInt(value.startsWith('+') ? value.slice(1) : value);
}

/** A JSON object in a string, or an object; scalars become the text that Postgres reads. */
function clauseParams(value: unknown, refuse: (problem: string) => void): Record<string, string> | undefined {
  if (value === undefined || value === null || (typeof value === 'string' && value.trim() === '')) return undefined;
  let given: unknown = value;
  if (typeof value === 'string') {
    try {
      given = JSON.parse(value, exactNumbers);
    } catch {
      refuse('params must be valid JSON');
      return undefined;
    }
  }
  if (!isObject(given)) {
    refuse('params must be a JSON object');
    return undefined;
  }
  const params = Object.create(null) as Record<string, string>;
  for (const [name, member] of Object.entries(given)) {
    // There is no text that means NULL: a clause says IS NULL.
    if (typeof member !== 'string' && typeof member !== 'number' && typeof member !== 'boolean') {
      refuse(INVALID);
      return undefined;
    }
    params[name] = String(member);
  }
  return params;
}

/** Digits that every double holds. */
const EXACT_DIGITS = 15;

/**
 * A reviver that keeps a number that a double might not hold, such as an int8 key, as the text it was written as. For JSON from
 * clients, where numbers and their text are equally good.
 */
export function exactNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || source.length <= EXACT_DIGITS) return value;
  return source.replace(/\D/g, '').length > EXACT_DIGITS ? source : value;
}
