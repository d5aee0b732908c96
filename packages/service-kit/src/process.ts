import type { Component } from './component.ts';
import type { Logger } from './logger.ts';

/**
 * Starts components in order and stops them in reverse on SIGTERM or SIGINT, then exits 0. A component that throws at
 * start stops the others and exits 1. A second signal exits at once.
 */
export async function runProcess(log: Logger, components: readonly Component[]): Promise<void> {
  const abort = new AbortController();
  const started: Component[] = [];
  let stopping = false;

  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
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
