import type { ColumnInfo, RelationInfo } from '@shapecast/shape';
import { describe, expect, test } from 'vitest';
import { decodeQuery } from './query-string.ts';
import { requestedTable, resolveDefinition } from './shape-definition.ts';
import { parseShapeRequest } from './shape-request.ts';

const column = (name: string, attnum: number, extra: Partial<ColumnInfo> = {}): ColumnInfo => ({
  name,
  attnum,
  typeOid: 25,
  typeName: 'text',
  typeSchema: 'pg_catalog',
  typeKind: 'b',
  dims: 0,
  typeMod: -1,
  notNull: false,
  generated: 'none',
  ...extra,
});
const relation = (name: string, columns: readonly ColumnInfo[]): RelationInfo => ({
  oid: 16_400,
  schema: 'public',
  name,
  kind: 'r',
  columns,
});
const wide = relation('wide', [
  column('id', 1, { typeOid: 23, typeName: 'int4', pkIndex: 0, notNull: true }),
  column('v1', 2),
  column('v2', 3),
  column('v3', 4),
]);
const nopk = relation('nopk', [column('a', 1), column('b', 2)]);
const cpk = relation('cpk', [
  column('second', 1, { pkIndex: 1 }),
  column('first', 2, { pkIndex: 0 }),
  column('third', 3, { pkIndex: 2 }),
]);
const gen = relation('gen', [
  column('id', 1, { pkIndex: 0 }),
  column('n', 2),
  column('doubled', 3, { generated: 'stored' }),
]);
const users = relation('users', [column('id', 1, { pkIndex: 0 }), column('name', 2), column('secret_token', 3)]);

function resolve(query: string, table: RelationInfo | undefined) {
  const request = parseShapeRequest(decodeQuery(`offset=-1&${query}`) ?? {});
  if (!request.ok) throw new Error(JSON.stringify(request.errors));
  const name = requestedTable(request.value.definition);
  return name.ok ? resolveDefinition(request.value.definition, name.value, table) : name;
}
const errors = (query: string, table: RelationInfo | 'missing' = wide) => {
  const resolved = resolve(query, table === 'missing' ? undefined : table);
  return resolved.ok ? undefined : resolved.errors;
};
const definition = (query: string, table: RelationInfo = wide) => {
  const resolved = resolve(query, table);
  if (!resolved.ok) throw new Error(JSON.stringify(resolved.errors));
  return resolved.value;
};

const PK_MISSING = 'The list of columns must include all primary key columns, missing:';
const NOT_FOUND = 'The following columns are not found on the table:';
const GENERATED = 'The following columns are generated and cannot be included in the shape: doubled';

describe('table names', () => {
  test.each([
    ['', "can't be blank"],
    ['table=.items', 'Invalid zero-length delimited identifier'],
    ['table=""', 'Invalid zero-length delimited identifier'],
    ['table=it%20ems', 'Invalid unquoted identifier contains special characters: it ems'],
    ['table=1a', 'Invalid unquoted identifier contains special characters: 1a'],
    ['table="a"b"', 'Invalid identifier with unescaped quote: a"b'],
    [`table=${'a'.repeat(64)}`, 'Identifier is too long (max length is 63)'],
    ['table=a.b.c', 'Invalid relation identifier, too many delimiters: a.b.c'],
    [
      'table=Odd.Name',
      'Table "odd"."name" does not exist. If the table name contains capitals or special characters you must quote it.',
    ],
  ])('%s is refused', (query, text) => {
    expect(errors(query, 'missing')).toEqual({ table: [text] });
  });

  test.each([
    ['items', 'public', 'items'],
    ['ITEMS', 'public', 'items'],
    ['public.items', 'public', 'items'],
    ['"Odd.Name"', 'public', 'Odd.Name'],
    ['"S""x".Ärger$1', 'S"x', 'Ärger$1'],
  ])('%s means %s.%s', (text, schema, name) => {
    const parsed = requestedTable({ table: text, replica: 'default', log: 'full', compaction: false });
    expect(parsed).toEqual({ ok: true, value: { schema, name } });
  });
});

describe('names that no table can have', () => {
  test.each([
    ['of more than 63 bytes, which Postgres would cut and find another table for', `${'ä'.repeat(31)}ab`],
    ['of more than 63 bytes in the schema', `${'ä'.repeat(32)}.items`],
    ['with a NUL', '"a\0b"'],
    ['with half a surrogate pair', '"a\ud800"'],
  ])('a name %s is one of no table', (_, table) => {
    const parsed = requestedTable({ table, replica: 'default', log: 'full', compaction: false });
    expect(parsed).toMatchObject({ ok: false, errors: { table: [expect.stringContaining('does not exist')] } });
  });

  test('63 bytes are a name', () => {
    const table = `${'ä'.repeat(31)}a`;
    const parsed = requestedTable({ table, replica: 'default', log: 'full', compaction: false });
    expect(parsed).toEqual({ ok: true, value: { schema: 'public', name: table } });
  });
});

describe('columns', () => {
  test.each([
    ['table=wide&columns=id,', wide, { columns: ['Invalid zero-length delimited identifier'] }],
    ['table=wide&columns[]=id&columns[]=', wide, { columns: ['Invalid zero-length identifier'] }],
    [
      'table=wide&columns=id,%20v1',
      wide,
      { columns: ['Invalid unquoted identifier contains special characters:  v1'] },
    ],
    ['table=wide&columns=v1', wide, { columns: [`${PK_MISSING} id`] }],
    ['table=wide&columns=id,nope', wide, { columns: [`${NOT_FOUND} nope`] }],
    ['table=nopk&columns=a', nopk, { columns: [`${PK_MISSING} b`] }],
    ['table=cpk&columns=third', cpk, { columns: [`${PK_MISSING} first, second`] }],
    ['table=gen&columns=id,doubled', gen, { columns: [GENERATED] }],
    [
      'table=gen',
      gen,
      {
        columns: [
          `${GENERATED}. You can exclude them from the shape by explicitly listing which columns to fetch in the 'columns' query param`,
        ],
      },
    ],
    [
      'table=users&queryable_columns=id,name&columns=id,secret_token',
      users,
      { columns: [`${NOT_FOUND} secret_token`] },
    ],
    [
      'table=users&queryable_columns=name',
      users,
      { queryable_columns: ['The list of queryable columns must include all primary key columns, missing: id'] },
    ],
    [
      'table=users&queryable_columns=id,nope',
      users,
      { queryable_columns: ['The following queryable columns are not found on the table: nope'] },
    ],
  ])('%s is refused', (query, table, expected) => {
    expect(errors(query, table)).toEqual(expected);
  });

  test('order, quoting, form and repetition make no difference', () => {
    const expected = definition('table=wide&columns=id,v1').definition;
    expect(expected.columns).toEqual(['id', 'v1']);
    for (const list of ['columns="v1","id"', 'columns[]=v1&columns[]=id', 'columns=id,ID,v1']) {
      expect(definition(`table=wide&${list}`).definition).toEqual(expected);
    }
  });

  test('all columns and a list of all columns are two shapes', () => {
    expect(definition('table=wide').definition).not.toEqual(definition('table=wide&columns=id,v1,v2,v3').definition);
  });

  test('queryable columns are what is selected by default, and do not bind the where clause', () => {
    const { definition: shape, fingerprint } = definition(
      'table=users&queryable_columns=id,name&where=secret_token+%3D+%27x%27',
      users,
    );
    expect(shape).toMatchObject({ columns: ['id', 'name'], allColumns: false });
    expect(fingerprint.columns.map(([name]) => name)).toEqual(['id', 'name', 'secret_token']);
  });

  test('generated columns that are not selected do no harm', () => {
    expect(definition('table=gen&columns=id,n', gen).definition.columns).toEqual(['id', 'n']);
  });

  test('stored generated columns are columns like others where the server publishes them, virtual ones never', () => {
    const published = { ...gen, publishesGenerated: true };
    expect(definition('table=gen&where=doubled%3D%27x%27', published).definition).toMatchObject({
      columns: ['doubled', 'id', 'n'],
      allColumns: true,
      where: expect.stringContaining('doubled') as string,
    });
    const virtual = {
      ...published,
      columns: [...gen.columns.slice(0, 2), column('doubled', 3, { generated: 'virtual' })],
    };
    expect(errors('table=gen&columns=id,doubled', virtual)).toEqual({ columns: [GENERATED] });
  });

  test('a condition on a column that is not published is refused', () => {
    expect(errors('table=gen&columns=id,n&where=doubled%3D%27x%27', gen)).toEqual({
      where: [expect.stringContaining('unknown reference doubled')],
    });
  });

  test('keys are in key order, and all columns without a primary key', () => {
    expect(definition('table=cpk', cpk).definition).toMatchObject({
      keyColumns: ['first', 'second', 'third'],
      hasPrimaryKey: true,
    });
    expect(definition('table=nopk', nopk).definition).toMatchObject({ keyColumns: ['a', 'b'], hasPrimaryKey: false });
  });
});

describe('where and params', () => {
  test.each([
    ['table=wide&where=1 x 1', { where: ['At location 17: syntax error at or near "x"'] }],
    ['table=wide&where=foo = 1', { where: ['At location 0: unknown reference foo'] }],
    ['table=wide&where=id', { where: ['WHERE clause must return a boolean'] }],
    [`table=wide&where=v1 = '${'x'.repeat(65_536)}'`, { where: [expect.stringContaining('bigger than maximum size')] }],
    ['table=wide&where=id=$1&params[a]=1', { params: ['Parameters can only use numbers as keys'] }],
    ['table=wide&where=id=$1&params[2]=1', { params: ['Parameters must be numbered sequentially, starting from 1'] }],
  ])('%s is refused', (query, expected) => {
    expect(errors(query)).toEqual(expected);
  });

  test('params are not looked at without a where clause', () => {
    expect(definition('table=wide&params[a]=1').definition.where).toBe('');
  });

  test('a parameter and the same literal are one shape', () => {
    expect(definition('table=wide&where=id=$1&params[1]=7').definition).toEqual(
      definition("table=wide&where=id='7'").definition,
    );
  });
});
