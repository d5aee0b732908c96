import pg from 'pg';
import type { RelationInfo } from '@shapecast/shape';
import { openPgSourceDatabase } from '@shapecast/change-source';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { Chance } from '../support/chance.ts';
import { anyRow, COLUMNS, quoteName, quoteText, SCHEMA } from './table.ts';

/** What a clause is for one row: true, false, null, or an error; `e` is followed by Postgres's SQLSTATE. */
export type Outcome = 't' | 'f' | 'n' | `e${string}`;

/** Whether Postgres takes a clause: `plan` means that folding its constants fails, before any row is looked at. */
export type Verdict = 'accepted' | { readonly stage: 'parse' | 'plan'; readonly message: string };

const SETTINGS = [
  'TimeZone=UTC',
  'DateStyle=ISO,DMY',
  'bytea_output=hex',
  'extra_float_digits=1',
  'IntervalStyle=iso_8601',
  'jit=off',
  'max_parallel_workers_per_gather=0',
  'statement_timeout=60s',
];

/** The oracle itself: a database with the table of spec W 10.2. */
export class PostgresOracle {
  readonly #client: pg.Client;
  readonly #ids: readonly number[];
  /** The table's columns as production's catalog reader has them. */
  readonly relation: RelationInfo;
  /** Every row as the stream has it: wire text in the order of COLUMNS, by ascending id from 0. */
  readonly rows: readonly (readonly (string | null)[])[];

  private constructor(client: pg.Client, relation: RelationInfo, rows: readonly (readonly (string | null)[])[]) {
    this.#client = client;
    this.#ids = rows.map((_, id) => id);
    this.relation = relation;
    this.rows = rows;
  }

  /** `url` is an empty database. */
  static async open(url: string, rowCount: number, chance: Chance): Promise<PostgresOracle> {
    const options = SETTINGS.map((setting) => `-c ${setting}`).join(' ');
    const client = new pg.Client({
      connectionString: url,
      options,
      types: { getTypeParser: () => (text: string) => text },
    });
    await client.connect();
    try {
      await client.query(SCHEMA);
      for (let start = 0; start < rowCount; start += 50) {
        const rows = Array.from({ length: Math.min(50, rowCount - start) }, (_, i) => anyRow(start + i, chance));
        await client.query(`INSERT INTO t VALUES ${rows.join(', ')}`);
      }
      await client.query('ANALYZE t');
      const text = `SELECT ${COLUMNS.map(({ name }) => quoteName(name)).join(', ')} FROM t ORDER BY id`;
      const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array' });
      return new PostgresOracle(client, await readRelation(url), rows);
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  get client(): pg.Client {
    return this.#client;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  /**
   * Types Postgres infers for the clause's parameters, or its refusal. Nothing is evaluated. A parameter without context
   * is an untyped literal in a clause (spec W 3) and nothing in Postgres: it counts as text.
   */
  async parameterTypes(clause: string, declared: readonly string[] = []): Promise<readonly string[] | Verdict> {
    const list = declared.length === 0 ? '' : ` (${declared.join(', ')})`;
    try {
      await this.#client.query(`PREPARE parameters${list} AS SELECT FROM t WHERE (${clause}\n)`);
    } catch (error) {
      const untyped = /could not determine data type of parameter \$(\d+)/.exec((error as Error).message)?.[1];
      if (untyped !== undefined && declared[Number(untyped) - 1] !== 'text') {
        const types = Array.from(
          { length: Math.max(Number(untyped), declared.length) },
          (_, i) => declared[i] ?? 'unknown',
        );
        return this.parameterTypes(clause, types.with(Number(untyped) - 1, 'text'));
      }
      return { stage: 'parse', message: (error as Error).message };
    }
    const { rows } = await this.#client.query<{ type: string }>(
      `SELECT unnest(parameter_types)::text AS type FROM pg_prepared_statements WHERE name = 'parameters'`,
    );
    await this.#client.query('DEALLOCATE parameters');
    return rows.map(({ type }) => typeName(type));
  }

  /** Whether Postgres takes the clause. No row is evaluated, constants are. */
  async verdict(clause: string): Promise<Verdict> {
    const types = await this.parameterTypes(clause);
    if (!Array.isArray(types)) return types as Verdict;
    try {
      await this.#client.query(`EXPLAIN SELECT ${boolean(clause)} FROM t`);
      return 'accepted';
    } catch (error) {
      return { stage: 'plan', message: (error as Error).message };
    }
  }

  /**
   * What each clause is for each row. `failing` are the rows it is expected to fail for: they are kept out of the
   * statements that evaluate many clauses at once.
   */
  async evaluate(questions: readonly Question[]): Promise<(readonly Outcome[])[]> {
    const plain = questions.filter(({ failing }) => failing.length === 0);
    const answers = new Map<Question, readonly Outcome[]>();
    for (const [i, outcomes] of (await this.#evaluateTogether(plain.map(({ clause }) => clause))).entries()) {
      answers.set(plain[i] as Question, outcomes);
    }
    for (const question of questions.filter(({ failing }) => failing.length > 0)) {
      answers.set(question, await this.#evaluateAround(question));
    }
    return questions.map((question) => answers.get(question) ?? []);
  }

  async #evaluateTogether(clauses: readonly string[]): Promise<(readonly Outcome[])[]> {
    if (clauses.length === 0) return [];
    try {
      const list = clauses.map((clause) => boolean(clause)).join(', ');
      const { rows } = await this.#client.query<(Outcome | null)[]>({
        text: `SELECT ${list} FROM t ORDER BY t.id`,
        rowMode: 'array',
      });
      return clauses.map((_, i) => rows.map((row) => row[i] ?? 'n'));
    } catch {
      if (clauses.length === 1) return [await this.#rowByRow(clauses[0] as string, this.#ids)];
      const half = Math.ceil(clauses.length / 2);
      const first = await this.#evaluateTogether(clauses.slice(0, half));
      return [...first, ...(await this.#evaluateTogether(clauses.slice(half)))];
    }
  }

  async #evaluateAround({ clause, failing }: Question): Promise<readonly Outcome[]> {
    try {
      const { rows } = await this.#client.query<string[]>({
        text: `SELECT t.id, ${boolean(clause)} FROM t WHERE t.id <> ALL ('{${failing.join(',')}}')`,
        rowMode: 'array',
      });
      const outcomes = new Map(rows.map(([id, value]) => [Number(id), (value ?? 'n') as Outcome]));
      const failed = await this.#rowByRow(clause, failing);
      for (const [i, id] of failing.entries()) outcomes.set(id, failed[i] ?? 'n');
      return this.#ids.map((id) => outcomes.get(id) ?? 'n');
    } catch {
      return this.#rowByRow(clause, this.#ids);
    }
  }

  /** Ids of the rows for which the clause is true; undefined when the statement fails for some row. */
  async filter(clauses: readonly string[]): Promise<(ReadonlySet<number> | undefined)[]> {
    if (clauses.length === 0) return [];
    try {
      const list = clauses.map((clause) => `array(SELECT id FROM t WHERE ${clause}\n)::text`).join(', ');
      const { rows } = await this.#client.query<string[]>({ text: `SELECT ${list}`, rowMode: 'array' });
      return (rows[0] ?? []).map((ids) => new Set(ids.slice(1, -1).split(',').filter(Boolean).map(Number)));
    } catch {
      if (clauses.length === 1) return [undefined];
      const half = Math.ceil(clauses.length / 2);
      return [...(await this.filter(clauses.slice(0, half))), ...(await this.filter(clauses.slice(half)))];
    }
  }

  /** Type of an expression, and its values as wire text and cast to text for the first rows; an error when it is refused. */
  async sample(expression: string, count: number): Promise<Sample | undefined> {
    const select = (e: string): string =>
      `SELECT (${e}\n), ((${e}\n))::text, pg_typeof((${e}\n))::text FROM t WHERE id < ${count}`;
    try {
      const { rows } = await this.#client.query<(string | null)[]>({ text: select(expression), rowMode: 'array' });
      const kept = rows.filter((row): row is string[] => row[0] !== null);
      return { type: typeName(rows[0]?.[2] ?? 'text'), values: kept.map(([wire = '', text = '']) => ({ wire, text })) };
    } catch {
      return this.#sampleRowByRow(expression, count);
    }
  }

  /** One value of an expression on one row, as text, with its type; undefined when there is none. */
  async value(
    expression: string,
    id: number,
  ): Promise<{ readonly text: string | null; readonly type: string } | undefined> {
    try {
      const text = `SELECT (${expression}\n), pg_typeof((${expression}\n))::text FROM t WHERE id = ${id}`;
      const { rows } = await this.#client.query<(string | null)[]>({ text, rowMode: 'array' });
      return { text: rows[0]?.[0] ?? null, type: typeName(rows[0]?.[1] ?? 'text') };
    } catch {
      return undefined;
    }
  }

  /** What a clause is for one row. */
  async outcome(clause: string, id: number): Promise<Outcome> {
    try {
      const text = `SELECT ${boolean(clause)} FROM t WHERE id = ${id}`;
      const { rows } = await this.#client.query<(Outcome | null)[]>({ text, rowMode: 'array' });
      return rows[0]?.[0] ?? 'n';
    } catch (error) {
      return `e${(error as { code?: string }).code ?? ''} ${(error as Error).message}`;
    }
  }

  async #sampleRowByRow(expression: string, count: number): Promise<Sample | undefined> {
    try {
      await this.#client.query(
        rowFunction('try_values', `format('%L', ((${expression}\n))::text)`, this.#ids.slice(0, count)),
      );
      const types = await this.#client
        .query<string[]>({ text: `SELECT pg_typeof((${expression}\n))::text FROM t LIMIT 0`, rowMode: 'array' })
        .catch(() => undefined);
      if (types === undefined) return undefined;
      const { rows } = await this.#client.query<{ v: string }>('SELECT unnest(pg_temp.try_values()) AS v');
      const values = rows.map(({ v }) => v).filter((v) => v.startsWith("'") && v.endsWith("'"));
      return {
        type: undefined,
        values: values.map((v) => v.slice(1, -1).replaceAll("''", "'")).map((text) => ({ wire: text, text })),
      };
    } catch {
      return undefined;
    }
  }

  /** A statement that fails for one row must not fail the others. */
  async #rowByRow(clause: string, ids: readonly number[]): Promise<readonly Outcome[]> {
    try {
      const value = `coalesce(left((${boolean(clause)})::text, 1), 'n')`;
      await this.#client.query(rowFunction('try_rows', value, ids));
      const text = 'SELECT array_to_string(pg_temp.try_rows(), $1) AS v';
      const { rows } = await this.#client.query<{ v: string }>(text, [',']);
      return (rows[0]?.v ?? '').split(',') as Outcome[];
    } catch (error) {
      return ids.map((): Outcome => `e${(error as { code?: string }).code ?? ''}`);
    }
  }
}

/** A clause to evaluate. */
export interface Question {
  readonly clause: string;
  /** Ids of the rows for which an error is expected. */
  readonly failing: readonly number[];
}

export interface Sample {
  /** Undefined when some row fails. */
  readonly type: string | undefined;
  readonly values: readonly { readonly wire: string; readonly text: string }[];
}

/** As WHERE has it: an untyped literal becomes a boolean, nothing else does. Folds away. */
function boolean(clause: string): string {
  return `((${clause}\n) AND true)`;
}

/** `char(n)` without a length is written `character`, which would be one of length 1. */
function typeName(type: string): string {
  return type.replace(/^character(?! varying)/, 'bpchar');
}

/** `expression` is text computed from table t. Statements inside the function are planned once, unlike those of EXECUTE. */
function rowFunction(name: string, expression: string, ids: readonly number[]): string {
  return `CREATE OR REPLACE FUNCTION pg_temp.${name}() RETURNS text[] LANGUAGE plpgsql AS $oracle_body$
    #variable_conflict use_column
    DECLARE
      oracle_id int;
      oracle_value text;
      oracle_values text[] := '{}';
    BEGIN
      FOREACH oracle_id IN ARRAY '{${ids.join(',')}}'::int[] LOOP
        BEGIN
          SELECT ${expression} INTO oracle_value FROM t WHERE t.id = oracle_id;
          oracle_values := oracle_values || oracle_value;
        EXCEPTION WHEN others THEN
          oracle_values := oracle_values || ('e' || SQLSTATE);
        END;
      END LOOP;
      RETURN oracle_values;
    END $oracle_body$`;
}

async function readRelation(url: string): Promise<RelationInfo> {
  const source = openPgSourceDatabase({ url, publicationName: 'oracle' }, { clock: systemClock, log: silentLogger });
  try {
    const relation = await source.introspect('public', 't', AbortSignal.timeout(30_000));
    if (relation === undefined) throw new Error('the catalog has no table t');
    return relation;
  } finally {
    await source.close();
  }
}

/** Literals and quoted names, so that what looks like a parameter inside them is left alone; then parameters. */
const QUOTED_OR_PARAMETER =
  /(?<![\w$])[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$q\$[\s\S]*?\$q\$|\$(\d+)(?![\w$])/g;

/** The clause with its parameters as typed literals (spec W 3). */
export function substitute(clause: string, values: readonly string[], types: readonly string[]): string {
  return clause.replace(QUOTED_OR_PARAMETER, (whole, digits: string | undefined) => {
    if (digits === undefined) return whole;
    const place = Number(digits) - 1;
    const value = values[place];
    const type = types[place];
    return value === undefined || type === undefined ? whole : `CAST(${quoteText(value)} AS ${type})`;
  });
}
