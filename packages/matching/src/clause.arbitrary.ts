import fc from 'fast-check';
import type { Cell, Relation, RowChange, Tuple } from '@shapecast/log';
import type { ClauseColumn, ColumnCollation } from '@shapecast/where';

/** Clauses for every kind of index, with few values, so that shapes share templates and postings; and rows for them. */

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };

interface IndexColumn extends ClauseColumn {
  readonly pool: readonly string[];
}

function column(name: string, typeOid: number, pool: readonly string[], more: Partial<ClauseColumn> = {}): IndexColumn {
  const textual = [25, 1043, 1042, 1009].includes(typeOid);
  return { name, typeOid, typeMod: -1, pool, ...(textual ? { collation: C_UTF8 } : {}), ...more };
}

const BIG = ['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993'];

export const INDEX_COLUMNS: readonly IndexColumn[] = [
  column('k', 23, ['0', '1', '2', '3']),
  column('i4', 23, ['-1', '0', '1', '2', '3', '2147483647']),
  column('i8', 20, ['0', '1', '2', ...BIG]),
  column('n', 1700, ['0', '1', '1.0', '1.5', '0.1', '9007199254740993', '0.10000000000000000001', 'NaN', 'Infinity']),
  column('f8', 701, ['0', '-0', '1', '1.5', 'NaN', 'Infinity', '-Infinity', '0.1']),
  column('b', 16, ['t', 'f']),
  column('s', 25, ['', 'a', 'b', 'ab', 'abc', 'abcd', 'xabcd', 'ABC', 'bcd', 'É', 'éa', '😀', 'a%c', '7', 'x']),
  column('bc', 1042, ['a    ', 'ab   ', 'abc  ', '     ']),
  column('u', 2950, [
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12',
    'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ]),
  column('d', 1082, ['2024-01-01', '2024-02-29', '1999-12-31', 'infinity', '0044-03-15 BC']),
  column('ts', 1114, ['2024-01-01 00:00:00', '2024-02-29 12:00:00.5', 'infinity', '294276-12-31 23:59:59.999999']),
  column('ia', 1007, ['{}', '{1}', '{1,2}', '{2,1,2}', '{NULL}', '{3,NULL}', '{{1,2},{3,4}}'], { dims: 1 }),
  column('ta', 1009, ['{}', '{a}', '{a,b}', '{b,c,a}', '{NULL,a}'], { dims: 1 }),
];

export const INDEX_RELATION: Relation = {
  oid: 1,
  schema: 'public',
  name: 't',
  replicaIdentity: 'f',
  columns: INDEX_COLUMNS.map(({ name, typeOid }) => ({ name, typeOid, typeMod: -1 })),
  keyColumns: [0],
};

/** Predicates by the kind of index that serves them. */
export const PREDICATES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  equality: fc.oneof(
    binary(['k', 'i4', 'i8', 'n', 'f8', 's', 'u', 'd', 'ts', 'bc'], ['=', 'IS NOT DISTINCT FROM']),
    fc.constantFrom('b', 'NOT b', 'b IS TRUE', 'b IS FALSE', 'b = TRUE', 'b <> TRUE', 'b IS NOT FALSE'),
    list('IN'),
    fc.subarray(['0', '1', '2', '7']).map((items) => `i4 = ANY('{${items.join(',')}}')`),
    literalOf('s').map((one) => `s LIKE ${one.replaceAll('%', '')}`),
    fc.constantFrom(
      "d = '2024-01-01 00:00:00'::timestamp",
      'i4 = 1.5',
      'i4 = 1.0',
      'i8 = 1',
      'k = 1.0',
      "ia = '{1,2}'",
    ),
  ),
  expression: fc.oneof(
    literalOf('s').map((one) => `lower(s) = ${one}`),
    fc.nat({ max: 3 }).map((one) => `i4 % 4 = ${one}`),
    fc.nat({ max: 3 }).map((one) => `coalesce(i4, 0) = ${one}`),
    fc.nat({ max: 3 }).map((one) => `k + i4 > ${one}`),
    fc.nat({ max: 3 }).map((one) => `length(s) BETWEEN 1 AND ${one}`),
  ),
  range: fc.oneof(
    binary(['k', 'i4', 'i8', 'n', 'f8', 's', 'u', 'd', 'ts', 'bc'], ['<', '<=', '>', '>=']),
    between('i4'),
    between('n'),
    between('s'),
    between('f8'),
    between('i8'),
    between('ts'),
  ),
  pattern: fc
    .tuple(
      fc.constantFrom('s', 'bc', 'upper(s)'),
      fc.constantFrom('LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'),
      fc.array(fc.constantFrom('%', '%', '_', 'a', 'b', 'abc', 'É', 'é', 'bcd', '\\%', '😀'), { maxLength: 4 }),
    )
    .map(([name, op, parts]) => `${name} ${op} '${parts.join('')}'`),
  starts: literalOf('s').map((one) => `starts_with(s, ${one})`),
  null: fc.tuple(anyName(), fc.constantFrom('IS NULL', 'IS NOT NULL')).map((parts) => parts.join(' ')),
  complement: fc.oneof(
    binary(['k', 'i4', 'i8', 'n', 'f8', 's', 'u', 'd', 'b', 'bc'], ['<>', 'IS DISTINCT FROM']),
    list('NOT IN'),
    fc.subarray(['0', '1', '2', '7']).map((items) => `i4 <> ALL('{${items.join(',')}}')`),
  ),
  array: fc.oneof(
    fc
      .tuple(fc.constantFrom('@>', '&&', '<@'), fc.constantFrom('{}', '{1}', '{1,2}', '{2,3,1}', '{NULL}', '{1,NULL}'))
      .map(([op, items]) => `ia ${op} '${items}'`),
    fc
      .tuple(fc.constantFrom('@>', '&&', '<@'), fc.constantFrom('{}', '{a}', '{a,b}', '{c,b}'))
      .map(([op, items]) => `'${items}' ${op} ta`),
    fc.nat({ max: 3 }).map((one) => `${one} = ANY(ia)`),
    fc.constantFrom('a', 'b', 'z').map((one) => `'${one}' = ANY(ta)`),
    fc.nat({ max: 3 }).map((one) => `${one} = ALL(ia)`),
  ),
  scan: fc.oneof(
    binaryNames(['k', 'i4', 'i8'], ['=', '<', '<>']),
    fc.nat({ max: 3 }).map((one) => `i4 + ${one} > k`),
    fc.nat({ max: 3 }).map((one) => `CASE WHEN k = ${one} THEN b ELSE s = 'a' END`),
  ),
  failing: fc.oneof(
    fc.nat({ max: 3 }).map((one) => `10 / i4 > ${one}`),
    fc.nat({ max: 9 }).map((one) => `s::int4 = ${one}`),
    fc.nat({ max: 3 }).map((one) => `(k <> 0 AND 6 / k = ${one})`),
    fc.constantFrom(
      "s LIKE 'a\\'",
      '(s::int4 = 7 OR i4 = 1)',
      '(i4 = 1 OR s::int4 = 7)',
      'NOT (s::int4 > 5 AND k = 1)',
    ),
  ),
};

const anyPredicate = fc.oneof(...Object.values(PREDICATES));

/** Predicates of one kind, alone and with others around. */
export function clausesAround(kind: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    kind,
    kind,
    kind.map((one) => `NOT (${one})`),
    fc
      .tuple(kind, anyPredicate, fc.constantFrom('AND', 'OR'), fc.boolean())
      .map(([one, other, word, swap]) => (swap ? `(${other}) ${word} (${one})` : `(${one}) ${word} (${other})`)),
    fc
      .tuple(kind, kind, anyPredicate, fc.constantFrom('AND', 'OR'), fc.constantFrom('AND', 'OR'))
      .map(([a, b, c, inner, outer]) => `((${a}) ${inner} (${b})) ${outer} (${c})`),
    fc
      .tuple(kind, fc.constantFrom('IS TRUE', 'IS NOT TRUE', 'IS FALSE', 'IS NOT FALSE', 'IS UNKNOWN', 'IS NULL'))
      .map(([one, test]) => `(${one}) ${test}`),
    fc.tuple(kind, anyPredicate).map(([one, other]) => `NOT ((${one}) AND NOT (${other}))`),
    // Many shapes with one value in common: long postings, which are split.
    fc.tuple(kind, fc.nat({ max: 1 })).map(([one, k]) => `k = ${k} AND (${one})`),
    fc.tuple(kind, anyPredicate, fc.nat({ max: 1 })).map(([one, other, k]) => `k = ${k} AND (${one}) AND (${other})`),
  );
}

const anyIndexRow: fc.Arbitrary<Tuple> = fc.tuple(
  ...INDEX_COLUMNS.map((one) =>
    fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 6, arbitrary: fc.constantFrom<Cell>(...one.pool) }),
  ),
);

/** Rows with cells Postgres would not write among them. */
const anyDamagedRow: fc.Arbitrary<Tuple> = fc
  .tuple(anyIndexRow, fc.constantFrom('i4', 'n', 'f8', 'd', 'ts', 'ia'))
  .map(([row, name]) => row.map((cell, i) => (INDEX_COLUMNS[i]?.name === name ? 'damaged' : cell)));

export function anyIndexChange(damaged: boolean): fc.Arbitrary<RowChange> {
  const row = damaged
    ? fc.oneof({ weight: 8, arbitrary: anyIndexRow }, { weight: 1, arbitrary: anyDamagedRow })
    : anyIndexRow;
  return fc.oneof(
    row.map((next): RowChange => ({ kind: 'insert', op: 0, relation: INDEX_RELATION, new: next })),
    row.map((old): RowChange => ({ kind: 'delete', op: 0, relation: INDEX_RELATION, old })),
    fc.tuple(row, row).map(([old, next]) => update(old, next)),
    fc
      .tuple(row, row, fc.array(fc.nat({ max: INDEX_COLUMNS.length - 1 }), { maxLength: 2 }))
      .map(([old, other, places]) =>
        update(
          old,
          old.map((cell, i) => (places.includes(i) ? (other[i] ?? null) : cell)),
        ),
      ),
  );
}

function update(old: Tuple, next: Tuple): RowChange {
  const changed = INDEX_COLUMNS.flatMap((_, i) => (old[i] === next[i] ? [] : [i]));
  return { kind: 'update', op: 0, relation: INDEX_RELATION, old, new: next, changed };
}

function anyName(): fc.Arbitrary<string> {
  return fc.constantFrom(...INDEX_COLUMNS.map((one) => one.name));
}

function literalOf(name: string): fc.Arbitrary<string> {
  const { pool } = INDEX_COLUMNS.find((one) => one.name === name) as IndexColumn;
  return fc.constantFrom(...pool.map((text) => `'${text}'`));
}

function binary(names: readonly string[], operators: readonly string[]): fc.Arbitrary<string> {
  return fc
    .constantFrom(...names)
    .chain((name) =>
      fc
        .tuple(literalOf(name), fc.constantFrom(...operators), fc.boolean())
        .map(([one, op, swap]) => (swap ? `${one} ${op} ${name}` : `${name} ${op} ${one}`)),
    );
}

function binaryNames(names: readonly string[], operators: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...names), fc.constantFrom(...operators), fc.constantFrom(...names))
    .map((parts) => parts.join(' '));
}

function between(name: string): fc.Arbitrary<string> {
  return fc
    .tuple(literalOf(name), literalOf(name), fc.constantFrom('BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC'))
    .map(([low, high, word]) => `${name} ${word} ${low} AND ${high}`);
}

function list(word: string): fc.Arbitrary<string> {
  return fc.constantFrom('k', 'i4', 'i8', 'n', 's', 'u', 'd').chain((name) =>
    fc
      .array(fc.oneof({ weight: 8, arbitrary: literalOf(name) }, { weight: 1, arbitrary: fc.constant('NULL') }), {
        minLength: 1,
        maxLength: 4,
      })
      .map((items) => `${name} ${word} (${items.join(', ')})`),
  );
}
