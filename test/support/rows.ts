import type { Client } from 'pg';

/** Rows as sorted JSON lines of text cells, for comparing a client's state with Postgres. Booleans in one spelling. */
export function canonicalRows(rows: Iterable<Readonly<Record<string, unknown>>>): string[] {
  const lines: string[] = [];
  for (const row of rows) {
    const cells = Object.keys(row)
      .sort()
      .map((name) => [name, cell(row[name])]);
    lines.push(JSON.stringify(cells));
  }
  return lines.sort();
}

function cell(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value === 't' || value === true) return 'true';
  if (value === 'f' || value === false) return 'false';
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** How the protocol prints values (spec W 2.1). */
const DISPLAY = [
  `bytea_output = 'hex'`,
  `DateStyle = 'ISO, DMY'`,
  `TimeZone = 'UTC'`,
  `extra_float_digits = 1`,
  `IntervalStyle = 'iso_8601'`,
].map((setting) => `set ${setting}`);

/** What the shape must hold: the query's rows in text form, in the session settings of the protocol. */
export async function selectText(
  client: Client,
  table: string,
  columns: readonly string[],
  where: string,
): Promise<string[]> {
  await client.query(DISPLAY.join('; '));
  // Not a cast: text without the blanks at the end is another value of char(n).
  const list = columns.map((column) => {
    const name = `"${column.replaceAll('"', '""')}"`;
    return `case when ${name} is distinct from null then concat(${name}, '') end as ${name}`;
  });
  const result = await client.query<Record<string, string | null>>(
    `select ${list.join(', ')} from ${table}${where ? ` where ${where}` : ''}`,
  );
  return canonicalRows(result.rows);
}
