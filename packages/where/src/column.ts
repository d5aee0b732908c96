import { scalarTypeByOid, type ScalarType } from './types/scalar-type.ts';

/**
 * The collation in force on a text column, with the database's default resolved: `collate` and `ctype` are its locale
 * names (`C`, `C.UTF-8`, `en_US.UTF-8`).
 */
export interface ColumnCollation {
  readonly provider: 'libc' | 'icu' | 'builtin';
  readonly collate: string;
  readonly ctype: string;
  readonly deterministic: boolean;
}

/**
 * A column as clauses see it. Catalog columns carry everything; those of a replication stream only name and type, which
 * is enough for canonical SQL (`parseStoredWhere`).
 */
export interface ClauseColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeMod?: number;
  /** `pg_type.typname`, of the element for arrays; for messages. */
  readonly typeName?: string;
  /** `pg_type.typtype`: `e` enum. */
  readonly typeKind?: string;
  readonly dims?: number;
  /** Absent when the column has none, or when it is not known: then what depends on it is refused. */
  readonly collation?: ColumnCollation;
}

/** First oid of objects that are not built in. */
export const FIRST_USER_OID = 16_384;

/** How messages call the type of a column (spec W 1.6). */
export function typeLabel(column: ClauseColumn): string {
  const scalar = scalarTypeByOid(column.typeOid);
  if (scalar !== undefined) return scalar.name;
  const name = column.typeName ?? `oid ${column.typeOid}`;
  if ((column.dims ?? 0) > 0) return `${name}[]`;
  return column.typeKind === 'e' ? `enum ${name}` : name;
}

/** The type of the column's cells; undefined when they are opaque to the engine. */
export function columnType(column: ClauseColumn): ScalarType | undefined {
  return scalarTypeByOid(column.typeOid);
}

/** Whether text under this collation sorts by code point, which is the order we can reproduce (spec W 5.1). */
export function sortsByCodePoint(collation: ColumnCollation): boolean {
  if (collation.provider === 'icu') return false;
  const locale = collation.collate.toLowerCase().replaceAll('-', '');
  return ['c', 'posix', 'c.utf8', 'ucs_basic', 'pg_c_utf8'].includes(locale);
}

/**
 * How `lower()` maps characters: `ascii` letters only, every character to `one` other, or in a way we cannot reproduce
 * (`unknown`: ICU's full mapping, and the Turkic and Lithuanian rules).
 */
export function caseMapping(collation: ColumnCollation): 'ascii' | 'one' | 'unknown' {
  const locale = collation.ctype.toLowerCase().replaceAll('-', '');
  if (collation.provider === 'icu') return 'unknown';
  if (locale === 'c' || locale === 'posix' || locale === 'ucs_basic') return 'ascii';
  if (!locale.endsWith('.utf8') || /^(tr|az|lt)_/.test(locale)) return 'unknown';
  return 'one';
}
