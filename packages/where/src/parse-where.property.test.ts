import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyClause, anyRow, anyText, TEST_COLUMNS } from './testing/clause.arbitrary.ts';
import { ClauseEvaluationError } from './errors.ts';
import { compileClause, parseStoredWhere, parseWhere } from './parse-where.ts';

/** Columns as a replication stream describes them. */
const STREAM_COLUMNS = TEST_COLUMNS.map(({ name, typeOid }) => ({ name, typeOid, typeMod: -1 }));

describe('parseWhere', () => {
  test('answers any text with a clause or a refusal', () => {
    fc.assert(
      fc.property(anyText, fc.dictionary(fc.constantFrom('1', '2', '3', 'x'), fc.string()), (text, params) => {
        const parsed = parseWhere(text, params, TEST_COLUMNS);
        if (!parsed.ok) expect(parsed.message).not.toBe('');
      }),
      { numRuns: 5000 },
    );
  });

  test('takes most of the clauses that are made to be taken', () => {
    const clauses = fc.sample(anyClause, { numRuns: 500, seed: 7 });
    const refused = clauses.filter((clause) => !parseWhere(clause, {}, TEST_COLUMNS).ok);
    expect(refused.length).toBeLessThan(150);
  });

  test('gives canonical SQL that reads back as itself, from catalog columns and from stream columns', () => {
    fc.assert(
      fc.property(anyClause, (text) => {
        const parsed = parseWhere(text, {}, TEST_COLUMNS);
        if (!parsed.ok) return;
        const { sql, columns } = parsed.clause;
        const again = parseWhere(sql, {}, TEST_COLUMNS);
        expect(again.ok && again.clause.sql).toBe(sql);
        const stored = parseStoredWhere(sql, STREAM_COLUMNS);
        expect(stored.sql).toBe(sql);
        expect(stored.columns).toEqual(columns);
      }),
      { numRuns: 2000 },
    );
  });

  test('keeps the meaning of a clause in its canonical SQL', () => {
    fc.assert(
      fc.property(anyClause, fc.array(anyRow, { minLength: 1, maxLength: 5 }), (text, rows) => {
        const parsed = parseWhere(text, {}, TEST_COLUMNS);
        if (!parsed.ok) return;
        const direct = compileClause(parsed.clause, TEST_COLUMNS);
        const stored = compileClause(parseStoredWhere(parsed.clause.sql, STREAM_COLUMNS), STREAM_COLUMNS);
        for (const row of rows) expect(outcome(() => stored(row))).toBe(outcome(() => direct(row)));
      }),
      { numRuns: 2000 },
    );
  });

  test('does not depend on white space, comments, case and redundant parentheses', () => {
    fc.assert(
      fc.property(anyClause, fc.constantFrom(' ', '\n', ' -- note\n', '/* a /* b */ */', '\t'), (text, blank) => {
        const parsed = parseWhere(text, {}, TEST_COLUMNS);
        const spaced = parseWhere(`${blank}((${text})${blank})${blank}`, {}, TEST_COLUMNS);
        expect(spaced.ok).toBe(parsed.ok);
        if (parsed.ok && spaced.ok) expect(spaced.clause.sql).toBe(parsed.clause.sql);
      }),
      { numRuns: 500 },
    );
  });
});

function outcome(evaluate: () => boolean | null): string {
  try {
    return String(evaluate());
  } catch (error) {
    if (error instanceof ClauseEvaluationError) return error.reason;
    throw error;
  }
}
