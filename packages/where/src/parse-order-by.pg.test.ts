import { sharedPostgresUrl } from '@shapecast/testkit';
import pg from 'pg';
import { expect, test } from 'vitest';
import { parseOrderBy } from './parse-order-by.ts';

const IS_ORDERED = `
  CREATE FUNCTION pg_temp.is_ordered(type text) RETURNS bool LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE format('SELECT NULL::%s AS x ORDER BY x', type);
    RETURN true;
  EXCEPTION WHEN undefined_function THEN RETURN false;
  END $$`;
const TYPES = `
  SELECT oid::int, typname AS name, nullif(typarray, 0)::int AS array,
    pg_temp.is_ordered(format_type(oid, NULL)) AS ordered
  FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typcategory NOT IN ('A', 'P')`;

interface TypeRow {
  readonly oid: number;
  readonly name: string;
  readonly array: number | null;
  readonly ordered: boolean;
}

test('an ORDER BY is refused for exactly the types that Postgres has no order for, and for their arrays', async () => {
  const client = new pg.Client({ connectionString: sharedPostgresUrl() });
  await client.connect();
  try {
    await client.query(IS_ORDERED);
    const { rows } = await client.query<TypeRow>(TYPES);
    expect(rows.length).toBeGreaterThan(50);
    const wrong = rows.filter(({ oid, name, array, ordered }) => {
      const known = { typeName: name, typeSchema: 'pg_catalog', typeKind: 'b' };
      const columns = [
        { name: 'plain', typeOid: oid, dims: 0, ...known },
        { name: 'list', typeOid: array ?? oid, dims: array === null ? 0 : 1, ...known },
      ];
      return columns.some((column) => parseOrderBy(column.name, columns).ok !== ordered);
    });
    expect(wrong).toEqual([]);
  } finally {
    await client.end();
  }
});
