/** A clause that is refused. The message on the page is what the code says. */
export interface Refusal {
  readonly clause: string;
  readonly why: string;
  /** Markdown; clauses in it are repeated in `alternatives`. */
  readonly instead: string;
  /** Clauses that are accepted. */
  readonly alternatives?: readonly string[];
}

export interface RefusalGroup {
  readonly title: string;
  readonly refusals: readonly Refusal[];
}

const MOVING = 'Its value changes without a write, so rows would have to come and go by themselves.';
const SEND_IT = 'Send the value from the client:';

export const REFUSALS: readonly RefusalGroup[] = [
  {
    title: 'What changes by itself',
    refusals: [
      {
        clause: `created > now() - interval '1 day'`,
        why: MOVING,
        instead: `${SEND_IT} \`created > $1\`, and take a new shape when the window has moved.`,
      },
      {
        clause: 'due = CURRENT_DATE',
        why: `${MOVING} The same goes for all functions without parentheses: \`CURRENT_TIMESTAMP\`, \`user\`, ….`,
        instead: `${SEND_IT} \`due = '2024-06-01'\`.`,
        alternatives: [`due = '2024-06-01'`],
      },
      {
        clause: `created > 'now'`,
        why: 'Postgres would freeze the moment at which the clause was read. Also `today`, `tomorrow`, `yesterday`.',
        instead: "A time: `created > '2024-06-01 12:00Z'`. `infinity` is one: `created < 'infinity'`.",
        alternatives: [`created > '2024-06-01 12:00Z'`, `created < 'infinity'`],
      },
      {
        clause: 'random() < 0.1',
        why: 'Two evaluations of one row would differ. Every volatile function is refused.',
        instead: 'A stable sample: `id % 10 = 0`.',
        alternatives: ['id % 10 = 0'],
      },
      {
        clause: 'status = current_user',
        why: 'The session is ours, not the user’s.',
        instead: 'Put the user into the clause on your server: `status = $2`.',
        alternatives: ['status = $2'],
      },
    ],
  },
  {
    title: 'What only Postgres can evaluate',
    refusals: [
      {
        clause: `title ~ '^fix'`,
        why: 'Regular expressions of Postgres have a dialect of their own. Also `~*`, `!~`, `!~*` and the `regexp_` functions.',
        instead: "`LIKE`, `ILIKE`, `SIMILAR TO`, `starts_with`: `title LIKE 'fix%'`.",
        alternatives: [`title LIKE 'fix%'`],
      },
      {
        clause: `substring(title FROM '[0-9]+') = '7'`,
        why: 'A regular expression as well.',
        instead: "`substring` with positions, `split_part`: `split_part(title, '-', 2) = '7'`.",
        alternatives: [`split_part(title, '-', 2) = '7'`],
      },
      {
        clause: `label > 'm'`,
        why: 'Order by a language’s rules differs between library versions. Order is supported by code point only (`C`, `POSIX`, `C.UTF-8`, `ucs_basic`, `pg_c_utf8`).',
        instead: `\`label COLLATE "C" > 'm'\`. Equality needs nothing: \`label = 'm'\`.`,
        alternatives: [`label COLLATE "C" > 'm'`, `label = 'm'`],
      },
      {
        clause: `label ILIKE 'm%'`,
        why: 'Case rules of ICU locales, and of Turkic and Lithuanian ones, are not those of single characters. Also `lower` and `upper`.',
        instead: '`label COLLATE "C" ILIKE \'m%\'` folds ASCII letters only.',
        alternatives: [`label COLLATE "C" ILIKE 'm%'`],
      },
      {
        clause: `title COLLATE "de_DE" = 'a'`,
        why: 'The only collation a clause may name is `"C"`.',
        instead: "Leave it out where the clause does not order: `title = 'a'`.",
        alternatives: [`title = 'a'`],
      },
      {
        clause: `nickname = 'bob'`,
        why: 'Under a nondeterministic collation different texts are equal.',
        instead: '`nickname IS NULL`; nothing else. Keep a copy of the column with an ordinary collation.',
        alternatives: ['nickname IS NULL'],
      },
      {
        clause: `data < '{}'`,
        why: 'Strings in jsonb sort by the database’s collation, objects by rules of their own.',
        instead: "Take a value out: `(data ->> 'n')::int4 < 3`.",
        alternatives: [`(data ->> 'n')::int4 < 3`],
      },
      {
        clause: `place = '(1,2)'`,
        why: 'Values of this type are not understood (types without a row under [Types](#types)).',
        instead: 'Only `IS NULL` and `IS NOT NULL`, or a generated column of a supported type.',
        alternatives: ['place IS NOT NULL'],
      },
      {
        clause: `data @? '$.a'`,
        why: 'The SQL/JSON path language is not supported, nor are `JSON_VALUE` and its like.',
        instead: "`->`, `->>`, `#>>`, `@>`, `?`: `data ? 'a'`.",
        alternatives: [`data ? 'a'`],
      },
      {
        clause: `to_char(created, 'YYYY') = '2024'`,
        why: 'Not implemented, like every function that is not listed under [Functions](#functions); yours included.',
        instead: '`extract(year FROM created) = 2024`.',
        alternatives: [`extract(year FROM created) = 2024`],
      },
    ],
  },
  {
    title: 'What is more than a condition on one row',
    refusals: [
      {
        clause: 'owner IN (SELECT id FROM users)',
        why: 'Subqueries are not supported yet.',
        instead: 'List the values, or keep a column that says it.',
      },
      {
        clause: 'EXISTS (SELECT 1 FROM users WHERE users.id = owner)',
        why: 'Other subqueries: also scalar ones, `= ANY (SELECT …)`, `ARRAY(SELECT …)`.',
        instead: 'As above.',
      },
      {
        clause: 'count(*) > 1',
        why: 'Aggregates and window functions are about many rows.',
        instead: 'Aggregate in the client, or in a table that triggers maintain.',
      },
      {
        clause: `unnest(tags) = 'red'`,
        why: 'Functions that return sets are not conditions.',
        instead: "`'red' = ANY (tags)`.",
        alternatives: [`'red' = ANY (tags)`],
      },
      {
        clause: 'done ORDER BY id LIMIT 10',
        why: 'A shape is a set. Also `GROUP BY`, `UNION`, `FETCH`, ….',
        instead: 'Sort in the client.',
      },
      {
        clause: 'done; DROP TABLE items',
        why: 'One expression, nothing behind it.',
        instead: 'Pass values as `params`, never by putting strings together.',
      },
      {
        clause: 'users.id = owner',
        why: 'Only columns of the shape’s own table; system columns (`ctid`, `xmin`) and `items.*` are none of them.',
        instead: 'A column of the table.',
      },
      {
        clause: 'priority',
        why: 'The clause has to be a boolean.',
        instead: '`priority <> 0`.',
        alternatives: ['priority <> 0'],
      },
    ],
  },
  {
    title: 'What does not fit together',
    refusals: [
      {
        clause: `priority = 'high'`,
        why: 'A literal is read as what it is compared with, when the shape is requested.',
        instead: 'A number.',
      },
      {
        clause: `feeling = 'great'`,
        why: 'The enum has no such label.',
        instead: "One of its labels. `feeling::text = 'great'` is accepted and false.",
        alternatives: [`feeling::text = 'great'`],
      },
      {
        clause: `title = 7`,
        why: 'Postgres has no operator for text and a number either.',
        instead: "`title = '7'`, or a cast.",
        alternatives: [`title = '7'`],
      },
      {
        clause: `due > '01/02/2024'`,
        why: 'Dates and times are read in ISO 8601 only; which number is the month depends on a setting.',
        instead: "`due > '2024-02-01'`.",
        alternatives: [`due > '2024-02-01'`],
      },
      {
        clause: 'priority::uuid = owner',
        why: 'There is no such cast ([Casts](#casts)).',
        instead: 'A cast that exists.',
      },
      {
        clause: 'raw::json IS NULL',
        why: 'Casts to `json`, and to types that are not understood, are refused.',
        instead: "`raw::jsonb @> '{}'`.",
        alternatives: [`raw::jsonb @> '{}'`],
      },
      {
        clause: 'priority / 0 = 1 / 0',
        why: 'Constants are computed when the shape is requested, as Postgres does.',
        instead: 'A constant that has a value.',
      },
      {
        clause: 'local_at AT LOCAL IS NULL',
        why: 'The zone of the session is ours.',
        instead: "`local_at AT TIME ZONE 'UTC' IS NULL`.",
        alternatives: [`local_at AT TIME ZONE 'UTC' IS NULL`],
      },
      {
        clause: `priority = B'101'`,
        why: 'Bit strings are not supported.',
        instead: '`priority = 5`.',
        alternatives: ['priority = 5'],
      },
    ],
  },
];
