import type { Chance } from '../support/chance.ts';

/** A clause as a client sends it, and as Postgres takes it in a query. */
export interface ClauseText {
  readonly where: string;
  /** `params[1]` and so on, as the request names them. */
  readonly params: Readonly<Record<string, string>>;
  readonly sql: string;
}

/** What a clause is made with: chance, and constants that may become parameters. */
export interface ClauseContext {
  readonly chance: Chance;
  /** One of the values as an untyped constant. */
  pick(values: readonly string[]): string;
  /** One of the values as it stands: numbers, arrays of numbers. */
  bare(values: readonly string[]): string;
  /** Untyped constants, separated by commas. */
  list(values: readonly string[], count: number): string;
}

const MARK = '\u0001';

/** Makes a clause. Its untyped constants are literals, or parameters where `parameters` says so. */
export function clauseText(chance: Chance, parameters: boolean, make: (context: ClauseContext) => string): ClauseText {
  const constants: string[] = [];
  const constant = (text: string): string => {
    constants.push(text);
    return `${MARK}${constants.length}${MARK}`;
  };
  const pick = (values: readonly string[]): string => constant(chance.pick(values));
  const template = make({
    chance,
    pick,
    bare: (values) => chance.pick(values),
    list: (values, count) => Array.from({ length: count }, () => pick(values)).join(', '),
  }).split(MARK);
  const fill = (constantAt: (number: number) => string): string =>
    template.map((piece, i) => (i % 2 === 1 ? constantAt(Number(piece)) : piece)).join('');
  const sql = fill((number) => quote(constants[number - 1] as string));
  if (!parameters || constants.length === 0) return { where: sql, params: {}, sql };
  const params = Object.fromEntries(constants.map((text, i) => [`params[${i + 1}]`, text]));
  return { where: fill((number) => `$${number}`), params, sql };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
