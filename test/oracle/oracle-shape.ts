import type { Client } from 'pg';
import type { Chance } from '../support/chance.ts';
import { CELL_NAMES, ORACLE_COLUMNS } from '../support/oracle-columns.ts';
import { selectText } from '../support/rows.ts';
import { StrictReader } from '../support/strict-reader.ts';
import { nested, RAISING_CLAUSES, type EVERY_CLAUSE } from './clause-pool.ts';
import { clauseText, type ClauseText } from './clause-text.ts';

/** A shape that is followed, and how Postgres says what must be in it. */
export interface OracleShape {
  readonly clause: ClauseText;
  readonly params: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
  /** Whether rows exist for which the clause raises an error. */
  readonly raises: boolean;
  readonly reader: StrictReader;
}

/** Says whether the clause is TRUE for a row; an error is not TRUE. Per table, whose row type it takes. */
export async function createHolds(client: Client, table: string): Promise<void> {
  await client.query(`
    create function ${table}_holds(clause text, key int) returns bool language plpgsql as $f$
    declare result bool;
    begin
      execute format('select (%s) from ${table} where id = %s', clause, key) into result;
      return coalesce(result, false);
    exception when others then return false;
    end $f$`);
}

/** A clause of the pool, perhaps inside others; all columns or some, whether the clause uses them or not; both replica modes. */
export function anyShape(
  url: string,
  table: string,
  { make }: (typeof EVERY_CLAUSE)[number],
  chance: Chance,
): OracleShape {
  const clause = clauseText(chance, chance.chance(0.3), (c) => nested(make, c));
  return shapeOf(url, table, clause, chance, false);
}

export function wholeTable(url: string, table: string, chance: Chance): OracleShape {
  return shapeOf(url, table, { where: '', params: {}, sql: '' }, chance, false);
}

/** For every clause that raises errors a shape. */
export function raisingShapes(url: string, table: string, chance: Chance): OracleShape[] {
  return RAISING_CLAUSES.map((make) => shapeOf(url, table, clauseText(chance, false, make), chance, true));
}

function shapeOf(url: string, table: string, clause: ClauseText, chance: Chance, raises: boolean): OracleShape {
  const some = chance.chance(0.4) ? chance.shuffle(CELL_NAMES).slice(0, 1 + chance.int(6)) : undefined;
  const columns = some === undefined ? ORACLE_COLUMNS : ['id', ...some];
  const params = {
    table,
    ...(clause.where === '' ? {} : { where: clause.where }),
    ...clause.params,
    ...(some === undefined ? {} : { columns: columns.map((name) => `"${name}"`).join(',') }),
    ...(chance.chance(0.3) ? { replica: 'full' } : {}),
  };
  return { clause, params, columns, raises, reader: new StrictReader(url, params) };
}

/** The rows of the shape as Postgres has them now. */
export async function expectedRows(client: Client, table: string, shape: OracleShape): Promise<string> {
  const { clause, columns, raises } = shape;
  const where = raises ? `${table}_holds('${clause.sql.replaceAll("'", "''")}', id)` : clause.sql;
  const rows = await selectText(client, table, columns, where);
  return rows.join('\n');
}
