import type { HandleRecords } from '@shapecast/messaging';
import type { ShapeStore } from '@shapecast/shape-store';
import type { UpkeepJob } from './upkeep.ts';

interface HandleDeps {
  readonly store: Pick<ShapeStore, 'issuedHandles'>;
  readonly handles: Pick<HandleRecords, 'note'>;
}

/** Notes the newest handle of a shard outside of the store (spec R 15.2.2). */
export function createHandleJob({ store, handles }: HandleDeps, options: { readonly periodMs: number }): UpkeepJob {
  return {
    name: 'handles',
    periodMs: options.periodMs,
    async turn({ id }) {
      const newest = await store.issuedHandles(id);
      if (newest > 0) await handles.note(id.shard, newest);
      return 'done';
    },
  };
}
