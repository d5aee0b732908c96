/** Shapes whose rows are known in advance, so that an answer with rows of another shape is noticed. */
export interface Definition {
  readonly params: Readonly<Record<string, string>>;
  readonly table: 'mine' | 'theirs';
  /** Whether a whole row may be in this shape. */
  readonly holds: (row: Readonly<Record<string, string | null>>) => boolean;
  readonly columns: readonly string[];
}

/** Every row says whose it is. Some were changed after the first reader came, so that the logs have entries, too. */
export const FUZZ_TABLES = `
CREATE TABLE mine (id int PRIMARY KEY, owner text NOT NULL, title text);
CREATE TABLE theirs (id int PRIMARY KEY, owner text NOT NULL, title text);
INSERT INTO mine SELECT i, CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'bob' END, 'mine ' || i FROM generate_series(1, 20) i;
INSERT INTO theirs SELECT i, CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'bob' END, 'theirs ' || i FROM generate_series(1, 20) i;
`;

export const FUZZ_CHANGES = `
UPDATE mine SET title = title || '!' WHERE id % 3 = 0;
UPDATE theirs SET title = title || '!' WHERE id % 3 = 0;
UPDATE mine SET id = id + 100 WHERE id = 7;
DELETE FROM theirs WHERE id = 9;
`;

const ALL = ['id', 'owner', 'title'];

function definitions(table: Definition['table']): Definition[] {
  const belongs: Definition['holds'] = (row) => row['title']?.startsWith(`${table} `) === true;
  const shape = (params: Record<string, string>, holds: Definition['holds'], columns = ALL): Definition => ({
    params: { table, ...params },
    table,
    holds,
    columns,
  });
  return [
    shape({}, belongs),
    shape({ replica: 'full' }, belongs),
    shape({ log: 'changes_only' }, belongs),
    shape({ where: `owner = 'ann'` }, (row) => belongs(row) && row['owner'] === 'ann'),
    shape({ where: 'owner = $1', 'params[1]': 'bob' }, (row) => belongs(row) && row['owner'] === 'bob'),
    shape({ where: 'id < 5', replica: 'full' }, (row) => belongs(row) && Number(row['id']) < 5),
    shape({ columns: 'id,title' }, belongs, ['id', 'title']),
    shape({ columns: '"id","owner"', where: `title LIKE '${table}%'` }, () => true, ['id', 'owner']),
    shape({ queryable_columns: 'id,title', where: `owner = 'bob'` }, belongs, ['id', 'title']),
  ];
}

export const DEFINITIONS: readonly Definition[] = [...definitions('mine'), ...definitions('theirs')];
