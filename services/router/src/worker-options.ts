import type { StepLimits } from './pending-step.ts';

export interface ShardWorkerOptions extends StepLimits {
  /** How often the shard's meta is read to notice loss and lost hints (spec R 12.5.2). */
  readonly metaPollMs: number;
  /** The same while nothing happens. */
  readonly idlePollMs?: number;
  /** Records up to this sequence are applied one by one: a worker before this one was stuck there. */
  readonly oneByOneUntil?: number;
  /** The owner before was this process, and lives. */
  readonly again?: boolean;
}

export const DEFAULT_WORKER_OPTIONS: ShardWorkerOptions = {
  maxStepChanges: 4_000,
  maxStepBytes: 4 * 1024 * 1024,
  maxStepEntries: 20_000,
  lingerMs: 200,
  emptyLingerMs: 1_000,
  maxLingerRecords: 1_000,
  metaPollMs: 1_000,
};
