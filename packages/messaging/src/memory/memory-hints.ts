import type { Logger } from '@shapecast/service-kit';
import type { Hints } from '../hints.ts';

/** Hints inside one process. They arrive after the publisher's current step, never in the middle of it. */
export class MemoryHints implements Hints {
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<(payload: Uint8Array) => void>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#publishTo(subject, subject, payload);
    this.#publishTo(`${subject.slice(0, subject.lastIndexOf('.'))}.*`, subject, payload);
  }

  #publishTo(listened: string, subject: string, payload: Uint8Array): void {
    for (const listener of this.#listeners.get(listened) ?? []) {
      queueMicrotask(() => {
        if (!this.#listeners.get(listened)?.has(listener)) return;
        try {
          listener(payload);
        } catch (err) {
          this.#log.error({ err, subject }, 'handling a hint failed');
        }
      });
    }
  }

  /** There is no connection to lose, so `onGap` is never called. */
  subscribe(subject: string, onHint: (payload: Uint8Array) => void, _onGap: () => void): () => void {
    // Wrapped, so that the same function subscribed twice is two subscriptions.
    const listener = (payload: Uint8Array): void => onHint(payload);
    const listeners = this.#listeners.get(subject) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(subject, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(subject) === listeners) this.#listeners.delete(subject);
    };
  }
}
