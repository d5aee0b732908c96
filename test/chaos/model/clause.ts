import type { Chance } from '../../support/chance.ts';
import type { Row } from './cells.ts';

/**
 * A where clause that the checker can decide by itself, independently of the service's evaluator. Three-valued, as SQL is;
 * `name` columns are integers unless a kind says otherwise.
 */
export type Clause =
  | { readonly kind: 'compare'; readonly column: string; readonly op: '=' | '<' | '>=' | '<>'; readonly value: number }
  | { readonly kind: 'in'; readonly column: string; readonly values: readonly number[] }
  | { readonly kind: 'modulo'; readonly column: string; readonly by: number; readonly rest: number }
  | { readonly kind: 'null'; readonly column: string; readonly not: boolean }
  | { readonly kind: 'prefix'; readonly column: string; readonly prefix: string }
  | { readonly kind: 'not'; readonly of: Clause }
  | { readonly kind: 'and' | 'or'; readonly of: readonly [Clause, Clause] };

export function clauseSql(clause: Clause): string {
  switch (clause.kind) {
    case 'compare':
      return `${clause.column} ${clause.op} ${clause.value}`;
    case 'in':
      return `${clause.column} in (${clause.values.join(', ')})`;
    case 'modulo':
      return `${clause.column} % ${clause.by} = ${clause.rest}`;
    case 'null':
      return `${clause.column} is ${clause.not ? 'not ' : ''}null`;
    case 'prefix':
      return `${clause.column} like '${clause.prefix}%'`;
    case 'not':
      return `not (${clauseSql(clause.of)})`;
    case 'and':
    case 'or':
      return `(${clauseSql(clause.of[0])}) ${clause.kind} (${clauseSql(clause.of[1])})`;
  }
}

/** True, false, or undefined for SQL's unknown. */
export function decide(clause: Clause, row: Row): boolean | undefined {
  switch (clause.kind) {
    case 'compare': {
      const number = numberIn(row, clause.column);
      return number === undefined ? undefined : compare(number, clause.op, clause.value);
    }
    case 'in': {
      const number = numberIn(row, clause.column);
      return number === undefined ? undefined : clause.values.includes(number);
    }
    case 'modulo': {
      const number = numberIn(row, clause.column);
      return number === undefined ? undefined : number % clause.by === clause.rest;
    }
    case 'null':
      return (row[clause.column] === null) !== clause.not;
    case 'prefix':
      return row[clause.column]?.startsWith(clause.prefix);
    case 'not': {
      const of = decide(clause.of, row);
      return of === undefined ? undefined : !of;
    }
    case 'and':
    case 'or': {
      const decisive = clause.kind === 'or';
      const [a, b] = [decide(clause.of[0], row), decide(clause.of[1], row)];
      if (a === decisive || b === decisive) return decisive;
      return a === undefined || b === undefined ? undefined : !decisive;
    }
  }
}

function compare(number: number, op: '=' | '<' | '>=' | '<>', value: number): boolean {
  switch (op) {
    case '=':
      return number === value;
    case '<':
      return number < value;
    case '>=':
      return number >= value;
    case '<>':
      return number !== value;
  }
}

function numberIn(row: Row, column: string): number | undefined {
  const cell = row[column];
  return cell === null || cell === undefined ? undefined : Number(cell);
}

/** What clauses of a table are about: `numbers` are integer columns with their greatest values, `texts` have prefixes. */
export interface ClauseColumns {
  readonly numbers: Readonly<Record<string, number>>;
  readonly texts: Readonly<Record<string, readonly string[]>>;
}

export function randomClause(chance: Chance, columns: ClauseColumns, depth = 2): Clause {
  if (depth > 0 && chance.chance(0.35)) {
    const inner = (): Clause => randomClause(chance, columns, depth - 1);
    if (chance.chance(0.25)) return { kind: 'not', of: inner() };
    return { kind: chance.pick(['and', 'or'] as const), of: [inner(), inner()] };
  }
  const column = chance.pick(Object.keys(columns.numbers));
  const max = columns.numbers[column] as number;
  const text = chance.pick(Object.keys(columns.texts));
  switch (chance.int(6)) {
    case 0:
    case 1:
      return { kind: 'compare', column, op: chance.pick(['=', '<', '>=', '<>'] as const), value: chance.int(max) };
    case 2:
      return { kind: 'in', column, values: [chance.int(max), chance.int(max), chance.int(max)] };
    case 3: {
      const by = 2 + chance.int(4);
      return { kind: 'modulo', column, by, rest: chance.int(by) };
    }
    case 4:
      return { kind: 'null', column: text, not: chance.chance(0.5) };
    default:
      return { kind: 'prefix', column: text, prefix: chance.pick(columns.texts[text] as readonly string[]) };
  }
}
