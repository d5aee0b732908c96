import { BUCKETS, type LeaderRecord, type Messaging, type Registry } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';

/**
 * Keeps this source's leader record alive until `signal` aborts, then removes it, so that nobody waits for a leader that
 * said goodbye. Advisory only (spec R 4.5): a record of a newer epoch is left alone, and a failure is no reason to stop
 * leading.
 */
export async function keepLeaderRecord(
  deps: { readonly messaging: Messaging; readonly clock: Clock; readonly log: Logger },
  options: { readonly sourceId: string; readonly intervalMs: number; readonly record: LeaderRecord },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps;
  let failing = false;
  let leaders: Registry<LeaderRecord> | undefined;
  let revision: number | undefined;
  while (!signal.aborted) {
    try {
      leaders ??= await deps.messaging.registries.open<LeaderRecord>(BUCKETS.leaders.name, {
        ttlMs: BUCKETS.leaders.ttlMs,
      });
      revision = await write(leaders, options.sourceId, options.record, revision);
      failing = false;
    } catch (err) {
      if (!failing) log.warn({ err }, 'leader record cannot be renewed');
      failing = true;
    }
    await clock.sleep(options.intervalMs, signal).catch(() => undefined);
  }
  try {
    const current = await leaders?.get(options.sourceId);
    if (leaders && current?.value.epoch === options.record.epoch && current.value.holder === options.record.holder) {
      await leaders.delete(options.sourceId);
    }
  } catch (err) {
    log.debug({ err }, 'leader record was left to expire');
  }
}

/** The new revision, if the record is ours. `own`: that of the last time, which as a rule nobody has touched since. */
async function write(
  leaders: Registry<LeaderRecord>,
  key: string,
  record: LeaderRecord,
  own: number | undefined,
): Promise<number | undefined> {
  const renewed = own === undefined ? undefined : await leaders.update(key, record, own);
  if (renewed !== undefined) return renewed;
  const current = await leaders.get(key);
  if (current === undefined) return leaders.create(key, record);
  const { incarnation, epoch } = current.value;
  const newer = incarnation > record.incarnation || (incarnation === record.incarnation && epoch > record.epoch);
  return newer ? undefined : leaders.update(key, record, current.revision);
}
