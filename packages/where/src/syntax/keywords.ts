/** Words that cannot name a column without quotes (Postgres appendix C: reserved, with or without function or type use). */
export const RESERVED: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
  concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
  localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
  returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
  unique user using variadic verbose when where window with`.split(/\s+/),
);

/** Functions without parentheses. Their value changes without a write, so no clause may use them. */
export const SQL_VALUE_FUNCTIONS: ReadonlySet<string> = new Set([
  'current_catalog',
  'current_date',
  'current_role',
  'current_schema',
  'current_time',
  'current_timestamp',
  'current_user',
  'localtime',
  'localtimestamp',
  'session_user',
  'user',
]);

/** What may follow a WHERE clause in a SELECT. */
export const FOLLOWING_CLAUSES: ReadonlySet<string> = new Set([
  'except',
  'fetch',
  'for',
  'group',
  'having',
  'intersect',
  'limit',
  'offset',
  'order',
  'union',
  'window',
]);

/** Spellings of the grammar to names of `pg_type`. */
export const TYPE_SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['boolean', 'bool'],
  ['smallint', 'int2'],
  ['int', 'int4'],
  ['integer', 'int4'],
  ['bigint', 'int8'],
  ['real', 'float4'],
  ['float', 'float8'],
  ['decimal', 'numeric'],
  ['dec', 'numeric'],
  ['char', 'bpchar'],
  ['character', 'bpchar'],
  ['nchar', 'bpchar'],
]);

/** Type names of several words, or with a place of their own in the grammar, that can start `type 'literal'`. */
export const SPECIAL_TYPE_STARTS: ReadonlySet<string> = new Set([
  'bit',
  'char',
  'character',
  'dec',
  'decimal',
  'double',
  'float',
  'interval',
  'national',
  'nchar',
  'numeric',
  'time',
  'timestamp',
  'varchar',
]);

/** Aggregates of Postgres that people try; they are told so instead of being told the function is unknown. */
export const AGGREGATES: ReadonlySet<string> = new Set([
  'array_agg',
  'avg',
  'bool_and',
  'bool_or',
  'count',
  'every',
  'json_agg',
  'jsonb_agg',
  'max',
  'min',
  'string_agg',
  'sum',
]);
