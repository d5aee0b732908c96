import type pg from 'pg';

/** Anything that runs one statement: a client, or a pool. Results are arrays of text cells. */
export interface Queryable {
  query(config: pg.QueryArrayConfig): Promise<pg.QueryArrayResult<TextRow>>;
}

export type TextRow = (string | null)[];

/**
 * Runs one statement and returns its rows as text. Without values it goes out as a simple query, which is all that a
 * replication connection accepts; with values as an unnamed prepared statement (spec R 3.2.1).
 */
export async function rowsOf(db: Queryable, text: string, values?: readonly unknown[]): Promise<TextRow[]> {
  const result = await db.query({ text, rowMode: 'array', ...(values && { values: [...values] }) });
  return result.rows;
}

/** The cells of the first row; throws when there is none, which is a bug in the statement. */
export async function rowOf(db: Queryable, text: string, values?: readonly unknown[]): Promise<TextRow> {
  const [row] = await rowsOf(db, text, values);
  if (row === undefined) throw new Error('statement returned no row');
  return row;
}
