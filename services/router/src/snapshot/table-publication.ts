import { sharePublication, type SnapshotInfo } from '@shapecast/change-source';
import type { ShapeRecord } from '@shapecast/shape-store';
import type { Publications } from './publications.ts';

/**
 * That the table of a shape is published when its snapshot is taken, and has been since the gap was closed (spec R 7.12).
 *
 * Between the answer of the replicator and the snapshot the table may have been removed and added again: by hand, or by a leader
 * that did not know of the shape yet. So every snapshot tells by which membership the table is published in it, and one
 * that shows another than the replicator vouched for is not used. Nothing that happens before the snapshot can be lost in this
 * way, however long answers are kept; what happens to the membership after it is for `PublicationWatch`, which compares with
 * the same text.
 */
export class TablePublication {
  readonly #publications: Publications;
  readonly #shape: ShapeRecord;
  readonly #signal: AbortSignal;
  #vouched: string | undefined;
  #asking: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(publications: Publications, shape: ShapeRecord, signal: AbortSignal) {
    this.#publications = publications;
    this.#shape = shape;
    this.#signal = signal;
  }

  /** Returns once the table is published. */
  async ensure(): Promise<void> {
    this.#vouched = await this.#publications.ensure(this.#shape, this.#signal);
  }

  /**
   * Whether the snapshot can be used. Where it cannot, asks for the table to be published again, and does not wait for it: the
   * snapshot at hand holds a lock that this needs. Throws what that failed with.
   */
  covers({ published }: SnapshotInfo): boolean {
    if (this.#failure) throw this.#failure.error;
    // An older replicator does not say; a source without publications has nothing to say.
    if (published === undefined || this.#vouched === undefined) return true;
    if (sharePublication(published, this.#vouched)) return true;
    this.#asking ??= this.#askAgain().finally(() => (this.#asking = undefined));
    return false;
  }

  async #askAgain(): Promise<void> {
    this.#publications.forget(this.#shape.definition.oid);
    try {
      await this.ensure();
    } catch (error) {
      this.#failure = { error };
    }
  }
}
