import { format, resolveConfig } from 'prettier';
import { parseWhere, type ParsedWhere } from '../../src/index.ts';
import {
  castTable,
  functionTables,
  missingCasts,
  operatorTables,
  typeTable,
  unknownTypes,
} from './catalogue-tables.ts';
import { CONSTRUCTS, EXAMPLE_PARAMS } from './constructs.ts';
import { EXAMPLE_COLUMNS, EXAMPLE_DDL, EXAMPLE_TABLE } from './example-table.ts';
import { FIGURES } from './figures.ts';
import { INDEX_KINDS } from './index-kinds.ts';
import { code, lines, table } from './markdown.ts';
import { REFUSALS } from './refusals.ts';

export { EXAMPLE_COLUMNS, EXAMPLE_DDL, INDEX_KINDS, REFUSALS };

/** What the code says to a clause over the example table. */
export function parseExample(clause: string): ParsedWhere {
  return parseWhere(clause, EXAMPLE_PARAMS, EXAMPLE_COLUMNS, EXAMPLE_TABLE);
}

/** Every clause of which the page says that it is accepted. */
export function acceptedExamples(): string[] {
  return [
    ...CONSTRUCTS.flatMap(({ constructs }) => constructs.flatMap(({ examples }) => examples)),
    ...REFUSALS.flatMap(({ refusals }) => refusals.flatMap(({ alternatives }) => alternatives ?? [])),
    ...INDEX_KINDS.flatMap(({ examples }) => examples),
    ...PROSE_EXAMPLES,
  ];
}

/** Clauses in the text below. */
const PROSE_EXAMPLES = [
  '100 / priority > 3',
  '100 / nullif(priority, 0) > 3',
  'NOT (priority > 3)',
  `owner = 'b6f3a3c0-5d7c-4b6e-9f5e-0d6a3b7a9c11' AND price > fee`,
];

/** Source text of `docs/where-clauses.md`. */
export async function whereClausesPage(): Promise<string> {
  const config = await resolveConfig(import.meta.filename, { editorconfig: true });
  return format(pageText(), { ...config, parser: 'markdown' });
}

function pageText(): string {
  return `# Where clauses

A shape is a table and, if you like, a condition on its rows: the text behind \`WHERE\`, in the \`where\` parameter. It is
SQL as Postgres has it. The first rows come from Postgres, all changes after that are decided by Shapecast, and both have
to agree on every row; so what Shapecast cannot decide exactly as Postgres does is refused when the shape is requested.

This page is made from the code by \`npm run docs:where\`; a test compares the two, and gives every example to the parser and to
Postgres. The examples are about this table, in a database with the collation \`C.UTF-8\`:

\`\`\`sql
${EXAMPLE_DDL}\`\`\`

## What a clause may contain

${CONSTRUCTS.map(({ title, constructs }) => `### ${title}\n\n${constructTable(constructs)}`).join('\n')}
A clause may have 65,536 bytes, 200 brackets or \`NOT\`s inside one another, 1,000 operations one upon another, and 20,000
operations, columns and constants, constants in lists not counted. A number may have 1,000 digits.

## Types

${typeTable()}| arrays of these, \`int4[]\` | as the elements | \`&& <@ @> \\|\\|\` |
| enums, and arrays of them | \`= <> < <= > >=\` | – |
| domains over a built-in type | as that type | as that type |

The operators are those that have the type on the left; [below](#operators) are all. Besides, every type has \`IS NULL\`,
\`IS DISTINCT FROM\` where it has \`=\`, \`IN\`, \`BETWEEN\`, \`ANY\` and \`ALL\` where it has what they compare with, and text has
\`LIKE\`, \`ILIKE\` and \`SIMILAR TO\`.

- Text is ordered by code point, where that is the collation's order or the clause says \`COLLATE "C"\`. Equality is that of the
  characters; \`char(n)\` ignores blanks at the end.
- Numbers of different types compare with each other, so do dates and timestamps, and text types. An enum compares with its own
  kind and with literals.
- \`NaN\` equals itself and is above all other numbers. \`interval\` counts a month as 30 days and a day as 24 hours.
- Dates and times in literals are ISO 8601: \`2024-01-31\`, \`2024-01-31 12:00:00.5+02\`, \`2024-01-31T12:00Z\`, also with \`BC\`, the
  name of a time zone, \`infinity\`, \`epoch\`. Without a zone, \`timestamptz\` is UTC.

Columns of any other type can be tested for NULL, and that is all: composite and range types of your own, multiranges,
domains over these, types of extensions (\`citext\`, \`hstore\`, \`ltree\`, PostGIS), and
${unknownTypes()}.

## Operators

Comparisons are [above](#types), patterns [further above](#patterns). Where no row fits, Postgres's rules for implicit casts
choose one: \`int4 + numeric\` is that of numeric.

${operatorTables()}
## Functions

Functions that are not listed are refused, also where Postgres has them. A function is NULL when an argument is, unless it
takes NULLs. Postgres's own syntax for \`EXTRACT\`, \`POSITION\`, \`SUBSTRING\`, \`TRIM\`, \`OVERLAY\` and \`AT TIME ZONE\` is
[understood too](#expressions), and so are \`CASE\`, \`COALESCE\`, \`NULLIF\`, \`GREATEST\`, \`LEAST\`, \`like\`, \`notlike\` and \`ilike\`. The name
of a type called like a function is a cast.

${functionTables()}
## Casts

${castTable()}
Every type of the [table above](#types) casts to the string types (\`text\`, \`varchar\`, \`char\`, \`name\`) and from them, in the form in which Postgres writes
it; arrays cast as their elements do. Nothing casts to \`json\`. A text that is no value of the type is an error on its row.

Lengths and precisions are applied: \`varchar(n)\`, \`char(n)\` up to 10,000 characters, \`numeric(p,s)\` with a scale between 0 and
the precision, \`time(p)\`, \`timestamp(p)\`, \`timestamptz(p)\`; not those of \`interval\`. Not supported: ${missingCasts()}.

## What is refused

A refused clause is answered with status 400 and the reason in the field \`where\`, or \`params\`:

\`\`\`json
${JSON.stringify({ message: 'Invalid request', errors: { where: [refusalOf('nope = 1')] } })}
\`\`\`

The location counts characters from the start of the clause. In a syntax error it counts from the start of
\`SELECT 1 WHERE …\`, which is 15 more.

${REFUSALS.map(({ title, refusals }) => `### ${title}\n\n${refusalList(refusals)}`).join('\n')}
## Which clauses are fast

Every change of a table has to be matched against all shapes of that table. That is done by looking the row up, not by trying
the clauses, so it does not matter how many clauses do not match. What can be looked up:

${table(
  ['kind', 'clauses', 'examples', 'cost per row'],
  INDEX_KINDS.map(({ kind, serves, examples, cost }) => [kind, serves, lines(examples.map(code)), cost]),
)}
- \`AND\`, \`OR\` and \`NOT\` may be nested at will. Of an \`AND\` one side is enough: the best one is looked up, the others are tried
  on what it finds. Of an \`OR\`, every side has to be found.
- What is compared may be an expression, such as \`lower(title)\` or \`data ->> 'kind'\`; what it is compared with has to be a
  constant. A comparison of two columns is a scan.
- Order is looked up for the types of the table only: enums, booleans, intervals, arrays, ranges and network addresses are found by
  equality.
  \`jsonb\` is found by what is taken out of it, not by \`@>\` or \`?\`.
- A list of more than 10,000 values is not looked up by; another condition beside it still is.
- Equal clauses are evaluated once, however many shapes have them.

A scan is not slow by itself: it costs one evaluation per row and different clause. It becomes slow with thousands of them, and a
table takes only so many (\`SHAPECAST_MAX_SCANNED_CLAUSES\`; above that, [SCAN_LIMIT_EXCEEDED](errors.md#scan_limit_exceeded)). If
your clause is one, add a condition that can be looked up, most often the tenant or the owner:
\`owner = 'b6f3a3c0-5d7c-4b6e-9f5e-0d6a3b7a9c11' AND price > fee\`.

How to see what became of a clause:

- The header \`electric-where-index\` says the kind, \`none\` for a scan; \`all\` and \`never\` stand for clauses that are TRUE on every
  row, or on none. It comes with every answer to a request with a clause that is not a live one.
- \`/health\` of a router lists, per table, shapes by kind, scanned clauses, and the forms of clauses that cost most:
  [How where clauses are found](matching.md).

${FIGURES}

## NULL and errors

A shape holds the rows for which the clause is TRUE. FALSE and NULL are the same here, but not inside: \`NOT (priority > 3)\` is NULL
where \`priority\` is, so such a row is in neither shape.

\`100 / priority > 3\` raises an error where \`priority\` is 0. While a shape is made, Postgres runs the query, and an error fails the
request ([SNAPSHOT_FAILED](errors.md#snapshot_failed)). Later, a row on which the clause raises an error is not in the shape: it
leaves if it was there. That stops nothing. It is logged once per shape, with its handle, and counted in \`/health\` of the router
(\`evaluationErrors\`). Better make it NULL: \`100 / nullif(priority, 0) > 3\`.

## Differences from Postgres

- **Case.** \`lower\`, \`upper\` and \`ILIKE\` map characters one by one as Unicode 15.1 does, under \`C\` and \`POSIX\` ASCII letters only. A
  Postgres whose locale data is of Unicode 16 or later maps some 50 letters more.
- **Time zones.** Named zones follow the tz database of the runtime, which may be another release than that of Postgres
  ([ADR 9](adr/0009-letters-and-time-zones.md)).
- **Order of evaluation.** \`AND\` and \`OR\` go from left to right. Postgres may try cheaper conditions first, and then raises an
  error, or avoids one, where Shapecast does the opposite. Where both have an answer it is the same.
- **Literals.** Dates and times that are not ISO 8601 are refused, and so are \`now\`, \`today\` and their like.
- **Settings.** The clause is read with \`TimeZone = UTC\` and \`DateStyle = ISO, DMY\`, whatever the database's settings are.

Some values only Postgres can tell, because its versions or C libraries differ. They are accepted in clauses. On a row where
one comes up the shape is rotated: its clients get 409 and start over with what Postgres says. That is correct, and costs a
snapshot each time, so avoid these where rows change often; \`undecided\` in \`/health\` counts them.

- \`^\` and \`power\` of float8 where the result is all but halfway between two doubles, or very small; of numeric with an exponent that
  is no integer; \`||/\` of anything but 0 and the infinities
- infinite intervals (Postgres 17 and later), intervals beyond the range of a field, infinite timestamps subtracted, the quarter of a
  negative interval, weeks of an interval
- integers shifted by their width or more, numerics rounded to a huge scale, common divisors of very long numerics
- texts above 2^20 characters that \`repeat\`, \`lpad\`, \`rpad\` or \`replace\` make
- time zones whose name is not in the tz database of the runtime, and abbreviations that mean different things at different
  times (\`MSK\`)
- enum labels that were added after the shape was made, where the clause orders them
`;
}

function constructTable(constructs: (typeof CONSTRUCTS)[number]['constructs']): string {
  return table(
    ['construct', 'examples', 'notes'],
    constructs.map(({ what, examples, note }) => [what, lines(examples.map(code)), note ?? '']),
  );
}

function refusalList(refusals: (typeof REFUSALS)[number]['refusals']): string {
  return refusals
    .map(
      ({ clause, why, instead }) => `- ${code(clause)} — ${why}\n\n  > ${refusalOf(clause)}\n\n  Instead: ${instead}\n`,
    )
    .join('\n');
}

/** The message for a clause that is refused. Throws a plain Error when it is not. */
function refusalOf(clause: string): string {
  const parsed = parseExample(clause);
  if (parsed.ok) throw new Error(`the page says that this is refused: ${clause}`);
  return parsed.message;
}
