import { compareOffsets, SNAPSHOT_END, type LogOffset } from '@shapecast/log';
import type { ShapeHead, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { RowMessage } from './rows.ts';

const READ_BYTES = 1024 * 1024;

/** The messages of a shape from its snapshot to `head.tail`, and the bytes of each. `gone`: the shape has ended, and its data with it. */
export async function* readMessages(
  store: Pick<ShapeStore, 'readSnapshot' | 'readLog'>,
  shard: ShardId,
  head: ShapeHead,
  signal: AbortSignal,
): AsyncGenerator<{ readonly message: RowMessage; readonly bytes: number }, 'read' | 'gone', void> {
  for (let chunk = 0; chunk < head.closedChunks; chunk += 1) {
    let part = 0;
    for (let closed = false; !closed;) {
      signal.throwIfAborted();
      const read = await store.readSnapshot(shard, head.handle, chunk, part, READ_BYTES);
      if (read === undefined) return 'gone';
      for (const bytes of read.parts) {
        const messages = JSON.parse(`[${Buffer.from(bytes).toString()}]`) as RowMessage[];
        for (const message of messages) yield { message, bytes: bytes.length / messages.length };
      }
      [part, closed] = [read.nextPart, read.closed];
    }
  }
  let after: LogOffset = SNAPSHOT_END;
  let place: string | undefined;
  while (compareOffsets(after, head.tail) < 0) {
    signal.throwIfAborted();
    const read = await store.readLog(shard, head, after, READ_BYTES, place);
    for (const { bytes } of read.entries) {
      yield { message: JSON.parse(Buffer.from(bytes).toString()) as RowMessage, bytes: bytes.length };
    }
    if (read.entries.length === 0) return 'gone';
    after = read.end;
    place = compareOffsets(read.end, read.upTo) < 0 ? read.place : undefined;
  }
  return 'read';
}
