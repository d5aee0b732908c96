/** Keyword classes as `pg_get_keywords()` of Postgres 18 has them; what is in none of them is a name like any other. */
const RESERVED =
  words(`all analyse analyze and any array as asc asymmetric both case cast check collate column constraint
  create current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc
  distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral leading
  limit localtime localtimestamp not null offset on only or order placing primary references returning select
  session_user some symmetric system_user table then to trailing true union unique user using variadic when where window
  with`);

const FUNCTION_OR_TYPE = words(`authorization binary collation concurrently cross current_schema freeze full ilike inner
  is isnull join left like natural notnull outer overlaps right similar tablesample verbose`);

const COLUMN_ONLY = words(`between bigint bit boolean char character coalesce dec decimal exists extract float greatest
  grouping inout int integer interval json json_array json_arrayagg json_exists json_object json_objectagg json_query
  json_scalar json_serialize json_table json_value least merge_action national nchar none normalize nullif numeric out
  overlay position precision real row setof smallint substring time timestamp treat trim values varchar xmlattributes
  xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`);

/** May name a column of a SELECT only behind AS. */
export const AS_ONLY = words(`array as char character create day except fetch filter for from grant group having hour
  intersect into isnull limit minute month notnull offset on order over overlaps precision returning second to union
  varying where window with within without year`);

/** `ColId` of the grammar: may name a column, table or schema without quotes. */
export function isColumnWord(word: string): boolean {
  return !RESERVED.has(word) && !FUNCTION_OR_TYPE.has(word);
}

/** `type_function_name` of the grammar: may name a function or a type without quotes. */
export function isFunctionWord(word: string): boolean {
  return !RESERVED.has(word) && !COLUMN_ONLY.has(word);
}

/** Functions without parentheses. Their value is the session's, so no clause may use them. */
export const SQL_VALUE_FUNCTIONS = words(`current_catalog current_date current_role current_schema current_time
  current_timestamp current_user localtime localtimestamp session_user system_user user`);

/** What may follow a WHERE clause in a SELECT. */
export const FOLLOWING_CLAUSES = words('except fetch for group having intersect limit offset order union window');

/** Starts of a SELECT in parentheses. */
export const SELECT_STARTS = words('select table values with');

/** Functions of the grammar that no clause may use, with the parse node that Postgres makes of them. */
export const UNSUPPORTED_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['grouping', 'GroupingFunc'],
  ['json', 'JsonParseExpr'],
  ['json_array', 'JsonArrayConstructor'],
  ['json_arrayagg', 'JsonArrayAgg'],
  ['json_exists', 'JsonFuncExpr'],
  ['json_object', 'JsonObjectConstructor'],
  ['json_objectagg', 'JsonObjectAgg'],
  ['json_query', 'JsonFuncExpr'],
  ['json_scalar', 'JsonScalarExpr'],
  ['json_serialize', 'JsonSerializeExpr'],
  ['json_value', 'JsonFuncExpr'],
  ['merge_action', 'MergeSupportFunc'],
  ['treat', 'TREAT'],
  ['xmlconcat', 'XmlExpr'],
  ['xmlelement', 'XmlExpr'],
  ['xmlexists', 'XmlExpr'],
  ['xmlforest', 'XmlExpr'],
  ['xmlparse', 'XmlExpr'],
  ['xmlpi', 'XmlExpr'],
  ['xmlroot', 'XmlExpr'],
  ['xmlserialize', 'XmlSerialize'],
]);

/** Aggregates of Postgres that people try; they are told so instead of being told the function is unknown. */
export const AGGREGATES = words('array_agg avg bool_and bool_or count every json_agg jsonb_agg max min string_agg sum');

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(/\s+/));
}
