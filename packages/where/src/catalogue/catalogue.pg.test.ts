import { readFileSync } from 'node:fs';
import { sharedPostgresUrl } from '@shapecast/testkit';
import pg from 'pg';
import { expect, test } from 'vitest';
import { readCatalogue } from '../../scripts/read-catalogue.ts';

test('the catalogue in the code is that of a real Postgres', async () => {
  const client = new pg.Client({ connectionString: sharedPostgresUrl() });
  await client.connect();
  try {
    const stored = readFileSync(new URL('./catalogue.data.ts', import.meta.url), 'utf8');
    expect(await readCatalogue(client)).toBe(stored);
  } finally {
    await client.end();
  }
});
