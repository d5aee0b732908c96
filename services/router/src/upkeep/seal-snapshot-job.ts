import type { Clock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { createShapeRound } from './shape-round.ts';
import type { UpkeepJob } from './upkeep.ts';

interface SealSnapshotDeps {
  readonly store: Pick<ShapeStore, 'scanShapes' | 'sealSnapshot'>;
  readonly clock: Clock;
}

/** Compresses the snapshots of shapes that became live, chunk by chunk (spec R 12.2.2). */
export function createSealSnapshotJob(deps: SealSnapshotDeps, options: { readonly periodMs: number }): UpkeepJob {
  /** Chunk to go on with, of the shape that each shard is at. */
  let at: { readonly handle: string; readonly chunk: number } | undefined;
  return createShapeRound(
    deps,
    { name: 'seal-snapshot', ...options },
    {
      wants: ({ snapshotToSeal }) => snapshotToSeal,
      async visit({ id }, { handle }) {
        const chunk = at?.handle === handle ? at.chunk : 0;
        const next = await deps.store.sealSnapshot(id, handle, chunk);
        at = next === undefined ? undefined : { handle, chunk: next };
        return next === undefined ? 'next' : 'again';
      },
    },
  );
}
