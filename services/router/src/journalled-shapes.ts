import type { RotationJournal } from '@shapecast/messaging';
import type { OwnedShard } from './owned-shard.ts';

/** Shapes of a shard that somebody has put into the journal to end them, and may not have got to ending. */
export class JournalledShapes {
  readonly #journal: Pick<RotationJournal, 'failureOf'>;
  readonly #shard: OwnedShard;
  readonly #handles = new Set<string>();

  constructor(journal: Pick<RotationJournal, 'failureOf'>, shard: OwnedShard) {
    this.#journal = journal;
    this.#shard = shard;
  }

  /** The journal has new handles, of any shard. True when there are some of this one to look after. */
  note(handles: readonly string[]): boolean {
    for (const handle of handles) if (this.#shard.index.get(handle)) this.#handles.add(handle);
    return this.#handles.size > 0;
  }

  /** Ends those that still live. */
  async end(): Promise<void> {
    if (this.#handles.size === 0) return;
    const { index } = this.#shard;
    const due = [...this.#handles].flatMap((handle) => {
      const failure = index.get(handle) && this.#journal.failureOf(handle);
      return failure ? [[handle, failure] as const] : [];
    });
    if (due.length > 0) {
      await this.#shard.rotate(due);
      this.#shard.stale = true;
    }
    for (const [handle] of due) this.#handles.delete(handle);
    for (const handle of this.#handles) if (!index.get(handle)) this.#handles.delete(handle);
  }
}
