import { UpdateMerger } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { createShapeRound } from './shape-round.ts';
import type { UpkeepJob } from './upkeep.ts';

interface CompactionDeps {
  readonly store: Pick<ShapeStore, 'scanShapes' | 'compact'>;
  readonly clock: Clock;
}

/** Merges old entries of shapes that were made with `experimental_compaction`, a chunk per visit (spec R 11.6). */
export function createCompactionJob(deps: CompactionDeps, options: { readonly periodMs: number }): UpkeepJob {
  return createShapeRound(
    deps,
    { name: 'compaction', ...options },
    {
      wants: ({ compaction, state }) => compaction && state === 'live',
      async visit({ id }, { handle }) {
        const outcome = await deps.store.compact(id, handle, () => new UpdateMerger());
        return outcome === 'more' ? 'again' : 'next';
      },
    },
  );
}
