import type { TypeFact } from '@shapecast/where';

/**
 * What a shape is: table, columns, where clause, in canonical form. Two requests with equal canonical text share one
 * handle and one log (spec H 8, R 15.1). `canonical` of the where clause comes from the where engine.
 */
export interface ShapeDefinition {
  /** Version of this form; records of another version never match (R 15.1.4). */
  readonly v: 1;
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** In key order; all columns in catalog order when the table has no primary key. */
  readonly keyColumns: readonly string[];
  /** False when `keyColumns` are all columns of a table without primary key. */
  readonly hasPrimaryKey: boolean;
  /** Selected columns, sorted by name. */
  readonly columns: readonly string[];
  /** Columns were implied, so an added column rotates the shape. */
  readonly allColumns: boolean;
  /** Canonical SQL of the where clause with parameters substituted; empty string when there is none. */
  readonly where: string;
  /** What the clause depends on of enums and domains; absent when there is nothing. */
  readonly types?: readonly TypeFact[];
  readonly replica: 'default' | 'full';
  readonly log: 'full' | 'changes_only';
}

/** What must stay true of the table for the shape's history to stay valid (spec R 10.3.1). */
export interface Fingerprint {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly keyColumns: readonly string[];
  /** Total number of columns; only binding for shapes with `allColumns`. */
  readonly columnCount: number;
  /** Selected columns and those the where clause refers to: [name, type oid, type modifier], sorted by name. */
  readonly columns: readonly (readonly [name: string, typeOid: number, typeMod: number])[];
  /**
   * Those of the columns that were NOT NULL when the shape was made. Only of these no row of its log can hold a NULL because it
   * is older than the table's present form (spec H SC-2). Missing in shapes of earlier versions.
   */
  readonly notNull?: readonly string[];
  /** `attnum` of each of `columns`. With a name given to another column, the values are others (missing as above). */
  readonly attnums?: readonly number[];
  /** Enums and composites in `columns`, if any: [oid, number of labels or attributes, digest of these], sorted by oid. */
  readonly types?: readonly (readonly [oid: number, count: number, digest: string])[];
  /** Collations of the columns that the where clause refers to, if any: [name, digest]. */
  readonly collations?: readonly (readonly [name: string, digest: string])[];
}
