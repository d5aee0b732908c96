/** Entries of all keys whose hash starts with the same bits; open addressing with linear probing. */
interface Part {
  /** Pairs of hash and id + 1; id + 1 is 0 where the slot is free. */
  readonly slots: Int32Array;
  readonly capacity: number;
  count: number;
  /** How many leading bits of the hash all entries share. */
  readonly depth: number;
}

const MIN_CAPACITY = 8;
/** A part of this many slots does not grow but splits in two: what one insertion moves is bounded by it. */
const MAX_CAPACITY = 16_384;
const MAX_DEPTH = 16;

/**
 * Multimap from a 32-bit hash to ids, for directories that keep the keys themselves elsewhere and compare them: `first`
 * and `next` walk the ids filed under a hash. Extendible hashing: the first bits of a hash choose a part, and a full
 * part splits in two, so there is no moment at which everything is rehashed. The hash is stored with the id, which
 * moves entries without a look at their keys. Removal shifts back, so there are no tombstones.
 */
export class HashTable {
  #parts: Part[] = [part(MIN_CAPACITY, 0)];
  /** `#parts` has 2^depth places; a part with a smaller depth stands in several, one after the other. */
  #depth = 0;
  /** Where the walk of `first` and `next` stands. */
  #walked: Part = this.#parts[0] as Part;
  #walkedHash = 0;
  #walkedAt = 0;

  /** First id filed under the hash, -1 when there is none. */
  first(hash: number): number {
    const part = this.#partOf(hash);
    this.#walked = part;
    this.#walkedHash = hash;
    return this.#walk(part, homeOf(hash, part.capacity));
  }

  /** The id after the one that `first` or `next` returned last, -1 at the end. The table must not change in between. */
  next(): number {
    return this.#walk(this.#walked, following(this.#walkedAt, this.#walked.capacity));
  }

  add(hash: number, id: number): void {
    let part = this.#partOf(hash);
    if (part.count >= part.capacity - (part.capacity >>> 2)) {
      this.#makeRoom(part, hash);
      part = this.#partOf(hash);
    }
    insert(part, hash, id + 1);
  }

  /** Throws when the id is not filed under the hash. */
  remove(hash: number, id: number): void {
    const part = this.#partOf(hash);
    const { slots, capacity } = part;
    let hole = homeOf(hash, capacity);
    while (slots[2 * hole + 1] !== id + 1 || slots[2 * hole] !== hash) {
      if (slots[2 * hole + 1] === 0) throw new Error(`id ${id} is not in use`);
      hole = following(hole, capacity);
    }
    for (let at = following(hole, capacity); slots[2 * at + 1] !== 0; at = following(at, capacity)) {
      const fromHome = distance(homeOf(slots[2 * at] as number, capacity), at, capacity);
      // An entry may move to the hole unless its home lies behind it: a walk from there would end before reaching it.
      if (fromHome < distance(hole, at, capacity)) continue;
      slots[2 * hole] = slots[2 * at] as number;
      slots[2 * hole + 1] = slots[2 * at + 1] as number;
      hole = at;
    }
    slots[2 * hole + 1] = 0;
    part.count--;
    if (part.count < capacity >>> 3 && capacity > MIN_CAPACITY) this.#replace(part, hash, [resized(part)]);
  }

  bytes(): number {
    let bytes = this.#parts.length * 8;
    for (let i = 0; i < this.#parts.length;) {
      const { slots, depth } = this.#parts[i] as Part;
      bytes += slots.byteLength;
      i += 1 << (this.#depth - depth);
    }
    return bytes;
  }

  #partOf(hash: number): Part {
    return this.#parts[(hash >>> MAX_DEPTH) >>> (MAX_DEPTH - this.#depth)] as Part;
  }

  #walk(part: Part, from: number): number {
    const { slots, capacity } = part;
    const hash = this.#walkedHash;
    for (let at = from; ; at = following(at, capacity)) {
      const stored = slots[2 * at + 1] as number;
      if (stored === 0) return -1;
      if (slots[2 * at] === hash) {
        this.#walkedAt = at;
        return stored - 1;
      }
    }
  }

  #makeRoom(full: Part, hash: number): void {
    // Past the last bit a part has only itself to grow in: it takes hashes that are nearly all equal to get there.
    if (full.capacity < MAX_CAPACITY || full.depth === MAX_DEPTH) this.#replace(full, hash, [resized(full)]);
    else this.#replace(full, hash, split(full));
  }

  /** Puts parts, one or two, in the place of the one that the hash leads to. */
  #replace(old: Part, hash: number, parts: Part[]): void {
    if (parts.length === 2 && old.depth === this.#depth) {
      this.#parts = this.#parts.flatMap((part) => [part, part]);
      this.#depth++;
    }
    const places = 1 << (this.#depth - old.depth);
    const from = ((hash >>> MAX_DEPTH) >>> (MAX_DEPTH - this.#depth)) & -places;
    const each = places / parts.length;
    for (let i = 0; i < places; i++) this.#parts[from + i] = parts[Math.floor(i / each)] as Part;
  }
}

function part(capacity: number, depth: number): Part {
  return { slots: new Int32Array(2 * capacity), capacity, count: 0, depth };
}

/** Room for `count` entries and as many again as make it about half full. */
function roomFor(count: number): number {
  return Math.max(MIN_CAPACITY, Math.ceil(count * 1.9));
}

function resized(old: Part): Part {
  const larger = part(roomFor(old.count), old.depth);
  const { slots } = old;
  for (let i = 0; i < slots.length; i += 2) {
    if (slots[i + 1] !== 0) insert(larger, slots[i] as number, slots[i + 1] as number);
  }
  return larger;
}

/** The entries whose next bit is 0, and those whose next bit is 1. */
function split(old: Part): Part[] {
  const { slots, depth, count } = old;
  const bit = 31 - depth;
  let ones = 0;
  for (let i = 0; i < slots.length; i += 2) if (slots[i + 1] !== 0) ones += ((slots[i] as number) >>> bit) & 1;
  const low = part(roomFor(count - ones), depth + 1);
  const high = part(roomFor(ones), depth + 1);
  for (let i = 0; i < slots.length; i += 2) {
    const hash = slots[i] as number;
    if (slots[i + 1] !== 0) insert(((hash >>> bit) & 1) === 0 ? low : high, hash, slots[i + 1] as number);
  }
  return [low, high];
}

function insert(part: Part, hash: number, stored: number): void {
  const { slots, capacity } = part;
  let at = homeOf(hash, capacity);
  while (slots[2 * at + 1] !== 0) at = following(at, capacity);
  slots[2 * at] = hash;
  slots[2 * at + 1] = stored;
  part.count++;
}

/** Where an entry is looked for first, by the last 16 bits: the first ones chose the part. Any capacity will do. */
function homeOf(hash: number, capacity: number): number {
  return Math.imul(hash & 0xffff, capacity) >>> 16;
}

function following(at: number, capacity: number): number {
  return at + 1 === capacity ? 0 : at + 1;
}

function distance(from: number, to: number, capacity: number): number {
  return to >= from ? to - from : to - from + capacity;
}
