import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { anyUnit, anyZone, OPERANDS } from './datetime.arbitrary.ts';
import { argumentTypes, ask, evaluate, resultTypes, SESSION } from './datetime.oracle.ts';
import { DATETIME_FUNCTIONS } from './datetime.ts';

/** Every function of dates and times against Postgres itself. The settings are for longer runs by hand. */
const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 200);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);
const SIGNATURES = Object.keys(DATETIME_FUNCTIONS);

let database: TestDatabase;
let client: pg.Client;
let results: ReadonlyMap<string, string>;

beforeAll(async () => {
  database = await createDatabase(process.env['SHAPECAST_ORACLE_URL'] ?? sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(SESSION);
  results = await resultTypes(client, SIGNATURES);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test('implements only functions that Postgres has, under its signatures', () => {
  expect(SIGNATURES.filter((signature) => !results.has(signature))).toEqual([]);
});

test.each(SIGNATURES)('%s agrees with Postgres', async (signature) => {
  const rows = fc.sample(operandsOf(signature), { numRuns: CASES, seed: SEED });
  const expected = await ask(client, signature, rows);
  let decided = 0;
  for (const [i, operands] of rows.entries()) {
    const value = evaluate(signature, operands, results.get(signature) ?? '');
    if (value === 'undecided') continue;
    decided++;
    expect({ operands, value }).toEqual({ operands, value: expected[i] });
  }
  expect(decided).toBeGreaterThan(rows.length / 2);
});

function operandsOf(signature: string): fc.Arbitrary<readonly string[]> {
  const types = argumentTypes(signature);
  if (signature.startsWith('make_date(')) return fc.tuple(year, within(-1, 13), within(-1, 32));
  if (signature.startsWith('make_time(')) return fc.tuple(within(-1, 25), within(-1, 61), operandsOfType('float8'));
  const operands = types.map((type, i) => {
    if (type === 'text') return signature.startsWith('timezone(') || i === 2 ? anyZone : anyUnit;
    // The second argument of a length coercion.
    if (type === 'int4' && signature.startsWith('time')) return within(0, 6);
    return operandsOfType(type);
  });
  return fc.tuple(...operands);
}

const year = fc.oneof(within(-4715, 3000), within(5_874_890, 5_874_900));

function within(min: number, max: number): fc.Arbitrary<string> {
  return fc.integer({ min, max }).map(String);
}

function operandsOfType(type: string): fc.Arbitrary<string> {
  const operands = OPERANDS[type];
  if (operands === undefined) throw new Error(`no operands of type ${type}`);
  return operands;
}
