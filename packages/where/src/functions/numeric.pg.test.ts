import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { NUMERIC_FUNCTIONS } from './numeric.ts';
import { compareFunction, compareInput, signatures } from './numeric.oracle.ts';

const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 60);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

/** Functions that are mostly undecided on purpose. */
const OPEN = /^(?:d?cbrt|(?:numeric_)?pow(?:er)?\(numeric|int[24]sh)/;

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase(sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('SET extra_float_digits = 1');
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test.each(signatures())('$text computes what Postgres computes', async (signature) => {
  const { compared, undecided, different } = await compareFunction(client, signature, { cases: CASES, seed: SEED });
  expect(different).toEqual([]);
  expect(compared).toBeGreaterThan(CASES / 2);
  if (!OPEN.test(signature.text)) expect(undecided).toBeLessThan(compared / 2);
});

test.each(['int2', 'int4', 'int8', 'float4', 'float8', 'numeric'] as const)(
  'text is read as %s, and refused, as by Postgres',
  async (type) => {
    const { undecided, different } = await compareInput(client, type, { cases: CASES * 20, seed: SEED });
    expect(different).toEqual([]);
    expect(undecided).toBeLessThan(CASES);
  },
);

test('every operator and cast among numbers has its function, comparisons aside', async () => {
  const { rows } = await client.query<{ signature: string }>(`
    WITH number AS (SELECT oid FROM pg_type WHERE typname IN ('bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric')),
      called AS (
        SELECT oprcode::oid AS f FROM pg_operator WHERE oprright IN (TABLE number)
          AND (oprleft IN (TABLE number) OR oprleft = 0) AND oprresult IN (TABLE number) AND oprresult <> 'bool'::regtype
        UNION SELECT castfunc FROM pg_cast WHERE castsource IN (TABLE number) AND casttarget IN (TABLE number) AND castfunc <> 0)
    SELECT proname || '(' || (
        SELECT string_agg(typname, ',' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY AS a(o, n) JOIN pg_type ON oid = o
      ) || ')' AS signature
    FROM called JOIN pg_proc ON pg_proc.oid = f`);
  expect(rows.length).toBeGreaterThan(100);
  expect(rows.map((row) => row.signature).filter((signature) => !(signature in NUMERIC_FUNCTIONS))).toEqual([]);
});
