import type { SourceDatabase } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import { ddlHintSubject, type Hints } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';

interface DdlWatchDeps {
  readonly database: Pick<SourceDatabase, 'listenForDdl'>;
  readonly hints: Pick<Hints, 'publish'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How soon a trigger that was installed, or a connection that broke, is looked for again. */
const RETRY_MS = 10_000;
const NOTHING = new Uint8Array();

/**
 * Passes on to the routers that DDL has committed, where the source has the event trigger for it (ADR 0013), until `signal`
 * aborts. Only to be faster: routers look at the catalog now and then in any case.
 */
export async function watchDdl(
  { database, hints, clock, log }: DdlWatchDeps,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  const subject = ddlHintSubject(source);
  while (!signal.aborted) {
    try {
      await database.listenForDdl(() => hints.publish(subject, NOTHING), signal);
    } catch (err) {
      if (!signal.aborted && !isShapecastError(err, 'NOT_READY'))
        log.debug({ err }, 'DDL is not listened for at the moment');
    }
    await clock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
}
