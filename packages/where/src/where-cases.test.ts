import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ClauseColumn, ColumnCollation } from './column.ts';
import { ClauseEvaluationError } from './errors.ts';
import { compileClause, parseStoredWhere, parseWhere } from './parse-where.ts';

/** A case of spec W 11.1; the expected value is what PostgreSQL 15 says. */
interface Case {
  readonly n: number;
  readonly clause: string;
  readonly row: Readonly<Record<string, string | null>>;
  readonly expected: 'true' | 'false' | 'null' | 'refuse' | 'eval-error';
}

const CASES = JSON.parse(readFileSync(new URL('./testdata/where-cases.json', import.meta.url), 'utf8')) as Case[];

/**
 * Cases that the engine refuses, as it may (spec W 10.5 f): regular expressions have a dialect of their own
 * in Postgres (158), membership in the result of a subquery (272 to 282) comes with subqueries.
 */
const NOT_YET = new Set([158, ...range(272, 282)]);

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };

const TYPES: Readonly<Record<string, number>> = {
  ...{ id: 23, i2: 21, i4: 23, i8: 20, f4: 700, f8: 701, n: 1700, b: 16, s: 25, vc: 1043, bc: 1042, u: 2950, d: 1082 },
  ...{ tm: 1083, ts: 1114, tz: 1184, iv: 1186, by: 17, ia: 1007, ta: 1009, fa: 1022, j: 3802, Mixed: 25 },
};

const COLUMNS: readonly ClauseColumn[] = [
  ...Object.entries(TYPES).map(([name, typeOid]) => ({
    name,
    typeOid,
    ...(typeOid === 25 || typeOid === 1042 || typeOid === 1043 || typeOid === 1009 ? { collation: C_UTF8 } : {}),
  })),
  {
    name: 'e',
    typeOid: 16_500,
    typeName: 'mood',
    typeSchema: 'public',
    typeKind: 'e',
    dims: 0,
    enumLabels: ['sad', 'ok', 'happy'],
  },
  { name: 'dom', typeOid: 16_600, typeName: 'posint', typeSchema: 'public', typeKind: 'd', dims: 0, baseTypeOid: 23 },
];

/** What the replication stream says of them. */
const STREAM = COLUMNS.map(({ name, typeOid }) => ({ name, typeOid }));
const TABLE = { schema: 'public', name: 't', databaseCollation: C_UTF8 };

describe('the cases of the where specification', () => {
  test('are all here', () => {
    expect(CASES.map((one) => one.n)).toEqual(range(1, 282));
  });

  test.each(CASES.filter((one) => !NOT_YET.has(one.n)))('$n: $clause', (one) => {
    expect(outcome(one)).toBe(one.expected);
  });

  test('are refused where the construct is not supported yet', () => {
    const accepted = CASES.filter((one) => NOT_YET.has(one.n) && outcome(one) !== 'refuse');
    expect(accepted.map((one) => `${one.n} ${one.clause}`)).toEqual([]);
    // Cases 47, 162 and the like are refused by Postgres too, and stay.
    expect(CASES.filter((one) => outcome(one) === 'refuse' && one.expected !== 'refuse')).toHaveLength(
      CASES.filter((one) => NOT_YET.has(one.n) && one.expected !== 'refuse').length,
    );
  });
});

function outcome(one: Case): string {
  const parsed = parseWhere(one.clause, {}, COLUMNS, TABLE);

  if (!parsed.ok) return 'refuse';
  expect(parseStoredWhere(parsed.clause.sql, STREAM, parsed.clause.types).sql).toBe(parsed.clause.sql);
  const row = COLUMNS.map(({ name }) => wireText(name, one.row[name] ?? null));
  try {
    return String(compileClause(parsed.clause, COLUMNS)(row));
  } catch (error) {
    if (error instanceof ClauseEvaluationError && error.reason === 'postgres') return 'eval-error';
    throw error;
  }
}

/** The cases give input text; rows hold what Postgres makes of it. */
function wireText(column: string, text: string | null): string | null {
  if (text === null) return null;
  if (column === 'bc') return text.padEnd(5);
  if (column === 'by') return text.toLowerCase();
  return text === '1e20' ? '1e+20' : text;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
