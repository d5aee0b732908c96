import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { StrictReader } from '../support/strict-reader.ts';

const ENTRY = new URL('../../services/embedded/src/main.ts', import.meta.url).pathname;

test('embedded mode starts on its own, prints a line to paste, syncs, and leaves nothing behind', async () => {
  const child = spawn(process.execPath, [ENTRY], {
    env: { PATH: process.env['PATH'], PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  try {
    await waitFor(() => printed.includes('Ctrl-C'), { describe: () => printed });
    const curl = /curl '([^']+)'/.exec(printed)?.[1] as string;
    const databaseUrl = /psql (\S+) -c/.exec(printed)?.[1] as string;
    const rows = (await (await fetch(curl)).json()) as readonly { readonly value?: { readonly title: string } }[];
    expect(rows.filter((row) => row.value).length).toBe(3);

    const url = new URL(curl);
    const reader = new StrictReader(url.origin, { table: 'items', where: 'done = false' });
    const stop = new AbortController();
    const following = reader.follow(stop.signal);
    await waitFor(() => reader.rows.size === 2, { describe: () => [...reader.rows.keys()] });
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query('update items set done = not done');
    await waitFor(() => reader.rows.size === 1, { describe: () => [...reader.rows.keys()] });
    await client.end();
    stop.abort();
    await following;
    expect(reader.violations).toEqual([]);

    const port = new URL(databaseUrl).port;
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    const gone = new Client({ connectionString: `postgresql://postgres@127.0.0.1:${port}/postgres` });
    await expect(gone.connect()).rejects.toThrow(/ECONNREFUSED/);
  } finally {
    child.kill('SIGKILL');
  }
});
