import { DDL_CASES, DDL_SHAPES, endsByWrite, type DdlCase, type DdlShape } from '../support/ddl-cases.ts';

const NAMES: Record<DdlShape, string> = {
  all: 'all columns',
  touching: 'selects it',
  where: 'in its clause',
  other: 'does not refer to it',
};

const INTRODUCTION = `# Schema changes

A shape ends — its readers get a 409 and start over — when its table is no longer what its history is of. What that means depends on
the shape: one with a list of columns does not mind what happens to the others.

This is noticed in three ways:

- **With the next write** to the table: the replication stream describes a table again before its next change. The shape ends
  exactly there; what was written before is in its log, what comes after is not.
- **By comparing the catalog**, also if nothing is written: every \`ELECTRIC_TWEAKS_SCHEMA_RECONCILER_PERIOD\` (10 s by default), one
  short transaction for each source and router. A round that fails is left out.
- **At once** (within a second), where a superuser has installed [the event trigger](../deploy/postgres/ddl-trigger.sql): then the
  catalog is compared whenever DDL commits. It cannot make the application's statements fail.

What happens to partitions while no router runs is noticed by the next one.

To keep migrations cheap for clients, list the columns of shapes: then \`ADD COLUMN\` ends none of them. Which shapes ended, and why, is in
the event \`shape_rotated\` ([troubleshooting](troubleshooting.md#shapes-that-end)).

The table says which shapes end, first when the catalog is compared, then with the next write before that. It is made from the
cases of a test that does each of these statements to shapes of a running cluster (\`npm run docs:schema\`).

Columns: a shape of **all columns**; one with a list that **selects** the column concerned; one that has it only **in its clause**;
one that **does not refer to it**. Keys are part of every shape; a table without primary key has all columns as its key, so there
every column concerns every shape.
`;

const LEGEND = '✗ ends, · goes on, – not said: nothing is written, or it does not matter what is written first.';

/** What \`docs/schema-changes.md\` must say. */
export function schemaChangesPage(): string {
  const heads = DDL_SHAPES.map((shape) => NAMES[shape]);
  const lines = [
    `| statement | ${heads.join(' | ')} | ends with the next write | remark |`,
    `| --- | ${heads.map(() => ':-:').join(' | ')} | --- | --- |`,
    ...DDL_CASES.map(row),
  ];
  return `${INTRODUCTION}\n${LEGEND}\n\n<!-- prettier-ignore-start -->\n\n${lines.join('\n')}\n\n<!-- prettier-ignore-end -->\n`;
}

function row(each: DdlCase): string {
  const marks = DDL_SHAPES.map((shape) => (each.ends.includes(shape) ? '✗' : '·'));
  const byWrite = endsByWrite(each);
  const same = byWrite !== undefined && byWrite.join() === each.ends.join();
  const written =
    byWrite === undefined
      ? '–'
      : byWrite.length === 0
        ? each.ends.length === 0
          ? 'none'
          : 'none of them'
        : same
          ? 'the same'
          : byWrite.map((shape) => NAMES[shape]).join(', ');
  return `| ${each.title} | ${marks.join(' | ')} | ${written} | ${each.remark ?? ''} |`;
}
