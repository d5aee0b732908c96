import { caseMapping, sortsByCodePoint, type ClauseColumn } from '../column.ts';
import { ClauseRefusal } from '../errors.ts';
import type { CaseFold } from '../functions/like.ts';
import type { Type } from '../types/type.ts';
import type { BindContext } from './context.ts';
import type { Bound } from './operand.ts';

const OUTSIDE = 'which cannot be evaluated outside Postgres';

/** Whether a value of this type has a collation. */
export function isCollatable(type: Type): boolean {
  return type.category === 'S' || type.element?.category === 'S';
}

/** Refuses what a nondeterministic collation would decide: then equal text need not be the same text (spec W 5.1). */
export function checkEquality(by: Type, operands: readonly Bound[], at: number): void {
  if (!isCollatable(by)) return;
  for (const column of collated(operands)) {
    if (column.collation?.deterministic !== false) continue;
    const what = `column "${column.name}" uses the nondeterministic collation "${column.collation.collate}"`;
    throw new ClauseRefusal(`${what}, ${OUTSIDE}`, at);
  }
}

/** Only code point order can be reproduced, so the collation has to be known to be that (spec W 5.1). */
export function checkOrder(context: BindContext, by: Type, operands: readonly Bound[], at: number): void {
  if (by.name === 'jsonb' || by.element?.name === 'jsonb') {
    // Strings in it sort by the database's collation, objects by rules of their own.
    throw new ClauseRefusal('ordering comparison of jsonb is not supported', at);
  }
  if (!isCollatable(by)) return;
  if (context.stored || context.postgresOnly || operands.some(({ collations }) => collations === 'C')) return;
  const columns = collated(operands);
  const advice = `${OUTSIDE}; add COLLATE "C"`;
  if (columns.length === 0) {
    const { databaseCollation } = context;
    if (databaseCollation?.deterministic === true && sortsByCodePoint(databaseCollation)) return;
    throw new ClauseRefusal(`ordering comparison uses the database's collation, ${advice}`, at);
  }
  for (const column of columns) {
    const { collation } = column;
    if (collation !== undefined && collation.deterministic && sortsByCodePoint(collation)) continue;
    const uses = collation === undefined ? 'a collation that is not known' : `collation "${collation.collate}"`;
    throw new ClauseRefusal(`ordering comparison on column "${column.name}" uses ${uses}, ${advice}`, at);
  }
}

/** How `what` (ILIKE, lower) maps letters in these operands (spec W 5.3). */
export function foldOf(context: BindContext, what: string, operands: readonly Bound[], at: number): CaseFold {
  if (operands.some(({ collations }) => collations === 'C')) return 'ascii';
  // Only says whether the SQL has a COLLATE of its own.
  if (context.postgresOnly) return 'one';
  const columns = collated(operands);
  // Canonical SQL says COLLATE "C" where letters are ASCII only.
  if (context.stored && columns.every((column) => column.collation === undefined)) return 'one';
  const known = columns.length === 0 ? [context.databaseCollation] : columns.map(({ collation }) => collation);
  const folds = new Set(known.map((collation) => (collation ? caseMapping(collation) : 'unknown')));
  const [fold] = folds;
  if (folds.size === 1 && fold !== undefined && fold !== 'unknown') return fold;
  const where = columns.length === 1 ? ` of column "${columns[0]?.name}"` : '';
  const advice = 'cannot be evaluated outside Postgres; add COLLATE "C" to fold ASCII letters only';
  throw new ClauseRefusal(`${what} with the case rules${where} ${advice}`, at);
}

function collated(operands: readonly Bound[]): readonly ClauseColumn[] {
  if (operands.some(({ collations }) => collations === 'C')) return [];
  return operands.flatMap(({ collations }) => (collations === 'C' ? [] : collations));
}
