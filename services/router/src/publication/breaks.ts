import { sharePublication, type SnapshotMoment } from '@shapecast/change-source';
import type { RelationPublished } from '@shapecast/log';
import type { ShapeFailure } from '@shapecast/shape-store';
import type { RoutedShape } from '../matching/routed-shape.ts';
import { isOlder } from '../schema/table-history.ts';

/** Why shapes end whose table was taken out of the publication and came back. */
export const UNPUBLISHED: ShapeFailure = {
  code: 'SCHEMA_CHANGED',
  message: 'The table was not published all the time.',
};

/**
 * Whether a shape may go on though its table is published by what `published` says at `moment` (ADR 18). A snapshot that is not
 * known yet, or newer than that, was compared when it was taken. Shapes of older versions know nothing.
 */
export function goesOn(
  { record: { snapshot } }: RoutedShape,
  { moment, published }: { readonly moment: SnapshotMoment; readonly published: string },
): boolean {
  if (snapshot?.published === undefined) return true;
  if (isOlder(moment, { xmax: snapshot.xmax, running: snapshot.xip.length })) return true;
  return sharePublication(snapshot.published, published);
}

/**
 * Notices in the stream that a table was not published for a while. Postgres describes a table anew before the first change
 * after it came back, so a shape that missed changes ends before it shows one that came later.
 */
export class PublicationBreaks {
  readonly #last = new Map<number, RelationPublished>();

  /** What is new about a table; undefined when nothing is, which costs a look-up. */
  news(oid: number, published: RelationPublished | undefined): RelationPublished | undefined {
    if (published === undefined || this.#last.get(oid)?.by === published.by) return undefined;
    this.#last.set(oid, published);
    return published;
  }

  /** Whether what was last said of the shape's table lets it go on. */
  allows(shape: RoutedShape): boolean {
    const last = this.#last.get(shape.record.definition.oid);
    return last === undefined || goesOn(shape, { moment: last, published: last.by });
  }

  /** The table has no shapes any more. */
  forget(oid: number): void {
    this.#last.delete(oid);
  }

  clear(): void {
    this.#last.clear();
  }
}
