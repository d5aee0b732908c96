import { describe, expect, test } from 'vitest';
import type { Relation } from '@shapecast/log';
import type { ShapeDefinition } from '../definition.ts';
import type { ColumnInfo, RelationInfo } from '../relation-info.ts';
import type { WhereClause } from '@shapecast/where';
import { parseWhere } from '@shapecast/where';
import { buildDefinition, canonicalText, definitionDigest, handleHash, shardOf } from './canonical.ts';
import { buildFingerprint, catalogMismatch, fingerprintMismatch } from './fingerprint.ts';

function column(name: string, attnum: number, typeOid: number, pkIndex?: number): ColumnInfo {
  const key = pkIndex === undefined ? {} : { pkIndex };
  const type = { typeName: 'any', typeSchema: 'pg_catalog', typeKind: 'b', dims: 0, typeMod: -1 };
  return { name, attnum, typeOid, ...type, notNull: false, generated: 'none', ...key };
}

const ITEMS: RelationInfo = {
  oid: 16_400,
  schema: 'public',
  name: 'items',
  kind: 'r',
  columns: [column('title', 1, 25), column('b', 2, 23, 1), column('a', 3, 23, 0), column('price', 4, 1700)],
};

function where(text: string): WhereClause {
  const parsed = parseWhere(text, {}, ITEMS.columns);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.clause;
}

function define(parts: { columns?: readonly string[]; where?: string } = {}): ShapeDefinition {
  const clause = parts.where === undefined ? undefined : where(parts.where);
  return buildDefinition({ relation: ITEMS, columns: parts.columns, where: clause, replica: 'default', log: 'full' });
}

/** The stream's view of a table, with changes to it. */
function streamed(changes: Partial<Relation> = {}): Relation {
  const columns = ITEMS.columns.map(({ name, typeOid, typeMod }) => ({ name, typeOid, typeMod }));
  const base = { oid: ITEMS.oid, schema: 'public', name: 'items', replicaIdentity: 'f' as const };
  return { ...base, columns, keyColumns: [2, 1], ...changes };
}

describe('definition', () => {
  test('T25 has the key in key order and the columns sorted', () => {
    expect(define()).toEqual({
      v: 1,
      oid: 16_400,
      schema: 'public',
      table: 'items',
      keyColumns: ['a', 'b'],
      hasPrimaryKey: true,
      columns: ['a', 'b', 'price', 'title'],
      allColumns: true,
      where: '',
      replica: 'default',
      log: 'full',
    });
  });

  test('takes every column as key where there is no primary key', () => {
    const keyless = { ...ITEMS, columns: [column('y', 1, 25), column('x', 2, 25)] };
    const definition = buildDefinition({ relation: keyless, replica: 'default', log: 'full' });
    expect(definition).toMatchObject({ keyColumns: ['y', 'x'], hasPrimaryKey: false, columns: ['x', 'y'] });
  });

  test('is one text for the same columns in another order and the same clause in other words', () => {
    const one = define({ columns: ['b', 'a', 'title'], where: "price > 10 and title = 'x'" });
    const other = define({ columns: ['title', 'a', 'b', 'a'], where: `(("price">'10') AND title=('x'::text))` });
    expect(canonicalText(other)).toBe(canonicalText(one));
    expect(definitionDigest(other)).toBe(definitionDigest(one));
  });

  test('tells all columns from a list of all columns', () => {
    expect(definitionDigest(define({ columns: ['a', 'b', 'title', 'price'] }))).not.toBe(definitionDigest(define()));
  });

  test('does not depend on the order of its members', () => {
    const definition = define({ where: 'a = 1' });
    const reversed = Object.fromEntries(Object.entries(definition).reverse()) as unknown as ShapeDefinition;
    expect(canonicalText(reversed)).toBe(canonicalText(definition));
  });
});

describe('digest', () => {
  test('spreads definitions over shards and handle hashes of 32 bits', () => {
    const digests = Array.from({ length: 1000 }, (_, i) => definitionDigest(define({ where: `a = ${i}` })));
    const perShard = new Map<number, number>();
    for (const digest of digests) {
      const shard = shardOf(digest, 8);
      perShard.set(shard, (perShard.get(shard) ?? 0) + 1);
      expect(handleHash(digest)).toBeGreaterThanOrEqual(0);
      expect(handleHash(digest)).toBeLessThan(2 ** 32);
    }
    expect([...perShard.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(Math.min(...perShard.values())).toBeGreaterThan(80);
  });
});

describe('fingerprint', () => {
  const all = buildFingerprint(define(), ITEMS);
  const clause = where('price > 1');
  const some = buildFingerprint(define({ columns: ['a', 'b'], where: 'price > 1' }), ITEMS, clause);

  test('covers what the shape selects and what its clause refers to', () => {
    expect(some.columns.map(([name]) => name)).toEqual(['a', 'b', 'price']);
    expect(some.columnCount).toBe(4);
  });

  test('is met by the table it was taken from, in the stream and in the catalog', () => {
    expect(fingerprintMismatch(all, streamed(), true)).toBeUndefined();
    expect(fingerprintMismatch(some, streamed(), false)).toBeUndefined();
    expect(fingerprintMismatch(all, ITEMS, true)).toBeUndefined();
  });

  const [title, b, a, price] = streamed().columns as Relation['columns'] & { 0: never };
  const text = { name: 'note', typeOid: 25, typeMod: -1 };

  test.each([
    ['another oid', { oid: 16_500 }, 'replaced'],
    ['another name', { name: 'things' }, 'renamed'],
    ['another schema', { schema: 'old' }, 'renamed'],
    ['a selected column gone', { columns: [title, b, price], keyColumns: [1] }, 'column a is gone'],
    ['a clause column gone', { columns: [title, b, a] }, 'column price is gone'],
    ['a clause column of another type', { columns: [title, b, a, { ...price, typeOid: 701 }] }, 'column price'],
    ['another type modifier', { columns: [title, b, { ...a, typeMod: 5 }, price] }, 'column a'],
    ['another key order', { keyColumns: [1, 2] }, 'key'],
    ['a smaller key', { keyColumns: [2] }, 'key'],
    ['no key', { keyColumns: [] }, 'key'],
  ] as [string, Partial<Relation>, string][])('is broken by %s', (_, changes, reason) => {
    expect(fingerprintMismatch(some, streamed(changes), false)).toContain(reason);
  });

  test('minds added and dropped columns only where all are selected', () => {
    const added = streamed({ columns: [...streamed().columns, text] });
    const dropped = streamed({ columns: [b, a, price] as Relation['columns'], keyColumns: [1, 0] });
    expect(fingerprintMismatch(some, added, false)).toBeUndefined();
    expect(fingerprintMismatch(some, dropped, false)).toBeUndefined();
    expect(fingerprintMismatch(all, added, true)).toContain('5 columns instead of 4');
    expect(fingerprintMismatch(all, dropped, true)).toContain('3 columns');
  });

  test('does not mind another order of columns', () => {
    const reordered = streamed({ columns: [a, b, title, price] as Relation['columns'], keyColumns: [0, 1] });
    expect(fingerprintMismatch(all, reordered, true)).toBeUndefined();
  });
});

describe('fingerprint and catalog', () => {
  const MOOD = { typeName: 'mood', typeSchema: 'public', typeKind: 'e' };
  const LIBC = { provider: 'libc', collate: 'C', ctype: 'C', deterministic: true } as const;

  /** `items` with a column of an enum, whose labels were created in this order and sort in that one. */
  function moods(created: readonly string[], sorted: readonly string[] = created): RelationInfo {
    const mood = {
      ...column('mood', 5, 70_000),
      ...MOOD,
      enumLabels: sorted,
      userTypes: [{ oid: 70_000, labels: created }],
    };
    const [title, ...rest] = ITEMS.columns as [ColumnInfo, ...ColumnInfo[]];
    return { ...ITEMS, columns: [{ ...title, collation: LIBC }, ...rest, mood] };
  }

  /** What the catalog says of a shape that was made when the table looked like `before`. */
  function mismatch(text: string, before: RelationInfo, now: RelationInfo, columns?: readonly string[]) {
    const parsed = text === '' ? undefined : parseWhere(text, {}, before.columns);
    if (parsed?.ok === false) throw new Error(parsed.message);
    const definition = buildDefinition({
      relation: before,
      columns,
      where: parsed?.clause,
      replica: 'default',
      log: 'full',
    });
    return catalogMismatch(buildFingerprint(definition, before, parsed?.clause), now, definition);
  }

  const change = (name: string, to: Partial<ColumnInfo>, from = moods(['sad', 'ok'])): RelationInfo => ({
    ...from,
    columns: from.columns.map((each) => (each.name === name ? { ...each, ...to } : each)),
  });
  const before = moods(['sad', 'ok']);

  test('agree on the table as it was', () => {
    expect(mismatch(`mood > 'sad' and title = 'x'`, before, moods(['sad', 'ok']))).toBeUndefined();
  });

  test('a label that comes matters to clauses that order labels, and to them alone', () => {
    const more = moods(['sad', 'ok', 'so-so'], ['sad', 'so-so', 'ok']);
    expect(mismatch('', before, more)).toBeUndefined();
    expect(mismatch(`mood = 'ok'`, before, more)).toBeUndefined();
    expect(mismatch(`mood > 'sad'`, before, more)).toContain('the order of type 70000');
  });

  test('a label with another name matters where the column is selected or referred to', () => {
    const renamed = moods(['sad', 'fine']);
    expect(mismatch('', before, renamed)).toBe('type 70000 changed');
    expect(mismatch(`mood = 'sad'`, before, renamed, ['a', 'b'])).toBe('type 70000 changed');
    expect(mismatch('', before, renamed, ['a', 'b'])).toBeUndefined();
  });

  test('another column under the same name is another column', () => {
    const other = change('price', { attnum: 9 });
    expect(mismatch('', before, other)).toBe('column price is another one');
    expect(mismatch('', before, other, ['a', 'b', 'title'])).toBeUndefined();
  });

  test('a collation matters to clauses', () => {
    const other = change('title', { collation: { ...LIBC, collate: 'de_DE.utf8' } });
    expect(mismatch(`title = 'x'`, before, other)).toBe('column title changed its collation');
    expect(mismatch('', before, other)).toBeUndefined();
  });

  test('nullability, defaults and whatever else is not in it do not matter', () => {
    expect(mismatch('', before, change('title', { notNull: true }))).toBeUndefined();
  });

  test('what a fingerprint of an earlier version does not have is not compared', () => {
    const definition = buildDefinition({ relation: before, replica: 'default', log: 'full' });
    const { attnums: _, types: __, ...old } = buildFingerprint(definition, before);
    expect(catalogMismatch(old, change('price', { attnum: 9 }, moods(['sad', 'fine'])), definition)).toBeUndefined();
  });
});
