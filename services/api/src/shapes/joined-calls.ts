/**
 * Joins equal questions to the store: those that come while one is under way share the next one. Nobody gets an answer that
 * was under way already when the question came, so answers are as fresh as with a call for each.
 */
export class JoinedCalls<T> {
  /** Settles when the call under way does. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<T>>();

  run(key: string, call: () => Promise<T>): Promise<T> {
    const next = this.#next.get(key);
    if (next !== undefined) return next;
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key, call);
    const promise = running.then(() => {
      this.#next.delete(key);
      return this.#start(key, call);
    });
    this.#next.set(key, promise);
    return promise;
  }

  #start(key: string, call: () => Promise<T>): Promise<T> {
    const promise = call();
    const over = () => void this.#running.delete(key);
    this.#running.set(key, promise.then(over, over));
    return promise;
  }
}
