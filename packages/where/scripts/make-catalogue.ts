import { writeFileSync } from 'node:fs';
import { startPostgres } from '@shapecast/testkit';
import pg from 'pg';
import { readCatalogue } from './read-catalogue.ts';

/** Writes src/catalogue/catalogue.data.ts from a real Postgres. */

const server = await startPostgres({ version: 18 });
try {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  writeFileSync(new URL('../src/catalogue/catalogue.data.ts', import.meta.url), await readCatalogue(client));
  await client.end();
} finally {
  await server.stop();
}
