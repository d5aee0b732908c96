import { BEFORE_ALL, SNAPSHOT_END, snapshotChunkEnd } from '@shapecast/log';
import type { ColumnInfo } from '@shapecast/shape';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cacheControl, entityTag, matchesTag, nextCursor } from './caching.ts';
import { preflightHeaders } from './cors.ts';
import { schemaHeader } from './schema-header.ts';

describe('schemaHeader', () => {
  const typed = (typeName: string, typeMod = -1, extra: Partial<ColumnInfo> = {}): ColumnInfo => ({
    name: 'c',
    attnum: 1,
    typeOid: 1,
    typeName,
    typeSchema: 'pg_catalog',
    typeKind: 'b',
    dims: 0,
    typeMod,
    notNull: false,
    generated: 'none',
    ...extra,
  });
  const schema = (column: ColumnInfo) =>
    (
      JSON.parse(
        schemaHeader({ oid: 1, schema: 'public', name: 't', kind: 'r', columns: [column] }, [column.name]),
      ) as Record<string, unknown>
    )[column.name];

  test.each([
    [typed('int4', -1, { notNull: true, pkIndex: 0 }), { type: 'int4', not_null: true, pk_index: 0 }],
    [typed('varchar', 14), { type: 'varchar', max_length: 10 }],
    [typed('bpchar', 9), { type: 'bpchar', length: 5 }],
    [typed('numeric', ((8 << 16) | 2) + 4), { type: 'numeric', precision: 8, scale: 2 }],
    [typed('numeric', ((3 << 16) | (-2 & 0x7ff)) + 4), { type: 'numeric', precision: 3, scale: -2 }],
    [typed('timestamptz', 3), { type: 'timestamptz', precision: 3 }],
    [typed('timestamp', 0), { type: 'timestamp', precision: 0 }],
    [typed('interval', (7176 << 16) | 2), { type: 'interval', fields: 'DAY TO SECOND', precision: 2 }],
    [typed('interval', (4 << 16) | 0xffff), { type: 'interval', fields: 'YEAR' }],
    [typed('interval', (6 << 16) | 0xffff), { type: 'interval', fields: 'YEAR TO MONTH' }],
    [typed('interval', (0x7fff << 16) | 3), { type: 'interval', precision: 3 }],
    [typed('int4', -1, { dims: 2 }), { type: 'int4', dims: 2 }],
    [typed('bit', 3), { type: 'bit', length: 3 }],
    [typed('varbit'), { type: 'varbit' }],
    [typed('varchar', 7, { typeSchema: 'other' }), { type: 'varchar', type_mod: 7 }],
  ])('describes %o', (column, expected) => {
    expect(schema(column)).toEqual(expected);
  });

  test('has the selected columns only, as ASCII that decodes to the names', () => {
    const columns = [typed('int4', -1, { name: 'größe' }), typed('text', -1, { name: '漢😀' }), typed('text')];
    const header = schemaHeader({ oid: 1, schema: 'public', name: 't', kind: 'r', columns }, ['größe', '漢😀']);
    expect(header).toMatch(/^[\x20-\x7e]*$/);
    expect(Object.keys(JSON.parse(header) as object)).toEqual(['größe', '漢😀']);
  });
});

describe('entity tags', () => {
  test('name handle, requested and returned offset', () => {
    expect(entityTag('8-1', BEFORE_ALL, snapshotChunkEnd(0))).toBe('"8-1:-1:0_0"');
    expect(entityTag('8-1', snapshotChunkEnd(0), SNAPSHOT_END, 'u')).toBe('"8-1:0_0:0_inf:u"');
    expect(entityTag('8-1', 'now', SNAPSHOT_END, 'u')).toBe('"8-1:now:0_inf:u"');
  });

  test.each([
    ['"H:-1:0_0"', true],
    ['"x", "H:-1:0_0"', true],
    ['H:-1:0_0', true],
    ['W/"H:-1:0_0"', false],
    ['"H:-1:0_1"', false],
    [undefined, false],
  ])('if-none-match %s', (header, expected) => {
    expect(matchesTag(header, '"H:-1:0_0"')).toBe(expected);
  });
});

describe('cache-control', () => {
  const options = { maxAge: 60, staleAge: 300, sseTimeoutMs: 60_000 };
  test.each([
    ['initial', 'public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746'],
    ['catch-up', 'public, max-age=60, stale-while-revalidate=300'],
    ['live', 'public, max-age=5, stale-while-revalidate=5'],
    ['drained', 'public, max-age=1'],
    ['sse', 'public, max-age=59'],
    ['redirect', 'public, max-age=60, must-revalidate'],
    ['gone', 'public, max-age=1, must-revalidate'],
    ['error', 'no-store'],
  ] as const)('%s', (kind, expected) => {
    expect(cacheControl(kind, options)).toBe(expected);
  });

  test('an event stream that lives less than two seconds is still cached for one', () => {
    expect(cacheControl('sse', { ...options, sseTimeoutMs: 500 })).toBe('public, max-age=1');
  });
});

describe('nextCursor', () => {
  const now = fc.integer({ min: Date.UTC(2024, 9, 9) + 1, max: Date.UTC(2100, 0, 1) });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('T22 is a decimal integer greater than the one that came in', () => {
    const cursor = fc.oneof(fc.nat().map(String), fc.bigInt({ min: 0n, max: 10n ** 30n }).map(String));
    fc.assert(
      fc.property(now, cursor, random, fc.integer({ min: 1_000, max: 60_000 }), (at, before, chance, timeoutMs) => {
        const next = nextCursor(at, timeoutMs, before, chance);
        expect(next).toMatch(/^\d+$/);
        expect(BigInt(next)).toBeGreaterThan(BigInt(before));
      }),
    );
  });

  test('is the same for everybody within an interval, and the end of it', () => {
    fc.assert(
      fc.property(now, random, (at, chance) => {
        const next = Number(nextCursor(at, 20_000, '', chance));
        const elapsed = (at - Date.UTC(2024, 9, 9)) / 1000;
        expect(next % 20).toBe(0);
        expect(next - elapsed).toBeGreaterThanOrEqual(0);
        expect(next - elapsed).toBeLessThan(20);
      }),
    );
  });

  test.each(['', 'abc', '1.5', '-3'])('%j counts as no cursor', (cursor) => {
    expect(nextCursor(Date.UTC(2026, 0, 1), 20_000, cursor, 0)).toBe(nextCursor(Date.UTC(2026, 0, 1), 20_000, '0', 0));
  });

  test('a cursor ahead of the clock moves on by 1 to 3600', () => {
    expect(nextCursor(Date.UTC(2026, 0, 1), 20_000, '999999999999', 0)).toBe('1000000000000');
    expect(nextCursor(Date.UTC(2026, 0, 1), 20_000, '999999999999', 0.9999999)).toBe('1000000003599');
  });

  test('is 0 when the timeout is below a second', () => {
    expect(nextCursor(Date.UTC(2026, 0, 1), 999, '5', 0.5)).toBe('0');
  });
});

describe('preflight', () => {
  const allowed = (asked: string | undefined) => preflightHeaders(asked)[3];

  test.each([
    ['if-none-match', 'if-none-match'],
    ['Traceparent', 'traceparent'],
    ['content-type, if-none-match', 'if-none-match, content-type'],
    ['x-unknown', undefined],
  ])('%s is answered with %s', (asked, expected) => {
    expect(allowed(asked)).toBe(expected);
  });
});
