/** One column of an ORDER BY. Without `nulls` Postgres decides: last when ascending, first when descending. */
export interface SubsetOrder {
  readonly column: string;
  readonly descending: boolean;
  readonly nulls?: 'first' | 'last';
}

/** What a subset snapshot reads: an API pod asks, a router executes (spec H 13, R 10.9). JSON. */
export interface SubsetQuery {
  readonly schema: string;
  readonly table: string;
  readonly oid: number;
  /** Selected columns, in the table's order. */
  readonly columns: readonly string[];
  readonly keyColumns: readonly string[];
  readonly hasPrimaryKey: boolean;
  /** Canonical SQL of the shape's clause; empty: none. The router joins the two as (shape) AND (subset), SU-5. */
  readonly shapeWhere: string;
  /** Canonical SQL of the subset's clause; empty: none. */
  readonly subsetWhere: string;
  readonly orderBy: readonly SubsetOrder[];
  /** Decimal integer. */
  readonly limit?: string;
  /** Decimal integer. */
  readonly offset?: string;
}

/**
 * The first frame of the answer, as JSON text: what the rows were read at (SU-7). Transaction ids and LSN are decimal strings.
 * Every further frame is JSON text of rows, separated by commas, with neither brackets nor a comma at its ends.
 */
export interface SubsetMetadata {
  readonly xmin: string;
  readonly xmax: string;
  readonly xip_list: readonly string[];
  /** WAL insert position: every visible transaction committed at or below it (SU-11). */
  readonly database_lsn: string;
  /** 0 to 2^31 - 1, the same in the headers of every row. */
  readonly snapshot_mark: number;
}
