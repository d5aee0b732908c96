import { abortReason } from '@shapecast/service-kit';
import { FairQueue } from '../snapshot/fair-queue.ts';

interface Waiter {
  readonly grant: () => void;
  gone: boolean;
}

/**
 * A number of places that all sources of a process share (spec O 4.6). Sources get them in turn, first come first served within each; and
 * none has more than three quarters of them, as what it does with them may take minutes.
 */
export class FairSlots {
  readonly #size: number;
  /** Of one source. */
  readonly #most: number;
  readonly #waiting = new FairQueue<string, Waiter>();
  readonly #held = new Map<string, number>();
  #running = 0;

  constructor(size: number) {
    this.#size = size;
    this.#most = Number.isFinite(size) ? size - Math.floor(size / 4) : size;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves with the function that gives the place back; its second call is a no-op. */
  async take(source: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw abortReason(signal);
    if (this.#running < this.#size && this.#mayHave(source) && this.#waiting.size === 0) this.#grant(source);
    else await this.#wait(source, signal);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#running -= 1;
      const left = (this.#held.get(source) ?? 1) - 1;
      if (left > 0) this.#held.set(source, left);
      else this.#held.delete(source);
      this.#pump();
    };
  }

  #wait(source: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        waiter.gone = true;
        reject(abortReason(signal));
        this.#pump();
      };
      const waiter: Waiter = {
        gone: false,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(source, waiter);
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#running < this.#size) {
      let source = '';
      const waiter = this.#waiting.take((lane) => {
        source = lane;
        return this.#mayHave(lane);
      });
      if (waiter === undefined) return;
      if (waiter.gone) continue;
      this.#grant(source);
      waiter.grant();
    }
  }

  #grant(source: string): void {
    this.#running += 1;
    this.#held.set(source, (this.#held.get(source) ?? 0) + 1);
  }

  #mayHave(source: string): boolean {
    return (this.#held.get(source) ?? 0) < this.#most;
  }
}
