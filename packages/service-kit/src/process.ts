import type { Component } from './component.ts';
import type { Logger } from './logger.ts';

/** Orchestrators kill after 60 s (spec O 2.4); what is left by then is better cut here, with a line that says so. */
const STOP_MS = 55_000;

/**
 * Starts components in order and stops them in reverse on SIGTERM or SIGINT, then exits 0. A component that throws at
 * start stops the others and exits 1, and so does one that has not stopped after 55 s. A second signal exits at once.
 */
export async function runProcess(
  log: Logger,
  components: readonly Component[],
  { stopMs = STOP_MS }: { readonly stopMs?: number } = {},
): Promise<void> {
  const abort = new AbortController();
  const started: Component[] = [];
  let stopping = false;

  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    // Nothing else may keep time here: the components, and what they wait for, are what is late.
    setTimeout(() => {
      log.error({}, 'stopping takes too long, leaving');
      process.exit(1);
    }, stopMs).unref();
    abort.abort(new Error('the process is stopping'));
    for (const component of started.reverse()) {
      try {
        await component.stop();
      } catch (err) {
        log.error({ err, component: component.name }, 'component failed to stop');
        code = 1;
      }
    }
    log.info({}, 'stopped');
    process.exit(code);
  };

  const onSignal = (signal: string): void => {
    if (stopping) process.exit(1);
    log.info({ signal }, 'stopping');
    void stop(0);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  for (const component of components) {
    if (abort.signal.aborted) return;
    try {
      started.push(component);
      await component.start(abort.signal);
      log.info({ component: component.name }, 'component started');
    } catch (err) {
      if (abort.signal.aborted) return;
      log.error({ err, component: component.name }, 'component failed to start');
      await stop(1);
    }
  }
}
