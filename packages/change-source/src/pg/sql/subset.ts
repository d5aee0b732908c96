import pg from 'pg';
import type { SubsetRequest } from '../../change-source.ts';
import { declareCursor, fetchMore, parenthesized } from './snapshot.ts';

const { escapeIdentifier } = pg;

const INTEGER = /^\d{1,20}$/;

/** Opens the cursor of a subset. Everything in it is quoted here or canonical; a number is checked to be one. */
export function declareSubset(request: SubsetRequest): string {
  const { orderBy, limit, offset } = request;
  const where = request.conditions.map(parenthesized).join(' and ');
  const order = orderBy.map(
    ({ column, descending, nulls }) =>
      `${escapeIdentifier(column)}${descending ? ' desc' : ' asc'}${nulls === undefined ? '' : ` nulls ${nulls}`}`,
  );
  const rest = [
    order.length === 0 ? '' : ` order by ${order.join(', ')}`,
    limit === undefined ? '' : ` limit ${integer(limit)}`,
    offset === undefined ? '' : ` offset ${integer(offset)}`,
  ];
  return declareCursor({ ...request, where }, rest.join(''));
}

/** Rows within what is left of the time. */
export function fetchWithin(rows: number, timeoutMs: number): string {
  return `set local statement_timeout = ${timeoutMs}; ${fetchMore(rows)}`;
}

function integer(text: string): string {
  if (!INTEGER.test(text)) throw new Error('not a decimal integer');
  return text;
}
