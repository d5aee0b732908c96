import type { ColumnCollation } from '@shapecast/where';

/** One column as the catalog describes it; enough to validate, to type clauses and to build `electric-schema`. */
export interface ColumnInfo {
  readonly name: string;
  /** `pg_attribute.attnum`: order of columns in the catalog. */
  readonly attnum: number;
  readonly typeOid: number;
  /** `pg_type.typname` of the column's type; for an array that of its element. */
  readonly typeName: string;
  /** Schema of that type: `pg_catalog` for built-in ones. */
  readonly typeSchema: string;
  /** `pg_type.typtype` (of the element, for arrays): b base, e enum, d domain, c composite, r range, m multirange. */
  readonly typeKind: string;
  /** Declared array dimensions; 0 when not an array. */
  readonly dims: number;
  readonly typeMod: number;
  readonly notNull: boolean;
  /** `pg_attribute.attgenerated`. */
  readonly generated: 'none' | 'stored' | 'virtual';
  /** Labels of an enum, or of an array's element that is one, in declaration order. */
  readonly enumLabels?: readonly string[];
  /** Enums and composites that the column's type is made of, sorted by oid; absent when there are none. */
  readonly userTypes?: readonly UserType[];
  /** Of a domain: the type under it, and under the domains it is over. */
  readonly baseTypeOid?: number;
  /** Of text columns, with the database's default resolved. Absent: not known, and what depends on it is refused. */
  readonly collation?: ColumnCollation;
  /** 0-based place in the primary key. */
  readonly pkIndex?: number;
}

/** What decides how values of a type are written that is not built in. It can change while every oid stays the same. */
export type UserType =
  /** Labels in the order in which they were created: a new one is the last, wherever it sorts. */
  | { readonly oid: number; readonly labels: readonly string[] }
  /** Attributes in their order, as [number, type oid, type modifier]; names do not show in values. */
  | { readonly oid: number; readonly attributes: readonly (readonly [number, number, number])[] };

/** A table as the catalog describes it now. Columns in attnum order, dropped ones left out. */
export interface RelationInfo {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind`: r ordinary, p partitioned. Others are not syncable. */
  readonly kind: 'r' | 'p';
  readonly columns: readonly ColumnInfo[];
  /** Of the database; absent when not known. */
  readonly databaseCollation?: ColumnCollation;
  /** The server can publish stored generated columns: version 18 and later. Absent means no. */
  readonly publishesGenerated?: boolean;
}

/** Columns whose values never come with a change: generated ones, unless they are stored and the server publishes those. */
export function unpublishedColumns({ columns, publishesGenerated }: RelationInfo): ColumnInfo[] {
  return columns.filter(({ generated }) => generated === 'virtual' || (generated === 'stored' && !publishesGenerated));
}

/** Names of the key columns: the primary key in key order, or all columns in catalog order when there is none (KY-1). */
export function keyColumnNames(relation: RelationInfo): string[] {
  const keyed = relation.columns.filter((column) => column.pkIndex !== undefined);
  if (keyed.length === 0) return relation.columns.map((column) => column.name);
  return keyed.sort((a, b) => (a.pkIndex as number) - (b.pkIndex as number)).map((column) => column.name);
}
