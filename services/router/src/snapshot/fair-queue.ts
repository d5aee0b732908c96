/**
 * First come first served within a lane, lanes in turn (spec R 10.7.6): whoever brings a thousand items keeps those of others
 * waiting for one each, not for a thousand.
 */
export class FairQueue<Lane, Item> {
  /** In the order of their turns. None is empty. */
  readonly #lanes = new Map<Lane, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(lane: Lane, item: Item): void {
    const items = this.#lanes.get(lane);
    if (items) items.push(item);
    else this.#lanes.set(lane, [item]);
    this.#size += 1;
  }

  /** The next item of the first lane that may have one, which then waits for its next turn behind the others. */
  take(mayHave: (lane: Lane) => boolean = () => true): Item | undefined {
    for (const [lane, items] of this.#lanes) {
      if (!mayHave(lane)) continue;
      const item = items.shift() as Item;
      this.#lanes.delete(lane);
      if (items.length > 0) this.#lanes.set(lane, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (const items of this.#lanes.values()) yield* items;
  }

  clear(): void {
    this.#lanes.clear();
    this.#size = 0;
  }
}
