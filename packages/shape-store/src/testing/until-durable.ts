import { waitFor } from '@shapecast/testkit';
import type { ShapeStore, ShardCursor, ShardId } from '../shape-store.ts';

/** Resolves once the store says of this cursor that it is safe. */
export async function untilDurable(store: ShapeStore, shard: ShardId, cursor: ShardCursor): Promise<void> {
  let sure: ShardCursor | undefined;
  await waitFor(
    async () => {
      sure = await store.durableCursor(shard);
      return sure?.seq === cursor.seq && sure.position.lsn === cursor.position.lsn;
    },
    { intervalMs: 100, describe: () => `the durable cursor is at ${sure?.seq}, not at ${cursor.seq}` },
  );
}
