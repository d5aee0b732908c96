import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { acceptedExamples, EXAMPLE_DDL, parseExample } from '@shapecast/where/docs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase(sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(EXAMPLE_DDL);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test.each([...new Set(acceptedExamples())])(
  'Postgres takes the example of the page on where clauses: %s',
  async (clause) => {
    const parsed = parseExample(clause);
    if (!parsed.ok) throw new Error(parsed.message);
    const { rows } = await client.query(`SELECT id FROM items WHERE ${parsed.clause.sql}`);
    expect(rows).toEqual([]);
  },
);
