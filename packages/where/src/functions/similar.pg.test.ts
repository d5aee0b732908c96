import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { InputError } from '../errors.ts';
import { compileSimilar } from './similar.ts';

const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 400);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  const { SHAPECAST_ORACLE_URL } = process.env;
  database = await createDatabase(SHAPECAST_ORACLE_URL ?? sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`CREATE FUNCTION attempt(s text, p text, e text) RETURNS text LANGUAGE plpgsql AS $f$
    BEGIN
      RETURN s SIMILAR TO p ESCAPE e;
    EXCEPTION WHEN others THEN
      RETURN 'error';
    END $f$`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

const letter = fc.constantFrom('a', 'b', 'c', 'é', '😀');
const { pattern } = fc.letrec<{ pattern: string; branch: string; item: string; atom: string }>((tie) => ({
  pattern: fc.array(tie('branch'), { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|')),
  branch: fc.array(tie('item'), { maxLength: 4 }).map((items) => items.join('')),
  item: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0}', '{1,}', '{0,2}', '{1,3}'))
    .map(([atom, times]) => atom + times),
  atom: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'group' },
    letter,
    fc.constantFrom('%', '_', '\\%', '!%', '[a-c]', '[^a]', '[%_]', '[é-😀x]', '.', '^', '$', '"', '!(', '\\|', '\n'),
    tie('pattern').map((inner) => `(${inner})`),
  ),
}));
/** What no grammar made: most of it is refused by somebody. */
const noise = fc.string({
  unit: fc.constantFrom(...['a', 'b', '%', '_', '|', '(', ')', '[', ']', '^', '-', '*', '+', '?', '{', '}', '1', ',']),
  maxLength: 8,
});
const subject = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', '😀', '\n'), maxLength: 6 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '%', '|', '(', '.', '^', '$', '\\', '!', '"', 'x'), maxLength: 4 }),
);

test('matches what Postgres matches, with patterns that Postgres takes', async () => {
  const rows = fc.sample(
    fc.tuple(
      fc.array(subject, { minLength: 8, maxLength: 8 }),
      fc.oneof({ weight: 3, arbitrary: pattern }, noise),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant('\\') },
        fc.constantFrom('!', '', '%', '(', ')', '|', '*', '{', '}', '[', ']', '^', '-', ',', '1', 'a', '😀'),
      ),
    ),
    { numRuns: CASES, seed: SEED },
  );
  const flat = rows.flatMap(([texts, like, escape]) => texts.map((text) => [text, like, escape] as const));
  const { rows: answers } = await client.query<{ r: string }>(
    `SELECT attempt(s, p, e) AS r
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS u(s, p, e, n) ORDER BY n`,
    [0, 1, 2].map((i) => flat.map((row) => row[i])),
  );
  const seen = { true: 0, false: 0, refused: 0 };
  for (const [i, [text, like, escape]] of flat.entries()) {
    const matches = compile(like, escape);
    if (matches === undefined) {
      seen.refused++;
      continue;
    }
    const got = String(matches(text)) as 'true' | 'false';
    expect({ text, like, escape, got }).toEqual({ text, like, escape, got: answers[i]?.r });
    seen[got]++;
  }
  expect(seen.true).toBeGreaterThan(flat.length * 0.05);
  expect(seen.refused).toBeLessThan(flat.length * 0.6);
});

function compile(like: string, escape: string): ((text: string) => boolean) | undefined {
  try {
    return compileSimilar(like, escape);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
