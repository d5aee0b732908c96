import { BUCKETS, type Registries, type SourceRecord } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';

interface WatchDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 2_000;

/** Calls back with what the registry has of a source, now and whenever it changes, until `signal` aborts. Never rejects. */
export async function watchSource(
  { registries, clock, log }: WatchDeps,
  { source, lookMs = LOOK_MS }: { readonly source: string; readonly lookMs?: number | undefined },
  onRecord: (record: SourceRecord) => void,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 });
  let stopWatching: (() => void) | undefined;
  while (!signal.aborted) {
    try {
      const sources = await registries.open<SourceRecord>(BUCKETS.sources.name);
      stopWatching ??= await sources.watch(source, (key, entry) => {
        if (key === source && entry) onRecord(entry.value);
      });
      const entry = await sources.get(source);
      if (entry) onRecord(entry.value);
      backoff.reset();
      await clock.sleep(lookMs, signal);
    } catch (err) {
      if (signal.aborted) break;
      log.warn({ err }, 'source registry cannot be reached, retrying');
      await backoff.wait(signal).catch(() => undefined);
    }
  }
  stopWatching?.();
}
