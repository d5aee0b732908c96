/**
 * Which tables have been without shapes for so long that they need not be published any more (spec R 7.11). Adding a table again is
 * not free: the gap has to close, and locks are taken. In memory: a new leader starts over, which only takes longer.
 */
export class Linger {
  readonly #lingerMs: number;
  /** Since when each table has been without shapes and without a request for it. */
  readonly #unusedSince = new Map<number, number>();

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** Somebody wants the table published. */
  requested(oid: number): void {
    this.#unusedSince.delete(oid);
  }

  /** `unused` are all the published tables that no shape needs now. Returns those that have been so long enough. */
  observe<T extends { readonly oid: number }>(unused: readonly T[], nowMs: number): T[] {
    const now = new Set(unused.map(({ oid }) => oid));
    for (const oid of this.#unusedSince.keys()) if (!now.has(oid)) this.#unusedSince.delete(oid);
    for (const oid of now) if (!this.#unusedSince.has(oid)) this.#unusedSince.set(oid, nowMs);
    return unused.filter(({ oid }) => this.isOver(oid, nowMs));
  }

  /** It is not known which tables have shapes: all start over. */
  forget(): void {
    this.#unusedSince.clear();
  }

  /** Whether the table may go: asked again when its turn has come, as a request may have come in between. */
  isOver(oid: number, nowMs: number): boolean {
    const since = this.#unusedSince.get(oid);
    return since !== undefined && nowMs - since >= this.#lingerMs;
  }
}
