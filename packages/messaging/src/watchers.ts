import type { Logger } from '@shapecast/service-kit';
import type { RegistryEntry } from './registry.ts';

export type OnEntry<T> = (key: string, entry: RegistryEntry<T> | undefined) => void;

/**
 * Who watches which entries of a bucket. A change is told to those whose prefix its key has without going through the others: with a
 * thousand sources there are thousands of them.
 */
export class Watchers<T> {
  readonly #log: Logger;
  readonly #byPrefix = new Map<string, Set<OnEntry<T>>>();
  /** Lengths that prefixes have: few, as they are made alike. */
  readonly #lengths = new Map<number, number>();
  #size = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  get size(): number {
    return this.#size;
  }

  /** The returned function removes it. Its second call is a no-op. */
  add(prefix: string, onChange: OnEntry<T>): () => void {
    const group = this.#byPrefix.get(prefix) ?? new Set();
    if (group.size === 0) {
      this.#byPrefix.set(prefix, group);
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    }
    // The same function may watch twice.
    const watcher: OnEntry<T> = (key, entry) => onChange(key, entry);
    group.add(watcher);
    this.#size += 1;
    return () => {
      if (!group.delete(watcher)) return;
      this.#size -= 1;
      if (group.size > 0) return;
      this.#byPrefix.delete(prefix);
      const left = (this.#lengths.get(prefix.length) ?? 1) - 1;
      if (left > 0) this.#lengths.set(prefix.length, left);
      else this.#lengths.delete(prefix.length);
    };
  }

  tell(key: string, entry: RegistryEntry<T> | undefined): void {
    for (const length of [...this.#lengths.keys()]) {
      if (length > key.length) continue;
      for (const watcher of [...(this.#byPrefix.get(key.slice(0, length)) ?? [])]) this.tellOne(watcher, key, entry);
    }
  }

  /** One that fails keeps neither the others nor its own next one from being told. */
  tellOne(watcher: OnEntry<T>, key: string, entry: RegistryEntry<T> | undefined): void {
    try {
      watcher(key, entry);
    } catch (err) {
      this.#log.error({ err, key }, 'handling a registry change failed');
    }
  }
}
