import type { Lsn } from '@shapecast/log';
import { abortReason } from '@shapecast/service-kit';

/** What the replicator of this process is to its source at the moment. */
export type Standing = 'none' | 'locked' | 'leading';

/** Lets the replicator hold a session, or not: who closes it ends the session that there is, and none is opened meanwhile. */
export class SessionGate {
  #closedBecause: string | undefined;
  #opened = Promise.withResolvers<void>();
  #session: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
  /** Set by the replicator that passes this gate. */
  standing: () => Standing = () => 'none';
  /** The tx stream holds every transaction that commits below; undefined unless leading. Set by the replicator, too. */
  storedLsn: () => Lsn | undefined = () => undefined;

  /** One sentence, while it is closed. */
  get closedBecause(): string | undefined {
    return this.#closedBecause;
  }

  /** Runs `session` once the gate is open; its signal aborts with `signal`, and when the gate closes. */
  async pass(session: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    await this.#untilOpen(signal);
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#session = { abort, ended };
    try {
      await session(AbortSignal.any([signal, abort.signal]));
    } finally {
      this.#session = undefined;
      resolve();
    }
  }

  /** Resolves once there is no session any more. The returned function opens the gate again. */
  async close(reason: string): Promise<() => void> {
    if (this.#closedBecause !== undefined) throw new Error('the gate is closed already');
    this.#closedBecause = reason;
    this.#opened = Promise.withResolvers();
    const session = this.#session;
    session?.abort.abort(new Error(reason));
    await session?.ended;
    return () => {
      this.#closedBecause = undefined;
      this.#opened.resolve();
    };
  }

  async #untilOpen(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#closedBecause !== undefined) {
      const gaveUp = Promise.withResolvers<never>();
      const onAbort = () => gaveUp.reject(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await Promise.race([this.#opened.promise, gaveUp.promise]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
  }
}
