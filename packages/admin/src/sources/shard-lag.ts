import { formatLsn } from '@shapecast/log';
import type { Messaging, TxStreamInfo } from '@shapecast/messaging';
import type { ShapeStore } from '@shapecast/shape-store';
import type { SourceTold } from './source-status.ts';

/** The tx stream of a source. */
export interface StreamSight {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly bytes: number;
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
}

/** How far a shard is. */
export interface ShardSight {
  readonly shard: number;
  /** Absent while nobody has it. */
  readonly router?: string;
  /** Last record of the stream that is applied, and how many are behind it. */
  readonly seq?: number;
  readonly behind?: number;
  /** Up to where readers see, as Postgres writes LSNs. */
  readonly watermark?: string;
}

export interface ShardLag {
  readonly stream?: StreamSight;
  readonly shards: readonly ShardSight[];
  readonly lagProblem?: string;
}

/** How far each shard of a source is behind the tx stream. Says why, where that cannot be told. */
export async function measureShards(
  deps: { readonly messaging: Messaging; readonly store: ShapeStore | undefined },
  source: string,
  { record, routers }: SourceTold,
): Promise<ShardLag> {
  if (record === undefined) return { shards: [] };
  const owners = new Map(routers.flatMap(({ id, owned }) => owned.map((shard) => [shard, id] as const)));
  const { incarnation } = record;
  try {
    const stream = await deps.messaging.txStreams.open({ source, incarnation });
    const info = await stream?.info();
    const shards = await Promise.all(
      Array.from({ length: record.shards }, async (_, shard): Promise<ShardSight> => {
        const meta = await deps.store?.readMeta({ source, incarnation, shard });
        const router = owners.get(shard);
        return {
          shard,
          ...(router === undefined ? {} : { router }),
          ...(meta === undefined ? {} : { seq: meta.cursor.seq, watermark: formatLsn(meta.watermark) }),
          ...(meta === undefined || info === undefined ? {} : { behind: Math.max(0, info.lastSeq - meta.cursor.seq) }),
        };
      }),
    );
    return { shards, ...(info === undefined ? {} : { stream: sightOf(info) }) };
  } catch (err) {
    return { shards: [], lagProblem: (err as Error).message };
  }
}

function sightOf({ firstSeq, lastSeq, bytes, maxBytes, maxAgeMs }: TxStreamInfo): StreamSight {
  return {
    ...{ firstSeq, lastSeq, bytes },
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  };
}
