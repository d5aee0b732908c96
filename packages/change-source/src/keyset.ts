import type { Cell } from '@shapecast/log';

/**
 * Asks for the rows of a snapshot in the order of the primary key, so that a read that broke off goes on behind the last row it
 * had. Granted where that is possible and costs little more (`SnapshotTable.order` says whether it was).
 */
export interface KeysetRequest {
  /** Primary key, in index order. */
  readonly key: readonly string[];
  /** A table with fewer bytes is read as it lies. */
  readonly minBytes: number;
  /** Goes on behind a row, if the order is still the one that it was read in: SNAPSHOT_FAILED with type `not_resumable` if not. */
  readonly after?: KeysetPlace;
}

/** A row in an order, by the texts of its key. */
export interface KeysetPlace {
  readonly order: string;
  readonly key: KeyTexts;
}

/** The cells of a key, in the stream's text form. */
export type KeyTexts = readonly string[];

/** On which side of some rows other rows are: decided by Postgres, in its own order. */
export interface KeyPlaces {
  readonly order: string;
  /** Ascending. */
  readonly bounds: readonly KeyTexts[];
  readonly keys: readonly KeyTexts[];
}

/** The key of a row whose cells are in the order of `columns`; undefined when one of its cells is NULL, as in no primary key. */
export function keyOf(
  row: readonly Cell[],
  columns: readonly string[],
  key: readonly string[],
): readonly string[] | undefined {
  const cells = key.map((name) => row[columns.indexOf(name)]);
  return cells.every((cell) => typeof cell === 'string') ? cells : undefined;
}
