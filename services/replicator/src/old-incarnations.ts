import { BUCKETS, type DurableRecord, type Messaging } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';

/**
 * Deletes the tx streams of earlier incarnations, and the cursors in them, once everybody had time to leave them (spec R 6.5.1): they
 * would otherwise keep their records until those are old. What is in the store is deleted by routers. Ends when it is done or `signal`
 * aborts; never rejects.
 */
export async function deleteOldIncarnations(
  deps: { readonly messaging: Messaging; readonly clock: Clock; readonly log: Logger },
  options: { readonly sourceId: string; readonly incarnation: number; readonly oldStreamsAfterMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { messaging, clock, log } = deps;
  const { sourceId: source, incarnation: current } = options;
  const backoff = new Backoff(clock, { minMs: 1_000, maxMs: 60_000 });
  const wait = (ms: number) => clock.sleep(ms, signal).catch(() => undefined);
  await wait(options.oldStreamsAfterMs);
  while (!signal.aborted) {
    try {
      for (const incarnation of await messaging.txStreams.incarnations(source)) {
        if (incarnation >= current || signal.aborted) continue;
        await messaging.txStreams.delete({ source, incarnation });
        log.info({ old: incarnation }, 'tx stream of an earlier incarnation deleted');
      }
      const cursors = await messaging.registries.open<DurableRecord>(BUCKETS.durable.name);
      for (const { key } of await cursors.list(`${source}.`)) {
        if (signal.aborted) return;
        if (Number(key.slice(source.length + 1).split('.')[0]) < current) await cursors.delete(key);
      }
      return;
    } catch (err) {
      log.debug({ err }, 'what is left of earlier incarnations was not deleted yet');
      await wait(backoff.nextDelayMs());
    }
  }
}
