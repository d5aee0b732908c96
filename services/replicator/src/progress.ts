import { maxLsn, type Lsn } from '@shapecast/log';

/** Where one replication session stands. Within the session all of it only grows. */
export interface Progress {
  /** Last LSN known to be read: the end of the last transaction, or of the WAL as told while nothing was under way. */
  readonly received: Lsn;
  /** The tx stream holds every transaction that commits at or below this (spec R 8.6.2). Invariant: durable <= received. */
  readonly durable: Lsn;
  /**
   * Confirmed to Postgres, which may then recycle the WAL up to here.
   * Invariant: confirmed <= durable as it was one confirm delay ago; past it, a power loss loses changes for good.
   */
  readonly confirmed: Lsn;
  /**
   * What was durable at each of the last ticks, newest first. An acknowledged message may not be on disk yet (spec R
   * 8.6.1), so a value is confirmed when it leaves this list. Counting ticks instead of reading a clock keeps clock jumps
   * out of it (I10).
   */
  readonly aging: readonly Lsn[];
}

/**
 * The stream holds everything that commits below `held`, and Postgres was told so up to `confirmed`, which is in the
 * stream or continuity would not have been found. `agingTicks`: how many ticks make up the confirm delay; 0 confirms at
 * once.
 */
export function createProgress(held: Lsn, confirmed: Lsn, agingTicks: number): Progress {
  const told = before(confirmed);
  const durable = maxLsn(before(held), told);
  return { received: durable, durable, confirmed: told, aging: Array.from({ length: agingTicks }, () => told) };
}

/** Everything that commits below `end` was read. */
export function transactionReceived(progress: Progress, end: Lsn): Progress {
  const lsn = before(end);
  return lsn > progress.received ? { ...progress, received: lsn } : progress;
}

/** The stream acknowledged a record, and with it everything that commits below `held`. */
export function transactionStored(progress: Progress, held: Lsn): Progress {
  const lsn = before(held);
  if (lsn <= progress.durable) return progress;
  const received = maxLsn(progress.received, lsn);
  return { ...progress, received, durable: lsn, confirmed: progress.aging.length === 0 ? lsn : progress.confirmed };
}

/** One tick of the confirm delay has passed. Releases what has aged, however much is still coming in (spec R 8.6.5). */
export function tickPassed(progress: Progress): Progress {
  const { durable, confirmed, aging } = progress;
  const aged = aging.at(-1);
  if (aged === undefined) return durable > confirmed ? { ...progress, confirmed: durable } : progress;
  return { ...progress, confirmed: maxLsn(confirmed, aged), aging: [durable, ...aging.slice(0, -1)] };
}

function before(lsn: Lsn): Lsn {
  return (lsn > 0n ? lsn - 1n : 0n) as Lsn;
}
