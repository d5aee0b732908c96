// Constructs the engine must take wherever Postgres does (spec W 10.5 f). A clause made of nothing else fails the oracle when
// it is refused; clauses with any other construct are only counted. Names are those of the coverage table, and
// `column <type>`, `constant <form> <type>`.

const NUMBER = 'int2|int4|int8|numeric|float4|float8';
const STRING = 'text|varchar|bpchar|name';
const TIME = 'date|time|timestamp|timestamptz|interval';
const SCALAR = `bool|${NUMBER}|${STRING}|${TIME}|uuid|bytea|mood|size|posint|label`;
const ARRAY = `(${SCALAR})\\[\\]|jsonb\\[\\]`;
const ANY = `(${SCALAR}|${ARRAY})`;

/** Sections of spec W 1.5, 2.2 to 2.4. */
const REQUIRED: readonly RegExp[] = [
  new RegExp(`^column ${ANY}$`),
  new RegExp(`^constant (unknown|cast|call|prefix|bare|escape|dollar|unicode|split) ${ANY}$`),
  new RegExp(`^constant parameter ${ANY}$`),
  new RegExp(`^(${SCALAR}) (=|<>|<|<=|>|>=) (${SCALAR})$`),
  new RegExp(`^(${ARRAY}) (=|<>|<|<=|>|>=) (${ARRAY})$`),
  /^(anyarray|anyenum) (=|<>|<|<=|>|>=) (anyarray|anyenum)$/,
  /^sampled /,
  /^(and|or|not|is true|is false|is unknown)$/,
  new RegExp(`^(is null|is distinct|in|between|between symmetric) ${ANY}$`),
  /^is null (inet|cidr|jsonb?|\w+range)$/,
  /^(in mixed|in 50|in 5000|mixed numbers|mixed strings|literal alone)/,
  new RegExp(`^(any|all|some) (${ARRAY}|mixed)`),
  /^constructor in any$/,
  new RegExp(`^(${STRING}) (LIKE|NOT LIKE|ILIKE|NOT ILIKE|~~|!~~|~~\\*|!~~\\*)`),
  new RegExp(`^(${STRING}) like (any|escape|concatenation)$`),
  new RegExp(`^(${NUMBER}) ([-+*/%]|\\^) (${NUMBER})$`),
  new RegExp(`^[-+@~] (${NUMBER})$`),
  /^(\|\/) float8$/,
  /^(int2|int4|int8) ([&|#]|<<|>>) (int2|int4|int8)$/,
  /^text \|\| (text|anynonarray)$|^anynonarray \|\| text$/,
  new RegExp(`^(${TIME}) [-+] (${TIME}|int4)$|^int4 \\+ date$`),
  /^interval [*/] float8$|^float8 \* interval$|^- interval$/,
  /AT TIME ZONE/,
  new RegExp(`^(subscript|slice|constructor) (${ARRAY})`),
  /^anyarray (@>|<@|&&) anyarray$/,
  /^anycompatiblearray \|\| anycompatible(array)?$|^anycompatible \|\| anycompatiblearray$/,
  /^(coalesce|greatest|least|nullif|case|case simple|case searched)( |$)/,
  /^(row (=|<>|!=|<|<=|>|>=|in|is distinct|is null))$/,
  /^(lower|upper|like|length|char_length|octet_length)\(text(, text)?\)$/,
  /^(array_cat|array_append|array_prepend|array_ndims|justify_\w+)\(/,
  /^(concat|abs|ceil|ceiling|floor|sign)\(/,
  /^(substr|strpos|btrim|ltrim|rtrim|replace|starts_with)\(text/,
  /^(position|substring from|substring from for|trim|trim plain|collate)$/,
  new RegExp(`^cast (${NUMBER}|bool) -> (${NUMBER}|${STRING})$`),
  new RegExp(`^cast ${ANY} -> (${STRING})$`),
  new RegExp(`^cast (${STRING}) -> ${ANY}$`),
  /^cast (date|time|timestamp|timestamptz|interval) -> (date|time|timestamp|timestamptz|interval)$/,
  /^cast to /,
];

/** Constructs that stand among the required ones and may be refused all the same; why, stands beside each. */
const MAY_BE_REFUSED: readonly RegExp[] = [
  // A cast to a domain checks the domain's constraints, which are expressions that only the database can evaluate.
  /^constant (cast|call|prefix) (posint|label)$|^cast .* -> (posint|label)$/,
  // P2 of spec W 1.5: modifiers of intervals and of arrays. Negative and excessive scales exist from Postgres 15 on only.
  /^cast to (interval|\w+\(.*\)\[\]|numeric\((3,-2|2,4)\))/,
];

export function isRequired(constructs: ReadonlySet<string>): boolean {
  return [...constructs].every(
    (name) => REQUIRED.some((one) => one.test(name)) && !MAY_BE_REFUSED.some((one) => one.test(name)),
  );
}

/**
 * Refusals that the specification asks for although Postgres takes the clause: a collation we cannot evaluate, constants
 * whose evaluation fails, which Postgres only finds out on the first row, text that is too long, and dates in other forms
 * than ISO's (W 5.1, 3, 1.1, 5.6).
 */
const EXCUSED = [
  // Only Postgres 17 and later have infinite intervals.
  /invalid syntax for type interval(\[\])?: .*infinity/,
  /ordering comparison .*collation/,
  /with the case rules/,
  /Failed to apply function to constant arguments/,
  /where clause is bigger than maximum size/,
  // Versions before 16 do not read hexadecimal, octal and separated numbers.
  /(could not cast value|invalid syntax for type \w+:) .*(0[xob]|\d_\d)/i,
  /time zone .* is not known or means several/,
  // Only constants that are not NULL escape; what else stands there is no pattern anybody writes.
  /like_escape\/2/,
  // Strings inside jsonb sort by the database's collation, whatever the clause says.
  /ordering comparison of jsonb/,
  /could not cast value .* to (date|time|timestamp|timestamptz|interval)$/,
];

export function isExcused(refusal: string): boolean {
  return EXCUSED.some((one) => one.test(refusal));
}
