import type { Messaging } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';

/** Of so many incarnations before the current one; older ones are gone since one of those led. */
const MOST = 100;

/**
 * Deletes the tx streams of earlier incarnations once everybody had time to leave them (spec R 6.5.1): they would otherwise
 * keep their records until those are old. Ends when it is done or `signal` aborts; never rejects.
 */
export async function deleteOldStreams(
  deps: { readonly messaging: Messaging; readonly clock: Clock; readonly log: Logger },
  options: { readonly sourceId: string; readonly incarnation: number; readonly oldStreamsAfterMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { messaging, clock, log } = deps;
  const { sourceId: source, incarnation: current } = options;
  const backoff = new Backoff(clock, { minMs: 1_000, maxMs: 60_000 });
  const wait = (ms: number) => clock.sleep(ms, signal).catch(() => undefined);
  await wait(options.oldStreamsAfterMs);
  let incarnation = current - 1;
  while (!signal.aborted && incarnation >= Math.max(1, current - MOST)) {
    try {
      await messaging.txStreams.delete({ source, incarnation });
      incarnation -= 1;
    } catch (err) {
      log.debug({ err, old: incarnation }, 'tx stream of an earlier incarnation was not deleted yet');
      await wait(backoff.nextDelayMs());
    }
  }
}
