import type pg from 'pg';
import { ARRAY_ELEMENTS, POOLS, RANGE_SUBTYPES } from './value-pools.ts';

/** What a server can do with the types of the oracle; the generator draws from it. */
export interface Catalog {
  /** `server_version_num`. */
  readonly version: number;
  readonly operators: readonly CatalogOperator[];
  readonly functions: readonly CatalogFunction[];
  readonly casts: readonly CatalogCast[];
}

export interface CatalogOperator {
  readonly name: string;
  /** Undefined for prefix operators. */
  readonly left: string | undefined;
  readonly right: string;
  readonly result: string;
}

export interface CatalogFunction {
  readonly name: string;
  readonly args: readonly string[];
  readonly result: string;
}

/** `how`: i implicit, a assignment, e explicit, t through text. */
export interface CatalogCast {
  readonly from: string;
  readonly to: string;
  readonly how: string;
}

/** Functions of spec W 2.4, and what the engine's types bring along. */
const FUNCTIONS = [
  'lower upper concat concat_ws array_cat array_append array_prepend array_ndims justify_days justify_hours justify_interval',
  'timezone abs ceil ceiling floor round trunc mod sign power sqrt length char_length character_length octet_length',
  'substring substr left right btrim ltrim rtrim strpos replace starts_with reverse repeat split_part',
  'date_trunc date_part make_date array_length cardinality array_position array_remove num_nulls num_nonnulls like',
  'isempty lower_inc upper_inc lower_inf upper_inf host family masklen jsonb_typeof jsonb_array_length',
]
  .join(' ')
  .split(' ');

const POLYMORPHIC = [
  'anyarray',
  'anyelement',
  'anynonarray',
  'anycompatible',
  'anycompatiblearray',
  'anyenum',
  'anyrange',
  'any',
  'anycompatiblerange',
];

const TYPE_NAMES: readonly string[] = [
  ...Object.keys(POOLS),
  ...Object.keys(RANGE_SUBTYPES),
  ...ARRAY_ELEMENTS.map((element) => `${element}[]`),
];

export async function readCatalog(client: pg.Client): Promise<Catalog> {
  const rows = async (text: string): Promise<(string | null)[][]> =>
    (
      await client.query<(string | null)[]>({
        text,
        values: [[...TYPE_NAMES, ...POLYMORPHIC], FUNCTIONS],
        rowMode: 'array',
      })
    ).rows;
  const types = `with types as (
    select t.oid, coalesce(e.typname || '[]', t.typname) as name, t.typcategory, t.typtype
    from pg_type t left join pg_type e on e.oid = t.typelem and e.typarray = t.oid
    where coalesce(e.typname || '[]', t.typname) = any ($1) and $2::text[] is not null)`;
  const operators = await rows(`${types}
    select o.oprname, l.name, r.name, x.name from pg_operator o
    left join types l on l.oid = o.oprleft join types r on r.oid = o.oprright join types x on x.oid = o.oprresult
    where (o.oprleft = 0 or l.oid is not null) and o.oprname not in ('~<~', '~<=~', '~>~', '~>=~')
    order by 1, 2, 3, 4`);
  const functions = await rows(`${types}
    select p.proname, x.name, (select string_agg(coalesce(a.name, '?'), ',' order by k.place)
      from unnest(p.proargtypes) with ordinality as k(oid, place) left join types a on a.oid = k.oid)
    from pg_proc p join types x on x.oid = p.prorettype
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset
      and (p.proname = any ($2)) order by 1, 3`);
  const casts = await rows(`${types}
    select f.name, t.name, c.castcontext from pg_cast c join types f on f.oid = c.castsource join types t on t.oid = c.casttarget
    where f.oid <> t.oid
    union all select f.name, t.name, 't' from types f, types t where f.oid <> t.oid and f.typtype <> 'p' and t.typtype <> 'p'
      and (t.typcategory = 'S' or f.typcategory = 'S')
      and not exists (select from pg_cast c where c.castsource = f.oid and c.casttarget = t.oid)
      -- Every string type goes through the same functions: text stands for the others with most types.
      and ('text' in (f.name, t.name) or f.typtype in ('d', 'e') or t.typtype in ('d', 'e')
        or f.name in ('int4', 'bool', 'numeric', 'timestamptz', 'float8', 'bytea') or t.name in ('int4', 'bool', 'numeric', 'timestamptz', 'float8', 'uuid'))
    order by 1, 2`);
  const version = await client.query<{ server_version_num: string }>('SHOW server_version_num');
  const text = (value: string | null | undefined): string => value ?? '';
  return {
    version: Number(version.rows[0]?.server_version_num),
    operators: operators.map(([name, left, right, result]) => ({
      name: text(name),
      left: left ?? undefined,
      right: text(right),
      result: text(result),
    })),
    functions: functions
      .map(([name, result, args]) => ({ name: text(name), result: text(result), args: args?.split(',') ?? [] }))
      .filter(({ args }) => args.length > 0 && !args.includes('?')),
    casts: casts.map(([from, to, how]) => ({ from: text(from), to: text(to), how: text(how) })),
  };
}
