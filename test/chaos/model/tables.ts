import type { ClauseColumns } from './clause.ts';

/** A table whose every change the checker follows. All have the columns id, grp, n and body. */
export interface TrackedTable {
  readonly name: string;
  readonly key: readonly string[];
  readonly clauses: ClauseColumns;
}

export const COLUMNS = ['id', 'grp', 'n', 'body'] as const;

/** Keys are 0 .. KEYS-1 and groups 0 .. GROUPS-1, so that changes meet. */
export const KEYS = 400;
export const GROUPS = 10;

/** What bodies begin with. */
const texts = { body: ['short', 'a', '0'] };

/**
 * An ordinary table, a partitioned one, one with texts for keys, and one for transactions of thousands of rows. `n` may be
 * NULL.
 */
export const TABLES: readonly TrackedTable[] = [
  { name: 'plain', key: ['id'], clauses: { numbers: { id: KEYS, grp: GROUPS, n: 100 }, texts } },
  { name: 'parts', key: ['id', 'grp'], clauses: { numbers: { id: KEYS, grp: GROUPS, n: 100 }, texts } },
  { name: 'names', key: ['id'], clauses: { numbers: { grp: GROUPS, n: 100 }, texts } },
  { name: 'bulk', key: ['id'], clauses: { numbers: { grp: GROUPS, n: 100 }, texts } },
];

export function trackedTable(name: string): TrackedTable {
  const found = TABLES.find((table) => table.name === name);
  if (found === undefined) throw new Error(`no table ${name} is tracked`);
  return found;
}

/** Only these are altered, and of their shapes only the end is compared: no stream tells what DDL did to rows. */
export const ALTERED = ['altered', 'altered_parts'] as const;

/** Publication and slot of the checker. */
export const TRUTH = 'chaos_truth';

export const SETUP = `
  create table plain (id int primary key, grp int not null, n int, body text);
  create table parts (id int, grp int, n int, body text, primary key (id, grp)) partition by list (grp);
  create table parts_low partition of parts for values in (0, 1, 2, 3, 4);
  create table parts_high partition of parts for values in (5, 6, 7, 8);
  create table parts_last partition of parts for values in (9);
  create table names (id text primary key, grp int not null, n int, body text);
  create table bulk (id int primary key, grp int not null, n int, body text);
  create table altered (id int primary key, grp int not null, n int, body text);
  create table altered_parts (id int, grp int, n int, body text, primary key (id, grp)) partition by list (grp);
  create table altered_low partition of altered_parts for values in (0, 1, 2, 3, 4);
  create table altered_high partition of altered_parts for values in (5, 6, 7, 8);
  create table altered_last partition of altered_parts for values in (9);
  ${['plain', 'parts_low', 'parts_high', 'parts_last', 'names', 'bulk']
    .map((table) => `alter table ${table} replica identity full;`)
    .join('\n  ')}
  alter table parts replica identity full;
  create publication ${TRUTH} for table ${TABLES.map(({ name }) => name).join(', ')}
    with (publish_via_partition_root = true);`;
