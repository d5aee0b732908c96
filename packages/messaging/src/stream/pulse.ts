import type { Clock } from '@shapecast/service-kit';
import type { StreamLimits } from './wire.ts';

/** Beats while an end of a stream is open, and tells when the other end has been silent for too long. */
export class Pulse {
  readonly #clock: Clock;
  readonly #limits: StreamLimits;
  readonly #beat: () => void;
  readonly #silent: () => void;
  #cancelBeat: (() => void) | undefined;
  #cancelSilence: (() => void) | undefined;
  #running = false;

  constructor(clock: Clock, limits: StreamLimits, beat: () => void, silent: () => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#beat = beat;
    this.#silent = silent;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.heard();
    this.#schedule();
  }

  /** The other end is there. */
  heard(): void {
    if (!this.#running) return;
    this.#cancelSilence?.();
    this.#cancelSilence = this.#clock.after(this.#limits.silenceMs, this.#silent);
  }

  stop(): void {
    this.#running = false;
    this.#cancelBeat?.();
    this.#cancelSilence?.();
  }

  #schedule(): void {
    this.#cancelBeat = this.#clock.after(this.#limits.beatMs, () => {
      this.#beat();
      if (this.#running) this.#schedule();
    });
  }
}
