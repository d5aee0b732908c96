import type { Clock, Logger } from '@shapecast/service-kit';
import type { OrphanStep, ShapeStore } from '@shapecast/shape-store';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

interface OrphanDeps {
  readonly store: Pick<ShapeStore, 'sweepOrphans' | 'sweepRecords'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface OrphanOptions {
  readonly periodMs: number;
  /** Data that nobody has touched for less may be about to be used. */
  readonly graceMs: number;
}

interface Round {
  cursor: string | undefined;
  phase: 'records' | 'data';
  looked: number;
  deleted: number;
  toldAt: number;
}

const PROGRESS_MS = 30_000;

/**
 * Deletes what interrupted deletions, lost metadata and earlier incarnations have left (spec R 6.5.1, 15.4.3, 15.8), a page per
 * turn. Each owner looks through the records of its shard; the keys of the source are one set, for the owner of the first.
 */
export function createOrphanJob({ store, clock, log }: OrphanDeps, { periodMs, graceMs }: OrphanOptions): UpkeepJob {
  const rounds = new WeakMap<UpkeepShard, Round>();

  function step({ id }: UpkeepShard, { phase, cursor }: Round): Promise<OrphanStep> {
    const { source, incarnation } = id;
    return phase === 'records'
      ? store.sweepRecords(id, cursor)
      : store.sweepOrphans(source, { incarnation, graceMs }, cursor);
  }

  return {
    name: 'orphans',
    periodMs,
    async turn(shard) {
      const now = clock.now();
      const round = rounds.get(shard) ?? { cursor: undefined, phase: 'records', looked: 0, deleted: 0, toldAt: now };
      rounds.set(shard, round);
      const { looked, deleted, cursor } = await step(shard, round);
      round.looked += looked;
      round.deleted += deleted;
      round.cursor = cursor;
      const progress = { shard: shard.id.shard, looked: round.looked, deleted: round.deleted };
      if (now - round.toldAt >= PROGRESS_MS) {
        log.info(progress, 'looking for data without a shape');
        round.toldAt = now;
      }
      if (cursor !== undefined) return 'more';
      if (round.phase === 'records' && shard.id.shard === 0) {
        round.phase = 'data';
        return 'more';
      }
      if (round.deleted > 0) log.info(progress, 'deleted data without a shape');
      rounds.delete(shard);
      return 'done';
    },
  };
}
