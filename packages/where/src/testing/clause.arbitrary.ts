import fc from 'fast-check';
import type { Cell } from '@shapecast/log';
import type { ClauseColumn, ColumnCollation } from '../column.ts';

/** Generators for the tests of this package: the table of spec W 10.2 as far as it is supported, its rows, clauses over it. */

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };

interface TestColumn extends ClauseColumn {
  /** Type in CREATE TABLE. */
  readonly sql: string;
  /** Wire texts that rows and literals are drawn from. */
  readonly pool: readonly string[];
}

function column(name: string, sql: string, typeOid: number, pool: readonly string[]): TestColumn {
  const textual = typeOid === 25 || typeOid === 1043 || typeOid === 1042;
  return { name, sql, typeOid, typeMod: -1, pool, ...(textual ? { collation: C_UTF8 } : {}) };
}

const INT2 = ['0', '1', '-1', '2', '32767', '-32768'];
const INT4 = [...INT2, '2147483647', '-2147483648', '70000'];
const INT8 = [...INT4, '9007199254740992', '9007199254740993', '9223372036854775807', '-9223372036854775808'];
const TEXT = [
  '',
  ' ',
  'a',
  'A',
  'b',
  'ab',
  'abc',
  'aXc',
  'a%b',
  'a_b',
  'a\\b',
  'ß',
  'É',
  'é',
  'e\u0301',
  '😀',
  '\uffee',
];
const MORE_TEXT = ['İ', 'ẞ', 'ΑΣ', 'ας', "it's", 'NULL', 'null', 'a\nb', 'a ', '"', '7', 't', '2024-01-01', '$1', '--'];
const TIMESTAMPS = ['2024-01-01 00:00:00', '2024-01-01 10:00:00.5', '1970-01-01 00:00:00', '0044-03-15 12:30:00 BC'];
const MORE_TIMESTAMPS = [
  '294276-12-31 23:59:59.999999',
  '-infinity',
  'infinity',
  '4714-11-24 00:00:00 BC',
  '1999-12-31 23:59:59.000001',
];
const DATES = [
  '2024-01-01',
  '2024-02-29',
  '0044-03-15 BC',
  '5874897-12-31',
  '4714-11-24 BC',
  'infinity',
  '-infinity',
  '1970-01-01',
];
const FLOAT4 = ['0', '-0', '1', '-1', '0.1', '1.5', '1e+20', 'NaN', 'Infinity', '-Infinity', '3.4028235e+38', '1e-45'];
const FLOAT8 = [
  '0',
  '-0',
  '1',
  '-1',
  '0.1',
  '1.5',
  '1e+20',
  'NaN',
  'Infinity',
  '-Infinity',
  '9007199254740992',
  '5e-324',
];
const NUMERICS = [
  '0',
  '0.0',
  '1',
  '1.0',
  '1.10',
  '-1.5',
  '1.5',
  '0.1',
  '9007199254740993',
  '1e-20',
  '1e30',
  'NaN',
  'Infinity',
  '-Infinity',
];
const UUIDS = [
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12',
  '00000000-0000-0000-0000-000000000000',
];

export const TEST_COLUMNS: readonly TestColumn[] = [
  column('id', 'int4 PRIMARY KEY', 23, ['1', '2', '3']),
  column('i2', 'int2', 21, INT2),
  column('i4', 'int4', 23, INT4),
  column('i8', 'int8', 20, INT8),
  column('f4', 'float4', 700, FLOAT4),
  column('f8', 'float8', 701, FLOAT8),
  column('n', 'numeric', 1700, NUMERICS),
  column('b', 'bool', 16, ['t', 'f']),
  column('s', 'text', 25, [...TEXT, ...MORE_TEXT]),
  column('vc', 'varchar(10)', 1043, ['', 'a', 'ab', 'abc', 'b', 'a ', '😀']),
  column('bc', 'char(5)', 1042, ['     ', 'a    ', 'ab   ', 'abcde', 'B    ']),
  column('nm', 'name', 19, ['', 'a', 'ab', 'B']),
  column('u', 'uuid', 2950, UUIDS),
  column('by', 'bytea', 17, ['\\x', '\\x00', '\\x0aff', '\\x0b', '\\xff']),
  column('d', 'date', 1082, DATES),
  column('tm', 'time', 1083, ['00:00:00', '10:00:00', '23:59:59.999999', '24:00:00']),
  column('ts', 'timestamp', 1114, [...TIMESTAMPS, ...MORE_TIMESTAMPS]),
  column('tz', 'timestamptz', 1184, [...TIMESTAMPS, ...MORE_TIMESTAMPS].map(withZone)),
  column('Mixed "x"', 'text', 25, ['', 'x', 'y']),
];

export type TestRow = readonly Cell[];

/** A row of the test table; the first column, its key, counts as any other. */
export const anyRow: fc.Arbitrary<TestRow> = fc.tuple(...TEST_COLUMNS.map((one) => cellOf(one)));

/** Clauses that should be accepted; a few are not, for reasons of types, and are skipped by the tests. */
export const anyClause: fc.Arbitrary<string> = clauseOf(3);

/** Clauses made to be found in hash tables: equalities, lists and NULL tests under AND, OR and NOT. */
export const anyKeyedClause: fc.Arbitrary<string> = fc.letrec<{ clause: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    equality(),
    list(),
    nullTest(),
    fc.constantFrom('b', 'NOT b', 'b IS TRUE', 'b IS FALSE', 'b IS UNKNOWN'),
  ),
  clause: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    tie('atom'),
    tie('atom'),
    connective(tie('clause')),
    tie('clause').map((one) => `NOT (${one})`),
    fc.tuple(tie('clause'), predicate()).map(([a, b]) => `(${a}) AND ${b}`),
  ),
})).clause;

/** Any text: mostly fragments of clauses in any order. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...'( ) [ ] , . ; : :: = <> != < > <= >= + - * / % ^ ~ || @> $1 $2 $9 1 1.5 .5 1e3 0x1F'.split(' '),
        ),
        fc.constantFrom(
          ...'AND OR NOT IN IS NULL TRUE FALSE UNKNOWN LIKE ILIKE BETWEEN SYMMETRIC DISTINCT FROM'.split(' '),
        ),
        fc.constantFrom(
          ...'CASE WHEN END CAST AS int4 text SELECT ORDER BY ESCAPE COLLATE ARRAY ANY ROW interval'.split(' '),
        ),
        fc.constantFrom(
          "'a'",
          "'",
          '"',
          '"i4"',
          "E'\\n'",
          "U&'\\0061'",
          '$$x$$',
          '$t$',
          '/*',
          '*/',
          '--',
          '\n',
          "B'1'",
          'é',
          '\0',
        ),
        fc.constantFrom(...TEST_COLUMNS.map((one) => one.name)),
      ),
      { maxLength: 25 },
    )
    .chain((parts) => fc.constantFrom(' ', '', '\t').map((glue) => parts.join(glue))),
);

function clauseOf(maxDepth: number): fc.Arbitrary<string> {
  return fc.letrec<{ clause: string }>((tie) => ({
    clause: fc.oneof(
      { maxDepth, withCrossShrink: true },
      predicate(),
      predicate(),
      connective(tie('clause')),
      tie('clause').map((one) => `NOT (${one})`),
      fc
        .tuple(
          tie('clause'),
          fc.constantFrom('IS TRUE', 'IS NOT TRUE', 'IS FALSE', 'IS NOT FALSE', 'IS UNKNOWN', 'IS NULL'),
        )
        .map(([one, test]) => `(${one}) ${test}`),
    ),
  })).clause;
}

function connective(part: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(part, { minLength: 2, maxLength: 3 }), fc.constantFrom(' AND ', ' OR '))
    .map(([parts, word]) => parts.map((one) => `(${one})`).join(word));
}

function predicate(): fc.Arbitrary<string> {
  return fc.oneof(equality(), comparison(), comparison(), list(), nullTest(), between(), like(), columns(), distinct());
}

function equality(): fc.Arbitrary<string> {
  return withLiteral((name, literal) =>
    fc.constantFrom(`${name} = ${literal}`, `${literal} = ${name}`, `${name} IS NOT DISTINCT FROM ${literal}`),
  );
}

function comparison(): fc.Arbitrary<string> {
  return withLiteral((name, literal) =>
    fc
      .tuple(operator(), fc.boolean())
      .map(([op, swap]) => (swap ? `${literal} ${op} ${name}` : `${name} ${op} ${literal}`)),
  );
}

function distinct(): fc.Arbitrary<string> {
  return withLiteral((name, literal) => fc.constant(`${name} IS DISTINCT FROM ${literal}`));
}

function between(): fc.Arbitrary<string> {
  return anyColumn().chain((one) =>
    fc
      .tuple(literalFor(one), literalFor(one), fc.constantFrom('', 'NOT '), fc.constantFrom('', 'SYMMETRIC '))
      .map(([low, high, not, symmetric]) => `${quote(one.name)} ${not}BETWEEN ${symmetric}${low} AND ${high}`),
  );
}

function list(): fc.Arbitrary<string> {
  return anyColumn().chain((one) =>
    fc
      .tuple(fc.array(literalFor(one), { minLength: 1, maxLength: 4 }), fc.constantFrom('', 'NOT '))
      .map(([items, not]) => `${quote(one.name)} ${not}IN (${items.join(', ')})`),
  );
}

function nullTest(): fc.Arbitrary<string> {
  return fc
    .tuple(anyColumn(), fc.constantFrom('IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL'))
    .map(([one, test]) => `${quote(one.name)} ${test}`);
}

function like(): fc.Arbitrary<string> {
  const pattern = fc
    .array(fc.constantFrom('%', '_', 'a', 'b', 'A', 'É', 'é', 'i', 'ß', 'σ', '\\%', '\\_', '\\\\', '😀', ' ', '\\a'), {
      maxLength: 5,
    })
    .map((parts) => parts.join(''));
  return fc
    .tuple(
      fc.constantFrom('s', 'vc', 'bc', 'nm'),
      fc.constantFrom('LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE', '~~', '!~~*'),
      fc.oneof(pattern.map(literal), fc.constant('vc'), fc.constant('NULL')),
      fc.constantFrom('', ' COLLATE "C"'),
    )
    .map(([name, op, right, collate]) => `${name}${collate} ${op} ${right}`);
}

/** Two columns, mostly of types that compare, with casts here and there. */
function columns(): fc.Arbitrary<string> {
  const group = fc.constantFrom(
    ['i2', 'i4', 'i8', 'f4', 'f8', 'n'],
    [
      's',
      'vc',
      'bc',
      'nm',
      '"Mixed ""x"""',
      's::varchar(2)',
      'vc::text',
      's::char(3)',
      'b::text',
      'i4::text',
      'f8::text',
    ],
    ['d', 'ts', 'tz', 'tz::timestamp'],
    ['b', 'i4::bool', 's::bool'],
    ['i4', 's::int4', 'f8::int4', 'n::int8', 'i8::int2', 'b::int4'],
    ['tm', 'u', 'by', 's::uuid', 'ts::date', 'd'],
  );
  return group.chain((names) =>
    fc
      .tuple(fc.constantFrom(...names), operator(), fc.constantFrom(...names))
      .map(([a, op, b]) => `${a}${op.length === 1 && op === '=' ? '' : collate(a)} ${op} ${b}`),
  );
}

/** Casts have the database's collation, which the engine is not told. */
function collate(name: string): string {
  return /^(s|vc|bc|nm|"Mixed.*|.*::(text|varchar\(2\)|char\(3\)))$/.test(name) ? ' COLLATE "C"' : '';
}

function withLiteral(make: (name: string, literal: string) => fc.Arbitrary<string>): fc.Arbitrary<string> {
  return anyColumn().chain((one) => literalFor(one).chain((literal) => make(quote(one.name), literal)));
}

function anyColumn(): fc.Arbitrary<TestColumn> {
  return fc.constantFrom(...TEST_COLUMNS);
}

function operator(): fc.Arbitrary<string> {
  return fc.constantFrom('=', '<>', '!=', '<', '<=', '>', '>=');
}

const NUMBERS = [
  '0',
  '1',
  '-1',
  '1.0',
  '1.5',
  '0.1',
  '1e3',
  '-1.10',
  '2147483648',
  '9007199254740993',
  '1e40',
  '-0.0',
  '.5',
];

/** A literal that this column may be compared with: quoted, cast, or a number. */
function literalFor(one: TestColumn): fc.Arbitrary<string> {
  const numeric = [21, 23, 20, 700, 701, 1700].includes(one.typeOid);
  const type = one.sql.split(' ')[0] as string;
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...one.pool).map(literal) },
    { weight: 1, arbitrary: fc.constant('NULL') },
    { weight: 2, arbitrary: fc.constantFrom(...one.pool).map((text) => `${literal(text)}::${type}`) },
    ...(numeric ? [{ weight: 3, arbitrary: fc.constantFrom(...NUMBERS) }] : []),
    ...(one.typeOid === 16 ? [{ weight: 3, arbitrary: fc.constantFrom('TRUE', 'FALSE') }] : []),
  );
}

function cellOf(one: TestColumn): fc.Arbitrary<Cell> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 4, arbitrary: fc.constantFrom(...one.pool.map((text) => wireText(one, text))) },
  );
}

/** Postgres writes numerics without an exponent. */
function wireText(one: TestColumn, text: string): string {
  if (one.typeOid !== 1700) return text;
  return text === '1e-20' ? '0.00000000000000000001' : text === '1e30' ? `1${'0'.repeat(30)}` : text;
}

function withZone(timestamp: string): string {
  if (timestamp.endsWith('infinity')) return timestamp;
  return timestamp.endsWith(' BC') ? `${timestamp.slice(0, -3)}+00 BC` : `${timestamp}+00`;
}

function quote(name: string): string {
  return /^[a-z][a-z0-9]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
