export interface RegistryEntry<T> {
  readonly key: string;
  readonly value: T;
  /** Grows with every write to the key; the condition of `update`. */
  readonly revision: number;
}

/**
 * Small replicated records with compare-and-set: who leads, which incarnation, which routers live. Keys are dot-separated
 * words of `[A-Za-z0-9_-]`. Values are JSON.
 */
export interface Registry<T> {
  get(key: string): Promise<RegistryEntry<T> | undefined>;
  /** Undefined when the key exists already. */
  create(key: string, value: T): Promise<number | undefined>;
  /** Undefined when the key's revision is not `revision`. */
  update(key: string, value: T, revision: number): Promise<number | undefined>;
  put(key: string, value: T): Promise<number>;
  delete(key: string): Promise<void>;
  /** All entries whose key starts with `prefix`, expired ones left out. */
  list(prefix: string): Promise<readonly RegistryEntry<T>[]>;
  /**
   * Current entries under `prefix`, then every change (undefined value: deleted). Expiry is not promised to be told:
   * users of a bucket with `ttlMs` also `list` now and then. The returned function stops.
   */
  watch(prefix: string, onChange: (key: string, entry: RegistryEntry<T> | undefined) => void): Promise<() => void>;
}

export interface Registries {
  /** `ttlMs`: entries vanish that long after their last write. Opens or creates the bucket. */
  open<T>(bucket: string, options?: { readonly ttlMs?: number }): Promise<Registry<T>>;
}
