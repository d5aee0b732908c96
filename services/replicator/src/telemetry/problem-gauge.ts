import type { Telemetry } from '@shapecast/telemetry';

/** What keeps a source from being replicated, one reason at a time: its gauge is there while it lasts. */
export class ProblemGauge {
  readonly #telemetry: Telemetry;
  readonly #source: string;
  #reason: string | undefined;
  #end: () => void = () => undefined;

  constructor(telemetry: Telemetry, source: string) {
    this.#telemetry = telemetry;
    this.#source = source;
  }

  /** `reason` is one of a few words; undefined when all is well. */
  set(reason: string | undefined): void {
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#end();
    this.#end = () => undefined;
    if (reason === undefined) return;
    this.#end = this.#telemetry.metrics.gauge('shapecast.source.problem', { source: this.#source, reason }, () => 1);
  }
}
