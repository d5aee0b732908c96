/**
 * Constructs the engine must take wherever Postgres does (spec W 10.5 f). A clause made of nothing else fails the oracle
 * when it is refused; clauses with any other construct are only counted. Names are those of the coverage table, and
 * `column <type>`, `constant <form> <type>`.
 */
interface Requirement {
  readonly construct: RegExp;
  /** False for what is not implemented yet: it wins over the other entries. */
  readonly required: boolean;
}

const NUMBER = 'int2|int4|int8|numeric|float4|float8';
const STRING = 'text|varchar|bpchar|name';
const TIME = 'date|time|timestamp|timestamptz|interval';
const SCALAR = `bool|${NUMBER}|${STRING}|${TIME}|uuid|bytea|mood|size|posint|label`;
const ARRAY = `(${SCALAR})\\[\\]|jsonb\\[\\]`;
const ANY = `(${SCALAR}|${ARRAY})`;

/** Sections of spec W 1.5, 2.2 to 2.4. */
const REQUIRED: readonly Requirement[] = [
  { construct: new RegExp(`^column ${ANY}$`), required: true },
  {
    construct: new RegExp(`^constant (unknown|cast|call|prefix|bare|escape|dollar|unicode|split) ${ANY}$`),
    required: true,
  },
  { construct: new RegExp(`^constant parameter ${ANY}$`), required: true },
  { construct: new RegExp(`^(${SCALAR}) (=|<>|<|<=|>|>=) (${SCALAR})$`), required: true },
  { construct: new RegExp(`^(${ARRAY}) (=|<>|<|<=|>|>=) (${ARRAY})$`), required: true },
  { construct: /^(anyarray|anyenum) (=|<>|<|<=|>|>=) (anyarray|anyenum)$/, required: true },
  { construct: /^sampled /, required: true },
  { construct: /^(and|or|not|is true|is false|is unknown)$/, required: true },
  { construct: new RegExp(`^(is null|is distinct|in|between|between symmetric) ${ANY}$`), required: true },
  { construct: /^is null (inet|cidr|jsonb?|\w+range)$/, required: true },
  { construct: /^(in mixed|in 50|in 5000|mixed numbers|mixed strings|literal alone)/, required: true },
  { construct: new RegExp(`^(any|all|some) (${ARRAY}|mixed)`), required: true },
  { construct: /^constructor in any$/, required: true },
  { construct: new RegExp(`^(${STRING}) (LIKE|NOT LIKE|ILIKE|NOT ILIKE|~~|!~~|~~\\*|!~~\\*)`), required: true },
  { construct: new RegExp(`^(${STRING}) like (any|escape|concatenation)$`), required: true },
  { construct: new RegExp(`^(${NUMBER}) ([-+*/%]|\\^) (${NUMBER})$`), required: true },
  { construct: new RegExp(`^[-+@~] (${NUMBER})$`), required: true },
  { construct: /^(\|\/) float8$/, required: true },
  { construct: /^(int2|int4|int8) ([&|#]|<<|>>) (int2|int4|int8)$/, required: true },
  { construct: /^text \|\| (text|anynonarray)$|^anynonarray \|\| text$/, required: true },
  { construct: new RegExp(`^(${TIME}) [-+] (${TIME}|int4)$|^int4 \\+ date$`), required: true },
  { construct: /^interval [*/] float8$|^float8 \* interval$|^- interval$/, required: true },
  { construct: /AT TIME ZONE/, required: true },
  { construct: new RegExp(`^(subscript|slice|constructor) (${ARRAY})`), required: true },
  { construct: /^anyarray (@>|<@|&&) anyarray$/, required: true },
  {
    construct: /^anycompatiblearray \|\| anycompatible(array)?$|^anycompatible \|\| anycompatiblearray$/,
    required: true,
  },
  { construct: /^(coalesce|greatest|least|nullif|case|case simple|case searched)( |$)/, required: true },
  { construct: /^(row (=|<>|!=|<|<=|>|>=|in|is distinct|is null))$/, required: true },
  { construct: /^(lower|upper|like|length|char_length|octet_length)\(text(, text)?\)$/, required: true },
  { construct: /^(array_cat|array_append|array_prepend|array_ndims|justify_\w+)\(/, required: true },
  { construct: /^(concat|abs|ceil|ceiling|floor|sign)\(/, required: true },
  { construct: /^(substr|strpos|btrim|ltrim|rtrim|replace|starts_with)\(text/, required: true },
  { construct: /^(position|substring from|substring from for|trim|trim plain|collate)$/, required: true },
  { construct: new RegExp(`^cast (${NUMBER}|bool) -> (${NUMBER}|${STRING})$`), required: true },
  { construct: new RegExp(`^cast ${ANY} -> (${STRING})$`), required: true },
  { construct: new RegExp(`^cast (${STRING}) -> ${ANY}$`), required: true },
  {
    construct: /^cast (date|time|timestamp|timestamptz|interval) -> (date|time|timestamp|timestamptz|interval)$/,
    required: true,
  },
  { construct: /^cast to /, required: true },
  { construct: /^constant (cast|call|prefix) (posint|label)$|^cast .* -> (posint|label)$/, required: false },
  { construct: /^cast to (interval|\w+\(.*\)\[\]|numeric\((3,-2|2,4)\))/, required: false },
  { construct: /like escape$/, required: false },
  { construct: /jsonb\[\]/, required: false },
];

export function isRequired(constructs: ReadonlySet<string>): boolean {
  return [...constructs].every((name) => {
    const matching = REQUIRED.filter(({ construct }) => construct.test(name));
    return matching.length > 0 && matching.every(({ required }) => required);
  });
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
  /could not cast value .* to (date|time|timestamp|timestamptz|interval)$/,
];

export function isExcused(refusal: string): boolean {
  return EXCUSED.some((one) => one.test(refusal));
}
