import pg from 'pg';

/**
 * Runs statements one after the other on a connection of their own, each in its own transaction; answers the rows of the last.
 * For set-up, not for data.
 */
export async function runStatements(
  url: string,
  statements: readonly string[],
): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  // The statement in flight fails as well; the event would otherwise end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) ({ rows } = await client.query<Record<string, unknown>>(statement));
    return rows;
  } finally {
    await client.end();
  }
}
