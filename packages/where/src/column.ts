import { arrayOf, enumType, opaqueType, typeByOid } from './types/types.ts';
import type { Type } from './types/type.ts';

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
 * is enough for canonical SQL together with the facts kept with it (`parseStoredWhere`).
 */
export interface ClauseColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeMod?: number;
  /** `pg_type.typname` and its schema, of the element for arrays. */
  readonly typeName?: string;
  readonly typeSchema?: string;
  /** `pg_type.typtype`, of the element for arrays: `e` enum, `d` domain. */
  readonly typeKind?: string;
  readonly dims?: number;
  /** Labels of an enum, or of an array's element that is one, in declaration order. */
  readonly enumLabels?: readonly string[];
  /** Of a domain: the type under it, and under the domains it is over. */
  readonly baseTypeOid?: number;
  /** Absent when the column has none, or when it is not known: then what depends on it is refused. */
  readonly collation?: ColumnCollation;
}

/**
 * What the catalog says about a type that is not built in, as far as a clause depends on it. Kept with the shape, because
 * the stream says only the oid.
 */
export type TypeFact =
  | {
      readonly oid: number;
      readonly kind: 'enum' | 'enum array';
      readonly schema: string;
      readonly name: string;
      /** In declaration order; absent when the clause does not order values. */
      readonly labels?: readonly string[];
    }
  | { readonly oid: number; readonly kind: 'domain'; readonly base: number };

/** Columns of a stream with what is known about their types. */
export function withFacts(columns: readonly ClauseColumn[], facts: readonly TypeFact[]): readonly ClauseColumn[] {
  if (facts.length === 0) return columns;
  const byOid = new Map(facts.map((fact) => [fact.oid, fact]));
  return columns.map((column) => {
    const fact = byOid.get(column.typeOid);
    if (fact === undefined) return column;
    if (fact.kind === 'domain') return { ...column, typeKind: 'd', baseTypeOid: fact.base };
    const { schema, name, labels } = fact;
    const dims = fact.kind === 'enum' ? 0 : 1;
    return {
      ...column,
      typeKind: 'e',
      dims,
      typeSchema: schema,
      typeName: name,
      ...(labels ? { enumLabels: labels } : {}),
    };
  });
}

/** The facts that a clause over these columns depends on. `ordered`: whether it orders the enum values of a column. */
export function factsOf(columns: readonly ClauseColumn[], ordered: (column: ClauseColumn) => boolean): TypeFact[] {
  const facts = new Map<number, TypeFact>();
  for (const column of columns) {
    const { typeOid, typeKind, typeSchema, typeName, baseTypeOid, enumLabels } = column;
    if (typeKind === 'd' && (column.dims ?? 0) === 0 && baseTypeOid !== undefined) {
      facts.set(typeOid, { oid: typeOid, kind: 'domain', base: baseTypeOid });
    } else if (typeKind === 'e' && typeSchema !== undefined && typeName !== undefined) {
      const kind = (column.dims ?? 0) > 0 ? 'enum array' : 'enum';
      const labels = ordered(column) && enumLabels ? { labels: enumLabels } : {};
      facts.set(typeOid, { oid: typeOid, kind, schema: typeSchema, name: typeName, ...labels });
    }
  }
  return [...facts.values()].sort((a, b) => a.oid - b.oid);
}

/** The enums among the types of these columns, by `schema.name` and, where that is unambiguous, by name. */
export function userTypes(columns: readonly ClauseColumn[]): ReadonlyMap<string, Type> {
  const types = new Map<string, Type>();
  const bare = new Map<string, Type | undefined>();
  for (const { typeKind, typeSchema, typeName, enumLabels } of columns) {
    if (typeKind !== 'e' || typeSchema === undefined || typeName === undefined) continue;
    const qualified = `${typeSchema}.${typeName}`;
    if (types.has(qualified)) continue;
    const made = enumType(typeSchema, typeName, enumLabels);
    types.set(qualified, made);
    bare.set(typeName, bare.has(typeName) ? undefined : made);
  }
  for (const [name, made] of bare) if (made !== undefined) types.set(name, made);
  return types;
}

/** The type of the column's cells. */
export function columnType(column: ClauseColumn, enums: ReadonlyMap<string, Type>): Type {
  const dims = column.dims ?? 0;
  if (column.typeKind === 'd' && dims === 0) {
    const base = column.baseTypeOid === undefined ? undefined : typeByOid(column.baseTypeOid);
    return base ?? opaqueType(column.typeName ?? 'domain', column.typeOid);
  }
  if (column.typeKind === 'e') {
    const enumeration = enums.get(`${column.typeSchema}.${column.typeName}`);
    const found = enumeration !== undefined && dims > 0 ? arrayOf(enumeration) : enumeration;
    if (found !== undefined) return found;
  }
  const builtIn = typeByOid(column.typeOid);
  if (builtIn !== undefined) return builtIn;
  const name = column.typeName ?? `oid ${column.typeOid}`;
  return opaqueType(dims > 0 ? `${name}[]` : name, column.typeOid);
}

/** Columns whose collation decides about values of this column: itself, or none. */
export function columnCollations(column: ClauseColumn, type: Type): readonly ClauseColumn[] | 'C' {
  // A name sorts by bytes whatever the database's collation is.
  if (type.name === 'name') return 'C';
  return type.category === 'S' || type.element?.category === 'S' ? [column] : [];
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
  if (!locale.endsWith('.utf8') || /^(tr|az|crh|ku|tt|lt)_/.test(locale)) return 'unknown';
  return 'one';
}
