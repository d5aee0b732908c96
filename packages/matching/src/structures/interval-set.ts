import { IntStack } from './int-stack.ts';
import { IntervalChunk, longer, pairPlace } from './interval-chunk.ts';
import type { KeyOrder, Keys } from './key-order.ts';

const GROUP_BITS = 6;
const GROUP_LENGTH = 1 << GROUP_BITS;
const FIRST_LENGTH = 4;

/**
 * Distinct intervals, sorted by start and then end in chunks, with the highest end of every 16 intervals,
 * of every chunk and of every 64 chunks. A probe goes down only where a highest end reaches the point, and every such
 * place but the last of its level holds a hit: it reads in proportion to what it finds. A change moves part of one
 * chunk, so that there is nothing to merge or rebuild later.
 */
export class IntervalSet<K> {
  readonly #order: KeyOrder<K>;
  readonly #chunks: IntervalChunk<K>[] = [];
  /** By chunk: its first interval, and its highest end. */
  #firstLows: Keys<K>;
  #firstEnds: Keys<K>;
  #highest: Keys<K>;
  /** Highest end of each group of chunks. */
  #groupHighest: Keys<K>;
  readonly #groupsHit = new IntStack();
  readonly #chunksHit = new IntStack();

  constructor(order: KeyOrder<K>) {
    this.#order = order;
    this.#firstLows = order.make(FIRST_LENGTH);
    this.#firstEnds = order.make(FIRST_LENGTH);
    this.#highest = order.make(FIRST_LENGTH);
    this.#groupHighest = order.make(FIRST_LENGTH);
  }

  /** Id of the interval, -1 when it is not here. */
  find(low: K, end: K): number {
    const chunk = this.#chunks[this.#chunkFor(low, end)];
    return chunk === undefined ? -1 : chunk.idAt(chunk.placeOf(low, end), low, end);
  }

  /** Adds an interval that is not here. */
  insert(low: K, end: K, id: number): void {
    if (this.#chunks.length === 0) this.#addChunk(0, new IntervalChunk(this.#order));
    let index = this.#chunkFor(low, end);
    let chunk = this.#chunks[index] as IntervalChunk<K>;
    let place = chunk.placeOf(low, end);
    if (chunk.isFull) {
      // Keys that only grow leave full chunks behind, not half-full ones.
      const isAppended = index + 1 === this.#chunks.length && place === chunk.count;
      const next = isAppended ? new IntervalChunk(this.#order) : chunk.split();
      this.#addChunk(index + 1, next);
      if (place > chunk.count || isAppended) {
        place -= chunk.count;
        chunk = next;
        index++;
      }
    }
    chunk.insertAt(place, low, end, id);
    this.#summarise(index);
  }

  /** Takes out the interval with this id. Throws when it is not here. */
  remove(low: K, end: K, id: number): void {
    const index = this.#chunkFor(low, end);
    const chunk = this.#chunks[index];
    const place = chunk?.placeOf(low, end) ?? 0;
    if (chunk === undefined || chunk.idAt(place, low, end) !== id) throw new Error(`id ${id} is not in use`);
    chunk.removeAt(place);
    if (chunk.count === 0) {
      this.#dropChunk(index);
      return;
    }
    this.#summarise(index);
    if (this.#mergesWithNext(index)) this.#mergeWithNext(index);
    else if (this.#mergesWithNext(index - 1)) this.#mergeWithNext(index - 1);
  }

  /** Pushes the ids of the intervals that contain the point. */
  probe(point: K, out: IntStack): void {
    const order = this.#order;
    const count = order.upperBound(this.#firstLows, 0, this.#chunks.length, point);
    const groups = this.#groupsHit;
    const chunks = this.#chunksHit;
    groups.clear();
    order.reaching(this.#groupHighest, 0, groupsOf(count), point, groups);
    for (let i = 0; i < groups.length; i++) {
      const from = groups.get(i) << GROUP_BITS;
      chunks.clear();
      order.reaching(this.#highest, from, Math.min(from + GROUP_LENGTH, count), point, chunks);
      for (let j = 0; j < chunks.length; j++) (this.#chunks[chunks.get(j)] as IntervalChunk<K>).probe(point, out);
    }
  }

  bytes(): number {
    const summaries = [this.#firstLows, this.#firstEnds, this.#highest, this.#groupHighest];
    const bytes = summaries.reduce((sum, keys) => sum + this.#order.bytes(keys), 0);
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes(), bytes);
  }

  /** The chunk that holds the interval if any does: the last one that begins at it or before, or the first. */
  #chunkFor(low: K, end: K): number {
    const count = this.#chunks.length;
    const place = pairPlace(this.#order, this.#firstLows, this.#firstEnds, count, low, end);
    const isFirst = place < count && this.#firstLows[place] === low && this.#firstEnds[place] === end;
    return isFirst || place === 0 ? place : place - 1;
  }

  #addChunk(index: number, chunk: IntervalChunk<K>): void {
    const count = this.#chunks.length;
    if (count === this.#firstLows.length) {
      this.#firstLows = longer(this.#order, this.#firstLows, 2 * count);
      this.#firstEnds = longer(this.#order, this.#firstEnds, 2 * count);
      this.#highest = longer(this.#order, this.#highest, 2 * count);
      if (this.#groupHighest.length < groupsOf(2 * count)) {
        this.#groupHighest = longer(this.#order, this.#groupHighest, groupsOf(2 * count));
      }
    }
    for (const keys of this.#byChunk()) keys.copyWithin(index + 1, index, count);
    this.#chunks.splice(index, 0, chunk);
    this.#summariseFrom(Math.max(0, index - 1), index);
  }

  #dropChunk(index: number): void {
    for (const keys of this.#byChunk()) keys.copyWithin(index, index + 1, this.#chunks.length);
    this.#chunks.splice(index, 1);
    this.#summariseFrom(index, index - 1);
  }

  /** Neighbours that together fill no more than half a chunk become one. */
  #mergesWithNext(index: number): boolean {
    const chunk = this.#chunks[index];
    const next = this.#chunks[index + 1];
    return chunk !== undefined && next !== undefined && chunk.count + next.count <= this.#order.chunkLength / 2;
  }

  #mergeWithNext(index: number): void {
    (this.#chunks[index] as IntervalChunk<K>).absorb(this.#chunks[index + 1] as IntervalChunk<K>);
    this.#dropChunk(index + 1);
    this.#summarise(index);
  }

  #byChunk(): Keys<K>[] {
    return [this.#firstLows, this.#firstEnds, this.#highest];
  }

  /** Brings up to date what is known of a chunk. */
  #summarise(index: number): void {
    this.#summariseChunk(index);
    this.#summariseGroup(index >> GROUP_BITS);
  }

  /** The same for chunks `from` to `to`, after which all chunks have changed places. */
  #summariseFrom(from: number, to: number): void {
    for (let index = from; index <= to; index++) this.#summariseChunk(index);
    for (let group = from >> GROUP_BITS; group < groupsOf(this.#chunks.length); group++) this.#summariseGroup(group);
  }

  /** A chunk that is still empty is about to be filled: then this is called again. */
  #summariseChunk(index: number): void {
    const chunk = this.#chunks[index] as IntervalChunk<K>;
    if (chunk.count === 0) return;
    this.#firstLows[index] = chunk.firstLow;
    this.#firstEnds[index] = chunk.firstEnd;
    this.#highest[index] = chunk.highestEnd();
  }

  #summariseGroup(group: number): void {
    const from = group << GROUP_BITS;
    const to = Math.min(from + GROUP_LENGTH, this.#chunks.length);
    this.#groupHighest[group] = this.#order.highest(this.#highest, from, to);
  }
}

function groupsOf(chunks: number): number {
  return (chunks + GROUP_LENGTH - 1) >> GROUP_BITS;
}
