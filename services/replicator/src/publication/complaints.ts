import { emitEvent, type Logger } from '@shapecast/service-kit';

/** What is wrong and for somebody else to put right. Said when it comes up and when it is over, not in every round. */
export class Complaints {
  readonly #log: Logger;
  #current: ReadonlySet<string> = new Set();

  constructor({ log }: { readonly log: Logger }) {
    this.#log = log;
  }

  get first(): string | undefined {
    return this.#current.values().next().value;
  }

  /** All that there are now. */
  set(complaints: readonly string[]): void {
    const now = new Set(complaints);
    for (const message of now) {
      if (!this.#current.has(message)) emitEvent(this.#log, 'warning', { type: 'publication', message });
    }
    const over = [...this.#current].filter((complaint) => !now.has(complaint));
    if (over.length > 0) this.#log.info({ problems: over }, 'problems of the publication are over');
    this.#current = now;
  }
}
