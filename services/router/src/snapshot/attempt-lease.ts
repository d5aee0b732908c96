import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore, ShardId } from '@shapecast/shape-store';
import { Superseded } from './snapshot-attempt.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';

interface LeaseDeps {
  readonly store: Pick<ShapeStore, 'snapshotBeat'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LeaseOptions {
  readonly beatMs: number;
  readonly progressMs: number;
}

/**
 * Does `work` under the lease of a snapshot attempt, which it keeps from running out (spec R 10.7.4), and tells the log now and
 * then how far it is. Once the attempt is no longer the current one, because the shape was removed or another attempt began,
 * the work is aborted: within a beat, also while it waits for Postgres (spec O F83).
 */
export async function underLease<T>(
  { store, clock, log }: LeaseDeps,
  attempt: {
    readonly shard: ShardId;
    readonly handle: string;
    readonly token: string;
    readonly progress: SnapshotProgress;
  },
  options: LeaseOptions,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { shard, handle, token, progress } = attempt;
  const over = new AbortController();
  const lost = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);

  const beat = async (): Promise<void> => {
    let toldAt = clock.now();
    while (await slept(clock, options.beatMs, until)) {
      try {
        if (!(await store.snapshotBeat(shard, handle, token))) return lost.abort(new Superseded('the lease is gone'));
      } catch (err) {
        // The token decides who writes. A lease that runs out meanwhile costs no more than the attempt.
        log.debug({ err }, 'lease of a snapshot could not be renewed');
      }
      if (clock.now() - toldAt < options.progressMs) continue;
      toldAt = clock.now();
      const { handle: _, ...report } = progress.report();
      log.info(report, 'snapshot goes on');
    }
  };

  const beating = beat();
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } catch (err) {
    throw lost.signal.aborted ? lost.signal.reason : err;
  } finally {
    over.abort(new Error('the attempt is over'));
    await beating;
  }
}

async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}
