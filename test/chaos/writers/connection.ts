import { Client, DatabaseError } from 'pg';

/** Calls back with a connection, again and again, with another one after the database was gone. */
export async function insistently(
  databaseUrl: string,
  signal: AbortSignal,
  act: (client: Client) => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await withClient(databaseUrl, async (client) => {
        while (!signal.aborted) await act(client);
      });
    } catch (error) {
      if (error instanceof DatabaseError && !isExpected(error)) throw error;
      await pause(100, signal);
    }
  }
}

/** Of a server that says no for a reason: locks, deadlocks, a missing partition, changed columns. Nothing about syntax. */
export function isExpected(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  const code = error.code ?? '';
  const altered = ['42703', '42701', '42704', '42P07', '42809', '42P17', '42804'];
  return /^(23|25|40|53|55|57|08)/.test(code) || altered.includes(code);
}

export async function withClient<T>(databaseUrl: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done, { once: true });
  });
}
