import type { Hints } from '../hints.ts';
import type { NatsLink } from './link.ts';

/** Hints on core NATS: nothing is stored, and while the connection is down they are dropped (spec R 14.2). */
export class NatsHints implements Hints {
  readonly #link: NatsLink;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  publish(subject: string, payload: Uint8Array): void {
    if (!this.#link.connected) return;
    try {
      this.#link.nc.publish(subject, payload);
    } catch (err) {
      this.#link.log.warn({ err, subject }, 'a hint could not be sent');
    }
  }

  subscribe(subject: string, onHint: (payload: Uint8Array) => void, onGap: () => void): () => void {
    const subscription = this.#link.nc.subscribe(subject, {
      callback: (err, msg) => {
        if (err) return this.#link.log.warn({ err, subject }, 'the subscription to hints failed');
        try {
          onHint(msg.data);
        } catch (error) {
          // Thrown into the driver it would end the reading of the connection.
          this.#link.log.error({ err: error, subject }, 'handling a hint failed');
        }
      },
    });
    const stopListening = this.#link.listen({ up: onGap });
    return () => {
      stopListening();
      if (!this.#link.nc.isClosed()) subscription.unsubscribe();
    };
  }
}
