/** Something a clause may contain. Every example is a whole clause over the example table. */
export interface Construct {
  readonly what: string;
  readonly examples: readonly string[];
  readonly note?: string;
}

export interface ConstructGroup {
  readonly title: string;
  readonly constructs: readonly Construct[];
}

/** Values of `$1`, `$2` in the examples. */
export const EXAMPLE_PARAMS: Readonly<Record<string, string>> = { '1': '3', '2': 'open' };

export const CONSTRUCTS: readonly ConstructGroup[] = [
  {
    title: 'Names, literals and parameters',
    constructs: [
      {
        what: 'column',
        examples: ['done', `"Mixed" = 'x'`, 'items.done', 'public.items.done'],
        note: 'Unquoted names are folded to lower case. Only the table of the shape may stand before the column.',
      },
      {
        what: 'parameter',
        examples: ['priority = $1 AND status = $2'],
        note: 'Sent as `params[1]=3&params[2]=open`, numbered without gaps. The first use of a parameter decides its type.',
      },
      {
        what: 'string',
        examples: [`status = 'it''s'`, `status = E'a\\nb'`, `status = U&'\\0061'`, 'status = $$open$$'],
        note: 'A plain string has no type until something it is compared with gives it one.',
      },
      {
        what: 'number',
        examples: ['id = 3000000000', 'price = 1.50', 'price > 1e3', 'priority = 0x1F', 'priority = 1_000'],
        note: '`int4` when it fits, else `int8`, else `numeric`; with a point or an exponent `numeric`.',
      },
      { what: 'boolean, NULL', examples: ['done = TRUE', 'true', 'NULL'], note: '`NULL` as a clause matches nothing.' },
      {
        what: 'typed literal',
        examples: [
          `due > date '2024-01-31'`,
          `spent > interval '90 minutes'`,
          `created < timestamptz '2024-01-01 12:00Z'`,
        ],
      },
      { what: 'comment', examples: ['done /* really */ AND priority > 1 -- urgent'] },
    ],
  },
  {
    title: 'Logic and NULL',
    constructs: [
      {
        what: '`AND` `OR` `NOT`',
        examples: [`done AND NOT (priority = 1 OR status = 'open')`],
        note: 'Operands are evaluated from left to right, up to the first that decides.',
      },
      {
        what: '`IS NULL`',
        examples: ['due IS NULL', 'due NOTNULL', 'place IS NOT NULL'],
        note: 'Columns of every type.',
      },
      {
        what: '`IS TRUE`',
        examples: ['done IS NOT TRUE', 'priority > 3 IS UNKNOWN'],
        note: 'Also `FALSE` and `UNKNOWN`.',
      },
      { what: '`IS DISTINCT FROM`', examples: ['owner IS DISTINCT FROM NULL', `status IS NOT DISTINCT FROM 'open'`] },
    ],
  },
  {
    title: 'Comparison',
    constructs: [
      { what: '`=` `<>` `!=` `<` `<=` `>` `>=`', examples: ['priority >= 3', `created < '2024-06-01T00:00:00Z'`] },
      {
        what: '`BETWEEN`',
        examples: ['priority BETWEEN 1 AND 3', `due NOT BETWEEN SYMMETRIC '2024-12-31' AND '2024-01-01'`],
      },
      {
        what: '`IN` a list',
        examples: [`status IN ('open', 'waiting')`, 'priority NOT IN (1, 2)'],
        note: '`NOT IN` a list with a NULL in it is never true.',
      },
      {
        what: '`ANY`, `SOME`, `ALL` of an array',
        examples: [
          `status = ANY ('{open,waiting}')`,
          `'red' = ANY (tags)`,
          '3 < ALL (scores)',
          `title LIKE ANY ('{a%,b%}')`,
        ],
        note: 'Any operator that gives a boolean.',
      },
      {
        what: 'rows',
        examples: [
          '(priority, id) > (3, 1000)',
          `(status, done) IN (('open', true), ('new', false))`,
          'ROW(due, owner) IS NULL',
        ],
        note: '`= <> < <= > >=`, `IS DISTINCT FROM`, `IN` a list, NULL tests.',
      },
      {
        what: '`COLLATE "C"`',
        examples: [`label COLLATE "C" > 'm'`, `label COLLATE "C" ILIKE 'straße'`],
        note: 'Order by code point, case rules of ASCII letters only.',
      },
    ],
  },
  {
    title: 'Patterns',
    constructs: [
      {
        what: '`LIKE`',
        examples: [
          `title LIKE 'fix %'`,
          `title NOT LIKE '%wip%'`,
          `title LIKE '10!%%' ESCAPE '!'`,
          `title ~~ 'a_c'`,
          `like(title, 'a%')`,
        ],
        note: '`_` is one character, `%` any number of them, line breaks included.',
      },
      {
        what: '`ILIKE`',
        examples: [`title ILIKE '%error%'`, `title !~~* 'a%'`, `ilike(title, 'a%')`],
        note: 'Postgres has no function `ilike`; client libraries write it, and it reads as the operator.',
      },
      {
        what: '`SIMILAR TO`',
        examples: [`title SIMILAR TO '(fix|feat)(!)?: %'`, `code SIMILAR TO '[A-Z]{2}[0-9]+'`],
        note: 'Constant patterns with `| * + ? {m,n} ( ) [ ] % _`.',
      },
      { what: 'prefix', examples: [`starts_with(title, 'fix')`, `title ^@ 'fix'`] },
    ],
  },
  {
    title: 'Expressions',
    constructs: [
      {
        what: 'arithmetic',
        examples: ['(price * 3 - fee) / 2 > 10', 'id % 16 = 3', '-priority < 0', 'priority & 4 <> 0', '@ rating > 2.5'],
        note: 'Overflow and division by zero are errors, as in Postgres.',
      },
      { what: 'text', examples: [`title || '!' = 'done!'`, `lower(title) = 'inbox'`, 'char_length(trim(title)) > 3'] },
      {
        what: 'dates and times',
        examples: [
          `created + interval '1 month' > '2024-06-01'`,
          'due - 7 > $$2024-01-01$$',
          `date_trunc('day', created) = '2024-06-01'`,
          `extract(year FROM due) = 2024`,
          `created AT TIME ZONE 'Europe/Berlin' > '2024-06-01'`,
        ],
        note: 'The time zone of the session is UTC.',
      },
      {
        what: '`CASE`',
        examples: [
          'CASE WHEN done THEN priority ELSE 0 END > 3',
          `CASE status WHEN 'open' THEN true WHEN 'new' THEN done END`,
        ],
      },
      {
        what: '`coalesce`, `nullif`, `greatest`, `least`',
        examples: ['coalesce(priority, 0) = 0', `nullif(status, '') IS NULL`, 'greatest(priority, 3) = 3'],
      },
      {
        what: 'special forms',
        examples: [
          `position('x' IN title) > 0`,
          `substring(title FROM 2 FOR 3) = 'abc'`,
          `trim(BOTH '-' FROM title) = 'a'`,
          `overlay(title PLACING 'x' FROM 1) = 'xb'`,
        ],
      },
      {
        what: 'cast',
        examples: [`priority::text = '3'`, `CAST(title AS varchar(3)) = 'abc'`, `feeling::text IN ('ok', 'new')`],
      },
    ],
  },
  {
    title: 'Structured values',
    constructs: [
      {
        what: 'arrays',
        examples: [
          `tags @> '{red}'`,
          `tags && ARRAY['red', 'blue']`,
          `tags <@ '{red,blue}'`,
          `tags[1] = 'red'`,
          `scores[2:3] = '{5,7}'`,
          'cardinality(scores) > 2',
          `tags || 'x'::text @> '{x,y}'`,
        ],
      },
      {
        what: 'jsonb',
        examples: [
          `data ->> 'kind' = 'note'`,
          `(data #>> '{a,b}')::int4 > 3`,
          `data @> '{"kind":"note"}'`,
          `data ? 'kind'`,
          `data -> 'n' = '1'`,
        ],
        note: 'Equality but no order. `json` has the operators `-> ->> #> #>>` only.',
      },
      {
        what: 'ranges',
        examples: [`booked @> '2024-06-01'::timestamptz`, `booked && '[2024-06-01,2024-07-01)'`, 'NOT isempty(booked)'],
      },
      { what: 'network addresses', examples: [`address << '10.0.0.0/8'`, `host(address) = '10.0.0.1'`] },
      {
        what: 'enums',
        examples: [`feeling = 'ok'`, `feeling > 'sad'`, `feeling IN ('ok', 'happy')`],
        note: 'Literals are checked against the labels; order is that of the declaration.',
      },
      { what: 'domains', examples: ['fee > 10'], note: 'Over a built-in type; they behave as that type.' },
    ],
  },
];
