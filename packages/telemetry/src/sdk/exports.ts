import { Complaints, type Clock, type Logger } from '@shapecast/service-kit';
import type { Counter } from '../metrics.ts';

/** What came of a push, as exporters of the SDK tell it. */
interface Result {
  /** 0 is success. */
  readonly code: number;
  readonly error?: Error;
}

/** Follows what becomes of pushes: counts what was given up, and says it once when they begin to fail, and once when they work again. */
export class Exports {
  readonly #log: Logger;
  /** One may be taken while the other is refused. */
  readonly #complaints: Readonly<Record<'spans' | 'metrics', Complaints>>;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#complaints = { spans: new Complaints(clock), metrics: new Complaints(clock) };
  }

  ended(what: 'spans' | 'metrics', { code, error }: Result, dropped: Counter, count: number): void {
    if (code === 0) {
      if (this.#complaints[what].worked()) this.#log.info({ what }, 'telemetry is pushed again');
      return;
    }
    dropped.add(count);
    const fields = { what, error: error?.message };
    if (this.#complaints[what].failed(what)) this.#log.warn(fields, 'telemetry could not be pushed, it is given up');
  }
}
