import type { ShapeStore, ShardId } from '@shapecast/shape-store';

/** Calls about a shape that change the version of its shard's set of shapes. */
const CHANGES = ['snapshotBegin', 'snapshotKnown', 'snapshotDone', 'snapshotFailed', 'promote', 'rotate'] as const;

/**
 * Keeps what this process does for new shapes away from a shard while its worker needs one append to get through (spec O F134): each
 * shape changes the version four times until it is live, and an append counts for one version only.
 */
export class VersionGate {
  readonly #closed = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Set<Promise<unknown>>>();

  /** The store, for those who have to stop at the gate. */
  guard(store: ShapeStore): ShapeStore {
    return new Proxy(store, {
      get: (target, verb) => {
        const member: unknown = Reflect.get(target, verb, target);
        if (typeof member !== 'function') return member;
        const method = member.bind(target) as (...args: readonly unknown[]) => Promise<unknown>;
        if (!(CHANGES as readonly (string | symbol)[]).includes(verb)) return method;
        return (shard: ShardId, ...args: readonly unknown[]) => this.#pass(shard, () => method(shard, ...args));
      },
    });
  }

  /** Resolves once nothing of the kind is on its way for the shard; what comes waits until the returned function is called. */
  async close(shard: ShardId): Promise<() => void> {
    const key = keyOf(shard);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed.set(key, promise);
    await Promise.allSettled([...(this.#running.get(key) ?? [])]);
    return () => {
      if (this.#closed.get(key) === promise) this.#closed.delete(key);
      resolve();
    };
  }

  async #pass<T>(shard: ShardId, call: () => Promise<T>): Promise<T> {
    const key = keyOf(shard);
    for (let closed = this.#closed.get(key); closed; closed = this.#closed.get(key)) await closed;
    const calls = this.#running.get(key) ?? new Set();
    this.#running.set(key, calls);
    const running = call();
    calls.add(running);
    try {
      return await running;
    } finally {
      calls.delete(running);
      if (calls.size === 0) this.#running.delete(key);
    }
  }
}

function keyOf({ incarnation, shard }: ShardId): string {
  return `${incarnation}.${shard}`;
}
