import type { KeysetRequest, KeyTexts } from '@shapecast/change-source';
import type { ShapeRecord } from '@shapecast/shape-store';
import type { ChunkPlace } from './chunk-writer.ts';

/** How far a snapshot is that can be gone on with: stored with each of its pieces, as text. */
export interface SnapshotMark {
  /** In which its rows are read. */
  readonly order: string;
  /** Of the last row that is stored. */
  readonly key: KeyTexts;
  /** Where the next piece belongs. */
  readonly next: ChunkPlace;
  /** Rows and encoded bytes so far. */
  readonly rows: number;
  readonly bytes: number;
  /** Nothing more is to be stored. */
  readonly ended?: true;
}

export function encodeMark(mark: SnapshotMark): string {
  return JSON.stringify(mark);
}

export function decodeMark(text: string): SnapshotMark {
  return JSON.parse(text) as SnapshotMark;
}

/** How to ask for the rows of a shape, so that it can be gone on with; behind `mark` if it is. */
export function keysetOf(
  { definition }: Pick<ShapeRecord, 'definition'>,
  minBytes: number,
  mark: SnapshotMark | undefined,
): KeysetRequest | undefined {
  if (!definition.hasPrimaryKey || definition.log !== 'full') return undefined;
  const { keyColumns: key } = definition;
  return { key, minBytes, ...(mark ? { after: { order: mark.order, key: mark.key } } : {}) };
}
