import fc from 'fast-check';

/** Texts for the parser: clauses that follow the grammar, clauses with a mistake in them, and tokens at random. */

const COLUMNS = [
  'a',
  'b',
  '"Col"',
  't.a',
  'public.t.b',
  'interval',
  'values',
  'double',
  'é',
  'a[1]',
  'b[a:2][:]',
  '$1',
];
const CONSTANTS = [
  ...[
    '1',
    '2147483648',
    '1.5E-3',
    '.5',
    '5.',
    '1_000',
    '0x1F',
    'NULL',
    'TRUE',
    'false',
    `'x'`,
    `E'a\\n\\'b'`,
    `$$it's$$`,
  ],
  ...[`$q$a$q$`, `U&'d\\0061'`, `U&'d!0061' UESCAPE '!'`, `'a'\n'b'`, `B'101'`, `x'1F'`, `N'a'`, `date '2024-01-01'`],
  ...[`interval '1' day to second(3)`, `interval(3) '1'`, `timestamp(3) with time zone 'x'`, `time 'x'`, `char 'abc'`],
  ...[
    `numeric(5, -2) '1'`,
    `double precision '1'`,
    `pg_catalog.int4 '1'`,
    `"Mood" 'ok'`,
    `s.t(3) 'x'`,
    `varchar(3) 'x'`,
  ],
  ...[`national character varying(3) 'x'`, `bit varying(3) '1'`, `json '{}'`, 'CURRENT_DATE', 'localtime(3)', 'USER'],
];
const TYPES = [
  ...['int', 'int4[]', 'numeric(10,2)', 'char(3)', 'character varying', 'timestamp(3) with time zone', 'float(24)[]'],
  ...['time without time zone', 'interval day to second(3)', 'interval(3)', 'int4 ARRAY', 'bigint array[3]', '"Mood"'],
  ...[
    'public."Mood"',
    'pg_catalog.int8[3][]',
    'double precision',
    'bit varying(3)',
    'national char(3)',
    'json',
    'foo(1)',
  ],
];
const INFIX = [
  ...['=', '<>', '!=', '<', '>', '<=', '>=', '+', '-', '*', '/', '%', '^', '||', '&&', '@>', '<@', '&', '|', '#', '<<'],
  ...[
    '->',
    '->>',
    '~',
    '~*',
    '@>-',
    '%-',
    '!~~',
    'OPERATOR(pg_catalog.+)',
    'operator(=)',
    'OPERATOR(s.<)',
    'AND',
    'OR',
  ],
  ...['IS DISTINCT FROM', 'IS NOT DISTINCT FROM', 'LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE', 'SIMILAR TO'],
  ...['NOT SIMILAR TO', 'AT TIME ZONE'],
];
const PREFIX = ['-', '+', '- -', 'NOT', 'not not', '@', '~', '|/', '!!', 'OPERATOR(pg_catalog.-)', '@ -'];
const POSTFIX = [
  ...['IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL', 'IS TRUE', 'IS NOT FALSE', 'IS UNKNOWN', 'COLLATE "C"'],
  ...['COLLATE pg_catalog."C"', 'IS NULL IS TRUE'],
];
const QUANTIFIED = ['= ANY', '< some', '<> ALL', 'LIKE ANY', 'NOT ILIKE ALL', '+ ANY', 'operator(=) any'];

type Tree = { readonly expression: string; readonly primary: string };

const expressions = fc.letrec<Tree>((tie) => {
  const primary = tie('primary');
  const expression = tie('expression');
  const list = fc.array(expression, { minLength: 1, maxLength: 3 }).map((items) => items.join(', '));
  return {
    primary: fc.oneof(
      { depthSize: 'small', maxDepth: 4, withCrossShrink: true },
      { weight: 4, arbitrary: fc.constantFrom(...COLUMNS) },
      { weight: 3, arbitrary: fc.constantFrom(...CONSTANTS) },
      { weight: 4, arbitrary: expression.map((inner) => `(${inner})`) },
      fc.tuple(expression, fc.constantFrom(...TYPES)).map(([arg, type]) => `CAST(${arg} AS ${type})`),
      fc.tuple(fc.constantFrom('f', 'pg_catalog.lower', '"F"', 'left', 's.right', 'like'), list).map(call),
      fc.tuple(fc.constantFrom('coalesce', 'greatest', 'LEAST', 'row', 'substring', 'overlay', 'trim'), list).map(call),
      list.map((items) => `ARRAY[${items}]`),
      fc.tuple(list, list).map(([one, two]) => `ARRAY[[${one}], [${two}], []]`),
      fc.tuple(expression, list).map(([first, rest]) => `(${first}, ${rest})`),
      fc.tuple(expression, expression, expression).map(specialForms),
      fc.tuple(expression, expression).map(([one, two]) => `(${one})[${two}]`),
      fc.tuple(expression, expression).map(subqueries),
      fc.tuple(expression, expression, expression).map(cases),
    ),
    expression: fc.oneof(
      { depthSize: 'small', maxDepth: 4, withCrossShrink: true },
      { weight: 3, arbitrary: primary },
      {
        weight: 9,
        arbitrary: fc.tuple(expression, fc.constantFrom(...INFIX), expression).map((parts) => parts.join(' ')),
      },
      { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...PREFIX), expression).map((parts) => parts.join(' ')) },
      { weight: 3, arbitrary: fc.tuple(expression, fc.constantFrom(...POSTFIX)).map((parts) => parts.join(' ')) },
      fc.tuple(expression, fc.constantFrom(...TYPES)).map(([arg, type]) => `${arg}::${type}`),
      fc.tuple(expression, expression, expression, fc.boolean()).map(between),
      fc.tuple(expression, fc.boolean(), list).map(([arg, not, items]) => `${arg} ${not ? 'NOT ' : ''}IN (${items})`),
      fc.tuple(expression, fc.constantFrom(...QUANTIFIED), expression).map(([a, op, b]) => `${a} ${op} (${b})`),
      fc.tuple(expression, expression, expression).map(([a, b, c]) => `${a} LIKE ${b} ESCAPE ${c}`),
    ),
  };
});

function call([name, args]: [string, string]): string {
  return `${name}(${args})`;
}

function between([a, b, c, symmetric]: [string, string, string, boolean]): string {
  return `${a} ${symmetric ? 'NOT BETWEEN SYMMETRIC' : 'BETWEEN'} ${b} AND ${c}`;
}

function oneOf(seed: string, ...forms: readonly string[]): string {
  return forms[seed.length % forms.length] as string;
}

function specialForms([a, b, c]: [string, string, string]): string {
  return oneOf(
    a + b + c,
    `EXTRACT(year FROM ${a})`,
    `POSITION(${a} IN ${b})`,
    `SUBSTRING(${a} FROM ${b} FOR ${c})`,
    `SUBSTRING(${a} FOR ${b})`,
    `SUBSTRING(${a} SIMILAR ${b} ESCAPE ${c})`,
    `OVERLAY(${a} PLACING ${b} FROM ${c})`,
    `TRIM(LEADING ${a} FROM ${b}, ${c})`,
    `TRIM(FROM ${a})`,
    `NULLIF(${a}, ${b})`,
    `NORMALIZE(${a}, NFKC)`,
    `(${a}, ${b}) OVERLAPS (${c}, ${a})`,
    `COLLATION FOR (${a})`,
    `count(DISTINCT ${a} ORDER BY ${b}) FILTER (WHERE ${c})`,
    `f(${a}, VARIADIC ${b})`,
  );
}

function subqueries([a, b]: [string, string]): string {
  return oneOf(
    a + b,
    `EXISTS (SELECT ${a} x, ${b} FROM t AS u WHERE ${b})`,
    `(SELECT ${a})`,
    `ARRAY(SELECT ${a} FROM p q)`,
    `(${a}) IN (SELECT DISTINCT ${b} FROM s.p WHERE ${a})`,
    `((SELECT ${a}) UNION (SELECT ${b}))`,
  );
}

function cases([a, b, c]: [string, string, string]): string {
  return oneOf(
    a + b + c,
    `CASE WHEN ${a} THEN ${b} END`,
    `CASE ${a} WHEN ${b} THEN ${c} WHEN ${a} THEN ${b} ELSE ${c} END`,
  );
}

/** Follows the grammar, apart from operators that do not associate and operands that would need parentheses. */
export const anyGrammaticalText: fc.Arbitrary<string> = expressions.expression;

const TOKENS = [
  ...COLUMNS,
  ...CONSTANTS,
  ...INFIX,
  ...PREFIX,
  ...POSTFIX,
  ...QUANTIFIED,
  ...'( ) [ ] , . : :: ; ( ) [ ] , := => .. { \\ $ $1x 1x 0x \' " /* -- */ E\' U&" ? ! ='.split(' '),
  ...`all any array as at between both by case cast coalesce collate collation cross current_schema default distinct
  double else end escape except exists extract false filter for from full group grouping having ilike in int4 interval
  is isnull json json_object left like limit local natural normalize not null nullif of offset on operator order
  overlaps overlay over placing position precision row select setof similar some substring symmetric table then time
  timestamp to trim true uescape union unique unknown user using values variadic varying when where with within xmlparse
  zone`.split(/\s+/),
];

/** Tokens in no order. */
export const anyTokens: fc.Arbitrary<string> = fc
  .array(fc.tuple(fc.constantFrom(...TOKENS), fc.constantFrom(' ', ' ', ' ', '', '\n')), { maxLength: 12 })
  .map((tokens) => tokens.flat().join(''));

/** A text of the grammar with a token put in, or some characters lost. */
export const anyMutatedText: fc.Arbitrary<string> = fc
  .tuple(
    anyGrammaticalText,
    fc.array(fc.tuple(fc.nat(), fc.constantFrom(...TOKENS), fc.constantFrom(0, 0, 1, 2, 5)), {
      minLength: 1,
      maxLength: 2,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((changed, [place, token, lost]) => {
      const at = place % (changed.length + 1);
      return `${changed.slice(0, at)} ${token} ${changed.slice(at + lost)}`;
    }, text),
  );

/** Operators that the flat texts use; the test that has Postgres group them must define them all. */
export const OVERLOADED_OPERATORS = {
  infix: [
    ...[
      '=',
      '<>',
      '<',
      '>',
      '<=',
      '>=',
      '+',
      '-',
      '*',
      '/',
      '%',
      '^',
      '||',
      '&&',
      '@>',
      '&',
      '|',
      '#',
      '<<',
      '->',
      '~',
    ],
    ...['~~', '!~~', '~~*', '!~~*', '%-'],
  ],
  prefix: ['-', '+', '@', '~', '|/', '!!'],
} as const;

const FLAT_INFIX = [
  ...OVERLOADED_OPERATORS.infix,
  ...['OPERATOR(public.+)', 'operator(public.=)', '!=', 'AND', 'AND', 'OR', 'OR', 'IS DISTINCT FROM'],
  ...['IS NOT DISTINCT FROM', 'LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'],
];
const FLAT_PREFIX = [...OVERLOADED_OPERATORS.prefix, 'NOT', 'NOT', '- -', 'OPERATOR(public.@)'];
const FLAT_POSTFIX = [
  'IS NULL',
  'IS NOT NULL',
  'ISNULL',
  'IS TRUE',
  'IS NOT UNKNOWN',
  '::x',
  'IN (a, b)',
  'NOT IN (b, c)',
];

/** Operators without parentheses between operands a to d, so that precedence alone groups them. */
export const anyFlatText: fc.Arbitrary<string> = fc
  .array(
    fc.tuple(
      fc.option(fc.constantFrom(...FLAT_PREFIX), { nil: '', freq: 3 }),
      fc.constantFrom('a', 'b', 'c', 'd', 'd', '(a + b)'),
      fc.option(fc.constantFrom(...FLAT_POSTFIX), { nil: '', freq: 4 }),
      fc.oneof(
        { weight: 12, arbitrary: fc.constantFrom(...FLAT_INFIX) },
        fc.constantFrom('BETWEEN b AND', 'NOT BETWEEN SYMMETRIC c + d AND', 'BETWEEN - a < b AND'),
      ),
    ),
    { minLength: 2, maxLength: 7 },
  )
  .map((parts) =>
    parts
      .flatMap(([prefix, operand, postfix, infix], i) =>
        [prefix, operand, postfix, ...(i === parts.length - 1 ? [] : [infix])].filter((part) => part !== ''),
      )
      .join(' '),
  );

const STRING_PIECES = [
  ...[
    'a',
    'é',
    '😀',
    ' ',
    '\n',
    "''",
    '""',
    '\\',
    '\\\\',
    "\\'",
    '\\n',
    '\\b',
    '\\q',
    '\\x41',
    '\\x4',
    '\\xc3\\xa9',
    '\\xc3',
  ],
  ...[
    '\\303\\251',
    '\\101',
    '\\8',
    '\\377',
    '\\0',
    '\\u0041',
    '\\u00e9',
    '\\U0001F600',
    '\\uD83D',
    '\\uDE00',
    '\\uD83D\\uDE00',
  ],
  ...[
    '\\0061',
    '\\+01F600',
    '\\D83D\\DE00',
    '\\D83D',
    '!0061',
    '!!',
    '$',
    '$$',
    '$a$',
    "'\n'",
    "' -- x\n '",
    "'\v\n'",
    '--',
  ],
];

/** String constants and quoted names, most of them in order. */
export const anyQuotedText: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(...["' '", "E' '", "e' '", "U&' '", "u&' '! uescape '!'", '$$ $$', '$a$ $a$', '" "', 'U&" "']),
    fc.array(fc.constantFrom(...STRING_PIECES), { maxLength: 6 }),
  )
  .map(([quotes, pieces]) => {
    const [open, close, uescape] = quotes.replace("'! ", "' ! ").split(/ (?=['"$])| ! /);
    return `${open}${pieces.join('')}${close}${uescape === undefined ? '' : ` ${uescape}`}`;
  });

/** Number constants, most of them in order, none with an exponent that is too large for a value. */
export const anyNumberText: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...['0', '1', '9', '_', '.', 'e', 'E', '+', '-', '0x', '0o', '0B', 'f', '7', '12345678901']), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''))
  .filter((text) => /^\.?\d/.test(text) && !/--|e[-+]?[\d_]{4}/i.test(text));
