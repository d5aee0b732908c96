import pg from 'pg';

/** Runs statements one after the other on a connection of their own, each in its own transaction. For set-up, not for data. */
export async function runStatements(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
