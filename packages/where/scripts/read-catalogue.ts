import type { ClientBase } from 'pg';

/** Types that come with PostgreSQL 16 or later, or are no business of clauses. */
const NOT_TYPES = ['pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary'];
const PSEUDO_TYPES = [
  ...['any', 'anyarray', 'anyelement', 'anynonarray', 'anyenum', 'anyrange'],
  ...['anycompatible', 'anycompatiblearray', 'anycompatiblenonarray', 'anycompatiblerange'],
];
/** Names of functions a clause may call; which of their overloads are implemented is another matter. */
const FUNCTIONS = `
  abs ceil ceiling floor round trunc mod sign power pow sqrt div gcd lcm lower upper length char_length
  character_length octet_length bit_length substring substr left right btrim ltrim rtrim position strpos replace
  starts_with concat concat_ws reverse repeat split_part ascii chr lpad rpad overlay translate md5 like notlike
  date_trunc date_part extract make_date make_time isfinite timezone justify_days justify_hours justify_interval
  array_cat array_append array_prepend array_ndims array_length array_lower array_upper cardinality
  array_position array_remove array_replace num_nulls num_nonnulls jsonb_typeof jsonb_array_length isempty
  lower_inc upper_inc lower_inf upper_inf family masklen host network netmask broadcast set_masklen
  inet_same_family int4range int8range numrange daterange tsrange tstzrange scale min_scale trim_scale
`
  .trim()
  .split(/\s+/);

/**
 * Source text of src/catalogue/catalogue.data.ts: types, operators, functions and casts of a Postgres. Those of types that
 * the engine does not know are there too, so that overload resolution sees the candidates Postgres sees.
 */
export async function readCatalogue(client: ClientBase): Promise<string> {
  const { rows: typeRows } = await client.query<{ typname: string }>(
    `SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r')
       AND typcategory <> 'A' AND NOT typname = ANY($1) AND typname NOT LIKE 'pg_brin%' ORDER BY oid`,
    [NOT_TYPES],
  );
  const TYPES = typeRows.map(({ typname }) => typname);
  const known = [...TYPES, ...PSEUDO_TYPES];

  async function rows(sql: string, values: unknown[]): Promise<string[]> {
    const result = await client.query<{ line: string }>(sql, values);
    return result.rows.map(({ line }) => line);
  }

  // Arrays are spelled as in SQL; those of known element types only.
  const typeName = (oid: string): string =>
    `(SELECT CASE WHEN el.oid IS NULL THEN ty.typname ELSE el.typname || '[]' END
        FROM pg_type ty LEFT JOIN pg_type el ON el.typarray = ty.oid
        WHERE ty.oid = ${oid})`;
  const isKnown = (oid: string): string => `replace(${typeName(oid)}, '[]', '') = ANY($1)`;
  const signature = (proc: string): string =>
    `${proc}.proname || '(' || coalesce((SELECT string_agg(${typeName('a.oid')}, ',' ORDER BY a.n)
       FROM unnest(${proc}.proargtypes) WITH ORDINALITY AS a(oid, n)), '') || ')'`;

  const operators = await rows(
    `SELECT concat_ws(' ', o.oprname, CASE WHEN o.oprleft = 0 THEN '-' ELSE ${typeName('o.oprleft')} END,
              ${typeName('o.oprright')}, ${typeName('o.oprresult')}, p.proisstrict::text, p.provolatile, ${signature('p')}) AS line
       FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
      WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND (o.oprleft = 0 OR ${isKnown('o.oprleft')})
        AND ${isKnown('o.oprright')} AND ${isKnown('o.oprresult')} AND NOT p.proretset
      ORDER BY o.oprname COLLATE "C", 1`,
    [known],
  );
  const functions = await rows(
    `SELECT concat_ws(' ', ${signature('p')}, ${typeName('p.prorettype')}, p.proisstrict::text, (p.provariadic <> 0)::text, p.provolatile) AS line
       FROM pg_proc p
      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provolatile <> 'v'
        AND p.proname = ANY($2) AND ${isKnown('p.prorettype')}
        -- What AT LOCAL calls came with Postgres 17.
      AND NOT (p.proname = 'timezone' AND p.pronargs = 1)
      AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS a(oid) WHERE (${isKnown('a.oid')}) IS NOT TRUE)
      ORDER BY p.proname COLLATE "C", 1`,
    [known, FUNCTIONS],
  );
  const casts = await rows(
    `SELECT concat_ws(' ', ${typeName('c.castsource')}, ${typeName('c.casttarget')}, c.castcontext, c.castmethod,
              coalesce(p.provolatile, 'i'), ${signature('p')}) AS line
       FROM pg_cast c LEFT JOIN pg_proc p ON p.oid = c.castfunc
      WHERE ${isKnown('c.castsource')} AND ${isKnown('c.casttarget')}
      ORDER BY 1`,
    [known],
  );
  const types = await rows(
    `SELECT concat_ws(' ', t.typname, t.oid::text, t.typcategory, t.typispreferred::text, t.typarray::text,
              i.provolatile, o.provolatile) AS line
       FROM pg_type t JOIN pg_proc i ON i.oid = t.typinput JOIN pg_proc o ON o.oid = t.typoutput
      WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY($1) ORDER BY t.oid`,
    [TYPES],
  );

  const table = (name: string, comment: string, lines: readonly string[]): string =>
    `/** ${comment} */\nexport const ${name} = \`\n${lines.join('\n').replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\n\`;\n`;

  return [
    '// Made by `npm run catalogue -w @shapecast/where` from PostgreSQL 18; do not edit.\n',
    table('TYPES', 'name oid category preferred array-oid input-volatility output-volatility', types),
    table('OPERATORS', 'name left right result strict volatility function', operators),
    table('FUNCTIONS', 'function result strict variadic volatility', functions),
    table('CASTS', 'source target context method volatility function', casts),
  ].join('\n');
}
